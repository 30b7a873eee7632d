#include "platform/kafka/bare_producer.h"

#include <fmt/format.h>

#include "platform/kafka/rdkafka.h"

namespace outrider::kafka {
namespace {

const Settings kSettings = {{"client.id", "outrider-floor"},
                            {"linger.ms", "5"},
                            {"queue.buffering.max.messages", "500000"},
                            {"partitioner", "murmur2_random"}};
const Settings kFixed = {{"enable.idempotence", "true"}, {"acks", "all"}};

constexpr int kFlushTimeoutMs = 120'000;
constexpr int kFullPauseMs = 10;
constexpr std::size_t kPollEvery = 256;

struct Counts {
  std::size_t acknowledged = 0;
  std::string problem;
};

void Count(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& counts = *static_cast<Counts*>(opaque);
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++counts.acknowledged;
  } else {
    counts.problem = rd_kafka_err2str(message->err);
  }
}

}  // namespace

Result<std::chrono::nanoseconds> TimeBareProducer(const KafkaOptions& options, const std::string& topic,
                                                  std::size_t records, std::size_t value_bytes, std::size_t keys) {
  auto conf = MakeConf(options, kSettings, kFixed);
  if (!conf) return std::unexpected(conf.error());
  Counts counts;
  rd_kafka_conf_set_opaque(conf->get(), &counts);
  rd_kafka_conf_set_dr_msg_cb(conf->get(), Count);
  auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  const Topic handle(rd_kafka_topic_new(client->get(), topic.c_str(), nullptr));

  std::string value(value_bytes, 'x');
  const auto produce = [&](std::size_t count) -> Result<void> {
    const std::size_t before = counts.acknowledged;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string key = fmt::format("key-{}", i % keys);
      while (rd_kafka_produce(handle.get(), RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value.data(), value.size(),
                              key.data(), key.size(), nullptr) != 0) {
        const rd_kafka_resp_err_t refused = rd_kafka_last_error();
        if (refused != RD_KAFKA_RESP_ERR__QUEUE_FULL) return Fail(ErrorCode::kInvalid, rd_kafka_err2str(refused));
        rd_kafka_poll(client->get(), kFullPauseMs);
      }
      if (i % kPollEvery == 0) rd_kafka_poll(client->get(), 0);
    }
    rd_kafka_flush(client->get(), kFlushTimeoutMs);
    if (counts.acknowledged - before == count) return {};
    return Fail(ErrorCode::kUnavailable, fmt::format("{} of {} records were acknowledged; {}",
                                                     counts.acknowledged - before, count, counts.problem));
  };
  if (auto warm = produce(keys); !warm) return std::unexpected(warm.error());
  const auto start = std::chrono::steady_clock::now();
  if (auto done = produce(records); !done) return std::unexpected(done.error());
  return std::chrono::steady_clock::now() - start;
}

}  // namespace outrider::kafka
