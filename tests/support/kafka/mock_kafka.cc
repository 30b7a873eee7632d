#include "tests/support/kafka/mock_kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <stdexcept>

namespace outrider::testing {
namespace {

void Must(rd_kafka_resp_err_t error) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(rd_kafka_err2str(error));
}

}  // namespace

struct MockKafka::State {
  rd_kafka_t* owner = nullptr;
  rd_kafka_mock_cluster_t* cluster = nullptr;
};

MockKafka::MockKafka(int brokers) : state_(std::make_unique<State>()) {
  char words[512] = "";
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  state_->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
  if (state_->owner == nullptr) throw std::runtime_error(words);
  state_->cluster = rd_kafka_mock_cluster_new(state_->owner, brokers);
  if (state_->cluster == nullptr) throw std::runtime_error("no mock cluster");
}

MockKafka::~MockKafka() {
  rd_kafka_mock_cluster_destroy(state_->cluster);
  rd_kafka_destroy(state_->owner);
}

std::string MockKafka::brokers() const { return rd_kafka_mock_cluster_bootstraps(state_->cluster); }

void MockKafka::CreateTopic(const std::string& name, int partitions) {
  Must(rd_kafka_mock_topic_create(state_->cluster, name.c_str(), partitions, 1));
}

void MockKafka::Answer(int api_key, const std::vector<int>& errors) {
  std::vector<rd_kafka_resp_err_t> codes;
  for (const int error : errors) codes.push_back(static_cast<rd_kafka_resp_err_t>(error));
  rd_kafka_mock_push_request_errors_array(state_->cluster, static_cast<std::int16_t>(api_key), codes.size(),
                                          codes.data());
}

void MockKafka::AnswerLate(int id, int api_key, int error, std::chrono::milliseconds delay) {
  Must(rd_kafka_mock_broker_push_request_error_rtts(state_->cluster, id, static_cast<std::int16_t>(api_key), 1,
                                                    static_cast<rd_kafka_resp_err_t>(error),
                                                    static_cast<int>(delay.count())));
}

void MockKafka::SetTopicError(const std::string& topic, int error) {
  rd_kafka_mock_topic_set_error(state_->cluster, topic.c_str(), static_cast<rd_kafka_resp_err_t>(error));
}

void MockKafka::SetLeader(const std::string& topic, int partition, int id) {
  Must(rd_kafka_mock_partition_set_leader(state_->cluster, topic.c_str(), partition, id));
}

void MockKafka::Down(int id) { Must(rd_kafka_mock_broker_set_down(state_->cluster, id)); }
void MockKafka::Up(int id) { Must(rd_kafka_mock_broker_set_up(state_->cluster, id)); }

}  // namespace outrider::testing
