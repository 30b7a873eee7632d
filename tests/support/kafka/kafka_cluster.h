// KafkaCluster: three real brokers of a test's own: replication factor 3, min.insync.replicas 2.
//
// Any one of them may be stopped, killed or paused, and the others serve on. Threads, lifetime, errors: as KafkaBroker.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/kafka/kafka_broker.h"

namespace outrider::testing {

class KafkaCluster final {
 public:
  static constexpr std::size_t kBrokers = 3;

  static std::unique_ptr<KafkaCluster> Start(const std::vector<std::string>& properties = {});

  std::string brokers() const;  // all three
  kafka::KafkaOptions Options() const { return {brokers(), {}}; }
  KafkaBroker& broker(std::size_t index) { return *brokers_.at(index); }
  void CreateTopic(const std::string& name, int partitions = 1,
                   const std::map<std::string, std::string>& config = {}) const;

 private:
  KafkaCluster() = default;

  std::vector<std::unique_ptr<KafkaBroker>> brokers_;
};

}  // namespace outrider::testing
