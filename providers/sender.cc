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
#include "providers/supply_cache.h"

namespace outrider::providers {
namespace {

constexpr std::chrono::milliseconds kLongestFetch{10'000};
// A provider that still needs something after so many is at fault.
constexpr int kMostNeeds = 64;

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

// What came of a request that something else needs. The message itself never left, so nothing is in doubt, and it isn't
// its attempt.
SupplyReading SupplyOf(const Provider& provider, const Need& need, const http::HttpResult& result) {
  const bool answered = result.kind == http::HttpResult::Kind::kAnswered;
  SupplyReading reading = answered ? need.read(result.response) : SupplyReading(OutcomeOf(provider, result, false));
  if (auto* outcome = std::get_if<SendOutcome>(&reading)) {
    if (outcome->verdict == SendVerdict::kNoAnswer) outcome->verdict = SendVerdict::kNotNow;
    outcome->throttled = outcome->verdict == SendVerdict::kNotNow &&
                         std::ranges::find(kOwnReasons, outcome->reason) == kOwnReasons.end();
    outcome->detail = fmt::format("nothing was sent, for want of what it needs first: {}", outcome->detail);
  }
  return reading;
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
      : engine(http_engine),
        clock(the_clock),
        probe(delivery_probe),
        log(the_log),
        limits(the_clock),
        supplies(the_clock) {}

  std::shared_ptr<const Channel> Find(std::string_view code) const {
    const std::shared_lock lock(mutex);
    const auto found = channels.find(code);
    return found == channels.end() ? nullptr : found->second;
  }

  std::vector<LimitRule> RulesOf(const Channel& channel, const Notification& notification) const;

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
  SupplyCache supplies;
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

std::vector<LimitRule> Sender::State::RulesOf(const Channel& channel, const Notification& notification) const {
  std::vector<LimitRule> rules = channel.rules;
  RateLimit tenant;
  {
    const std::shared_lock lock(mutex);
    const auto special = tenants.special.find(notification.tenant);
    tenant = special != tenants.special.end() ? special->second : tenants.each;
  }
  if (IsLimited(tenant)) {
    rules.push_back(MakeLimitRule(LimitKind::kTenant, notification.tenant, notification.tenant, tenant));
  }
  if (IsLimited(channel.settings.recipient_rate) && !notification.recipient.empty()) {
    // The vendor counts by the chat or the person, whichever of our channels it comes from.
    rules.push_back(MakeLimitRule(LimitKind::kRecipient,
                                  fmt::format("{} {}", channel.settings.provider, notification.recipient), "",
                                  channel.settings.recipient_rate));
  }
  return rules;
}

std::vector<LimitRule> Sender::RulesOf(const Notification& notification) const {
  const auto channel = state_->Find(notification.channel);
  return channel == nullptr ? std::vector<LimitRule>{} : state_->RulesOf(*channel, notification);
}

RateLimits& Sender::limits() { return state_->limits; }

// A message on its way: with what it needs first, and once again where its token wasn't taken.
struct Sender::Call : std::enable_shared_from_this<Call> {
  std::shared_ptr<State> state;
  std::shared_ptr<const Channel> channel;
  Attempt attempt;
  bool asked = false;
  std::chrono::steady_clock::time_point ends;
  std::function<bool()> still_mine;
  std::function<void(SendOutcome)> done;

  SendContext context;
  Place place;
  std::optional<Notification> kept;  // once the request has to be built again
  std::vector<std::pair<std::string, Secret>> tokens;
  bool again = false;

  std::chrono::milliseconds Left() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(ends - state->clock.SteadyNow());
    return std::max(left, std::chrono::milliseconds{0});
  }

  void Go(const Notification& first) {
    for (int i = 0; i < kMostNeeds; ++i) {
      const Notification& notification = kept ? *kept : first;
      SendPlan plan = asked ? channel->provider->BuildQuestion(notification, context)
                            : channel->provider->BuildRequest(notification, context);
      if (auto* outcome = std::get_if<SendOutcome>(&plan)) {
        // A provider that needs no request (the mock) has a limit too.
        const bool taken = outcome->verdict == SendVerdict::kAccepted;
        return End(std::move(*outcome), std::chrono::microseconds{0}, taken);
      }
      if (auto* request = std::get_if<http::HttpRequest>(&plan)) return Ask(std::move(*request));
      if (!kept) kept = notification;
      Need& need = std::get<Need>(plan);
      const SupplyCache::Look look =
          state->supplies.Get(need.key, [self = shared_from_this(), key = need.key, is_token = need.is_token](
                                            const SupplyReading& reading) { self->Supplied(key, is_token, reading); });
      if (look.value) Use(need.key, need.is_token, *look.value);
      if (look.fetch) Fetch(std::move(need));
      if (!look.value) return;
    }
    SendOutcome outcome;
    outcome.verdict = SendVerdict::kChannelDown;
    outcome.reason = "needs_unmet";
    outcome.detail = "the provider never has what it needs; this is a fault of Outrider";
    End(std::move(outcome), std::chrono::microseconds{0}, false);
  }

  void Use(const std::string& key, bool is_token, const Secret& value) {
    context.supplies.insert_or_assign(key, value);
    if (is_token) tokens.emplace_back(key, value);
  }

  void Supplied(const std::string& key, bool is_token, const SupplyReading& reading) {
    if (const auto* supply = std::get_if<Supply>(&reading)) {
      Use(key, is_token, supply->value);
      return Go(*kept);
    }
    SendOutcome outcome = std::get<SendOutcome>(reading);
    if (outcome.stale_token && DropTokens()) return Go(*kept);
    End(std::move(outcome), std::chrono::microseconds{0}, false);
  }

  // Nothing of this object is touched once the request is handed over.
  void Fetch(Need need) {
    std::shared_ptr<Place> counted;
    if (need.counts) {
      auto taken = state->limits.Take(channel->rules);
      if (!taken) {
        state->probe.RateLimited(channel->provider->name());
        state->supplies.Settle(need.key, RateLimited(taken.error().wait));
        return;
      }
      counted = std::make_shared<Place>(std::move(*taken));
    }
    http::HttpRequest request = std::exchange(need.request, {});
    state->engine.Send(
        std::move(request), std::min(Left(), kLongestFetch),
        [counted] { return counted == nullptr || counted->MayLeave(); },
        [the_state = state, the_channel = channel, need = std::move(need), counted](const http::HttpResult& result) {
          if (counted != nullptr && result.kind != http::HttpResult::Kind::kNotSent) counted->Use();
          the_state->supplies.Settle(need.key, SupplyOf(*the_channel->provider, need, result));
        });
  }

  void Ask(http::HttpRequest request) {
    state->engine.Send(
        std::move(request), Left(), [self = shared_from_this()] { return self->MayLeave(); },
        [self = shared_from_this()](const http::HttpResult& result) { self->Answered(result); });
  }

  bool MayLeave() const { return still_mine() && place.MayLeave(); }

  void Answered(const http::HttpResult& result) {
    SendOutcome outcome = OutcomeOf(*channel->provider, result, asked);
    const bool left = result.kind != http::HttpResult::Kind::kNotSent;
    if (!outcome.stale_token || !DropTokens()) return End(std::move(outcome), result.duration, left);
    place.Use();
    auto taken = state->limits.Take(state->RulesOf(*channel, *kept));
    if (!taken) {
      state->probe.RateLimited(channel->provider->name());
      return End(RateLimited(taken.error().wait), result.duration, false);
    }
    place = std::move(*taken);
    Go(*kept);
  }

  // False when it was done before, or there is none.
  bool DropTokens() {
    if (again || tokens.empty()) return false;
    again = true;
    for (const auto& [key, token] : tokens) {
      state->supplies.Drop(key, token);
      context.supplies.erase(key);
    }
    tokens.clear();
    return true;
  }

  void End(SendOutcome outcome, std::chrono::microseconds duration, bool left) {
    // A provider knows its settings' secrets, and not what it was supplied with.
    for (const auto& [key, token] : tokens) {
      const std::string_view secret = token.Reveal();
      outcome.detail = Redact(outcome.detail, kMaxDetailCharacters, {&secret, 1});
      outcome.answer = Redact(outcome.answer, kMaxAnswerCharacters, {&secret, 1});
    }
    state->Finish(*channel, attempt, duration, outcome, place, left);
    done(std::move(outcome));
  }
};

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
    auto taken = state_->limits.Take(state_->RulesOf(*channel, notification));
    if (!taken) {
      state_->probe.RateLimited(channel->provider->name());
      done(RateLimited(taken.error().wait));
      return;
    }
    place = std::move(*taken);
  }
  const auto call = std::make_shared<Call>();
  call->state = state_;
  call->channel = channel;
  call->attempt = {notification.channel, notification.dedupe_key, notification.attempt, notification.is_private};
  call->asked = notification.ask_only;
  call->ends = state_->clock.SteadyNow() + deadline;
  call->still_mine = std::move(still_mine);
  call->done = std::move(done);
  call->context.now = state_->clock.Now();
  call->context.send_key = send_key;
  call->place = std::move(place);
  call->Go(notification);
}

}  // namespace outrider::providers
