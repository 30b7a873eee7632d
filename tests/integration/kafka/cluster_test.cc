// Three brokers of which one dies.
#include <gmock/gmock.h>

#include "platform/kafka/producer.h"
#include "tests/integration/kafka/fixture.h"
#include "tests/support/kafka/kafka_cluster.h"

namespace outrider::kafka {
namespace {

using ::testing::Each;
using ::testing::Field;

TEST(KafkaClusterFaultTest, ABrokerThatDiesCostsNeitherRecordsNorOrder) {
  const auto cluster = testing::KafkaCluster::Start();
  cluster->CreateTopic("topic");
  auto producer = OpenProducer(cluster->Options());
  std::vector<std::string> sent;
  const auto produce = [&](int count) {
    for (int i = 0; i < count; ++i) {
      sent.push_back(std::to_string(sent.size()));
      Produce(*producer, "topic", "key", sent.back());
    }
  };
  produce(100);
  EXPECT_THAT(AwaitReports(*producer, 100), Each(Field(&DeliveryReport::kind, DeliveryReport::Kind::kAcked)));
  produce(100);
  // The partition's leader is among the three, so each dies once.
  for (std::size_t i = 0; i < testing::KafkaCluster::kBrokers; ++i) {
    cluster->broker(i).Kill();
    produce(100);
    const std::size_t owed = producer->outstanding();
    EXPECT_THAT(AwaitReports(*producer, owed), Each(Field(&DeliveryReport::kind, DeliveryReport::Kind::kAcked)));
    cluster->broker(i).Restart();
  }
  EXPECT_EQ(ReadLog(cluster->Options(), "topic", sent.size()), sent);
}

}  // namespace
}  // namespace outrider::kafka
