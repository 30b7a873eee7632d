// Outbox rows as Kafka records, and the sink while a broker refuses, dies and hangs.
#include "outbox/kafka_sink.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "tests/integration/outbox_kafka/fixture.h"
#include "tests/support/memory_sink/event_sink_contract.h"
#include "tests/support/process/wait_until.h"

namespace outrider::testing {

SinkUnderTest Over(const kafka::KafkaOptions& options) {
  const std::string type = outbox::NewAggregateType(KafkaBroker::Shared(), 3);
  return {{}, outbox::OpenSink(options), type, "outbox.event." + type};
}

INSTANTIATE_TEST_SUITE_P(KafkaSink, EventSinkContract,
                         ::testing::Values(SinkFactory([] { return Over(KafkaBroker::Shared().Options()); })));
// With a queue of ten records.
INSTANTIATE_TEST_SUITE_P(SmallKafkaSink, EventSinkContract, ::testing::Values(SinkFactory([] {
                           auto options = KafkaBroker::Shared().Options();
                           options.properties["queue.buffering.max.messages"] = "10";
                           return Over(options);
                         })));

}  // namespace outrider::testing

namespace outrider::outbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = PublishReport::Kind;

std::map<std::string, std::string> HeadersOf(const Event& event) {
  std::map<std::string, std::string> headers;
  for (const EventHeader& header : event.headers) headers[header.name] = header.value.value_or("(null)");
  return headers;
}

class KafkaSinkTest : public ::testing::Test {
 protected:
  testing::KafkaBroker& broker_ = testing::KafkaBroker::Shared();
  const std::string type_ = NewAggregateType(broker_);
  std::unique_ptr<KafkaSink> sink_ = OpenSink(broker_.Options());
  std::vector<PublishReport> reports_;
};

