#include "metrics/delivery_probe.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "metrics/registry_state.h"

namespace outrider {
namespace {

constexpr std::array kVerdicts = {SendVerdict::kAccepted,    SendVerdict::kNotNow,      SendVerdict::kRefused,
                                  SendVerdict::kUnreachable, SendVerdict::kChannelDown, SendVerdict::kNoAnswer};
constexpr std::array kReasons = {"attempts_exhausted", "held_too_long", "uncertain", "channel_unknown", "discarded"};
constexpr std::string_view kOther = "other";
constexpr std::array kLimits = {"channel", "app", "tenant", "recipient"};

double Seconds(std::chrono::microseconds duration) {
  return std::max(0.0, std::chrono::duration<double>(duration).count());
}

std::vector<std::string> AllReasons(const DeliveryLabels& labels) {
  std::vector<std::string> reasons(kReasons.begin(), kReasons.end());
  reasons.insert(reasons.end(), labels.reasons.begin(), labels.reasons.end());
  return reasons;
}

// One provider's series.
struct ProviderSeries {
  ProviderSeries(MetricsRegistry::State& registry, const SeriesLabels& provider)
      : attempt_duration(registry.Seconds("delivery_attempt_duration_seconds",
                                          "From the start of an attempt to its outcome.", provider)),
        latency(registry.Seconds("delivery_latency_seconds", "From the event's creation to the provider's acceptance.",
                                 provider)),
        rate_limited(
            registry.Counter("ratelimit_throttled_total", "Sends held back by Outrider's own limits.", provider)),
        unknown_codes(registry.Counter("provider_unknown_codes_total",
                                       "Answers whose code isn't in the provider's table.", provider)) {
    for (const SendVerdict verdict : kVerdicts) {
      SeriesLabels labels = provider;
      labels["outcome"] = std::string(ToString(verdict));
      outcomes[labels["outcome"]] =
          &registry.Counter("deliveries_total", "Attempts stored, by what the provider's answer meant.", labels);
    }
  }

  std::map<std::string, prometheus::Counter*, std::less<>> outcomes;
  prometheus::Histogram& attempt_duration;
  prometheus::Histogram& latency;
  prometheus::Counter& rate_limited;
  prometheus::Counter& unknown_codes;
};

}  // namespace

struct DeliveryProbe::State {
  State(MetricsRegistry::State& registry, const DeliveryLabels& labels)
      : dead(registry, "dead_total", "Records that became dead, by reason.", "reason", AllReasons(labels)),
        settle_conflicts(
            registry.Counter("settle_conflicts_total", "Settlements that found another version and changed nothing.")),
        claim_conflicts(registry.Counter("claim_conflicts_total", "Claims that somebody else made first.")),
        leases_expired(registry.Counter("leases_expired_total", "Records found sending with an expired lease.")),
        uncertain(
            registry.Counter("uncertain_total", "Records of which it isn't known whether the provider took them.")),
        reconciled(registry, "reconciled_total", "Records in doubt whose provider was asked, by what it said.",
                   "result", {"taken", "not_taken"}),
        parked(registry.Counter("parked_total", "Records parked until a channel, key or limit lets them go on.")),
        blocked(registry.Gauge("ordering_blocked_records", "Dead records that hold those behind them in their key.")),
        oldest_blocked(registry.Gauge("ordering_oldest_blocked_timestamp_seconds",
                                      "Since when the oldest of them has held its key; 0: there is none.")),
        paused_channels(registry.Gauge("paused", "What a person has paused, by kind.", {{"kind", "channel"}})),
        paused_tenants(registry.Gauge("paused", "What a person has paused, by kind.", {{"kind", "tenant"}})),
        in_flight(registry.Gauge("inflight", "Items being worked on now, by stage.", {{"stage", "send"}})) {
    for (const Transition& transition : kTransitions) {
      const auto pair = std::pair(transition.from, transition.to);
      if (transitions.contains(pair)) continue;
      transitions[pair] =
          &registry.Counter("transitions_total", "Changes of a record's status.",
                            {{"from", std::string(ToString(pair.first))}, {"to", std::string(ToString(pair.second))}});
    }
    for (const char* limit : kLimits) {
      const SeriesLabels of_limit = {{"limit", limit}};
      postponed[limit] = &registry.Counter("ratelimit_postponed_total",
                                           "Records moved to a later slot of a limit, by the limit's kind.", of_limit);
      waited_for[limit] =
          &registry.Gauge("ratelimit_waited_for", "Limits that records wait for now, by their kind.", of_limit);
    }
    for (const std::string& provider : labels.providers) {
      providers.try_emplace(provider, registry, SeriesLabels{{"provider", provider}});
    }
    providers.try_emplace(std::string(kOther), registry, SeriesLabels{{"provider", std::string(kOther)}});
  }

