#include "outbox/relay.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "outbox/leadership.h"
#include "outbox/outbox_reader.h"
#include "outbox/outbox_store.h"
#include "outbox/publication.h"
#include "outbox/relay_voice.h"
#include "outbox/schema.h"
#include "outbox/settler.h"
#include "outbox/source_session.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPollSink{100};
constexpr milliseconds kLookAtSettler{3};  // while something else is waited for
constexpr milliseconds kStalledAfter{5'000};
constexpr milliseconds kProbeInterval{5'000};
constexpr int kProbeShare = 20;
constexpr milliseconds kRetryRenewal{500};
// On stop: how long acknowledgements that are on their way are waited for, and then reports of what was given up.
constexpr milliseconds kStopGrace{1'000};
constexpr milliseconds kStopDeadline{5'000};
constexpr milliseconds kFirstBackOff{100};
constexpr milliseconds kMaxBackOff{5'000};
constexpr milliseconds kBusyFor{2'000};
constexpr milliseconds kLongestStandBy{500};
// Rows read and not yet deleted. The sink's queue bounds their bytes.
constexpr std::size_t kMaxUnderWay = 20'000;
constexpr std::size_t kRowsPerSettlement = 4'000;
constexpr milliseconds kSettleDelay{20};  // for the company of later acknowledgements
constexpr std::size_t kRowsAmongSuspects = 64;

constexpr int kNoSuchTable = 1146;
constexpr int kNoSuchColumn = 1054;

std::string Join(const std::vector<std::string>& sentences) {
  std::string joined;
  for (const std::string& sentence : sentences) joined += (joined.empty() ? "" : "; ") + sentence;
  return joined;
}

// False when it was stopped.
bool Pause(std::stop_token stop, milliseconds duration) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

void Append(Settlement& settlement, Settlement more) {
  settlement.stored.insert(settlement.stored.end(), more.stored.begin(), more.stored.end());
  std::move(more.ledger.begin(), more.ledger.end(), std::back_inserter(settlement.ledger));
  std::move(more.dead.begin(), more.dead.end(), std::back_inserter(settlement.dead));
}

std::optional<std::uint64_t> LowestOf(const Settlement& settlement) {
  std::optional<std::uint64_t> lowest;
  const auto look = [&](std::uint64_t seq) { lowest = std::min(lowest.value_or(seq), seq); };
  for (const std::uint64_t seq : settlement.stored) look(seq);
  for (const DeadRow& dead : settlement.dead) look(dead.seq);
  return lowest;
}

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
        voice(options.source, clock, health, log),
        store(options.source, options.table),
        leadership(options.source, options.owner, options.lease, *options.share, clock, probe, log),
        reader(store, clock),
        publication(sink, probe, clock),
        settler(options.database, store, leadership.lease()) {}

  // One turn of RunOnce() or Run(): how far it goes, and how far it has come.
  struct Flow {
    std::stop_token stop;
    std::size_t reads_left = 0;
    Round round;
    std::optional<Error> error;  // ends it: nothing more is read
    bool retrying = false;       // what an earlier turn couldn't delete
    bool dry = false;            // the last read gave nothing
    bool well = false;           // rows flow, or there are none
    SteadyTime read_at{};        // when the next read is due
    SteadyTime renew_after{};
    SteadyTime moved_at{};
    SteadyTime settling_since{};
    std::optional<SteadyTime> stopped_at;
  };

  Result<Round> Turn(std::stop_token stop, std::size_t reads);
  Result<void> Connect();
  Error Explain(Error error);
  Result<void> Lead();
  Result<void> ProbeBacklogIfDue();
  void GiveBack();
  std::string Words() const;
  milliseconds LoopSilence() const;

  void Pump(Flow& flow);
  bool MayRead(const Flow& flow) const;
  void Read(Flow& flow);
  void TakeSettled(Flow& flow, milliseconds wait);
  void SettleIfDue(Flow& flow);
  void KeepLease(Flow& flow);
  void Wait(Flow& flow);
  void FindWell(Flow& flow);

  const RelayOptions options;
  EventSink& sink;
  const Clock& clock;
  RelayProbe& probe;
  Health& health;
  Log& log;
  RelayVoice voice;
  const OutboxStore store;
  Leadership leadership;
  OutboxReader reader;
  Publication publication;
  Settler settler;

  std::unique_ptr<mysql::MysqlConnection> connection;
  bool restart = true;  // the reader begins with the lowest row
  SteadyTime probe_at{};
  // Acknowledged rows whose deletion failed before its commit: tried again before anything is read, so that a database
  // that is away for a minute doesn't make copies of all that was under way.
  std::optional<Settlement> unsettled;
};

std::string Relay::State::Words() const {
  if (leadership.leading()) return fmt::format("leads with epoch {}", leadership.epoch());
  return leadership.leader().empty() ? "" : fmt::format("stands by: {} leads", leadership.leader());
}

milliseconds Relay::State::LoopSilence() const {
  return 2 * options.database.io_timeout + options.database.connect_timeout + options.lease + kMaxBackOff;
}

// ---- Database ----

Result<void> Relay::State::Connect() {
  if (IsUsable(connection.get())) return {};
  connection.reset();
  auto opened = OpenSourceSession(options.database, options.lease);
  if (!opened) return std::unexpected(opened.error());
  auto missing = MissingTables(**opened, options.table);
  if (!missing) return std::unexpected(missing.error());
  if (!missing->empty()) return Fail(ErrorCode::kInvalid, Join(*missing));
  connection = std::move(*opened);
  // Another server may be the primary now, with other rows.
  restart = true;
  return {};
}

Error Relay::State::Explain(Error error) {
  const bool structure = error.native_code == kNoSuchTable || error.native_code == kNoSuchColumn;
  if (structure && IsUsable(connection.get())) {
    auto missing = MissingTables(*connection, options.table);
    if (missing && !missing->empty()) error.message = Join(*missing);
  }
  return error;
}

Result<void> Relay::State::ProbeBacklogIfDue() {
  const SteadyTime now = clock.SteadyNow();
  if (now < probe_at) return {};
  // What a leader has deleted lies below its place, perhaps unpurged, and needn't be counted through; a new leader's
  // first read goes through it, and tells the place.
  std::uint64_t below = 0;
  if (leadership.leading()) {
    if (restart) return {};
    below = reader.place();
    for (const auto& [seq, created_at] : publication.under_way()) below = std::min(below, seq - 1);
  }
  auto backlog = store.ProbeBacklog(*connection, below);
  if (!backlog) return std::unexpected(backlog.error());
  probe.Backlog(backlog->rows, backlog->oldest, backlog->probed_at);
  const SteadyTime end = clock.SteadyNow();
  probe_at = end + std::max<SteadyTime::duration>(kProbeInterval, (end - now) * kProbeShare);
  return {};
}

Result<void> Relay::State::Lead() {
  leadership.StepDownWhenOver();
  if (leadership.leading()) return leadership.RenewIfDue(*connection);
  auto look = leadership.TakeIfFree(*connection);
  if (!look) return std::unexpected(look.error());
  if (*look == Leadership::Look::kNothingNew) return {};
  restart = true;
  // Whoever led in between read and deleted those rows himself.
  if (*look == Leadership::Look::kTookOverFromSomebody) unsettled.reset();
  if (!unsettled) publication.Clear();
  return {};
}

void Relay::State::GiveBack() {
  if (connection && connection->healthy()) leadership.GiveBack(*connection);
}

// ---- The flow ----

// Reading, publishing and deleting overlap: rows are read while reports of earlier ones are on their way, and the
// settler deletes what was reported meanwhile. No transaction is open here.
//
// Order. The producer behind the sink is idempotent and never gives a record up by itself, so within a partition the
// log holds a prefix of what was submitted: a row is stored only if every earlier row of its key is, even where the
// earlier one's report says "unknown" because it was given up in flight. So a stored row behind one that isn't reported
// stored may be deleted: the first occurrence of the earlier one stands before it in the log, and what is published
// again is a copy. Everything else is given up at the first failure, and nothing is read until each report has come and
// what is stored is deleted; then reading goes back to the first row whose place isn't known.
void Relay::State::Pump(Flow& flow) {
  publication.Begin();
  flow.moved_at = clock.SteadyNow();
  if (unsettled) {
    flow.settling_since = clock.SteadyNow();
    flow.retrying = true;
    settler.Start(std::move(*unsettled), leadership.epoch());
    unsettled.reset();
  }
  while (true) {
    TakeSettled(flow, milliseconds{0});
    if (flow.stop.stop_requested() && !flow.stopped_at) {
      flow.stopped_at = clock.SteadyNow();
      publication.DropUnsubmitted();
    }
    if (flow.stopped_at && clock.SteadyNow() - *flow.stopped_at > kStopGrace) publication.Abandon("stopped");
    if (MayRead(flow) && clock.SteadyNow() >= flow.read_at) Read(flow);
    publication.Submit();
    SettleIfDue(flow);
    const bool quiet = publication.all_submitted() && publication.waiting() == 0 && publication.settlement().empty() &&
                       !settler.busy();
    if (quiet && (flow.dry || !MayRead(flow))) return;
    if (flow.stopped_at && clock.SteadyNow() - *flow.stopped_at > kStopDeadline) return;
    KeepLease(flow);
    Wait(flow);
    // A sink that owes reports after it was told to give up is broken: let the watchdog see it.
    if (!publication.abandoned()) health.Beat(voice.part());
  }
}

bool Relay::State::MayRead(const Flow& flow) const {
  return flow.reads_left > 0 && !flow.error && !flow.retrying && !flow.stopped_at && leadership.leading() &&
         !leadership.hands_over() && !publication.abandoned() && !publication.wants_quiet() &&
         publication.all_submitted() && publication.under_way().size() < kMaxUnderWay;
}

void Relay::State::Read(Flow& flow) {
  const SteadyTime now = clock.SteadyNow();
  if (restart) {
    // What is under way would be read a second time.
    if (!publication.under_way().empty()) return;
    reader.Restart();
    restart = false;
  }
  --flow.reads_left;
  const std::size_t rows =
      publication.has_suspects() ? std::min(options.batch_rows, kRowsAmongSuspects) : options.batch_rows;
  auto batch = reader.Read(*connection, rows, options.batch_bytes, publication.under_way(), publication.batch());
  if (batch && batch->rows > 0) {
    if (auto failed = PassFailpoint(Failpoint::kRelayAfterRead)) {
      for (std::size_t i = 0; i < batch->rows; ++i) reader.GoBackTo(publication.batch()[i].seq);
      batch = std::unexpected(*failed);
    }
  }
  if (!batch) {
    flow.error = batch.error();
    return;
  }
  flow.read_at = batch->full ? now : now + options.poll_busy;
  flow.dry = batch->rows == 0;
  if (flow.dry && publication.waiting() == 0) FindWell(flow);
  flow.round.read += batch->rows;
  if (batch->rows > 0) probe.Read(batch->rows);
  if (const auto again = publication.Accept(batch->rows)) reader.GoBackTo(*again);
  if (auto searched = reader.Search(*connection, publication.under_way()); !searched) flow.error = searched.error();
  if (auto probed = ProbeBacklogIfDue(); !probed) flow.error = probed.error();
  if (auto compared = leadership.CompareIfDue(*connection); !compared) flow.error = compared.error();
}

void Relay::State::FindWell(Flow& flow) {
  if (flow.well) return;
  flow.well = true;
  voice.AllIsWell(Words());
}

void Relay::State::TakeSettled(Flow& flow, milliseconds wait) {
  auto outcome = settler.Take(wait);
  if (!outcome) return;
  flow.retrying = false;
  const Settlement& settlement = outcome->settlement;
  if (!outcome->deleted) {
    const Error& error = outcome->deleted.error();
    if (error.code == ErrorCode::kConflict) {
      leadership.Lose();
      publication.Abandon("another relay has taken over");
      return;
    }
    flow.error = error;
    if (error.code != ErrorCode::kUnknown) {
      unsettled = std::move(outcome->settlement);
      return;
    }
    // After a commit whose answer was lost the rows are gone, and counted, or still there: the next read tells.
    publication.Settled(settlement);
    if (const auto lowest = LowestOf(settlement)) reader.GoBackTo(*lowest);
    return;
  }
  publication.Settled(settlement);
  leadership.Renewed(flow.settling_since);
  flow.round.deleted += *outcome->deleted;
  flow.round.moved_to_dead += settlement.dead.size();
  probe.Deleted(*outcome->deleted);
  probe.MovedToDead(settlement.dead.size());
  for (const DeadRow& dead : settlement.dead) {
    log.Warn("relay.row_moved_to_dead",
             {{"source", options.source}, {"seq", dead.seq}, {"reason", dead.reason}, {"detail", dead.detail}});
  }
  const std::size_t expected = settlement.stored.size() + settlement.dead.size();
  if (*outcome->deleted != expected) {
    log.Warn("relay.rows_were_gone",
             {{"source", options.source}, {"expected", expected}, {"deleted", *outcome->deleted}});
  }
}

void Relay::State::SettleIfDue(Flow& flow) {
  const Settlement& settlement = publication.settlement();
  if (settlement.empty() || settler.busy()) return;
  if (!leadership.leading()) {
    publication.Settled(publication.TakeSettlement());
    return;
  }
  const SteadyTime now = clock.SteadyNow();
  const std::size_t rows = settlement.stored.size() + settlement.dead.size();
  const bool last = publication.waiting() == 0 && publication.all_submitted() && !MayRead(flow);
  if (!last && rows < kRowsPerSettlement && now - publication.settles_since() < kSettleDelay) return;
  PassFailpoint(Failpoint::kRelayAfterAck);
  Settlement taken = publication.TakeSettlement();
  if (unsettled) {
    // The database is away: once it is back all of it is deleted at once.
    Append(*unsettled, std::move(taken));
    return;
  }
  flow.settling_since = now;
  settler.Start(std::move(taken), leadership.epoch());
}

// While the settler or the sink works. It may fail for a while; at half the lease without renewal all is given up.
void Relay::State::KeepLease(Flow& flow) {
  const SteadyTime now = clock.SteadyNow();
  if (!leadership.leading() || now < flow.renew_after || !leadership.renewal_due()) return;
  // The settler's transaction has the lease's row, and prolongs it.
  if (settler.busy() && now - flow.settling_since < options.lease / 3) return;
  auto kept = Connect();
  if (kept) kept = leadership.RenewIfDue(*connection);
  if (!leadership.leading()) {
    publication.Abandon("another relay has taken over");
  } else if (!kept) {
    flow.renew_after = now + std::min(kRetryRenewal, options.lease / 10);
    if (leadership.half_gone()) {
      publication.Abandon("the lease can't be renewed: " + kept.error().message);
      if (!flow.error) flow.error = kept.error();
    }
  }
}

void Relay::State::Wait(Flow& flow) {
  const SteadyTime before = clock.SteadyNow();
  milliseconds wait = std::min(kPollSink, std::max(options.lease / 10, milliseconds{1}));
  const auto until = [&](SteadyTime time) {
    wait = std::clamp(std::chrono::ceil<milliseconds>(time - before), milliseconds{0}, wait);
  };
  if (MayRead(flow)) until(flow.read_at);
  if (!publication.settlement().empty() && !settler.busy()) until(publication.settles_since() + kSettleDelay);
  const bool asks_sink = publication.waiting() > 0 || !publication.all_submitted();
  if (!asks_sink) {
    flow.moved_at = before;
    if (settler.busy()) {
      TakeSettled(flow, wait);
    } else if (wait.count() > 0) {
      Pause(flow.stopped_at ? std::stop_token{} : flow.stop, wait);
    }
    return;
  }
  if (settler.busy()) wait = std::min(wait, kLookAtSettler);
  const bool moved = publication.Poll(wait);
  const SteadyTime now = clock.SteadyNow();
  if (moved) {
    flow.moved_at = now;
    if (publication.stored() > 0 && !publication.abandoned()) FindWell(flow);
    return;
  }
  if (const auto spent = std::chrono::floor<milliseconds>(now - before); spent < wait) {
    Pause(flow.stopped_at ? std::stop_token{} : flow.stop, wait - spent);
  }
  if (now - flow.moved_at > kStalledAfter) {
    flow.well = false;
    voice.Stalled(sink.trouble(), std::chrono::floor<milliseconds>(now - flow.moved_at), publication.waiting());
  }
}

Result<Relay::Round> Relay::State::Turn(std::stop_token stop, std::size_t reads) {
  if (auto connected = Connect(); !connected) {
    leadership.StepDownWhenOver();
    return std::unexpected(connected.error());
  }
  if (auto led = Lead(); !led) return std::unexpected(led.error());
  if (auto probed = ProbeBacklogIfDue(); !probed) return std::unexpected(probed.error());
  if (auto compared = leadership.CompareIfDue(*connection); !compared) return std::unexpected(compared.error());
  Flow flow;
  flow.stop = std::move(stop);
  flow.reads_left = reads;
  if (!leadership.leading()) return flow.round;
  Pump(flow);
  if (const auto lost = publication.TakeLost()) reader.GoBackTo(*lost);
  if (leadership.hands_over() && !unsettled) GiveBack();
  flow.round.leading = leadership.leading();
  flow.round.published = publication.stored();
  if (!flow.round.leading) {
    unsettled.reset();
    publication.Clear();
    return flow.round;
  }
  if (flow.error) return std::unexpected(*flow.error);
  if (publication.abandoned() && !flow.stopped_at) return Fail(ErrorCode::kUnavailable, publication.problem());
  return flow.round;
}

// ---- The relay ----

Relay::Relay(RelayOptions options, EventSink& sink, const Clock& clock, RelayProbe& probe, Health& health, Log& log)
    : state_(std::make_unique<State>(std::move(options), sink, clock, probe, health, log)) {}

Relay::~Relay() { state_->GiveBack(); }

Result<Relay::Round> Relay::RunOnce(std::stop_token stop, std::size_t reads) {
  auto round = state_->Turn(std::move(stop), reads);
  if (!round) {
    Error error = state_->Explain(std::move(round.error()));
    state_->voice.Complain(error.message);
    return std::unexpected(std::move(error));
  }
  state_->voice.AllIsWell(state_->Words());
  return round;
}

void Relay::Run(std::stop_token stop) {
  State& state = *state_;
  state.health.AddLoop(state.voice.part(), state.LoopSilence());
  milliseconds back_off = kFirstBackOff;
  milliseconds idle = state.options.poll_busy;
  SteadyTime last_row = state.clock.SteadyNow();
  while (!stop.stop_requested()) {
    const auto round = RunOnce(stop, std::numeric_limits<std::size_t>::max());
    state.health.Beat(state.voice.part());
    const SteadyTime now = state.clock.SteadyNow();
    if (!round) {
      Pause(stop, back_off);
      back_off = std::min(back_off * 2, kMaxBackOff);
      continue;
    }
    back_off = kFirstBackOff;
    if (!round->leading) {
      const auto until_look = std::chrono::ceil<milliseconds>(state.leadership.looks_at() - now);
      Pause(stop, std::clamp(until_look, milliseconds{1}, kLongestStandBy));
      continue;
    }
    if (round->read > 0) {
      last_row = now;
      idle = state.options.poll_busy;
    } else if (now - last_row > kBusyFor) {
      idle = std::min(idle + state.options.poll_busy, state.options.poll_idle);
    }
    Pause(stop, idle);
  }
  state.GiveBack();
  state.voice.Say(false, "stopped");
  state.health.RemoveLoop(state.voice.part());
}

}  // namespace outrider::outbox
