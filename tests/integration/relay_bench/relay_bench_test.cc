// `outrider bench relay` as a user runs it, on a tiny scale.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "platform/kafka/topics.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/outrider/outrider_program.h"
#include "tests/support/process/wait_until.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using testing::DatabaseServer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::KafkaBroker;
using testing::Must;
using testing::Number;
using testing::OutriderProgram;

constexpr const char* kDrainTopic = "outbox.event.outrider-bench";
constexpr const char* kLatencyTopic = "outbox.event.outrider-bench-latency";

class RelayBenchTest : public ::testing::Test {
 protected:
  std::string Configuration(std::string_view transport = "kafka") const {
    return fmt::format(
        "database: {{url: \"{}\"}}\ntransport: {}\nkafka: {{brokers: \"{}\"}}\n"
        "channels: {{ops: {{provider: mock}}}}\n",
        url_, transport, KafkaBroker::Shared().brokers());
  }
  OutriderProgram::Ended Bench(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"bench", "relay", "--repeats", "1", "--rows", "1000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program_.Command(arguments, std::chrono::minutes{2});
  }
  OutriderProgram::Ended Tiny(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--sources",   "1,2", "--waiting",      "1000", "--waiting-time", "5s",
                                          "--rates",     "50",  "--latency-time", "1s",   "--idle-samples", "1",
                                          "--idle-time", "1s"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Bench(arguments);
  }
  void Migrate() { ASSERT_EQ(program_.Command({"migrate", "up"}).code, 0); }
  std::int64_t BenchTables() {
    return Number(*connection_,
                  "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE "
                  "'outrider\\_bench%'");
  }
  std::int64_t BenchRows(const std::string& table) {
    return Number(*connection_, "SELECT COUNT(*) FROM " + table + " WHERE source LIKE 'outrider\\_bench%'");
  }
  void ExpectNothingLeft() {
    EXPECT_EQ(BenchTables(), 0);
    for (const char* const table : {"outbox_leases", "outbox_replicas", "outbox_ledger", "outbox_dead"}) {
      EXPECT_EQ(BenchRows(table), 0) << table;
    }
    for (const char* const topic : {kDrainTopic, kLatencyTopic}) {
      bool made = false;
      EXPECT_TRUE(testing::WaitUntil([&] {
        const auto tried = kafka::CreateTopic(KafkaBroker::Shared().Options(), topic, 1);
        return made = tried.value_or(false);
      })) << topic;
      if (made) {
        EXPECT_TRUE(kafka::DeleteTopic(KafkaBroker::Shared().Options(), topic).has_value());
      }
    }
  }

  const std::string url_ = DatabaseServer::Shared().CreateDatabase();
  const std::unique_ptr<mysql::MysqlConnection> connection_ = testing::Connect(mysql::ParseMysqlUrl(url_).value());
  OutriderProgram program_{Configuration()};
};

TEST_F(RelayBenchTest, MeasuresAllAndLeavesNothing) {
  Migrate();
  Must(*connection_,
       "INSERT INTO outbox_ledger (source, epoch, topic, partition_no, highest_offset, row_count) VALUES "
       "('shop', 1, 't', 0, 9, 10)");
  const auto ended = Tiny({"-o", "json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto report = nlohmann::json::parse(ended.out);
  std::vector<std::string> kinds;
  for (const auto& drain : report["medians"]) {
    kinds.push_back(fmt::format("{} {}", drain["kind"].get<std::string>(), drain["sources"].get<int>()));
    EXPECT_GT(drain["rows_per_second"], 0);
    EXPECT_GT(drain["of_combined_floor"], 0);
  }
  EXPECT_THAT(kinds, ::testing::ElementsAre("free 1", "purge_held 1", "side_by_side 1", "side_by_side 2"));
  EXPECT_EQ(report["waiting"]["drained_rows"], 1'000);
  std::vector<int> rates;
  for (const auto& latency : report["latencies"]) rates.push_back(latency["rate"]);
  EXPECT_THAT(rates, ::testing::ElementsAre(50, 0));
  EXPECT_EQ(report["latencies"][0]["rows"], 50);
  EXPECT_THAT(report["bars"], ::testing::SizeIs(6u));
  ExpectNothingLeft();
  EXPECT_EQ(Number(*connection_, "SELECT COUNT(*) FROM outbox_ledger"), 1);
}

TEST_F(RelayBenchTest, ForPeopleItEndsWithAVerdictForEachBar) {
  Migrate();
  const auto ended = Tiny({"--no-purge-held"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("at 50 rows/s"), HasSubstr("2 sources side by side"), HasSubstr("load"),
                               HasSubstr("idle, of a core"), HasSubstr("(bar: at least 75 %)")));
}

TEST_F(RelayBenchTest, RefusesToStartWhereThereAreNoTables) {
  const auto ended = Bench();
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("migrate up"));
  EXPECT_THAT(ended.out, IsEmpty());
}

TEST_F(RelayBenchTest, RefusesToStartWhereRowsWait) {
  Migrate();
  Must(*connection_, "INSERT INTO outbox (aggregateid, payload) VALUES ('a', '{}')");
  const auto ended = Bench();
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("rows wait in outbox"), HasSubstr("--beside-traffic")));
  EXPECT_EQ(BenchTables(), 0);
  EXPECT_EQ(Tiny({"--beside-traffic", "--no-purge-held"}).code, 0);
  EXPECT_EQ(Number(*connection_, "SELECT COUNT(*) FROM outbox"), 1);
}

TEST_F(RelayBenchTest, SaysHowToRemoveWhatAKilledRunHasLeft) {
  Migrate();
  Must(*connection_, "CREATE TABLE outrider_bench_1 (seq INT)");
  const auto ended = Bench();
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("DROP TABLE `outrider_bench_1`"));
  EXPECT_EQ(BenchTables(), 1);
}

TEST_F(RelayBenchTest, NeedsKafkaAndASourceThatIsThere) {
  EXPECT_EQ(Bench({"--source", "nobody"}).code, 2);
  program_.SetConfiguration(Configuration("direct"));
  const auto ended = Bench();
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("transport is direct"));
}

TEST_F(RelayBenchTest, PutsEverythingAwayWhenItIsInterrupted) {
  Migrate();
  testing::ChildProcess bench({.command = {OUTRIDER_PROGRAM, "--config", program_.configuration_file().string(),
                                           "bench", "relay", "--idle-samples", "1000"}});
  ASSERT_TRUE(testing::WaitUntil([&] { return bench.Stderr().find("drain 1 of") != std::string::npos; }));
  bench.Signal(SIGINT);
  const auto status = bench.Wait(std::chrono::minutes{1});
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 1);
  EXPECT_THAT(bench.Stderr(), HasSubstr("interrupted"));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace outrider::app
