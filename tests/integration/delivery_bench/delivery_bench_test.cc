// `outrider bench delivery` as a user runs it, on a tiny scale.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/fake_im_process/fake_im_process.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/outrider/outrider_program.h"
#include "tests/support/process/wait_until.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using testing::DatabaseServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::KafkaBroker;
using testing::Must;
using testing::Number;
using testing::OutriderProgram;
using ::testing::SizeIs;

class DeliveryBenchTest : public ::testing::Test {
 protected:
  std::string Configuration(std::string_view transport = "kafka") const {
    return fmt::format(
        "database: {{url: \"{}\"}}\ntransport: {}\nkafka: {{brokers: \"{}\"}}\n"
        "channels: {{ops: {{provider: mock}}}}\n",
        url_, transport, KafkaBroker::Shared().brokers());
  }
  OutriderProgram::Ended Bench(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"bench", "delivery", "--repeats", "1", "--fake-im", fake_im_.url()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program_.Command(arguments, std::chrono::minutes{5});
  }
  std::int64_t BenchDatabases() {
    return Number(*connection_,
                  "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'outrider_bench'");
  }
  ~DeliveryBenchTest() override { Must(*connection_, "DROP DATABASE IF EXISTS outrider_bench"); }

  testing::FakeImProcess fake_im_{{}};
  const std::string url_ = DatabaseServer::Shared().CreateDatabase();
  const std::unique_ptr<mysql::MysqlConnection> connection_ = testing::Connect(mysql::ParseMysqlUrl(url_).value());
  OutriderProgram program_{Configuration()};
};

TEST_F(DeliveryBenchTest, MeasuresAllAndLeavesNothing) {
  const auto ended = Bench({"--notifications", "300", "--replicas", "1,2", "--finished", "1000", "--rates", "20",
                            "--latency-time", "1s", "--crowd", "1000", "--crowd-rate", "20", "-o", "json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto report = nlohmann::json::parse(ended.out);
  std::vector<std::string> drains;
  for (const auto& drain : report["drains"]) {
    drains.push_back(fmt::format("{} {}", drain["from"].get<std::string>(), drain["replicas"].get<int>()));
    EXPECT_GT(drain["per_second"], 0);
    EXPECT_GT(drain["of_combined_floor"], 0);
    EXPECT_GT(drain["statements_per_notification"], 0);
    EXPECT_GT(drain["peak_rss_mib"], 0);
  }
  EXPECT_THAT(drains, ElementsAre("topic 1", "topic 2", "table 1"));
  std::vector<std::string> latencies;
  for (const auto& latency : report["latencies"]) {
    latencies.push_back(latency["transport"].get<std::string>() + ", " + latency["beside"].get<std::string>());
    EXPECT_EQ(latency["notifications"], 20);
    EXPECT_GT(latency["p50_ms"], 0);
    EXPECT_GE(latency["max_ms"], latency["p50_ms"]);
  }
  EXPECT_THAT(latencies, ElementsAre("kafka, nothing", "direct, nothing", "kafka, delayed", "kafka, delayed, waiting",
                                     "kafka, delayed, waiting, dead channel"));
  EXPECT_GT(report["restart"]["first_send_seconds"], 0);
  EXPECT_THAT(report["bars"], SizeIs(10u));
  EXPECT_EQ(BenchDatabases(), 0);
}

TEST_F(DeliveryBenchTest, ForPeopleItEndsWithAVerdictForEachBar) {
  const auto ended =
      Bench({"--notifications", "300", "--replicas", "1", "--rates", "20", "--latency-time", "1s", "--no-restart"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("floor, per second"), HasSubstr("from the topic, 1 replica"),
                               HasSubstr("kafka 20/s"), HasSubstr("load"), HasSubstr("(bar: at least 5000 /s)")));
}

TEST_F(DeliveryBenchTest, SendsToNobodyButAFakeServer) {
  fake_im_.Stop();
  const auto ended = Bench();
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("no fake IM server answers"));
  EXPECT_EQ(BenchDatabases(), 0);
}

TEST_F(DeliveryBenchTest, LeavesADatabaseAloneThatIsThereAlready) {
  Must(*connection_, "CREATE DATABASE outrider_bench");
  const auto ended = Bench();
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("drop it"));
  EXPECT_EQ(BenchDatabases(), 1);
}

TEST_F(DeliveryBenchTest, NeedsKafka) {
  program_.SetConfiguration(Configuration("direct"));
  const auto ended = Bench();
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("transport is direct"));
}

TEST_F(DeliveryBenchTest, PutsEverythingAwayWhenItIsInterrupted) {
  testing::ChildProcess bench({.command = {OUTRIDER_PROGRAM, "--config", program_.configuration_file().string(),
                                           "bench", "delivery", "--fake-im", fake_im_.url()}});
  ASSERT_TRUE(testing::WaitUntil([&] { return bench.Stderr().find("drain of") != std::string::npos; },
                                 std::chrono::minutes{2}));
  bench.Signal(SIGINT);
  const auto status = bench.Wait(std::chrono::minutes{1});
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 1);
  EXPECT_THAT(bench.Stderr(), HasSubstr("interrupted"));
  EXPECT_EQ(BenchDatabases(), 0);
}

}  // namespace
}  // namespace outrider::app
