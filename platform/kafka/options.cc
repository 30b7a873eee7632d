#include "platform/kafka/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "platform/kafka/rdkafka.h"

namespace outrider::kafka {
namespace {

struct Refusal {
  std::string_view name;
  std::string_view reason;
};

constexpr std::string_view kAcks =
    "a row is deleted after its acknowledgement, so every replica must have the record (all)";
constexpr std::string_view kRetries =
    "the producer tries for ever: giving a record up would let later ones of its key pass it";
constexpr std::string_view kTimeout = kRetries;
constexpr std::string_view kInFlight =
    "one request at a time (1), or a later record could be taken where an earlier one was refused";
constexpr std::string_view kBrokers = "the brokers are set as kafka.brokers";
constexpr std::string_view kOffsets = "offsets are committed after the records are stored, by Outrider alone";

// Names and librdkafka's other names for the same.
constexpr auto kRefused = std::to_array<Refusal>({
    {"bootstrap.servers", kBrokers},
    {"metadata.broker.list", kBrokers},
    {"group.id", "the group is set as kafka.group"},
    {"acks", kAcks},
    {"request.required.acks", kAcks},
    {"enable.idempotence", "without it a retry can double records and change their order"},
    {"enable.gapless.guarantee", "without it a refused record lets later ones of its key pass it"},
    {"max.in.flight", kInFlight},
    {"max.in.flight.requests.per.connection", kInFlight},
    {"retries", kRetries},
    {"message.send.max.retries", kRetries},
    {"message.timeout.ms", kTimeout},
    {"delivery.timeout.ms", kTimeout},
    {"partitioner", "records of one key share a partition, the one that Java's producers choose (murmur2_random)"},
    {"queuing.strategy", "records leave in the order in which they came"},
    {"delivery.report.only.error", "a row is deleted on the report that its record was taken"},
    {"transactional.id", "Outrider's producer isn't transactional, and relays would fence each other"},
    {"auto.offset.reset", "a group without offsets begins with the oldest record (earliest), so that none is skipped"},
    {"enable.auto.commit", kOffsets},
    {"auto.commit.enable", kOffsets},
    {"enable.auto.offset.store", kOffsets},
    {"isolation.level", "records of aborted transactions are no requests (read_committed)"},
    {"partition.assignment.strategy", "partitions move one by one between members (cooperative-sticky)"},
    {"group.instance.id", "replicas with the same configuration would push each other out of the group"},
    {"enable.partition.eof", "the end of a partition is no event"},
    {"debug", "librdkafka's own log is shown nowhere"},
});

bool MayHoldSecret(std::string_view name) {
  static constexpr auto kWords =
      std::to_array<std::string_view>({"password", "secret", "pem", "key", "sasl.oauthbearer"});
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) { return name.contains(word); });
}

}  // namespace

std::vector<std::string> CheckProperties(const std::map<std::string, std::string>& properties) {
  std::vector<std::string> faults;
  const Conf scratch(rd_kafka_conf_new());
  for (const auto& [name, value] : properties) {
    const auto refused =
        std::find_if(kRefused.begin(), kRefused.end(), [&](const Refusal& r) { return r.name == name; });
    if (refused != kRefused.end()) {
      faults.push_back(fmt::format("Kafka property {} can't be set: {}", name, refused->reason));
      continue;
    }
    std::array<char, 512> words{};
    const auto result = rd_kafka_conf_set(scratch.get(), name.c_str(), value.c_str(), words.data(), words.size());
    if (result == RD_KAFKA_CONF_OK) continue;
    // librdkafka quotes the value.
    const bool quiet = result == RD_KAFKA_CONF_INVALID && MayHoldSecret(name);
    faults.push_back(fmt::format("Kafka property {}: {}", name, quiet ? "its value isn't valid" : words.data()));
  }
  return faults;
}

}  // namespace outrider::kafka
