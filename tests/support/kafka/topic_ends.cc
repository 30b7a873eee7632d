#include "tests/support/kafka/topic_ends.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <stdexcept>
#include <utility>

namespace outrider::testing {
namespace {

constexpr int kTimeoutMs = 10'000;

}  // namespace

struct TopicEnds::Client {
  rd_kafka_t* handle = nullptr;
};

TopicEnds::TopicEnds(const std::string& brokers, std::string topic, int partitions)
    : client_(std::make_unique<Client>()), topic_(std::move(topic)), partitions_(partitions) {
  char words[512] = "";
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), words, sizeof words);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  client_->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
  if (client_->handle == nullptr) throw std::runtime_error(fmt::format("no Kafka client: {}", words));
}

TopicEnds::~TopicEnds() { rd_kafka_destroy(client_->handle); }

std::int64_t TopicEnds::Count() const {
  std::int64_t count = 0;
  for (int partition = 0; partition < partitions_; ++partition) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    const auto error =
        rd_kafka_query_watermark_offsets(client_->handle, topic_.c_str(), partition, &low, &high, kTimeoutMs);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      throw std::runtime_error(fmt::format("the end of {} [{}]: {}", topic_, partition, rd_kafka_err2str(error)));
    }
    count += high;
  }
  return count;
}

}  // namespace outrider::testing
