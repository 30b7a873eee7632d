#include "providers/sender.h"

#include <fmt/format.h>

#include <map>
#include <shared_mutex>
#include <utility>

#include "providers/provider_table.h"
#include "providers/redact.h"

namespace outrider::providers {
namespace {

struct Channel {
  ChannelSettings settings;
  std::shared_ptr<const Provider> provider;
  std::shared_ptr<ChannelLimiter> limiter;
};

using ChannelMap = std::map<std::string, std::shared_ptr<const Channel>, std::less<>>;

bool SameProvider(const ChannelSettings& a, const ChannelSettings& b) {
  return a.provider == b.provider && a.settings == b.settings;
}

// What the record's story needs of an attempt, without what must not be kept longer than the request.
struct Attempt {
  std::string channel;
  std::string dedupe_key;
  int number = 0;
  bool is_private = false;
};

SendOutcome OutcomeOf(const Provider& provider, const http::HttpResult& result, bool asked) {
  if (result.kind == http::HttpResult::Kind::kAnswered) {
    return asked ? provider.ReadAnswer(result.response) : provider.ReadResponse(result.response);
  }
  SendOutcome outcome;
  outcome.verdict = result.kind == http::HttpResult::Kind::kNotSent ? SendVerdict::kNotNow : SendVerdict::kNoAnswer;
  outcome.reason = result.reason;
  outcome.detail = Redact(result.detail, kMaxDetailCharacters);
  return outcome;
}

void KeepNothingPrivate(SendOutcome& outcome) {
  if (outcome.answer.empty()) return;
  outcome.answer.clear();
  outcome.detail =
      outcome.provider_code.empty()
          ? fmt::format("HTTP {}; the answer isn't kept, the notification is private", outcome.http_status)
          : fmt::format("code {}; the answer isn't kept, the notification is private", outcome.provider_code);
}

}  // namespace

struct Sender::State {
  State(http::HttpEngine& http_engine, const Clock& the_clock, DeliveryProbe& delivery_probe, Log& the_log)
      : engine(http_engine), clock(the_clock), probe(delivery_probe), log(the_log) {}

  std::shared_ptr<const Channel> Find(std::string_view code) const {
    const std::shared_lock lock(mutex);
    const auto found = channels.find(code);
    return found == channels.end() ? nullptr : found->second;
  }

  void Finish(const Channel& channel, const Attempt& attempt, std::chrono::microseconds duration, SendOutcome& outcome,
              bool left) {
    if (left) {
      channel.limiter->UsePlace(clock.SteadyNow());
    } else {
      channel.limiter->GivePlaceBack();
    }
    if (attempt.is_private) KeepNothingPrivate(outcome);
    if (outcome.verdict == SendVerdict::kAccepted) {
      outcome.reason.clear();
    } else if (outcome.retry_after) {
      channel.limiter->CloseUntil(clock.SteadyNow() + *outcome.retry_after);
    }
    const std::string_view provider = channel.provider->name();
    if (outcome.reason.ends_with(kUnknownCodeSuffix)) probe.UnknownCode(provider);
    log.Info("send.answered", {{"channel", attempt.channel},
                               {"dedupe_key", attempt.dedupe_key},
                               {"attempt", attempt.number},
                               {"provider", provider},
                               {"verdict", ToString(outcome.verdict)},
                               {"reason", outcome.reason},
                               {"http", outcome.http_status},
                               {"code", outcome.provider_code},
                               {"log_id", outcome.provider_log_id},
                               {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()}});
  }

