#include "consumer/settlement_writer.h"

#include <algorithm>
#include <utility>

#include "platform/mysql/value_fault.h"

namespace outrider::consumer {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWaitForCompany{10};
constexpr std::size_t kFullBatch = 256;
constexpr std::size_t kLargestBatch = 512;
constexpr milliseconds kFirstBackOff{50};
constexpr milliseconds kLongestBackOff{2'000};

// What others wrote is the only thing in a change that isn't ours. False when there is none of it.
bool DropForeignTexts(Change& change) {
  std::vector<std::string*> texts = {&change.last_error, &change.provider_message_id, &change.provider_log_id};
  if (change.attempt) {
    AttemptRow& attempt = *change.attempt;
    texts.insert(texts.end(), {&attempt.provider_code, &attempt.provider_log_id, &attempt.detail, &attempt.answer});
  }
  bool dropped = false;
  for (std::string* text : texts) {
    dropped = dropped || !text->empty();
    text->clear();
  }
  return dropped;
}

}  // namespace

SettlementWriter::SettlementWriter(ChangeCommitter& committer, Log& log, Hooks hooks)
    : committer_(committer),
      log_(log),
      hooks_(std::move(hooks)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

SettlementWriter::~SettlementWriter() = default;

void SettlementWriter::Add(Change change) {
  {
    const std::lock_guard lock(mutex_);
    held_.insert(change.id);
    queue_.push_back({std::move(change), std::chrono::steady_clock::now()});
  }
  changed_.notify_all();
}

std::size_t SettlementWriter::waiting() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

bool SettlementWriter::Holds(std::int64_t record_id) const {
  const std::lock_guard lock(mutex_);
  return held_.contains(record_id);
}

bool SettlementWriter::WaitUntilEmpty(milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return held_.empty(); });
}

std::string SettlementWriter::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void SettlementWriter::Run(const std::stop_token& stop) {
  while (true) {
    std::vector<Change> batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [&] { return !queue_.empty(); });
      if (queue_.empty()) return;
      changed_.wait_until(lock, stop, queue_.front().since + kWaitForCompany,
                          [&] { return queue_.size() >= kFullBatch || !hooks_.company_may_come(); });
      const auto now = std::chrono::steady_clock::now();
      while (!queue_.empty() && batch.size() < kLargestBatch) {
        Waiting& next = queue_.front();
        if (next.change.attempt) {
          next.change.attempt->started_ago += std::chrono::duration_cast<std::chrono::microseconds>(now - next.since);
        }
        batch.push_back(std::move(next.change));
        queue_.pop_front();
      }
    }
    // In the order of the primary key, so that two writers don't wait for each other in a circle.
    std::ranges::sort(batch, {}, &Change::id);
    if (!WriteBatch(std::move(batch), false, stop)) return;
  }
}

bool SettlementWriter::WriteBatch(std::vector<Change> batch, bool doubtful, const std::stop_token& stop) {
  milliseconds back_off = kFirstBackOff;
  while (true) {
    auto committed = committer_.Commit(batch, doubtful);
    if (committed) {
      Forget(batch, *committed);
      return true;
    }
    if (mysql::BlamesValue(committed.error())) {
      return WriteRefused(std::move(batch), committed.error().message, doubtful, stop);
    }
    doubtful = doubtful || committed.error().code == ErrorCode::kUnknown;
    std::unique_lock lock(mutex_);
    if (trouble_.empty()) {
      log_.Warn("settle.waits", {{"records", batch.size()}, {"why", committed.error().message}});
    }
    trouble_ = committed.error().message;
    changed_.wait_for(lock, stop, back_off, [] { return false; });
    if (stop.stop_requested()) return false;
    back_off = std::min(back_off * 2, kLongestBackOff);
  }
}

// The database refuses a value in the batch: the others shall not suffer for it.
bool SettlementWriter::WriteRefused(std::vector<Change> batch, const std::string& why, bool doubtful,
                                    const std::stop_token& stop) {
  if (batch.size() > 1) {
    for (Change& change : batch) {
      std::vector<Change> one;
      one.push_back(std::move(change));
      if (!WriteBatch(std::move(one), doubtful, stop)) return false;
    }
    return true;
  }
  if (DropForeignTexts(batch.front())) return WriteBatch(std::move(batch), doubtful, stop);
  const Change& change = batch.front();
  log_.Error("settle.lost", {{"channel", change.channel},
                             {"dedupe_key", change.dedupe_key},
                             {"why", why},
                             {"next", "the record is recovered when its lease expires"}});
  Forget(batch, ChangeCommitter::Committed{});
  return true;
}

void SettlementWriter::Forget(std::span<const Change> batch, const ChangeCommitter::Committed& committed) {
  {
    const std::lock_guard lock(mutex_);
    for (const Change& change : batch) held_.erase(change.id);
    trouble_.clear();
  }
  hooks_.settled(batch, committed);
  changed_.notify_all();
}

}  // namespace outrider::consumer
