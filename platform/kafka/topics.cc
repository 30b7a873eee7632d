#include "platform/kafka/topics.h"

#include <fmt/format.h>

#include <array>
#include <memory>

#include "platform/kafka/rdkafka.h"

namespace outrider::kafka {
namespace {

constexpr int kAnswerMs = 15'000;
constexpr int kBrokersOwn = -1;

using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>>;
using OldTopic = std::unique_ptr<rd_kafka_DeleteTopic_t, Destroy<rd_kafka_DeleteTopic_destroy>>;

Result<Client> Open(const KafkaOptions& options) {
  auto conf = MakeConf(options, {{"client.id", "outrider-topics"}}, {});
  if (!conf) return std::unexpected(conf.error());
  return MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
}

AdminOptions Options(rd_kafka_t* client, rd_kafka_admin_op_t operation) {
  AdminOptions options(rd_kafka_AdminOptions_new(client, operation));
  std::array<char, 256> words{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), kAnswerMs, words.data(), words.size());
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), kAnswerMs, words.data(), words.size());
  return options;
}

Error Refused(const std::string& name, rd_kafka_resp_err_t error, std::string_view detail) {
  const bool away = error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT ||
                    error == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
  return {away ? ErrorCode::kUnavailable : ErrorCode::kInvalid, fmt::format("topic {}: {}", name, Words(error, detail)),
          error};
}

// The one topic's answer.
template <class GiveTopics>
rd_kafka_resp_err_t Answer(rd_kafka_event_t* event, GiveTopics give_topics, std::string& detail) {
  if (event == nullptr) return RD_KAFKA_RESP_ERR__TIMED_OUT;
  if (const auto error = rd_kafka_event_error(event)) {
    detail = rd_kafka_event_error_string(event);
    return error;
  }
  std::size_t count = 0;
  const rd_kafka_topic_result_t** const topics = give_topics(event, &count);
  if (count != 1) return RD_KAFKA_RESP_ERR__BAD_MSG;
  if (const char* const words = rd_kafka_topic_result_error_string(topics[0])) detail = words;
  return rd_kafka_topic_result_error(topics[0]);
}

}  // namespace

Result<bool> CreateTopic(const KafkaOptions& options, const std::string& name, int partitions) {
  auto client = Open(options);
  if (!client) return std::unexpected(client.error());
  std::array<char, 256> words{};
  const NewTopic topic(rd_kafka_NewTopic_new(name.c_str(), partitions, kBrokersOwn, words.data(), words.size()));
  if (!topic) return Fail(ErrorCode::kInvalid, fmt::format("topic {}: {}", name, words.data()));
  const Queue queue(rd_kafka_queue_new(client->get()));
  const AdminOptions admin = Options(client->get(), RD_KAFKA_ADMIN_OP_CREATETOPICS);
  std::array<rd_kafka_NewTopic_t*, 1> topics = {topic.get()};
  rd_kafka_CreateTopics(client->get(), topics.data(), topics.size(), admin.get(), queue.get());
  const QueuedEvent event(rd_kafka_queue_poll(queue.get(), 2 * kAnswerMs));
  std::string detail;
  const auto error = Answer(
      event.get(),
      [](rd_kafka_event_t* answer, std::size_t* count) {
        return rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer), count);
      },
      detail);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return false;
  return std::unexpected(Refused(name, error, detail));
}

Result<void> DeleteTopic(const KafkaOptions& options, const std::string& name) {
  auto client = Open(options);
  if (!client) return std::unexpected(client.error());
  const OldTopic topic(rd_kafka_DeleteTopic_new(name.c_str()));
  const Queue queue(rd_kafka_queue_new(client->get()));
  const AdminOptions admin = Options(client->get(), RD_KAFKA_ADMIN_OP_DELETETOPICS);
  std::array<rd_kafka_DeleteTopic_t*, 1> topics = {topic.get()};
  rd_kafka_DeleteTopics(client->get(), topics.data(), topics.size(), admin.get(), queue.get());
  const QueuedEvent event(rd_kafka_queue_poll(queue.get(), 2 * kAnswerMs));
  std::string detail;
  const auto error = Answer(
      event.get(),
      [](rd_kafka_event_t* answer, std::size_t* count) {
        return rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(answer), count);
      },
      detail);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return {};
  return std::unexpected(Refused(name, error, detail));
}

}  // namespace outrider::kafka
