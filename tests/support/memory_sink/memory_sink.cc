#include "tests/support/memory_sink/memory_sink.h"

#include <numeric>

namespace outrider::testing {
namespace {

using outbox::OutboxRow;
using outbox::PublishReport;

constexpr int kPartitions = 3;

std::int32_t PartitionOf(const std::string& key) {
  return std::accumulate(key.begin(), key.end(), 0, [](int sum, char c) { return (sum * 31 + c) & 0xffff; }) %
         kPartitions;
}

PublishReport NotStored(const OutboxRow& row, std::string problem) {
  PublishReport report;
  report.seq = row.seq;
  report.kind = PublishReport::Kind::kNotStored;
  report.problem = std::move(problem);
  return report;
}

}  // namespace

void MemorySink::Pause(std::string trouble) {
  const std::lock_guard lock(mutex_);
  paused_ = true;
  trouble_ = std::move(trouble);
}

void MemorySink::Resume() {
  const std::lock_guard lock(mutex_);
  paused_ = false;
  trouble_.clear();
  resumed_.notify_all();
}

std::vector<MemorySink::Record> MemorySink::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

std::vector<std::uint64_t> MemorySink::seqs() const {
  std::vector<std::uint64_t> seqs;
  for (const Record& record : log()) seqs.push_back(record.row.seq);
  return seqs;
}

Result<void> MemorySink::Submit(const OutboxRow& row) {
  if (refuse_ && refuse_(row)) return Fail(ErrorCode::kInvalid, "this row can't be sent");
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= capacity_) return Fail(ErrorCode::kUnavailable, "the queue is full");
  queue_.push_back(row);
  return {};
}

PublishReport MemorySink::Append(const OutboxRow& row) {
  Record record{row, std::string(outbox::kTopicPrefix) + row.aggregatetype, PartitionOf(row.aggregateid), 0};
  const std::lock_guard lock(mutex_);
  record.offset = next_offset_[{record.topic, record.partition}]++;
  log_.push_back(record);
  return {row.seq, PublishReport::Kind::kStored, *topics_.insert(record.topic).first, record.partition, record.offset,
          ""};
}

void MemorySink::Poll(std::chrono::milliseconds wait, std::vector<PublishReport>& reports) {
  while (true) {
    OutboxRow row;
    bool given_up = false;
    {
      std::unique_lock lock(mutex_);
      if (paused_ && !abandoned_ && reports.empty()) {
        resumed_.wait_for(lock, wait, [this] { return !paused_; });
      }
      given_up = abandoned_;
      const bool moves = given_up || (!paused_ && !stuck_);
      if (queue_.empty() || !moves) {
        if (given_up) abandoned_ = stuck_ = hole_ = false;
        return;
      }
      row = queue_.front();
      queue_.pop_front();
    }
    const Fate fate = FateOf(row);
    if (given_up) {
      // The rest was on its way or not: once one isn't stored, none behind it is.
      if (fate == Fate::kStoreUnheard && !hole_) {
        (void)Append(row);
      } else {
        const std::lock_guard lock(mutex_);
        std::vector<OutboxRow> rest(queue_.begin(), queue_.end());
        queue_.clear();
        reports.push_back(NotStored(row, "given up"));
        for (const OutboxRow& other : rest) reports.push_back(NotStored(other, "given up"));
        continue;
      }
      reports.push_back(NotStored(row, "given up"));
      continue;
    }
    switch (fate) {
      case Fate::kStore:
        reports.push_back(Append(row));
        break;
      case Fate::kStoreUnheard:
        (void)Append(row);
        reports.push_back(NotStored(row, "no answer"));
        stuck_ = true;
        break;
      case Fate::kLose:
        reports.push_back(NotStored(row, "broker away"));
        stuck_ = hole_ = true;
        break;
      case Fate::kRefuse: {
        PublishReport report = NotStored(row, "the broker refused it");
        report.kind = PublishReport::Kind::kPoison;
        reports.push_back(report);
        const std::lock_guard lock(mutex_);
        if (!queue_.empty()) stuck_ = hole_ = true;
        break;
      }
    }
  }
}

void MemorySink::Abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = !queue_.empty();
  if (!abandoned_) stuck_ = hole_ = false;
  if (paused_ && abandoned_) hole_ = true;
}

std::size_t MemorySink::outstanding() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::string MemorySink::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

}  // namespace outrider::testing
