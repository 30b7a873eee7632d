#include "tests/support/kafka/kafka_cluster.h"

#include <fmt/format.h>

#include <array>

#include "tests/support/process/free_port.h"

namespace outrider::testing {

std::unique_ptr<KafkaCluster> KafkaCluster::Start(const std::vector<std::string>& properties) {
  std::array<KafkaBroker::Ports, kBrokers> ports;
  std::string voters;
  for (std::size_t i = 0; i < kBrokers; ++i) {
    ports[i] = {FreePort(), FreePort()};
    voters += fmt::format("{}{}@127.0.0.1:{}", i == 0 ? "" : ",", i + 1, ports[i].controller);
  }
  auto cluster = std::unique_ptr<KafkaCluster>(new KafkaCluster());
  for (std::size_t i = 0; i < kBrokers; ++i) {
    std::vector<std::string> own = {
        "auto.create.topics.enable=false",
        fmt::format("node.id={}", i + 1),
        "controller.quorum.voters=" + voters,
        "default.replication.factor=3",
        "min.insync.replicas=2",
        "offsets.topic.replication.factor=3",
        "transaction.state.log.replication.factor=3",
        "transaction.state.log.min.isr=2",
        "share.coordinator.state.topic.replication.factor=3",
        "share.coordinator.state.topic.min.isr=2",
    };
    own.insert(own.end(), properties.begin(), properties.end());
    cluster->brokers_.push_back(std::unique_ptr<KafkaBroker>(new KafkaBroker(ports[i], std::move(own))));
    cluster->brokers_.back()->Launch();
  }
  for (const auto& broker : cluster->brokers_) broker->AwaitReady();
  return cluster;
}

std::string KafkaCluster::brokers() const {
  std::string all;
  for (const auto& broker : brokers_) all += (all.empty() ? "" : ",") + broker->brokers();
  return all;
}

void KafkaCluster::CreateTopic(const std::string& name, int partitions,
                               const std::map<std::string, std::string>& config) const {
  CreateKafkaTopic(brokers(), name, partitions, static_cast<int>(kBrokers), config);
}

}  // namespace outrider::testing