  ProviderSeries& Provider(std::string_view name) {
    const auto found = providers.find(name);
    return (found != providers.end() ? found : providers.find(kOther))->second;
  }

  std::map<std::pair<DeliveryStatus, DeliveryStatus>, prometheus::Counter*> transitions;
  std::map<std::string, ProviderSeries, std::less<>> providers;
  std::map<std::string, prometheus::Counter*, std::less<>> postponed;
  std::map<std::string, prometheus::Gauge*, std::less<>> waited_for;
  CounterByLabel dead;
  prometheus::Counter& settle_conflicts;
  prometheus::Counter& claim_conflicts;
  prometheus::Counter& leases_expired;
  prometheus::Counter& uncertain;
  CounterByLabel reconciled;
  prometheus::Counter& parked;
  prometheus::Gauge& blocked;
  prometheus::Gauge& oldest_blocked;
  prometheus::Gauge& paused_channels;
  prometheus::Gauge& paused_tenants;
  prometheus::Gauge& in_flight;
};

DeliveryProbe::DeliveryProbe(MetricsRegistry& registry, DeliveryLabels labels)
    : state_(std::make_unique<State>(registry.state(), labels)) {}
DeliveryProbe::~DeliveryProbe() = default;

void DeliveryProbe::Transitioned(DeliveryStatus from, DeliveryStatus to, std::size_t records) {
  const auto found = state_->transitions.find({from, to});
  if (found != state_->transitions.end()) found->second->Increment(static_cast<double>(records));
}
void DeliveryProbe::Attempted(std::string_view provider, std::string_view verdict, std::chrono::microseconds duration) {
  ProviderSeries& series = state_->Provider(provider);
  const auto outcome = series.outcomes.find(verdict);
  if (outcome == series.outcomes.end()) return;
  outcome->second->Increment();
  series.attempt_duration.Observe(Seconds(duration));
}
void DeliveryProbe::Delivered(std::string_view provider, std::chrono::microseconds since_commit) {
  state_->Provider(provider).latency.Observe(Seconds(since_commit));
}
void DeliveryProbe::Died(std::string_view reason) { state_->dead[reason].Increment(); }
void DeliveryProbe::SettleConflicts(std::size_t records) {
  state_->settle_conflicts.Increment(static_cast<double>(records));
}
void DeliveryProbe::ClaimConflicts(std::size_t records) {
  state_->claim_conflicts.Increment(static_cast<double>(records));
}
void DeliveryProbe::LeasesExpired(std::size_t records) {
  state_->leases_expired.Increment(static_cast<double>(records));
}
void DeliveryProbe::BecameUncertain(std::size_t records) { state_->uncertain.Increment(static_cast<double>(records)); }
void DeliveryProbe::Reconciled(std::string_view result) { state_->reconciled[result].Increment(); }
void DeliveryProbe::Parked(std::size_t records) { state_->parked.Increment(static_cast<double>(records)); }
void DeliveryProbe::KeysBlocked(std::size_t records, std::optional<Timestamp> oldest) {
  state_->blocked.Set(static_cast<double>(records));
  state_->oldest_blocked.Set(oldest ? Seconds(oldest->time_since_epoch()) : 0);
}
void DeliveryProbe::Paused(std::size_t channels, std::size_t tenants) {
  state_->paused_channels.Set(static_cast<double>(channels));
  state_->paused_tenants.Set(static_cast<double>(tenants));
}
void DeliveryProbe::InFlight(std::size_t sends) { state_->in_flight.Set(static_cast<double>(sends)); }
void DeliveryProbe::RateLimited(std::string_view provider) { state_->Provider(provider).rate_limited.Increment(); }
void DeliveryProbe::Postponed(std::string_view limit) {
  if (const auto found = state_->postponed.find(limit); found != state_->postponed.end()) found->second->Increment();
}
void DeliveryProbe::LimitsWaitedFor(std::string_view limit, std::size_t limits) {
  const auto found = state_->waited_for.find(limit);
  if (found != state_->waited_for.end()) found->second->Set(static_cast<double>(limits));
}
void DeliveryProbe::UnknownCode(std::string_view provider) { state_->Provider(provider).unknown_codes.Increment(); }

}  // namespace outrider