  http::HttpEngine& engine;
  const Clock& clock;
  DeliveryProbe& probe;
  Log& log;
  mutable std::shared_mutex mutex;
  ChannelMap channels;
};

Sender::Sender(http::HttpEngine& engine, const Clock& clock, DeliveryProbe& probe, Log& log)
    : state_(std::make_shared<State>(engine, clock, probe, log)) {}

Sender::~Sender() = default;

void Sender::SetChannels(std::vector<ChannelSettings> channels) {
  const std::unique_lock lock(state_->mutex);
  ChannelMap next;
  for (ChannelSettings& settings : channels) {
    const ProviderInfo* info = FindProvider(settings.provider);
    if (info == nullptr) continue;  // the caller's check would have found it
    auto channel = std::make_shared<Channel>();
    const auto before = state_->channels.find(settings.code);
    const bool known = before != state_->channels.end();
    if (known && SameProvider(before->second->settings, settings)) {
      channel->provider = before->second->provider;
    } else {
      channel->provider = info->make(settings);
    }
    if (known) {
      channel->limiter = before->second->limiter;
      channel->limiter->SetLimit(settings.rate);
    } else {
      channel->limiter = std::make_shared<ChannelLimiter>(settings.rate);
    }
    std::string code = settings.code;
    channel->settings = std::move(settings);
    next.insert_or_assign(std::move(code), std::move(channel));
  }
  state_->channels = std::move(next);
}

std::optional<ChannelSettings> Sender::FindChannel(std::string_view code) const {
  const auto channel = state_->Find(code);
  if (channel == nullptr) return std::nullopt;
  return channel->settings;
}

std::vector<std::string> Sender::ChannelCodes() const {
  const std::shared_lock lock(state_->mutex);
  std::vector<std::string> codes;
  for (const auto& [code, channel] : state_->channels) codes.push_back(code);
  return codes;
}

std::chrono::milliseconds Sender::TakePlace(std::string_view code) {
  const auto channel = state_->Find(code);
  if (channel == nullptr) return std::chrono::milliseconds{0};  // Send() says what is wrong
  const std::chrono::milliseconds wait = channel->limiter->TakePlace(state_->clock.SteadyNow());
  if (wait.count() > 0) state_->probe.RateLimited(channel->provider->name());
  return wait;
}

void Sender::GivePlaceBack(std::string_view code) {
  if (const auto channel = state_->Find(code)) channel->limiter->GivePlaceBack();
}

ChannelLimiter::Outlook Sender::LookForPlaces(std::string_view code) const {
  const auto channel = state_->Find(code);
  if (channel == nullptr) return {1, std::chrono::milliseconds{0}};  // Send() says what is wrong
  return channel->limiter->Look(state_->clock.SteadyNow());
}

void Sender::Send(const Notification& notification, const std::string& send_key, std::chrono::milliseconds deadline,
                  std::function<bool()> still_mine, std::function<void(SendOutcome)> done) {
  const auto channel = state_->Find(notification.channel);
  if (channel == nullptr || !channel->settings.enabled) {
    if (channel != nullptr) channel->limiter->GivePlaceBack();
    SendOutcome outcome;
    outcome.verdict = SendVerdict::kUnreachable;
    outcome.reason = "recipient_missing";
    outcome.detail = channel == nullptr ? "the channel isn't configured" : "the channel is switched off";
    done(std::move(outcome));
    return;
  }
  Attempt attempt{notification.channel, notification.dedupe_key, notification.attempt, notification.is_private};
  const SendContext context{state_->clock.Now(), send_key};
  SendPlan plan = notification.ask_only ? channel->provider->BuildQuestion(notification, context)
                                        : channel->provider->BuildRequest(notification, context);
  if (SendOutcome* outcome = std::get_if<SendOutcome>(&plan)) {
    // A provider that needs no request (the mock) has a limit too.
    const bool taken = outcome->verdict == SendVerdict::kAccepted;
    state_->Finish(*channel, attempt, std::chrono::microseconds{0}, *outcome, taken);
    done(std::move(*outcome));
    return;
  }
  state_->engine.Send(std::move(std::get<http::HttpRequest>(plan)), deadline, std::move(still_mine),
                      [state = state_, channel, attempt = std::move(attempt), asked = notification.ask_only,
                       done = std::move(done)](http::HttpResult result) {
                        SendOutcome outcome = OutcomeOf(*channel->provider, result, asked);
                        state->Finish(*channel, attempt, result.duration, outcome,
                                      result.kind != http::HttpResult::Kind::kNotSent);
                        done(std::move(outcome));
                      });
}

}  // namespace outrider::providers
