#include "outbox/relay.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "outbox/outbox_lease.h"
#include "outbox/outbox_store.h"
#include "outbox/schema.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPollSink{100};
constexpr milliseconds kStalledAfter{5'000};
constexpr milliseconds kRepeatComplaint{60'000};
constexpr milliseconds kProbeInterval{5'000};
constexpr milliseconds kRetryRenewal{500};
// On stop: how long acknowledgements that are on their way are waited for, and then reports of what was given up.
constexpr milliseconds kStopGrace{1'000};
constexpr milliseconds kStopDeadline{5'000};
constexpr milliseconds kFirstBackOff{100};
constexpr milliseconds kMaxBackOff{5'000};
constexpr milliseconds kBusyFor{2'000};
constexpr milliseconds kLongestStandBy{1'000};

constexpr int kNoSuchTable = 1146;
constexpr int kNoSuchColumn = 1054;

std::int64_t WholeSeconds(milliseconds duration) {
  return std::max<std::int64_t>(1, std::chrono::ceil<seconds>(duration).count());
}

std::string Join(const std::vector<std::string>& sentences) {
  std::string joined;
  for (const std::string& sentence : sentences) joined += (joined.empty() ? "" : "; ") + sentence;
  return joined;
}

// What became of one batch.
struct Publication {
  Settlement settlement;
  bool lost_lease = false;
  bool failed = false;  // something wasn't stored
  std::string problem;
};

}  // namespace

struct Relay::State {
  State(RelayOptions relay_options, EventSink& event_sink, const Clock& relay_clock, RelayProbe& relay_probe,
        Health& relay_health, Log& relay_log)
      : options(std::move(relay_options)),
        sink(event_sink),
        clock(relay_clock),
        probe(relay_probe),
        health(relay_health),
        log(relay_log),
        part("relay " + options.source),
        lease(options.source, options.owner, options.lease),
        store(options.source, options.table) {}

  Result<Round> Turn(std::stop_token stop);
  Result<void> Connect();
  Error Explain(Error error);
  Result<void> Lead();
  Result<void> Look();
  Result<void> RenewIfDue();
  void StepDown(std::string_view why);
  void LoseLease();
  void GiveBack();
  Result<void> ProbeBacklogIfDue();

  Publication Publish(const std::vector<OutboxRow>& rows, std::stop_token stop);
  Result<void> Settle(Settlement settlement, Round& round);

  void Say(bool delivers, std::string words);
  void Complain(const std::string& problem);
  void AllIsWell();
  // False when it was stopped.
  bool Pause(std::stop_token stop, milliseconds duration);
  milliseconds LoopSilence() const;

  const RelayOptions options;
  EventSink& sink;
  const Clock& clock;
  RelayProbe& probe;
  Health& health;
  Log& log;
  const std::string part;
  const OutboxLease lease;
  const OutboxStore store;

  std::unique_ptr<mysql::MysqlConnection> connection;
  bool leading = false;
  std::uint64_t epoch = 0;
  SteadyTime renewed_at{};  // taken before the statement left, so it is never later than the database's own time of it
  SteadyTime look_at{};     // when a relay that doesn't lead looks at the lease again
  SteadyTime probe_at{};
  std::string leader;  // the other one, as last seen
  // Acknowledged rows whose deletion failed before its commit: tried again before anything is read, so that a database
  // that is away for a minute doesn't make copies of a whole batch.
  std::optional<Settlement> unsettled;
  // Rounds to go with one row each, because the sink called a row of a larger batch poison: it may have meant the
  // company.
  std::size_t careful_rounds = 0;

  std::string said;
  bool said_delivers = false;
  std::string complaint;
  SteadyTime complained_at{};
};

// ---- Health and log ----

void Relay::State::Say(bool delivers, std::string words) {
  if (words == said && delivers == said_delivers) return;
  health.SetPart(part, delivers, words);
  said = std::move(words);
  said_delivers = delivers;
}

void Relay::State::Complain(const std::string& problem) {
  Say(false, "waits: " + problem);
  const SteadyTime now = clock.SteadyNow();
  const bool first = complaint.empty();
  const bool changed = problem != complaint && now - complained_at > kMaxBackOff;
  if (!first && !changed && now - complained_at < kRepeatComplaint) return;
  log.Warn("relay.waits", {{"source", options.source}, {"why", problem}});
  complaint = problem;
  complained_at = now;
}

void Relay::State::AllIsWell() {
  if (!complaint.empty()) log.Info("relay.resumes", {{"source", options.source}});
  complaint.clear();
  if (leading) {
    Say(true, fmt::format("leads with epoch {}", epoch));
  } else if (!leader.empty()) {
    Say(true, fmt::format("stands by: {} leads", leader));
  }
}

bool Relay::State::Pause(std::stop_token stop, milliseconds duration) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

milliseconds Relay::State::LoopSilence() const {
  return 2 * options.database.io_timeout + options.database.connect_timeout + options.lease + kMaxBackOff;
}

// ---- Database ----

Result<void> Relay::State::Connect() {
  if (connection && connection->healthy() && !connection->read_only() && !connection->HasNews()) return {};
  connection.reset();
  auto opened = mysql::MysqlConnection::Open(options.database);
  if (!opened) return std::unexpected(opened.error());
  // A relay that is paused inside its transaction keeps the lease row locked. The server hangs up on it within a lease,
  // and nobody waits longer for a lock than that, so the take-over isn't held up.
  const std::string settings = fmt::format("SET SESSION wait_timeout = {}, innodb_lock_wait_timeout = {}",
                                           WholeSeconds(options.lease), WholeSeconds(options.lease / 3));
  if (auto set = (*opened)->ExecuteScript(settings); !set) return set;
  auto missing = MissingTables(**opened, options.table);
  if (!missing) return std::unexpected(missing.error());
  if (!missing->empty()) return Fail(ErrorCode::kInvalid, Join(*missing));
  connection = std::move(*opened);
  return {};
}

Error Relay::State::Explain(Error error) {
  if (connection && connection->healthy() &&
      (error.native_code == kNoSuchTable || error.native_code == kNoSuchColumn)) {
    auto missing = MissingTables(*connection, options.table);
    if (missing && !missing->empty()) error.message = Join(*missing);
  }
  return error;
}

Result<void> Relay::State::ProbeBacklogIfDue() {
  const SteadyTime now = clock.SteadyNow();
  if (now < probe_at) return {};
  auto backlog = store.ProbeBacklog(*connection);
  if (!backlog) return std::unexpected(backlog.error());
  probe.Backlog(backlog->rows, backlog->oldest, backlog->probed_at);
  probe_at = now + kProbeInterval;
  return {};
}

// ---- Lease ----

Result<void> Relay::State::Lead() { return leading ? RenewIfDue() : Look(); }

Result<void> Relay::State::Look() {
  const SteadyTime now = clock.SteadyNow();
  if (now < look_at) return {};
  auto holder = lease.Acquire(*connection);
  if (!holder) return std::unexpected(holder.error());
  if (!holder->mine) {
    const auto remaining = std::chrono::ceil<milliseconds>(holder->remaining);
    look_at = now + std::clamp(remaining, milliseconds{1}, options.lease / 3);
    if (leader != holder->owner && !holder->owner.empty()) {
      leader = holder->owner;
      log.Info("relay.stands_by", {{"source", options.source}, {"leader", leader}, {"epoch", holder->epoch}});
    }
    return {};
  }
  // With any other epoch somebody led in between, who read and deleted those rows himself.
  if (holder->epoch != epoch + 1) unsettled.reset();
  leading = true;
  epoch = holder->epoch;
  renewed_at = now;
  leader.clear();
  careful_rounds = 0;
  probe.Leading(true);
  probe.TookOver();
  log.Info("relay.leads", {{"source", options.source}, {"epoch", epoch}});
  return {};
}

Result<void> Relay::State::RenewIfDue() {
  const SteadyTime now = clock.SteadyNow();
  if (now - renewed_at < options.lease / 3) return {};
  auto renewed = lease.Renew(*connection, epoch);
  if (renewed) {
    renewed_at = now;
  } else if (renewed.error().code == ErrorCode::kConflict) {
    LoseLease();
    return {};
  }
  return renewed;
}

void Relay::State::StepDown(std::string_view why) {
  leading = false;
  look_at = {};
  probe.Leading(false);
  log.Warn("relay.steps_down", {{"source", options.source}, {"epoch", epoch}, {"why", why}});
}

void Relay::State::LoseLease() {
  probe.LostLease();
  unsettled.reset();
  StepDown("another relay has taken over");
}

void Relay::State::GiveBack() {
  if (!leading) return;
  leading = false;
  probe.Leading(false);
  if (!connection || !connection->healthy()) return;
  if (lease.Release(*connection, epoch)) {
    log.Info("relay.gives_back", {{"source", options.source}, {"epoch", epoch}});
  }
}

// ---- One batch ----

// Order. The producer behind the sink is idempotent and never gives a record up by itself, so within a partition the
// log holds a prefix of what was submitted: a row is stored only if every earlier row of its key is, even where the
// earlier one's report says "unknown" because it was given up in flight. So a stored row behind one that isn't reported
// stored may be deleted: the first occurrence of the earlier one stands before it in the log, and what is published
// again is a copy. Everything else of the batch is given up at the first failure and nothing is submitted until each
// report has come, so that the next read starts from the first row whose place isn't known.
Publication Relay::State::Publish(const std::vector<OutboxRow>& rows, std::stop_token stop) {
  Publication outcome;
  std::unordered_map<std::uint64_t, const OutboxRow*> waiting;
  std::map<std::pair<std::string, std::int32_t>, LedgerEntry> ledger;
  std::map<std::string, std::size_t, std::less<>> published;
  std::vector<PublishReport> reports;
  SteadyTime moved_at = clock.SteadyNow();
  std::optional<SteadyTime> stopped_at;
  std::optional<SteadyTime> abandoned_at;
  SteadyTime renew_after{};
  bool stalled = false;

  const auto abandon = [&](std::string problem) {
    outcome.failed = true;
    if (outcome.problem.empty()) outcome.problem = std::move(problem);
    if (abandoned_at) return;
    abandoned_at = clock.SteadyNow();
    sink.Abandon();
  };

  const auto take = [&](PublishReport& report) {
    const auto found = waiting.find(report.seq);
    if (found == waiting.end()) return;
    const OutboxRow& row = *found->second;
    waiting.erase(found);
    switch (report.kind) {
      case PublishReport::Kind::kStored: {
        outcome.settlement.stored.push_back(row.seq);
        probe.InsertToPublish(clock.Now() - row.created_at);
        ++published[report.topic];
        LedgerEntry& entry = ledger[{report.topic, report.partition}];
        entry.highest_offset = entry.rows == 0 ? report.offset : std::max(entry.highest_offset, report.offset);
        ++entry.rows;
        return;
      }
      case PublishReport::Kind::kPoison:
        if (rows.size() == 1) {
          probe.PublishFailed("poison");
          outcome.settlement.dead.push_back({row.seq, "refused_by_broker", std::move(report.problem)});
        } else {
          careful_rounds = rows.size();
          abandon("a row was refused, so the batch goes again row by row: " + report.problem);
        }
        return;
      case PublishReport::Kind::kNotStored:
        probe.PublishFailed(abandoned_at ? "abandoned" : "unavailable");
        abandon(report.problem.empty() ? "a row was not stored" : report.problem);
        return;
    }
  };

  // The lease, while the sink works. It may fail for a while; at half the lease without renewal the batch is given up.
  const auto keep_lease = [&] {
    const SteadyTime now = clock.SteadyNow();
    if (!leading || now < renew_after || now - renewed_at < options.lease / 3) return;
    auto kept = Connect();
    if (kept) kept = RenewIfDue();
    if (!leading) {
      outcome.lost_lease = true;
      abandon("another relay has taken over");
    } else if (!kept) {
      renew_after = now + std::min(kRetryRenewal, options.lease / 10);
      if (now - renewed_at >= options.lease / 2) abandon("the lease can't be renewed: " + kept.error().message);
    }
  };

  const auto tend = [&] {
    reports.clear();
    const SteadyTime before = clock.SteadyNow();
    const milliseconds wait = std::min(kPollSink, std::max(options.lease / 10, milliseconds{1}));
    sink.Poll(wait, reports);
    for (PublishReport& report : reports) take(report);

    const SteadyTime now = clock.SteadyNow();
    if (!reports.empty()) {
      moved_at = now;
    } else if (const auto spent = std::chrono::floor<milliseconds>(now - before); spent < wait) {
      Pause(stopped_at ? std::stop_token{} : stop, wait - spent);
    }
    if (now - moved_at > kStalledAfter) {
      const std::string trouble = sink.trouble();
      Say(false, fmt::format("waits: {} for {} s", trouble.empty() ? "no report from the sink" : trouble,
                             std::chrono::floor<seconds>(now - moved_at).count()));
      if (!stalled || now - complained_at > kRepeatComplaint) {
        log.Warn("relay.waits", {{"source", options.source},
                                 {"why", trouble.empty() ? "no report from the sink" : trouble},
                                 {"rows", waiting.size()}});
        complained_at = now;
        complaint = "the sink";
      }
      stalled = true;
    }
    if (stop.stop_requested() && !stopped_at) stopped_at = now;
    if (stopped_at && now - *stopped_at > kStopGrace) abandon("stopped");
    keep_lease();
    // A sink that owes reports after it was told to give up is broken: let the watchdog see it.
    if (!abandoned_at) health.Beat(part);
  };

  for (const OutboxRow& row : rows) {
    bool submitted = false;
    while (!submitted && !abandoned_at && !stopped_at) {
      auto taken = sink.Submit(row);
      if (taken) {
        waiting.emplace(row.seq, &row);
        submitted = true;
        PassFailpoint(Failpoint::kRelayAfterProduce);
      } else if (taken.error().code == ErrorCode::kInvalid) {
        probe.PublishFailed("poison");
        outcome.settlement.dead.push_back({row.seq, "cannot_be_published", taken.error().message});
        submitted = true;
      } else {
        tend();
      }
    }
    if (abandoned_at || stopped_at) break;
  }
  while (!waiting.empty()) {
    if (stopped_at && clock.SteadyNow() - *stopped_at > kStopDeadline) break;
    tend();
  }

  for (auto& [place, entry] : ledger) {
    entry.topic = place.first;
    entry.partition = place.second;
    outcome.settlement.ledger.push_back(std::move(entry));
  }
  for (const auto& [topic, count] : published) probe.Published(topic, count);
  return outcome;
}

Result<void> Relay::State::Settle(Settlement settlement, Round& round) {
  const SteadyTime now = clock.SteadyNow();
  auto deleted = Result<std::size_t>{0};
  if (auto connected = Connect(); !connected) {
    deleted = std::unexpected(connected.error());
  } else {
    deleted = store.Settle(*connection, lease, epoch, settlement);
  }
  if (!deleted) {
    if (deleted.error().code == ErrorCode::kConflict) {
      LoseLease();
      return {};
    }
    // After a commit whose answer was lost the rows are gone, and counted, or still there: the next read tells.
    if (deleted.error().code != ErrorCode::kUnknown) unsettled = std::move(settlement);
    return std::unexpected(deleted.error());
  }
  PassFailpoint(Failpoint::kRelayAfterCommit);
  renewed_at = now;
  round.deleted += *deleted;
  round.moved_to_dead += settlement.dead.size();
  probe.Deleted(*deleted);
  probe.MovedToDead(settlement.dead.size());
  for (const DeadRow& dead : settlement.dead) {
    log.Warn("relay.row_moved_to_dead",
             {{"source", options.source}, {"seq", dead.seq}, {"reason", dead.reason}, {"detail", dead.detail}});
  }
  const std::size_t expected = settlement.stored.size() + settlement.dead.size();
  if (*deleted != expected) {
    log.Warn("relay.rows_were_gone", {{"source", options.source}, {"expected", expected}, {"deleted", *deleted}});
  }
  return {};
}

Result<Relay::Round> Relay::State::Turn(std::stop_token stop) {
  Round round;
  if (leading && clock.SteadyNow() - renewed_at >= options.lease) StepDown("the lease ran out without renewal");
  if (auto connected = Connect(); !connected) return std::unexpected(connected.error());
  if (auto led = Lead(); !led) return std::unexpected(led.error());
  if (auto probed = ProbeBacklogIfDue(); !probed) return std::unexpected(probed.error());
  round.leading = leading;
  if (!leading) return round;

  if (unsettled) {
    Settlement again = std::move(*unsettled);
    unsettled.reset();
    if (auto settled = Settle(std::move(again), round); !settled) return std::unexpected(settled.error());
    round.leading = leading;
    if (!leading) return round;
  }

  auto rows = store.Read(*connection, careful_rounds > 0 ? 1 : options.batch_rows, options.batch_bytes);
  if (!rows) return std::unexpected(rows.error());
  careful_rounds = rows->empty() || careful_rounds == 0 ? 0 : careful_rounds - 1;
  round.read = rows->size();
  if (rows->empty()) return round;
  probe.Read(rows->size());
  if (auto failed = PassFailpoint(Failpoint::kRelayAfterRead)) return std::unexpected(*failed);

  Publication outcome = Publish(*rows, stop);
  round.published = outcome.settlement.stored.size();
  PassFailpoint(Failpoint::kRelayAfterAck);
  if (!outcome.lost_lease && !outcome.settlement.empty()) {
    if (auto settled = Settle(std::move(outcome.settlement), round); !settled) return std::unexpected(settled.error());
  }
  round.leading = leading;
  if (outcome.failed && !outcome.lost_lease && !stop.stop_requested()) {
    return Fail(ErrorCode::kUnavailable, outcome.problem);
  }
  return round;
}

// ---- The relay ----

Relay::Relay(RelayOptions options, EventSink& sink, const Clock& clock, RelayProbe& probe, Health& health, Log& log)
    : state_(std::make_unique<State>(std::move(options), sink, clock, probe, health, log)) {}

Relay::~Relay() { state_->GiveBack(); }

Result<Relay::Round> Relay::RunOnce(std::stop_token stop) {
  auto round = state_->Turn(std::move(stop));
  if (!round) {
    Error error = state_->Explain(std::move(round.error()));
    state_->Complain(error.message);
    return std::unexpected(std::move(error));
  }
  state_->AllIsWell();
  return round;
}

void Relay::Run(std::stop_token stop) {
  State& state = *state_;
  state.health.AddLoop(state.part, state.LoopSilence());
  milliseconds back_off = kFirstBackOff;
  milliseconds idle = state.options.poll_busy;
  SteadyTime last_row = state.clock.SteadyNow();
  while (!stop.stop_requested()) {
    const auto round = RunOnce(stop);
    state.health.Beat(state.part);
    const SteadyTime now = state.clock.SteadyNow();
    if (!round) {
      state.Pause(stop, back_off);
      back_off = std::min(back_off * 2, kMaxBackOff);
      continue;
    }
    back_off = kFirstBackOff;
    if (!round->leading) {
      state.Pause(stop,
                  std::clamp(std::chrono::ceil<milliseconds>(state.look_at - now), milliseconds{1}, kLongestStandBy));
    } else if (round->read > 0) {
      last_row = now;
      idle = state.options.poll_busy;
    } else {
      if (now - last_row > kBusyFor) idle = std::min(idle + state.options.poll_busy, state.options.poll_idle);
      state.Pause(stop, idle);
    }
  }
  state.GiveBack();
  state.Say(false, "stopped");
  state.health.RemoveLoop(state.part);
}

}  // namespace outrider::outbox
