#include "platform/kafka/bare_consumer.h"

#include <fmt/format.h>

#include <array>
#include <span>

#include "platform/kafka/rdkafka.h"

namespace outrider::kafka {
namespace {

const Settings kSettings = {{"client.id", "outrider-floor"}, {"group.id", "outrider-floor"}};
const Settings kFixed = {{"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"}};

constexpr int kWaitMs = 1'000;
constexpr std::chrono::seconds kPatience{60};
constexpr std::size_t kBatch = 1'000;

}  // namespace

Result<std::chrono::nanoseconds> TimeBareConsumer(const KafkaOptions& options, const std::string& topic, int partitions,
                                                  std::size_t records) {
  auto conf = MakeConf(options, kSettings, kFixed);
  if (!conf) return std::unexpected(conf.error());
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  rd_kafka_poll_set_consumer(client->get());
  const PartitionList list(rd_kafka_topic_partition_list_new(partitions));
  for (int i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  if (const auto error = rd_kafka_assign(client->get(), list.get())) return Fail(ErrorCode::kInvalid, Words(error));
  const Queue queue(rd_kafka_queue_get_consumer(client->get()));
  std::array<rd_kafka_message_t*, kBatch> batch{};
  std::size_t seen = 0;
  std::chrono::steady_clock::time_point first{};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (seen < records) {
    if (std::chrono::steady_clock::now() > deadline) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{} of {} records came", seen, records));
    }
    const auto count = rd_kafka_consume_batch_queue(queue.get(), seen == 0 ? kWaitMs : 10, batch.data(), batch.size());
    for (rd_kafka_message_t* const raw : std::span(batch).first(count > 0 ? static_cast<std::size_t>(count) : 0)) {
      const Message message(raw);
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      if (seen == 0) first = std::chrono::steady_clock::now();
      ++seen;
    }
  }
  const auto time = std::chrono::steady_clock::now() - first;
  rd_kafka_consumer_close(client->get());
  return time;
}

}  // namespace outrider::kafka
