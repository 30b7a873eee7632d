#include "providers/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "model/digest.h"
#include "providers/provider_table.h"
#include "providers/redact.h"

namespace outrider::providers {
namespace {

struct Channel {
  ChannelSettings settings;
  std::shared_ptr<const Provider> provider;
  std::vector<LimitRule> rules;  // of all its notifications
};

using ChannelMap = std::map<std::string, std::shared_ptr<const Channel>, std::less<>>;

bool SameProvider(const ChannelSettings& a, const ChannelSettings& b) {
  return a.provider == b.provider && a.settings == b.settings;
}

// What the vendor counts by: channels with the same webhook are one bot, and share its limit.
std::string NameAtVendor(const ProviderInfo& info, const ChannelSettings& channel) {
  const auto address = channel.settings.find(std::string(info.address_setting));
  if (info.address_setting.empty() || address == channel.settings.end()) return "code " + channel.code;
  return fmt::format("{} {}", info.name, ToHex(AsBytes(Sha256(address->second.Reveal()))));
}

RateLimit Smaller(RateLimit a, RateLimit b) {
  const auto smaller = [](int x, int y) { return x == 0 || y == 0 ? std::max(x, y) : std::min(x, y); };
  return {smaller(a.per_second, b.per_second), smaller(a.per_minute, b.per_minute)};
}

bool IsLimited(RateLimit rate) { return rate.per_second > 0 || rate.per_minute > 0; }

SendOutcome RateLimited(std::chrono::milliseconds wait) {
  SendOutcome outcome;
  outcome.verdict = SendVerdict::kNotNow;
  outcome.reason = "rate_limited";
  outcome.detail = "one of its limits has no place now";
  outcome.retry_after = wait;
  return outcome;
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
  // What never left because of ourselves is nobody's failure, and is known by these words above.
  const bool own = std::ranges::find(kOwnReasons, result.reason) != kOwnReasons.end();
  outcome.reason = own ? result.reason : std::string(provider.NameFailure(result.reason));
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
      : engine(http_engine), clock(the_clock), probe(delivery_probe), log(the_log), limits(the_clock) {}

  std::shared_ptr<const Channel> Find(std::string_view code) const {
    const std::shared_lock lock(mutex);
    const auto found = channels.find(code);
    return found == channels.end() ? nullptr : found->second;
  }

  void Finish(const Channel& channel, const Attempt& attempt, std::chrono::microseconds duration, SendOutcome& outcome,
              Place& place, bool left) {
    if (outcome.verdict != SendVerdict::kAccepted && outcome.retry_after) place.CloseFor(*outcome.retry_after);
    if (left) {
      place.Use();
    } else {
      place.GiveBack();
    }
    if (attempt.is_private) KeepNothingPrivate(outcome);
    if (outcome.verdict == SendVerdict::kAccepted) outcome.reason.clear();
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
  RateLimits limits;
  mutable std::shared_mutex mutex;
  ChannelMap channels;
  TenantRates tenants;
};

Sender::Sender(http::HttpEngine& engine, const Clock& clock, DeliveryProbe& probe, Log& log)
    : state_(std::make_shared<State>(engine, clock, probe, log)) {}

Sender::~Sender() = default;

void Sender::SetChannels(std::vector<ChannelSettings> channels) {
  const std::unique_lock lock(state_->mutex);
  ChannelMap next;
  std::map<std::string, RateLimit> bots;
  for (const ChannelSettings& settings : channels) {
    const ProviderInfo* info = FindProvider(settings.provider);
    if (info == nullptr) continue;
    RateLimit& rate = bots[NameAtVendor(*info, settings)];
    rate = Smaller(rate, settings.rate);
  }
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
    const std::string bot = NameAtVendor(*info, settings);
    channel->rules.push_back(MakeLimitRule(LimitKind::kChannel, bot, settings.code, bots.at(bot)));
    if (!settings.rate_group.empty()) {
      channel->rules.push_back(
          MakeLimitRule(LimitKind::kApp, settings.rate_group, settings.rate_group, settings.group_rate));
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

void Sender::SetTenantRates(TenantRates rates) {
  const std::unique_lock lock(state_->mutex);
  state_->tenants = std::move(rates);
}

std::vector<LimitRule> Sender::RulesOf(std::string_view code) const {
  const auto channel = state_->Find(code);
  return channel == nullptr ? std::vector<LimitRule>{} : channel->rules;
}

std::vector<LimitRule> Sender::RulesOf(const Notification& notification) const {
  const auto channel = state_->Find(notification.channel);
  if (channel == nullptr) return {};
  std::vector<LimitRule> rules = channel->rules;
  RateLimit tenant;
  {
    const std::shared_lock lock(state_->mutex);
    const auto special = state_->tenants.special.find(notification.tenant);
    tenant = special != state_->tenants.special.end() ? special->second : state_->tenants.each;
  }
  if (IsLimited(tenant)) {
    rules.push_back(MakeLimitRule(LimitKind::kTenant, notification.tenant, notification.tenant, tenant));
  }
  if (IsLimited(channel->settings.recipient_rate) && !notification.recipient.empty()) {
    // The vendor counts by the chat or the person, whichever of our channels it comes from.
    rules.push_back(MakeLimitRule(LimitKind::kRecipient,
                                  fmt::format("{} {}", channel->settings.provider, notification.recipient), "",
                                  channel->settings.recipient_rate));
  }
  return rules;
}

RateLimits& Sender::limits() { return state_->limits; }

void Sender::Send(const Notification& notification, const std::string& send_key, Place place,
                  std::chrono::milliseconds deadline, std::function<bool()> still_mine,
                  std::function<void(SendOutcome)> done) {
  const auto channel = state_->Find(notification.channel);
  if (channel == nullptr || !channel->settings.enabled) {
    place.GiveBack();
    SendOutcome outcome;
    outcome.verdict = SendVerdict::kUnreachable;
    outcome.reason = "recipient_missing";
    outcome.detail = channel == nullptr ? "the channel isn't configured" : "the channel is switched off";
    done(std::move(outcome));
    return;
  }
  if (place.empty()) {
    auto taken = state_->limits.Take(RulesOf(notification));
    if (!taken) {
      state_->probe.RateLimited(channel->provider->name());
      done(RateLimited(taken.error().wait));
      return;
    }
    place = std::move(*taken);
  }
  Attempt attempt{notification.channel, notification.dedupe_key, notification.attempt, notification.is_private};
  const SendContext context{state_->clock.Now(), send_key};
  SendPlan plan = notification.ask_only ? channel->provider->BuildQuestion(notification, context)
                                        : channel->provider->BuildRequest(notification, context);
  if (SendOutcome* outcome = std::get_if<SendOutcome>(&plan)) {
    // A provider that needs no request (the mock) has a limit too.
    const bool taken = outcome->verdict == SendVerdict::kAccepted;
    state_->Finish(*channel, attempt, std::chrono::microseconds{0}, *outcome, place, taken);
    done(std::move(*outcome));
    return;
  }
  const auto shared_place = std::make_shared<Place>(std::move(place));
  state_->engine.Send(
      std::move(std::get<http::HttpRequest>(plan)), deadline,
      [shared_place, still_mine = std::move(still_mine)] { return still_mine() && shared_place->MayLeave(); },
      [state = state_, channel, shared_place, attempt = std::move(attempt), asked = notification.ask_only,
       done = std::move(done)](http::HttpResult result) {
        SendOutcome outcome = OutcomeOf(*channel->provider, result, asked);
        state->Finish(*channel, attempt, result.duration, outcome, *shared_place,
                      result.kind != http::HttpResult::Kind::kNotSent);
        done(std::move(outcome));
      });
}

}  // namespace outrider::providers
