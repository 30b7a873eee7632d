// What every Kafka client of Outrider is opened with. A value.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace outrider::kafka {

struct KafkaOptions {
  std::string brokers;                            // "host:port,host:port"
  std::map<std::string, std::string> properties;  // librdkafka's own names, for example security.protocol
  friend bool operator==(const KafkaOptions&, const KafkaOptions&) = default;
};

// One sentence with the reason for each property that safety rests on (acks, idempotence, in-flight,
// auto.offset.reset, enable.auto.commit, enable.auto.offset.store, isolation.level) or that Outrider sets from
// elsewhere (bootstrap.servers, group.id), and for each that librdkafka doesn't know. Empty: usable.
std::vector<std::string> CheckProperties(const std::map<std::string, std::string>& properties);

}  // namespace outrider::kafka
