// SettlementWriter: brings outcomes into the database, many at a time.
//
// An outcome waits at most 10 ms for company, and not at all when nothing is on its way that could join it. While the
// database is away, or refuses everything (a missing table or right), outcomes are kept and tried again; how many there
// can be is bounded by what the scanner claims. An outcome that is refused for a value's sake is written without the
// vendor's texts; if that is refused too it is lost, and its record is recovered. A commit whose answer was lost is
// looked up before it is repeated.
//
// Threads: Add() from any, and it never waits for the database; one thread of its own writes. On a crash what wasn't
// written yet stays `sending` until its lease expires (W3).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "consumer/change_committer.h"
#include "consumer/record.h"
#include "metrics/health.h"
#include "metrics/log.h"

namespace outrider::consumer {

class SettlementWriter final {
 public:
  struct Hooks {
    std::function<bool()> company_may_come;  // something is in flight that will be added soon
    // These records are this process's affair no longer, whether changed or found changed. In the writer's thread.
    std::function<void(std::span<const Change>, const ChangeCommitter::Committed&)> settled;
  };

  SettlementWriter(ChangeCommitter& committer, Log& log, Hooks hooks);
  ~SettlementWriter();  // writes what is there, if the database takes it at once
  SettlementWriter(const SettlementWriter&) = delete;
  SettlementWriter& operator=(const SettlementWriter&) = delete;

  void Add(Change change);
  std::size_t waiting() const;
  bool Holds(std::int64_t record_id) const;
  // False when something was left at the end of `patience`.
  bool WaitUntilEmpty(std::chrono::milliseconds patience);
  // Why the last try failed; empty: it didn't.
  std::string trouble() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Waiting {
    Change change;
    Time since;
  };

  void Run(const std::stop_token& stop);
  // False when it was stopped before the batch was written.
  bool WriteBatch(std::vector<Change> batch, bool doubtful, const std::stop_token& stop);
  bool WriteRefused(std::vector<Change> batch, const std::string& why, bool doubtful, const std::stop_token& stop);
  void Forget(std::span<const Change> batch, const ChangeCommitter::Committed& committed);

  ChangeCommitter& committer_;
  Log& log_;
  const Hooks hooks_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Waiting> queue_;
  std::set<std::int64_t> held_;  // queued, or being written
  std::string trouble_;
  std::jthread thread_;
};

}  // namespace outrider::consumer
