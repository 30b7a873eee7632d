#include "consumer/kafka_ingest.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "consumer/ingest_writer.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::consumer {
namespace {

using kafka::KafkaConsumer;
using kafka::TopicPartition;
using std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using Partitions = std::vector<TopicPartition>;

constexpr milliseconds kPoll{100};
constexpr std::size_t kPollEvents = 200;
// A writer that is behind for longer than this pauses the partitions; shorter, and resuming would cost more than
// waiting.
constexpr milliseconds kWriterPatience{200};
constexpr milliseconds kCommitInterval{250};
constexpr milliseconds kCommitAgain{2'000};
// Below the group's session time-out, so that giving partitions up doesn't look like a crash.
constexpr milliseconds kSettlePatience{5'000};
constexpr milliseconds kFirstBackOff{200};
constexpr milliseconds kMaxBackOff{5'000};
constexpr std::chrono::seconds kRepeatComplaint{60};
constexpr std::chrono::seconds kLoopSilence{60};
constexpr const char* kLoop = "ingest";

SteadyTime Now() { return std::chrono::steady_clock::now(); }

void Pause(const std::stop_token& stop, milliseconds duration) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
}

// What is wrong now; logged once a minute, however often it comes and goes.
struct Trouble {
  std::string now, logged;
  SteadyTime logged_at{};
};

}  // namespace

struct KafkaIngest::State {
  bool Open();
  void Turn();
  void MakeRoom();
  void CommitIfDue();
  Result<void> Commit(const std::map<TopicPartition, std::int64_t>& offsets);
  void CollectDurable();
  void Gain(const Partitions& gained);
  void GiveUp(const Partitions& gone, bool lost);
  void Finish();
  void Complain(Trouble& trouble, std::string why);
  void Say();

  const KafkaIngestOptions options;
  Ingest& ingest;
  ShardOwner& shards;
  IngestProbe& probe;
  Health& health;
  Log& log;

  std::unique_ptr<IngestWriter> writer;
  std::unique_ptr<KafkaConsumer> consumer;
  std::map<TopicPartition, std::int64_t> uncommitted;
  std::set<TopicPartition> assigned;
  std::size_t room = 0;
  bool paused = false;
  SteadyTime commit_at{};
  Trouble reading, committing;
  std::pair<bool, std::string> said;
};

// ---- Partitions come and go: inside Poll() and Close() ----

void KafkaIngest::State::Gain(const Partitions& gained) {
  assigned.insert(gained.begin(), gained.end());
  // What was paused before stays paused, so the new ones are too: all of them go on together.
  if (paused) {
    if (auto done = consumer->Pause(gained); !done) log.Warn("ingest.pause_failed", {{"why", done.error().message}});
  }
  probe.Rebalanced();
  probe.Assigned(assigned.size());
  log.Info("ingest.partitions_gained", {{"gained", gained.size()}, {"owned", assigned.size()}});
  shards.Assigned(gained);
}

void KafkaIngest::State::GiveUp(const Partitions& gone, bool lost) {
  // What is being stored may end after the partition's new owner has read it again: copies, which change nothing.
  const bool settled = writer->Settle(gone, lost ? milliseconds{0} : kSettlePatience);
  CollectDurable();
  std::map<TopicPartition, std::int64_t> last;
  for (const TopicPartition& partition : gone) {
    if (const auto found = uncommitted.find(partition); found != uncommitted.end()) last.insert(*found);
    uncommitted.erase(partition);
    assigned.erase(partition);
  }
  if (!lost && !last.empty()) {
    if (auto committed = Commit(last); !committed) Complain(committing, committed.error().message);
  }
  writer->Forget(gone);
  probe.Rebalanced();
  probe.Assigned(assigned.size());
  log.Info(
      "ingest.partitions_given_up",
      {{"given_up", gone.size()}, {"owned", assigned.size()}, {"lost", lost ? 1 : 0}, {"settled", settled ? 1 : 0}});
  shards.Revoked(gone);
}

// ---- Offsets ----

void KafkaIngest::State::CollectDurable() {
  for (const auto& [partition, next] : writer->TakeDurable()) uncommitted[partition] = next;
}

Result<void> KafkaIngest::State::Commit(const std::map<TopicPartition, std::int64_t>& offsets) {
  (void)PassFailpoint(Failpoint::kIngestBeforeOffsetCommit);
  std::vector<EventPosition> positions;
  for (const auto& [partition, next] : offsets) positions.push_back({partition.topic, partition.partition, next});
  return consumer->Commit(positions);
}

void KafkaIngest::State::CommitIfDue() {
  // While no broker answers, a commit would only hold the loop up.
  if (Now() < commit_at || !reading.now.empty()) return;
  CollectDurable();
  if (uncommitted.empty()) return;
  const auto committed = Commit(uncommitted);
  if (committed) {
    uncommitted.clear();
    committing.now.clear();
    commit_at = Now() + kCommitInterval;
    return;
  }
  // Not committed is no harm: the events are durable and would come again as copies.
  commit_at = Now() + kCommitAgain;
  Complain(committing, committed.error().message);
}

// ---- The loop ----

bool KafkaIngest::State::Open() {
  kafka::RebalanceListener listener;
  listener.on_assigned = [this](const Partitions& gained) { Gain(gained); };
  listener.on_revoked = [this](const Partitions& gone, bool lost) { GiveUp(gone, lost); };
  auto created = KafkaConsumer::Create(options.kafka, options.group, options.topics, std::move(listener));
  if (!created) {
    Complain(reading, created.error().message);
    return false;
  }
  consumer = std::move(*created);
  return true;
}

void KafkaIngest::State::MakeRoom() {
  room = writer->Room(kWriterPatience);
  if ((room == 0) == paused || assigned.empty()) return;
  const Partitions all(assigned.begin(), assigned.end());
  const auto done = room == 0 ? consumer->Pause(all) : consumer->Resume(all);
  if (!done) log.Warn("ingest.pause_failed", {{"why", done.error().message}});
  paused = room == 0;
  log.Debug(paused ? "ingest.pauses" : "ingest.goes_on", {{"partitions", all.size()}});
}

void KafkaIngest::State::Turn() {
  health.Beat(kLoop);
  CommitIfDue();
  MakeRoom();
  // A paused consumer polls too: it stays a member of the group.
  auto events = consumer->Poll(room == 0 ? milliseconds{0} : kPoll, std::clamp<std::size_t>(room, 1, kPollEvents));
  if (!events) {
    Complain(reading, events.error().message);
  } else {
    reading.now.clear();
    writer->Add(std::move(*events));
  }
  Say();
}

void KafkaIngest::State::Finish() {
  if (consumer) {
    writer->SettleAll(kSettlePatience);
    consumer->Close();
    consumer.reset();
  }
  writer.reset();
  uncommitted.clear();
}

void KafkaIngest::State::Complain(Trouble& trouble, std::string why) {
  const SteadyTime now = Now();
  if (trouble.logged != why || now - trouble.logged_at > kRepeatComplaint) {
    log.Warn("ingest.broker_trouble", {{"why", why}});
    trouble.logged = why;
    trouble.logged_at = now;
  }
  trouble.now = std::move(why);
}

void KafkaIngest::State::Say() {
  std::pair<bool, std::string> words;
  if (const std::string database = writer->trouble(); !database.empty()) {
    words = {false, fmt::format("waits: {}", database)};
  } else if (!reading.now.empty()) {
    words = {false, fmt::format("waits: {}", reading.now)};
  } else if (assigned.empty()) {
    words = {true, "owns no partition"};
  } else {
    words = {true, fmt::format("reads {} partitions{}", assigned.size(),
                               committing.now.empty() ? "" : ", can't commit: " + committing.now)};
  }
  if (words == said) return;
  said = std::move(words);
  health.SetPart("ingest", said.first, said.second);
}

KafkaIngest::KafkaIngest(KafkaIngestOptions options, Ingest& ingest, ShardOwner& shards, IngestProbe& probe,
                         Health& health, Log& log)
    : state_(new State{std::move(options), ingest, shards, probe, health, log}) {}

KafkaIngest::~KafkaIngest() = default;

void KafkaIngest::Run(std::stop_token stop) {
  State& state = *state_;
  state.health.AddLoop(kLoop, kLoopSilence);
  state.writer = std::make_unique<IngestWriter>(
      state.ingest, state.options.batch_events,
      [&state](const std::set<std::string>& channels) { state.shards.Stored(channels); }, state.probe, state.health,
      state.log);
  milliseconds back_off = kFirstBackOff;
  while (!stop.stop_requested()) {
    if (state.consumer || state.Open()) {
      state.Turn();
      continue;
    }
    state.health.Beat(kLoop);
    state.Say();
    Pause(stop, back_off);
    back_off = std::min(2 * back_off, kMaxBackOff);
  }
  state.Finish();
  state.health.SetPart("ingest", false, "stopped");
  state.health.RemoveLoop(kLoop);
}

}  // namespace outrider::consumer
