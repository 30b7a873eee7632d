#include "platform/kafka/rdkafka.h"

#include <fmt/format.h>

#include <array>

namespace outrider::kafka {
namespace {

// librdkafka calls this from its own threads, for lines that say less than its errors do and at a pace that a broker
// away decides. What matters comes as an error through Poll().
void DropLogLine(const rd_kafka_t*, int, const char*, const char*) {}

Result<void> Set(rd_kafka_conf_t* conf, std::string_view name, std::string_view value) {
  std::array<char, 512> words{};
  if (rd_kafka_conf_set(conf, std::string(name).c_str(), std::string(value).c_str(), words.data(), words.size()) ==
      RD_KAFKA_CONF_OK) {
    return {};
  }
  return Fail(ErrorCode::kInvalid, fmt::format("Kafka property {}: {}", name, words.data()));
}

}  // namespace

Result<Conf> MakeConf(const KafkaOptions& options, const Settings& defaults, const Settings& fixed) {
  std::string faults;
  for (const std::string& fault : CheckProperties(options.properties)) faults += (faults.empty() ? "" : "; ") + fault;
  if (!faults.empty()) return Fail(ErrorCode::kInvalid, std::move(faults));

  Conf conf(rd_kafka_conf_new());
  rd_kafka_conf_set_log_cb(conf.get(), DropLogLine);
  if (auto set = Set(conf.get(), "bootstrap.servers", options.brokers); !set) return std::unexpected(set.error());
  for (const auto& [name, value] : defaults) {
    if (auto set = Set(conf.get(), name, value); !set) return std::unexpected(set.error());
  }
  for (const auto& [name, value] : options.properties) {
    if (auto set = Set(conf.get(), name, value); !set) return std::unexpected(set.error());
  }
  for (const auto& [name, value] : fixed) {
    if (auto set = Set(conf.get(), name, value); !set) return std::unexpected(set.error());
  }
  return conf;
}

Result<Client> MakeClient(rd_kafka_type_t type, Conf conf) {
  std::array<char, 512> words{};
  Client client(rd_kafka_new(type, conf.get(), words.data(), words.size()));
  if (!client) return Fail(ErrorCode::kInvalid, fmt::format("the Kafka client can't be set up: {}", words.data()));
  (void)conf.release();
  return client;
}

std::string Words(rd_kafka_resp_err_t error, std::string_view detail) {
  const std::string_view name = rd_kafka_err2str(error);
  if (detail.empty() || detail == name) return std::string(name);
  return fmt::format("{}: {}", name, detail);
}

}  // namespace outrider::kafka
