// The contract of outbox/event_sink.h as tests. A program instantiates it with a factory for its sink:
//   INSTANTIATE_TEST_SUITE_P(Memory, EventSinkContract, ::testing::Values(MakeMemorySink));
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "outbox/event_sink.h"

namespace outrider::testing {

// A sink that works, with a topic of its own for each call: rows get the topic's aggregatetype.
struct SinkUnderTest {
  std::shared_ptr<void> ground;  // what the sink stands on and doesn't own; may be empty
  std::unique_ptr<outbox::EventSink> sink;
  std::string aggregatetype;
  std::string topic;  // what it says in its reports
};
using SinkFactory = std::function<SinkUnderTest()>;

class EventSinkContract : public ::testing::TestWithParam<SinkFactory> {
 protected:
  outbox::OutboxRow Row(std::uint64_t seq, const std::string& key) const {
    outbox::OutboxRow row;
    row.seq = seq;
    row.id = "00000000-0000-4000-8000-" + std::string(12 - std::to_string(seq).size(), '0') + std::to_string(seq);
    row.aggregatetype = made_.aggregatetype;
    row.aggregateid = key;
    row.type = "notification.requested";
    row.payload = R"({"n":)" + std::to_string(seq) + "}";
    row.created_at = Timestamp(std::chrono::seconds(1'700'000'000));
    return row;
  }

  void Submit(const outbox::OutboxRow& row) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    auto taken = sink().Submit(row);
    while (!taken && taken.error().code == ErrorCode::kUnavailable && std::chrono::steady_clock::now() < deadline) {
      sink().Poll(std::chrono::milliseconds(20), reports_);
      taken = sink().Submit(row);
    }
    ASSERT_TRUE(taken.has_value()) << taken.error().message;
  }

  // Polls until `count` reports are in.
  void AwaitReports(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (reports_.size() < count && std::chrono::steady_clock::now() < deadline) {
      sink().Poll(std::chrono::milliseconds(50), reports_);
    }
    ASSERT_EQ(reports_.size(), count) << sink().trouble();
  }

  outbox::EventSink& sink() { return *made_.sink; }

  static constexpr std::chrono::seconds kPatience{30};
  SinkUnderTest made_ = GetParam()();
  std::vector<outbox::PublishReport> reports_;
};

TEST_P(EventSinkContract, EverySubmittedRowGetsExactlyOneReport) {
  for (std::uint64_t seq = 1; seq <= 100; ++seq) Submit(Row(seq, "key-" + std::to_string(seq % 7)));
  AwaitReports(100);
  sink().Poll(std::chrono::milliseconds(50), reports_);
  std::set<std::uint64_t> reported;
  for (const auto& report : reports_) reported.insert(report.seq);
  EXPECT_EQ(reports_.size(), 100u);
  EXPECT_EQ(reported.size(), 100u);
  EXPECT_EQ(sink().outstanding(), 0u);
}

TEST_P(EventSinkContract, AStoredRowHasAPlaceThatNoOtherHas) {
  for (std::uint64_t seq = 1; seq <= 50; ++seq) Submit(Row(seq, "key-" + std::to_string(seq % 5)));
  AwaitReports(50);
  std::set<std::pair<std::int32_t, std::int64_t>> places;
  for (const auto& report : reports_) {
    ASSERT_EQ(report.kind, outbox::PublishReport::Kind::kStored) << report.problem;
    EXPECT_EQ(report.topic, made_.topic);
    EXPECT_GE(report.offset, 0);
    places.insert({report.partition, report.offset});
  }
  EXPECT_EQ(places.size(), 50u);
}

TEST_P(EventSinkContract, RowsOfAKeyShareAPartitionAndKeepTheirOrder) {
  for (std::uint64_t seq = 1; seq <= 60; ++seq) Submit(Row(seq, "key-" + std::to_string(seq % 3)));
  AwaitReports(60);
  std::sort(reports_.begin(), reports_.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
  std::map<std::uint64_t, outbox::PublishReport> last;
  for (const auto& report : reports_) {
    const auto [entry, first] = last.try_emplace(report.seq % 3, report);
    if (first) continue;
    EXPECT_EQ(report.partition, entry->second.partition);
    EXPECT_GT(report.offset, entry->second.offset);
    entry->second = report;
  }
}

TEST_P(EventSinkContract, WhatIsAbandonedIsReportedToo) {
  for (std::uint64_t seq = 1; seq <= 100; ++seq) Submit(Row(seq, "key"));
  sink().Abandon();
  AwaitReports(100);
  EXPECT_EQ(sink().outstanding(), 0u);
}

TEST_P(EventSinkContract, ASinkWorksAgainAfterItWasAbandoned) {
  Submit(Row(1, "key"));
  sink().Abandon();
  AwaitReports(1);
  reports_.clear();
  Submit(Row(2, "key"));
  AwaitReports(1);
  EXPECT_EQ(reports_.front().kind, outbox::PublishReport::Kind::kStored) << reports_.front().problem;
}

TEST_P(EventSinkContract, AbandoningAnIdleSinkChangesNothing) {
  sink().Abandon();
  Submit(Row(1, "key"));
  AwaitReports(1);
  EXPECT_EQ(reports_.front().kind, outbox::PublishReport::Kind::kStored) << reports_.front().problem;
}

TEST_P(EventSinkContract, PollingAnIdleSinkGivesNothingAndComesBack) {
  sink().Poll(std::chrono::milliseconds(1), reports_);
  EXPECT_TRUE(reports_.empty());
  EXPECT_EQ(sink().outstanding(), 0u);
}

TEST_P(EventSinkContract, ThereIsNoTroubleWhileAllIsWell) {
  Submit(Row(1, "key"));
  AwaitReports(1);
  EXPECT_EQ(sink().trouble(), "");
}

}  // namespace outrider::testing