TEST_F(KafkaSinkTest, ARowBecomesTheRecordThatDebeziumWouldMake) {
  OutboxRow row = RowOf(7, type_, "订单-1");
  row.payload = "{\"text\": \"你好 🎉\"}";
  row.type = "notification.requested";
  row.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  row.tracestate = "vendor=1";
  row.created_at = ParseRfc3339("2026-11-24T05:11:41.436563Z").value();
  const auto before = std::chrono::floor<std::chrono::milliseconds>(SystemClock().Now());
  Submit(*sink_, row, reports_);
  AwaitReports(*sink_, 1, reports_);
  EXPECT_EQ(reports_[0].topic, "outbox.event." + type_);
  EXPECT_EQ(reports_[0].seq, 7u);

  const Event event = Read(broker_.Options(), type_, 1).at(0);
  EXPECT_EQ(event.position, (EventPosition{std::string(reports_[0].topic), reports_[0].partition, reports_[0].offset}));
  EXPECT_EQ(event.key, "订单-1");
  EXPECT_EQ(event.value, row.payload);
  EXPECT_EQ(HeadersOf(event), (std::map<std::string, std::string>{
                                  {"id", row.id},
                                  {"eventType", "notification.requested"},
                                  {"createdAt", "2026-11-24T05:11:41.436563Z"},
                                  {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
                                  {"tracestate", "vendor=1"},
                              }));
  EXPECT_GE(event.timestamp, before);
  EXPECT_LE(event.timestamp, SystemClock().Now());
}

TEST_F(KafkaSinkTest, ARowWithoutATraceHasNoTraceHeaders) {
  Submit(*sink_, RowOf(1, type_, "key"), reports_);
  AwaitReports(*sink_, 1, reports_);
  const auto headers = HeadersOf(Read(broker_.Options(), type_, 1).at(0));
  EXPECT_THAT(headers, SizeIs(3));
  EXPECT_FALSE(headers.contains("traceparent"));
  EXPECT_FALSE(headers.contains("tracestate"));
}

TEST_F(KafkaSinkTest, AnAggregateTypeThatMakesNoTopicIsPoisonBeforeItIsSent) {
  for (const std::string& type :
       {std::string(), std::string("no/topic"), std::string("no topic"), std::string(250, 't')}) {
    const auto taken = sink_->Submit(RowOf(1, type, "key"));
    ASSERT_FALSE(taken.has_value()) << type;
    EXPECT_EQ(taken.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(taken.error().native_code, static_cast<int>(PoisonReason::kIllegalTopic));
  }
  EXPECT_EQ(sink_->outstanding(), 0u);
}

TEST_F(KafkaSinkTest, ARowGoesToTheTopicOfItsRouteAndWithoutOneNowhereWhereOnlyRoutesAreAllowed) {
  auto sink = KafkaSink::Create(broker_.Options(), {.topics = {{"an order", "outbox.event." + type_}}, .only = true});
  ASSERT_TRUE(sink.has_value());
  const auto refused = (*sink)->Submit(RowOf(1, type_, "key"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().native_code, static_cast<int>(PoisonReason::kTopicNotAllowed));
  ASSERT_TRUE((*sink)->Submit(RowOf(2, "an order", "key")).has_value());
  std::vector<PublishReport> reports;
  ASSERT_TRUE(testing::WaitUntil([&] {
    (*sink)->Poll(std::chrono::milliseconds{10}, reports);
    return !reports.empty();
  }));
  EXPECT_EQ(reports[0].kind, Kind::kStored);
  EXPECT_EQ(reports[0].topic, "outbox.event." + type_);
}

TEST_F(KafkaSinkTest, APayloadThatNoRequestHoldsIsPoisonBeforeItIsSent) {
  OutboxRow row = RowOf(1, type_, "key");
  row.payload.assign(1'500'000, 'x');
  const auto taken = sink_->Submit(row);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(taken.error().native_code, static_cast<int>(PoisonReason::kTooLarge));
}

TEST_F(KafkaSinkTest, ARowThatTheBrokerRefusesAloneIsPoisonAndTheSinkWorksOn) {
  const std::string type = NewAggregateType(broker_, 1, {{"max.message.bytes", "10000"}});
  OutboxRow large = RowOf(1, type, "key");
  large.payload.assign(20'000, 'x');
  Submit(*sink_, large, reports_);
  AwaitReports(*sink_, 1, reports_);
  EXPECT_EQ(reports_[0].kind, Kind::kPoison);
  EXPECT_THAT(reports_[0].problem, HasSubstr("too large"));
  reports_.clear();
  Submit(*sink_, RowOf(2, type, "key"), reports_);
  AwaitReports(*sink_, 1, reports_);
  EXPECT_EQ(reports_[0].kind, Kind::kStored) << reports_[0].problem;
  EXPECT_EQ(reports_[0].offset, 0);
}

TEST_F(KafkaSinkTest, AMissingTopicIsNotPoisonAndHealsWhenItIsMade) {
  auto options = broker_.Options();
  options.properties["topic.metadata.propagation.max.ms"] = "500";
  sink_ = OpenSink(options);
  const std::string missing = type_ + "-missing";
  Submit(*sink_, RowOf(1, missing, "key"), reports_);
  AwaitReports(*sink_, 1, reports_);
  EXPECT_EQ(reports_[0].kind, Kind::kNotStored);
  EXPECT_THAT(reports_[0].problem, HasSubstr("nknown topic"));
  broker_.CreateTopic("outbox.event." + missing);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (reports_.back().kind != Kind::kStored && std::chrono::steady_clock::now() < deadline) {
    const std::size_t before = reports_.size();
    Submit(*sink_, RowOf(1, missing, "key"), reports_);
    AwaitReports(*sink_, before + 1, reports_);
  }
  EXPECT_EQ(reports_.back().kind, Kind::kStored);
}

// Abandoned in the middle of an outage, as a relay does that loses its lease: whatever the hanging broker still takes
// from the old producer, the first occurrences of the rows are in their order and none is missing.
TEST(KafkaSinkOutageTest, WhatIsAbandonedWhileTheBrokerHangsAndSentAgainKeepsItsOrder) {
  const auto broker = testing::KafkaBroker::Start();
  const std::string type = NewAggregateType(*broker);
  auto options = broker->Options();
  options.properties["batch.num.messages"] = "10";
  const auto sink = OpenSink(options);
  std::vector<PublishReport> reports;
  Submit(*sink, RowOf(1, type, "key"), reports);
  AwaitReports(*sink, 1, reports);
  broker->Pause();
  for (std::uint64_t seq = 2; seq <= 50; ++seq) Submit(*sink, RowOf(seq, type, "key"), reports);
  sink->Poll(std::chrono::milliseconds(300), reports);
  EXPECT_THAT(reports, SizeIs(1));
  sink->Abandon();
  AwaitReports(*sink, 50, reports);
  for (std::size_t i = 1; i < reports.size(); ++i) EXPECT_EQ(reports[i].kind, Kind::kNotStored);
  broker->Continue();
  reports.clear();
  for (std::uint64_t seq = 2; seq <= 60; ++seq) Submit(*sink, RowOf(seq, type, "key"), reports);
  AwaitReports(*sink, 59, reports);
  for (const PublishReport& report : reports) EXPECT_EQ(report.kind, Kind::kStored) << report.problem;

  std::uint64_t last = 0;
  std::set<std::string> seen;
  for (const Event& event : Read(broker->Options(), type, 60)) {
    if (!seen.insert(*event.value).second) continue;
    EXPECT_EQ(*event.value, RowOf(++last, type, "key").payload);
  }
  EXPECT_EQ(last, 60u);
}

TEST(KafkaSinkOutageTest, ABrokerThatIsKilledAndComesBackGetsEachRowOnce) {
  const auto broker = testing::KafkaBroker::Start();
  const std::string type = NewAggregateType(*broker);
  const auto sink = OpenSink(broker->Options());
  std::vector<PublishReport> reports;
  for (std::uint64_t seq = 1; seq <= 20; ++seq) Submit(*sink, RowOf(seq, type, "key"), reports);
  AwaitReports(*sink, 20, reports);
  broker->Kill();
  for (std::uint64_t seq = 21; seq <= 40; ++seq) Submit(*sink, RowOf(seq, type, "key"), reports);
  sink->Poll(std::chrono::milliseconds(500), reports);
  EXPECT_THAT(reports, SizeIs(20));
  EXPECT_THAT(sink->trouble(), HasSubstr("127.0.0.1"));
  broker->Restart();
  AwaitReports(*sink, 40, reports);
  EXPECT_EQ(sink->trouble(), "");
  const auto events = Read(broker->Options(), type, 40);
  ASSERT_THAT(events, SizeIs(40));
  for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].value, RowOf(i + 1, type, "key").payload);
}

}  // namespace
}  // namespace outrider::outbox
