// Three brokers of which one dies.
#include <gmock/gmock.h>

#include <map>

#include "platform/kafka/producer.h"
#include "tests/integration/kafka/fixture.h"
#include "tests/support/kafka/kafka_cluster.h"

namespace outrider::kafka {
namespace {

using ::testing::Each;
using ::testing::Field;

TEST(KafkaClusterFaultTest, ABrokerThatDiesCostsNeitherRecordsNorOrder) {
  const auto cluster = testing::KafkaCluster::Start();
  // Each broker leads one partition.
  cluster->CreateTopic("topic", 3);
  auto producer = OpenProducer(cluster->Options());
  const auto produce = [&](int first, int last) {
    for (int i = first; i < last; ++i) Produce(*producer, "topic", std::to_string(i % 10), std::to_string(i));
  };
  produce(0, 300);
  EXPECT_THAT(AwaitReports(*producer, 300), Each(Field(&DeliveryReport::kind, DeliveryReport::Kind::kAcked)));
  produce(300, 600);
  cluster->broker(1).Kill();
  produce(600, 900);
  const std::size_t owed = producer->outstanding();
  EXPECT_THAT(AwaitReports(*producer, owed), Each(Field(&DeliveryReport::kind, DeliveryReport::Kind::kAcked)));

  std::map<std::string, int> last;
  for (const Event& event : AwaitEvents(*OpenConsumer(cluster->Options(), "group", {"topic"}), 900)) {
    const int number = std::stoi(*event.value);
    const auto [entry, first] = last.try_emplace(*event.key, number);
    if (!first) {
      EXPECT_EQ(number, entry->second + 10);
    }
    entry->second = number;
  }
  EXPECT_EQ(last.size(), 10u);
}

}  // namespace
}  // namespace outrider::kafka
