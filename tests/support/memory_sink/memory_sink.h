// MemorySink: an EventSink whose log is in memory, and which fails as a test tells it.
//
// It behaves as an idempotent producer that never gives up by itself: a topic's rows are taken in the order of their
// submission, and after the first row that isn't reported stored nothing moves until Abandon(). What is given up may
// have been stored all the same, but only as a prefix of what was outstanding.
//
// Threads: the sink's side is the relay's; log(), Pause(), Resume() and outstanding() may be called from any. The fate
// is asked in the relay's thread, without a lock held, so it may act on the world: that is where tests inject their
// faults.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "outbox/event_sink.h"

namespace outrider::testing {

class MemorySink final : public outbox::EventSink {
 public:
  enum class Fate {
    kStore,
    kStoreUnheard,  // stored, but the report says that it isn't known
    kLose,          // not stored
    kRefuse,        // reported as poison; what stands behind it isn't stored
  };
  struct Record {
    outbox::OutboxRow row;
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
  };

  explicit MemorySink(std::size_t capacity = 100'000) : capacity_(capacity) {}

  void DecideWith(std::function<Fate(const outbox::OutboxRow&)> fate) { fate_ = std::move(fate); }
  // True: refused at Submit(), no report.
  void RefuseAtOnce(std::function<bool(const outbox::OutboxRow&)> refuse) { refuse_ = std::move(refuse); }
  void Pause(std::string trouble);
  void Resume();
  std::vector<Record> log() const;
  // The seqs in the order of the log, copies included.
  std::vector<std::uint64_t> seqs() const;

  Result<void> Submit(const outbox::OutboxRow& row) override;
  void Poll(std::chrono::milliseconds wait, std::vector<outbox::PublishReport>& reports) override;
  void Abandon() override;
  std::size_t outstanding() const override;
  std::string trouble() const override;

 private:
  outbox::PublishReport Append(const outbox::OutboxRow& row);
  Fate FateOf(const outbox::OutboxRow& row) const { return fate_ ? fate_(row) : Fate::kStore; }

  const std::size_t capacity_;
  std::function<Fate(const outbox::OutboxRow&)> fate_;
  std::function<bool(const outbox::OutboxRow&)> refuse_;

  mutable std::mutex mutex_;
  std::condition_variable resumed_;
  bool paused_ = false;
  bool stuck_ = false;  // a row failed: nothing moves until Abandon()
  bool hole_ = false;   // and nothing behind it is stored either
  bool abandoned_ = false;
  std::string trouble_;
  std::deque<outbox::OutboxRow> queue_;
  std::vector<Record> log_;
  std::set<std::string> topics_;
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> next_offset_;
};

}  // namespace outrider::testing
