#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "app/delivery_bench/report.h"
#include "app/relay_bench/report.h"
#include "tests/unit/app/config_files.h"

namespace outrider::app {
namespace {

RelayBenchReport FullReport() {
  RelayBenchReport report;
  report.rows = 100'000;
  for (const DrainKind kind : {DrainKind::kFree, DrainKind::kPurgeHeld, DrainKind::kSideBySide}) {
    report.drains.push_back({.kind = kind, .rows_per_second = 1});
  }
  report.waiting = WaitingFigures{};
  for (const int rate : {200, 5'000, 0}) report.latency_runs.push_back({.rate = rate});
  AddMedians(report);
  return report;
}

void Collect(const nlohmann::json& value, const std::string& path, std::set<std::string>& fields) {
  if (value.is_object()) {
    for (const auto& [key, below] : value.items()) Collect(below, path.empty() ? key : path + "." + key, fields);
  } else if (value.is_array()) {
    for (const auto& below : value) Collect(below, path + "[]", fields);
  } else {
    fields.insert(path);
  }
}

// The fields whose lists stand for the medians of others are told with those.
void ExpectThatThePagesTell(const std::string& command, const std::string& json,
                            const std::vector<std::string>& medians) {
  std::set<std::string> printed;
  Collect(nlohmann::json::parse(json), "", printed);
  std::erase_if(printed, [&](const std::string& field) {
    return std::ranges::any_of(medians, [&](const std::string& list) { return field.starts_with(list); });
  });
  static const std::regex kRow(R"(\n\| `([a-z0-9_.\[\]]+)` \|)");
  for (const char* name : {"bench.md", "bench.zh-CN.md"}) {
    const std::string all = testing::ReadTextFile(std::string(DOCS_FOLDER "/") + name);
    const std::size_t begin = all.find("\n## outrider bench " + command);
    ASSERT_NE(begin, std::string::npos) << name;
    const std::string page = all.substr(begin, all.find("\n## ", begin + 1) - begin);
    std::set<std::string> told;
    for (std::sregex_iterator row(page.begin(), page.end(), kRow), end; row != end; ++row) told.insert((*row)[1]);
    EXPECT_EQ(told, printed) << name;
  }
}

TEST(BenchPageTest, TellsEveryFieldOfTheRelaysBenchAndNoOther) {
  ExpectThatThePagesTell("relay", RelayBenchJson(FullReport()), {"medians[].", "latencies[]."});
}

TEST(BenchPageTest, TellsEveryFieldOfDeliverysBenchAndNoOther) {
  DeliveryBenchReport report;
  report.floor_runs.resize(1);
  report.drain_runs.push_back({.from = "topic"});
  report.latency_runs.push_back({.transport = "kafka", .beside = "nothing"});
  report.restart_runs.resize(1);
  AddMedians(report);
  ExpectThatThePagesTell("delivery", DeliveryBenchJson(report), {"floor.", "drains[].", "latencies[].", "restart."});
}

TEST(DeliveryBenchReportTest, EachBarThatWasMeasuredIsJudgedByTheMedians) {
  DeliveryBenchReport report;
  EXPECT_EQ(JudgeBars(report).size(), 0u);
  for (const double seconds : {4.0, 9.0, 6.0}) {
    report.floor_runs.push_back({.http_seconds = seconds});
    report.drain_runs.push_back({.from = "topic", .seconds = seconds, .per_second = 36'000 / seconds});
    report.restart_runs.push_back({.first_send_seconds = seconds});
    report.latency_runs.push_back({.transport = "kafka", .beside = "nothing", .rate = 50, .p99_ms = 10 * seconds});
    report.latency_runs.push_back({.transport = "kafka", .beside = "dead", .rate = 50, .p99_ms = 11 * seconds});
  }
  AddMedians(report);
  EXPECT_EQ(report.floor->http_seconds, 6);
  ASSERT_EQ(report.latencies.size(), 2u);
  std::map<std::string, BarVerdict> bars;
  for (const BarVerdict& bar : JudgeBars(report)) bars[bar.what] = bar;
  EXPECT_EQ(bars.at("drain from the topic").measured, 6'000);
  EXPECT_TRUE(bars.at("drain from the topic").met());
  EXPECT_FALSE(bars.at("first send after kill -9").met());
  EXPECT_FALSE(bars.at("p99 at 50/s over Kafka").met()) << "60 ms";
  EXPECT_NEAR(bars.at("p99 beside dead, of that beside nothing").measured, 1.1, 1e-9);
  EXPECT_FALSE(bars.contains("p50 at 50/s direct"));
}

TEST(BenchReportTest, MediansAreTakenFieldByFieldAndKindByKind) {
  RelayBenchReport report;
  for (const double seconds : {3.0, 1.0, 2.0}) {
    report.drains.push_back({.seconds = seconds, .rows_per_second = 6 / seconds});
    report.drains.push_back({.kind = DrainKind::kSideBySide, .sources = 4, .seconds = seconds * 10});
  }
  for (const double p50 : {9.0, 7.0, 8.0})
    report.latency_runs.push_back({.rate = 200, .p50_ms = p50, .p99_ms = 20 - p50});
  AddMedians(report);
  ASSERT_EQ(report.medians.size(), 2u);
  EXPECT_EQ(report.medians[0].seconds, 2);
  EXPECT_EQ(report.medians[0].rows_per_second, 3);
  EXPECT_EQ(report.medians[1].seconds, 20);
  ASSERT_EQ(report.latencies.size(), 1u);
  EXPECT_EQ(report.latencies[0].p50_ms, 8);
  EXPECT_EQ(report.latencies[0].p99_ms, 12);
}

TEST(BenchReportTest, ABarIsMetAtItsNumberAndMissedBeyondIt) {
  EXPECT_TRUE((BarVerdict{"x", true, 75, "%", 75}).met());
  EXPECT_FALSE((BarVerdict{"x", true, 75, "%", 74.9}).met());
  EXPECT_TRUE((BarVerdict{"x", false, 40, "ms", 40}).met());
  EXPECT_FALSE((BarVerdict{"x", false, 40, "ms", 40.1}).met());
}

TEST(BenchReportTest, OnlyWhatWasMeasuredIsJudged) {
  EXPECT_EQ(JudgeBars(RelayBenchReport{}).size(), 1u);  // idle
  const auto bars = JudgeBars(FullReport());
  std::set<std::string> names;
  for (const BarVerdict& bar : bars) names.insert(bar.what);
  EXPECT_EQ(names.size(), bars.size());
  EXPECT_EQ(bars.size(), 13u);
  RelayBenchReport few = FullReport();
  few.rows = 1'000;
  EXPECT_EQ(JudgeBars(few).size(), 9u);
}

}  // namespace
}  // namespace outrider::app
