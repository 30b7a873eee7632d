#include "tests/support/kafka/kafka_broker.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <random>
#include <stdexcept>

#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"

namespace outrider::testing {
namespace {

// The first start ever fetches Kafka.
constexpr std::chrono::minutes kStartTimeout{5};
constexpr std::chrono::seconds kStopTimeout{30};
constexpr int kPortTries = 3;
constexpr int kAdminTimeoutMs = 30'000;
constexpr std::string_view kStarted = "Kafka Server started";

std::string LastLines(const std::string& text) {
  constexpr std::size_t kBytes = 2000;
  return text.size() <= kBytes ? text : text.substr(text.size() - kBytes);
}

}  // namespace

std::unique_ptr<KafkaBroker> KafkaBroker::Start(std::vector<std::string> properties) {
  properties.insert(properties.begin(), "auto.create.topics.enable=false");
  // Somebody else may take a port between our look and the broker's start.
  for (int i = 1;; ++i) {
    auto broker = std::unique_ptr<KafkaBroker>(new KafkaBroker({FreePort(), FreePort()}, properties));
    try {
      broker->Launch();
      broker->AwaitReady();
      return broker;
    } catch (const std::runtime_error&) {
      if (i == kPortTries) throw;
    }
  }
}

KafkaBroker& KafkaBroker::Shared() {
  static const std::unique_ptr<KafkaBroker> broker = Start();
  return *broker;
}

KafkaBroker::KafkaBroker(Ports ports, std::vector<std::string> properties)
    : ports_(ports), properties_(std::move(properties)), folder_("kafka") {}

KafkaBroker::~KafkaBroker() = default;

void KafkaBroker::Launch() {
  std::vector<std::string> command = {RUN_BROKER, folder_.path().string(), std::to_string(ports_.broker),
                                      std::to_string(ports_.controller)};
  command.insert(command.end(), properties_.begin(), properties_.end());
  starts_before_ = StartsLogged();
  process_.emplace(ChildOptions{.command = command, .output_directory = folder_.path()});
}

void KafkaBroker::AwaitReady() {
  (void)WaitUntil([&] { return !process_->Running() || StartsLogged() > starts_before_; }, kStartTimeout);
  if (process_->Running() && StartsLogged() > starts_before_) return;
  throw std::runtime_error(fmt::format("the test Kafka broker didn't start. Its log ends so:\n{}\n{}",
                                       LastLines(ReadTextFile(folder_.path() / "stdout")),
                                       LastLines(ReadTextFile(folder_.path() / "stderr"))));
}

std::size_t KafkaBroker::StartsLogged() const {
  const std::string log = ReadTextFile(folder_.path() / "stdout");
  std::size_t count = 0;
  for (std::size_t at = log.find(kStarted); at != std::string::npos; at = log.find(kStarted, at + 1)) ++count;
  return count;
}

std::string KafkaBroker::brokers() const { return fmt::format("127.0.0.1:{}", ports_.broker); }

void KafkaBroker::CreateTopic(const std::string& name, int partitions,
                              const std::map<std::string, std::string>& config) const {
  CreateKafkaTopic(brokers(), name, partitions, 1, config);
}

std::string KafkaBroker::CreateTopic(int partitions, std::string_view prefix) const {
  std::random_device random;
  std::string name = fmt::format("{}{:08x}{:08x}", prefix, random(), random());
  CreateTopic(name, partitions);
  return name;
}

void KafkaBroker::Stop() {
  if (process_) process_->Terminate(kStopTimeout);
}

void KafkaBroker::Kill() {
  if (process_) process_->Kill();
}

void KafkaBroker::Pause() { process_->Pause(); }
void KafkaBroker::Continue() { process_->Continue(); }

void KafkaBroker::Restart() {
  Stop();
  process_.reset();
  Launch();
  AwaitReady();
}

void CreateKafkaTopic(const std::string& brokers, const std::string& name, int partitions, int replicas,
                      const std::map<std::string, std::string>& config) {
  char words[512] = "";
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), words, sizeof words);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  const std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> client(
      rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words), rd_kafka_destroy);
  if (!client) throw std::runtime_error(fmt::format("no Kafka client: {}", words));
  const std::unique_ptr<rd_kafka_queue_t, decltype(&rd_kafka_queue_destroy)> queue(rd_kafka_queue_new(client.get()),
                                                                                   rd_kafka_queue_destroy);
  const std::unique_ptr<rd_kafka_AdminOptions_t, decltype(&rd_kafka_AdminOptions_destroy)> options(
      rd_kafka_AdminOptions_new(client.get(), RD_KAFKA_ADMIN_OP_CREATETOPICS), rd_kafka_AdminOptions_destroy);
  rd_kafka_AdminOptions_set_request_timeout(options.get(), kAdminTimeoutMs, words, sizeof words);
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), kAdminTimeoutMs, words, sizeof words);
  const std::unique_ptr<rd_kafka_NewTopic_t, decltype(&rd_kafka_NewTopic_destroy)> topic(
      rd_kafka_NewTopic_new(name.c_str(), partitions, replicas, words, sizeof words), rd_kafka_NewTopic_destroy);
  if (!topic) throw std::runtime_error(fmt::format("topic {}: {}", name, words));
  for (const auto& [key, value] : config) rd_kafka_NewTopic_set_config(topic.get(), key.c_str(), value.c_str());
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics(client.get(), topics, 1, options.get(), queue.get());
  const std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)> event(
      rd_kafka_queue_poll(queue.get(), kAdminTimeoutMs + 5'000), rd_kafka_event_destroy);
  if (!event) throw std::runtime_error(fmt::format("creating topic {} got no answer", name));
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    throw std::runtime_error(fmt::format("topic {}: {}", name, rd_kafka_event_error_string(event.get())));
  }
  std::size_t count = 0;
  const rd_kafka_topic_result_t** const results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    if (rd_kafka_topic_result_error(results[i]) == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    throw std::runtime_error(fmt::format("topic {}: {}", name, rd_kafka_topic_result_error_string(results[i])));
  }
}

}  // namespace outrider::testing
