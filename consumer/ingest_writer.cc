#include "consumer/ingest_writer.h"

#include <algorithm>
#include <utility>

namespace outrider::consumer {
namespace {

using kafka::TopicPartition;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMaxWaitingBytes = 16 << 20;
constexpr milliseconds kFirstBackOff{100};
constexpr milliseconds kMaxBackOff{5'000};
constexpr seconds kRepeatComplaint{60};
constexpr milliseconds kBeat{1'000};
// One attempt: several statements, each with its time-out, and the pool's repetitions after lost locks.
constexpr std::chrono::minutes kLoopSilence{10};
constexpr const char* kLoop = "ingest writer";

TopicPartition PartitionOf(const Event& event) { return {event.position.topic, event.position.partition}; }

std::size_t BytesOf(const Event& event) {
  std::size_t bytes = sizeof(Event) + (event.value ? event.value->size() : 0) + (event.key ? event.key->size() : 0);
  for (const EventHeader& header : event.headers)
    bytes += header.name.size() + (header.value ? header.value->size() : 0);
  return bytes;
}

std::set<TopicPartition> ToSet(const std::vector<TopicPartition>& partitions) {
  return {partitions.begin(), partitions.end()};
}

}  // namespace

IngestWriter::IngestWriter(Ingest& ingest, std::size_t batch_events, Stored stored, IngestProbe& probe, Health& health,
                           Log& log)
    : ingest_(ingest),
      batch_events_(std::max<std::size_t>(batch_events, 1)),
      stored_(std::move(stored)),
      probe_(probe),
      health_(health),
      log_(log) {
  health_.AddLoop(kLoop, kLoopSilence);
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

IngestWriter::~IngestWriter() {
  thread_.request_stop();
  thread_.join();
  health_.RemoveLoop(kLoop);
}

// ---- The reader's side ----

std::size_t IngestWriter::Room(milliseconds wait) {
  std::unique_lock lock(mutex_);
  const auto has_room = [&] { return waiting_.size() < batch_events_ && waiting_bytes_ < kMaxWaitingBytes; };
  if (!changed_.wait_for(lock, wait, has_room)) return 0;
  return batch_events_ - waiting_.size();
}

void IngestWriter::Add(std::vector<Event> events) {
  if (events.empty()) return;
  const std::lock_guard lock(mutex_);
  for (Event& event : events) {
    waiting_bytes_ += BytesOf(event);
    waiting_.push_back(std::move(event));
  }
  changed_.notify_all();
}

bool IngestWriter::Holds(const std::set<TopicPartition>& partitions) const {
  return std::ranges::any_of(storing_, [&](const auto& entry) { return partitions.contains(entry.first); });
}

bool IngestWriter::Settle(const Partitions& partitions, milliseconds wait) {
  const auto given_up = ToSet(partitions);
  std::unique_lock lock(mutex_);
  std::erase_if(waiting_, [&](const Event& event) {
    if (!given_up.contains(PartitionOf(event))) return false;
    waiting_bytes_ -= BytesOf(event);
    return true;
  });
  changed_.notify_all();
  changed_.wait_for(lock, wait, [&] { return !Holds(given_up) || !trouble_.empty(); });
  return !Holds(given_up);
}

bool IngestWriter::SettleAll(milliseconds wait) {
  std::unique_lock lock(mutex_);
  const auto done = [&] { return waiting_.empty() && storing_.empty(); };
  changed_.wait_for(lock, wait, [&] { return done() || !trouble_.empty(); });
  return done();
}

void IngestWriter::Forget(const Partitions& partitions) {
  const std::lock_guard lock(mutex_);
  for (const TopicPartition& partition : partitions) {
    durable_.erase(partition);
    if (storing_.contains(partition)) forgotten_.insert(partition);
  }
}

std::map<TopicPartition, std::int64_t> IngestWriter::TakeDurable() {
  const std::lock_guard lock(mutex_);
  return std::exchange(durable_, {});
}

std::string IngestWriter::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

// ---- The writer's thread ----

void IngestWriter::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    health_.Beat(kLoop);
    std::vector<Event> batch;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, stop, kBeat, [&] { return !waiting_.empty(); })) continue;
      if (stop.stop_requested()) return;
      batch = std::exchange(waiting_, {});
      waiting_bytes_ = 0;
      for (const Event& event : batch) storing_[PartitionOf(event)] = event.position.offset + 1;
      changed_.notify_all();
    }
    const std::optional<IngestCounts> durable = StoreUntilDurable(batch, stop);
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [partition, next] : storing_) {
        if (durable && !forgotten_.contains(partition)) durable_[partition] = next;
      }
      storing_.clear();
      forgotten_.clear();
      changed_.notify_all();
    }
    if (durable && !durable->waiting.empty() && stored_) stored_(durable->waiting);
  }
}

std::optional<IngestCounts> IngestWriter::StoreUntilDurable(const std::vector<Event>& batch,
                                                            const std::stop_token& stop) {
  milliseconds back_off = kFirstBackOff;
  while (true) {
    health_.Beat(kLoop);
    auto stored = ingest_.Store(batch);
    if (stored) {
      const std::lock_guard lock(mutex_);
      if (!trouble_.empty()) log_.Info("ingest.stores_again", {{"events", batch.size()}});
      trouble_.clear();
      return std::move(*stored);
    }
    probe_.StoreFailed();
    Complain(stored.error());
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, back_off, [] { return false; });
    if (stop.stop_requested()) return std::nullopt;
    back_off = std::min(2 * back_off, kMaxBackOff);
  }
}

void IngestWriter::Complain(const Error& error) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  if (trouble_ != error.message || now - complained_at_ > kRepeatComplaint) {
    log_.Warn("ingest.waits", {{"why", error.message}});
    complained_at_ = now;
  }
  trouble_ = error.message;
  changed_.notify_all();
}

}  // namespace outrider::consumer
