// The producer while all is well, and what it says of records that can't be sent.
#include "platform/kafka/producer.h"

#include <gmock/gmock.h>

#include "tests/integration/kafka/fixture.h"

namespace outrider::kafka {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = DeliveryReport::Kind;

class KafkaProducerTest : public ::testing::Test {
 protected:
  testing::KafkaBroker& broker_ = testing::KafkaBroker::Shared();
  const std::string topic_ = broker_.CreateTopic();
};

TEST_F(KafkaProducerTest, AnAcknowledgedRecordIsInTheLogAtTheReportedPlace) {
  auto producer = OpenProducer(broker_.Options());
  Publish(*producer, topic_, "key", "first");
  const auto report = Publish(*producer, topic_, "key", "second");
  EXPECT_EQ(report.partition, 0);
  EXPECT_EQ(report.offset, 1);
  EXPECT_THAT(Values(ReadAll(broker_.Options(), topic_, 2)), ElementsAre("first", "second"));
}

TEST_F(KafkaProducerTest, TheTagComesBackWithEachReport) {
  auto producer = OpenProducer(broker_.Options());
  for (std::uint64_t tag : {7u, 8u, 9u}) Produce(*producer, topic_, "key", "value", tag);
  const auto reports = AwaitReports(*producer, 3);
  EXPECT_EQ(reports[0].tag, 7u);
  EXPECT_EQ(reports[1].tag, 8u);
  EXPECT_EQ(reports[2].tag, 9u);
  EXPECT_EQ(producer->outstanding(), 0u);
}

}  // namespace
}  // namespace outrider::kafka
