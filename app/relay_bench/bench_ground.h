// BenchGround: the tables, rows and topics that a bench works on, made for it and removed with it.
//
// Outbox tables `outrider_bench_1`, `_2` … in the source's database and the topics outbox.event.outrider-bench and
// outbox.event.outrider-bench-latency. Nothing that was there before is used, changed or removed, but a topic of that
// name, which is used and left. Threads: one. What a killed run leaves is refused by the next one, in words that say
// how to remove it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/relay_bench/options.h"
#include "model/result.h"

namespace outrider::app {

class BenchGround final {
 public:
  static constexpr std::string_view kDrainType = "outrider-bench";  // aggregatetype
  static constexpr std::string_view kLatencyType = "outrider-bench-latency";
  static std::string TopicOf(std::string_view aggregatetype);

  // kInvalid: the source has no tables yet, has rows waiting (but for beside_traffic), an earlier run's table is there,
  // or something may not be made.
  static Result<std::unique_ptr<BenchGround>> Make(const RelayBenchOptions& options);
  ~BenchGround();  // removes it
  BenchGround(const BenchGround&) = delete;
  BenchGround& operator=(const BenchGround&) = delete;

  mysql::MysqlConnection& connection() { return *connection_; }
  std::size_t sources() const { return sources_.size(); }
  std::string Table(std::size_t source) const { return sources_.at(source).table; }
  std::string Source(std::size_t source) const { return sources_.at(source).table; }  // as the lease has it
  std::string Payload() const;

  // Rows without gaps in their numbers, as single inserts make them. kUnavailable when it was told to stop.
  Result<void> Fill(std::size_t source, std::size_t rows);
  // What is left of a drain that wasn't ended.
  Result<void> Empty(std::size_t source);
  // Until the server has purged what was deleted, so that one measurement doesn't pay for the one before; not for long.
  void AwaitPurge();

 private:
  struct BenchSource {
    std::string table;
    std::uint64_t next_seq = 1;
  };
  explicit BenchGround(const RelayBenchOptions& options) : options_(options) {}
  Result<void> Look();
  Result<void> MakeTables();
  Result<void> MakeTopics();

  const RelayBenchOptions& options_;
  std::unique_ptr<mysql::MysqlConnection> connection_;
  std::vector<BenchSource> sources_;
  std::vector<std::string> made_topics_;
  std::uint64_t ledger_before_ = 0;  // the ledger's rows up to here are others'
};

}  // namespace outrider::app
