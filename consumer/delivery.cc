#include "consumer/delivery.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "consumer/attempt_runner.h"
#include "consumer/change_committer.h"
#include "consumer/channel_gates.h"
#include "consumer/claim.h"
#include "consumer/fresh_claims.h"
#include "consumer/pauses.h"
#include "consumer/rate_leases.h"
#include "consumer/record_scan.h"
#include "consumer/record_sweep.h"
#include "consumer/settlement_writer.h"
#include "consumer/shard_leases.h"

namespace outrider::consumer {
namespace {

using std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr char kPart[] = "delivery";
constexpr milliseconds kFirstBackOff{50};
constexpr milliseconds kLongestBackOff{5'000};
constexpr milliseconds kRepeatComplaint{60'000};
constexpr milliseconds kBetweenLooksAtLimits{500};
// Of the grace, for what never left to come back and be settled.
constexpr milliseconds kForReturns{2'000};
constexpr std::size_t kUnsettledForEachPlace = 4;

}  // namespace

// The order of members is the order of construction: what is used stands before its users.
struct Delivery::State {
  State(DeliveryOptions delivery_options, mysql::MysqlPool& mysql_pool, providers::Sender& the_sender,
        const Clock& the_clock, DeliveryProbe& delivery_probe, Health& the_health, Log& the_log)
      : options(std::move(delivery_options)),
        pool(mysql_pool),
        sender(the_sender),
        clock(the_clock),
        probe(delivery_probe),
        health(the_health),
        log(the_log),
        shards(options.owner, options.shard_lease, pool, clock, log),
        leases({options.owner, options.rate_lease, options.call_deadline}, pool, sender.limits(), clock, log),
        gates(options.max_in_flight),
        tokens(options.owner),
        committer(
            pool,
            [this](std::string_view channel) {
              const auto settings = sender.FindChannel(channel);
              return settings && settings->ordering == providers::OnDeadHead::kBlock;
            },
            clock, probe, log),
        runner({options.owner, options.lease, options.call_deadline, options.max_age}, sender, gates, clock, probe,
               [this] { Answered(); }),
        scan({options.lease, options.scan_idle, options.max_age, options.scan_batch, options.sealer, options.quotas},
             pool, sender, leases, committer, gates, tokens, runner, writer, clock, probe),
        fresh({options.lease, options.max_in_flight, kUnsettledForEachPlace * options.max_in_flight, options.quotas},
              sender, gates, tokens, runner, writer, clock, probe),
        writer(committer, log,
               {[this] { return gates.in_flight() > 0; },
                [this](std::span<const Change> changes, const ChangeCommitter::Committed& committed) {
                  Settled(changes, committed);
                }}),
        sweep(options.max_age, pool, committer, gates, writer, scan, probe, options.sealer) {}

  ~State() {
    runner.Close();
    runner.WaitUntilIdle();
  }

  Result<Round> Turn();
  void RefreshChannels(ChannelTable& next);
  Result<void> RefreshPauses(PausedNames& next);
  void SayPauses();
  void Settled(std::span<const Change> changes, const ChangeCommitter::Committed& committed);
  void Drain(milliseconds grace);
  void Answered();

  void WakeUp();
  void WaitForWork(const std::stop_token& stop, SteadyTime until);
  void Say(const Result<Round>& round);
  void SayWaiting();
  void Complain(const std::string& problem);

  const DeliveryOptions options;
  mysql::MysqlPool& pool;
  providers::Sender& sender;
  const Clock& clock;
  DeliveryProbe& probe;
  Health& health;
  Log& log;

  std::mutex wake_mutex;
  std::condition_variable_any wake;
  bool woken = false;

  ShardLeases shards;
  RateLeases leases;
  ChannelGates gates;
  ClaimTokens tokens;
  ChangeCommitter committer;
  AttemptRunner runner;
  RecordScan scan;
  FreshClaims fresh;
  SettlementWriter writer;  // its thread wakes the two above, so it ends first
  RecordSweep sweep;

  std::shared_ptr<const KnownChannels> known = std::make_shared<KnownChannels>();
  std::vector<Pause> pauses;
  std::set<std::string> told_paused;  // tenants
  SteadyTime tend_at{};
  SteadyTime sweep_at{};
  SteadyTime next_look{};
  SteadyTime say_waiting_at{};
  std::set<std::string> told_held;
  std::string complaint;
  SteadyTime complained_at{};
};

void Delivery::State::RefreshChannels(ChannelTable& next) {
  for (const std::string& code : sender.ChannelCodes()) {
    auto settings = sender.FindChannel(code);
    if (settings) next[code] = std::make_shared<const providers::ChannelSettings>(std::move(*settings));
  }
  const bool changed = !std::ranges::equal(next, known->channels, {}, &ChannelTable::value_type::first,
                                           &ChannelTable::value_type::first);
  gates.SetChannels(next.size());
  if (changed) scan.WakeAll();
}

Result<void> Delivery::State::RefreshPauses(PausedNames& next) {
  auto connection = pool.Acquire();
  if (!connection) return std::unexpected(connection.error());
  auto read = ReadPauses(**connection);
  if (!read) return std::unexpected(read.error());
  pauses = std::move(*read);
  next = NamesOf(pauses);
  probe.Paused(next.channels.size(), next.tenants.size());
  return {};
}

void Delivery::State::Settled(std::span<const Change> changes, const ChangeCommitter::Committed& committed) {
  for (const std::string& channel : committed.channels) scan.Wake(channel);
  for (const Change& change : changes) {
    if (!change.ends()) scan.Wake(change.channel);
  }
  Answered();
}

Result<Delivery::Round> Delivery::State::Turn() {
  Round round;
  const SteadyTime now = clock.SteadyNow();
  if (now >= tend_at) {
    auto next = std::make_shared<KnownChannels>();
    RefreshChannels(next->channels);
    if (auto read = RefreshPauses(next->paused); !read) return std::unexpected(read.error());
    known = std::move(next);
    const std::size_t before = shards.Held().size();
    if (auto tended = shards.Tend(); !tended) return std::unexpected(tended.error());
    tend_at = now + options.sweep;
    if (shards.Held().size() > before) scan.WakeAll();
  }
  const std::vector<int> held = shards.Held();
  if (now >= sweep_at) {
    auto swept = sweep.RunOnce(held, known->channels, known->paused);
    if (!swept) return std::unexpected(swept.error());
    sweep_at = now + options.sweep;
    round.recovered = swept->recovered;
    round.ended = swept->ended;
  }
  if (auto tended = leases.Tend(); !tended) return std::unexpected(tended.error());
  // While outcomes can't be written nothing new is taken up.
  next_look = now + options.scan_idle;
  if (writer.waiting() >= kUnsettledForEachPlace * options.max_in_flight) return round;
  auto found = scan.RunOnce(held, known->channels, known->paused);
  if (!found) return std::unexpected(found.error());
  next_look = scan.next_look();
  if (found->stale) sweep_at = now;
  round.ended += found->ended;
  round.postponed = found->postponed;
  round.claimed = found->claimed;
  return round;
}

void Delivery::State::WakeUp() {
  {
    const std::lock_guard lock(wake_mutex);
    woken = true;
  }
  wake.notify_all();
}

void Delivery::State::WaitForWork(const std::stop_token& stop, SteadyTime until) {
  const auto wait = until - clock.SteadyNow();
  std::unique_lock lock(wake_mutex);
  wake.wait_for(lock, stop, std::max(wait, SteadyTime::duration{0}), [&] { return woken; });
  woken = false;
}

void Delivery::State::Complain(const std::string& problem) {
  health.SetPart(kPart, false, "waits: " + problem);
  const SteadyTime now = clock.SteadyNow();
  if (problem == complaint && now - complained_at < kRepeatComplaint) return;
  if (!complaint.empty() && now - complained_at < kLongestBackOff) return;
  log.Warn("delivery.waits", {{"why", problem}});
  complaint = problem;
  complained_at = now;
}

// Who waits for a limit, in words and numbers.
void Delivery::State::SayWaiting() {
  const SteadyTime now = clock.SteadyNow();
  if (now < say_waiting_at) return;
  say_waiting_at = now + kBetweenLooksAtLimits;
  const providers::RateLimits::Waiting waiting = sender.limits().FindWaiting();
  std::string words;
  for (const auto& [limit, how] : waiting.words) words += fmt::format("{}{} {}", words.empty() ? "" : "; ", limit, how);
  for (const providers::LimitKind kind : providers::kLimitKinds) {
    const std::size_t count = waiting.limits[static_cast<std::size_t>(kind)];
    probe.LimitsWaitedFor(ToString(kind), count);
    if (kind != providers::LimitKind::kRecipient || count == 0) continue;
    words += fmt::format("{}{} recipient{} wait{} for places", words.empty() ? "" : "; ", count, count == 1 ? "" : "s",
                         count == 1 ? "s" : "");
  }
  health.SetPart("limits", true, words.empty() ? "nobody waits" : words);
}

void Delivery::State::Say(const Result<Round>& round) {
  if (!round) {
    Complain(round.error().message);
    return;
  }
  if (const std::string trouble = writer.trouble(); !trouble.empty()) {
    Complain(trouble);
    return;
  }
  if (!complaint.empty()) log.Info("delivery.resumes");
  complaint.clear();
  SayWaiting();
  const std::size_t held = shards.Held().size();
  health.SetPart(kPart, true,
                 fmt::format("{} of {} shards, {} channel{}", held, shards.assigned(), known->channels.size(),
                             known->channels.size() == 1 ? "" : "s"));
  std::map<std::string, std::string> closed;
  for (const auto& [channel, reason] : gates.Held()) closed[channel] = "held: " + reason;
  for (const Pause& pause : pauses) {
    if (pause.kind == PauseKind::kChannel) closed[pause.name] = Describe(pause);
  }
  for (const auto& [channel, why] : closed) {
    health.SetPart("channel " + channel, false, why);
    if (told_held.insert(channel).second) log.Warn("channel.held", {{"channel", channel}, {"reason", why}});
  }
  SayPauses();
  std::erase_if(told_held, [&](const std::string& channel) {
    if (closed.contains(channel)) return false;
    health.SetPart("channel " + channel, true, "open");
    log.Info("channel.open", {{"channel", channel}});
    return true;
  });
}

void Delivery::State::SayPauses() {
  for (const Pause& pause : pauses) {
    if (pause.kind != PauseKind::kTenant) continue;
    health.SetPart("tenant " + pause.name, false, Describe(pause));
    if (told_paused.insert(pause.name).second) log.Warn("tenant.paused", {{"tenant", pause.name}, {"by", pause.actor}});
  }
  std::erase_if(told_paused, [&](const std::string& tenant) {
    if (known->paused.tenants.contains(tenant)) return false;
    health.SetPart("tenant " + tenant, true, "goes on");
    log.Info("tenant.resumed", {{"tenant", tenant}});
    return true;
  });
}

void Delivery::State::Answered() {
  fresh.Changed();
  WakeUp();
}

void Delivery::State::Drain(milliseconds grace) {
  const SteadyTime end = std::chrono::steady_clock::now() + grace;
  const auto wait_for_answers = [&](SteadyTime until) {
    while (gates.in_flight() > 0 && std::chrono::steady_clock::now() < until) {
      std::unique_lock lock(wake_mutex);
      wake.wait_until(lock, until, [&] { return woken; });
      woken = false;
      health.Beat(kPart);
    }
  };
  wait_for_answers(end - std::min(kForReturns, grace / 2));
  runner.Close();
  wait_for_answers(end);
  const auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
  const bool settled = writer.WaitUntilEmpty(std::max(left, milliseconds{0}));
  // A database that takes no outcomes takes no shards either; their leases end by themselves.
  if (settled) {
    if (auto given_back = leases.GiveBack(); !given_back) Complain(given_back.error().message);
    if (auto given_back = shards.GiveBack(); !given_back) Complain(given_back.error().message);
  }
  log.Info("delivery.stopped", {{"in_flight", gates.in_flight()}, {"unsettled", settled ? 0 : writer.waiting()}});
}

Delivery::Delivery(DeliveryOptions options, mysql::MysqlPool& pool, providers::Sender& sender, const Clock& clock,
                   DeliveryProbe& probe, Health& health, Log& log)
    : state_(std::make_unique<State>(std::move(options), pool, sender, clock, probe, health, log)) {}

Delivery::~Delivery() = default;

void Delivery::Assigned(const std::vector<kafka::TopicPartition>& partitions) {
  state_->shards.Assign(partitions);
  state_->WakeUp();
}

void Delivery::Revoked(const std::vector<kafka::TopicPartition>& partitions) {
  state_->shards.Revoke(partitions);
  state_->WakeUp();
}

void Delivery::Stored(const std::set<std::string>& channels) {
  for (const std::string& channel : channels) state_->scan.Wake(channel);
  state_->WakeUp();
}

void Delivery::LookAgain() {
  state_->scan.WakeAll();
  state_->WakeUp();
}

FreshClaims& Delivery::fresh_claims() { return state_->fresh; }

Result<Delivery::Round> Delivery::ScanOnce() {
  auto round = state_->Turn();
  if (round) {
    state_->fresh.Open(state_->known);
  } else {
    state_->fresh.Close();
  }
  state_->Say(round);
  return round;
}

void Delivery::Run(std::stop_token stop, milliseconds grace) {
  State& state = *state_;
  const mysql::MysqlOptions& database = state.pool.options();
  state.health.AddLoop(kPart,
                       2 * database.io_timeout + database.connect_timeout + kLongestBackOff + state.options.lease);
  milliseconds back_off = kFirstBackOff;
  while (!stop.stop_requested()) {
    const auto round = ScanOnce();
    state.health.Beat(kPart);
    const SteadyTime now = state.clock.SteadyNow();
    if (!round) {
      state.WaitForWork(stop, now + back_off);
      back_off = std::min(back_off * 2, kLongestBackOff);
      continue;
    }
    back_off = kFirstBackOff;
    const SteadyTime next = std::min({state.next_look, state.tend_at, state.sweep_at, state.leases.next()});
    if (next > now) state.WaitForWork(stop, next);
  }
  state.fresh.Close();
  state.Drain(grace);
  state.health.SetPart(kPart, false, "stopped");
  state.health.RemoveLoop(kPart);
}

}  // namespace outrider::consumer
