#include "tests/integration/kafka/fixture.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <random>
#include <stdexcept>

namespace outrider::kafka {
namespace {

using SteadyClock = std::chrono::steady_clock;

// librdkafka alone, outside of every group.
std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> OpenObserver(const KafkaOptions& options) {
  char words[512] = "";
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", options.brokers.c_str(), words, sizeof words);
  rd_kafka_conf_set(conf, "group.id", "none", words, sizeof words);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  rd_kafka_t* const client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
  if (client == nullptr) throw std::runtime_error(words);
  return {client, rd_kafka_destroy};
}

}  // namespace

std::unique_ptr<KafkaProducer> OpenProducer(const KafkaOptions& options) {
  auto producer = KafkaProducer::Create(options);
  if (!producer) throw std::runtime_error(producer.error().message);
  return std::move(*producer);
}

std::unique_ptr<KafkaConsumer> OpenConsumer(const KafkaOptions& options, const std::string& group,
                                            const std::vector<std::string>& topics, RebalanceListener listener) {
  auto consumer = KafkaConsumer::Create(options, group, topics, std::move(listener));
  if (!consumer) throw std::runtime_error(consumer.error().message);
  return std::move(*consumer);
}

std::string NewGroup() {
  std::random_device random;
  return fmt::format("group-{:08x}{:08x}", random(), random());
}

void AwaitStableGroup(const KafkaOptions& options, const std::string& group) {
  const auto client = OpenObserver(options);
  std::string state = "unknown";
  const auto deadline = SteadyClock::now() + kPatience;
  while (state != "Stable" && SteadyClock::now() < deadline) {
    const rd_kafka_group_list* groups = nullptr;
    const auto asked =
        rd_kafka_list_groups(client.get(), group.c_str(), &groups, static_cast<int>(kPatience.count()) * 1000);
    if (asked != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    if (groups->group_cnt == 1) state = groups->groups[0].state;
    rd_kafka_group_list_destroy(groups);
  }
  if (state != "Stable") throw std::runtime_error(fmt::format("the group's state is {}", state));
}

void Produce(KafkaProducer& producer, std::string_view topic, std::string_view key, std::string_view value,
             std::uint64_t tag) {
  const auto taken = producer.Produce({topic, key, value, {}, tag});
  if (!taken) throw std::runtime_error(taken.error().message);
}

std::vector<DeliveryReport> AwaitReports(KafkaProducer& producer, std::size_t count) {
  std::vector<DeliveryReport> reports;
  const auto deadline = SteadyClock::now() + kPatience;
  while (reports.size() < count && SteadyClock::now() < deadline) producer.Poll(kPoll, reports);
  if (reports.size() == count) return reports;
  throw std::runtime_error(
      fmt::format("{} reports of {}; trouble: \"{}\"", reports.size(), count, producer.last_trouble()));
}

DeliveryReport Publish(KafkaProducer& producer, std::string_view topic, std::string_view key, std::string_view value) {
  Produce(producer, topic, key, value);
  DeliveryReport report = AwaitReports(producer, 1).front();
  if (report.kind != DeliveryReport::Kind::kAcked) throw std::runtime_error(report.error.message);
  return report;
}

bool PollUntil(KafkaConsumer& consumer, const std::function<bool()>& done) {
  const auto deadline = SteadyClock::now() + kPatience;
  while (!done() && SteadyClock::now() < deadline) (void)consumer.Poll(kPoll, 100);
  return done();
}

std::vector<Event> AwaitEvents(KafkaConsumer& consumer, std::size_t count) {
  std::vector<Event> events;
  std::string words;
  const auto deadline = SteadyClock::now() + kPatience;
  while (events.size() < count && SteadyClock::now() < deadline) {
    auto polled = consumer.Poll(kPoll, count - events.size());
    if (!polled) {
      words = polled.error().message;
      continue;
    }
    events.insert(events.end(), std::make_move_iterator(polled->begin()), std::make_move_iterator(polled->end()));
  }
  if (events.size() == count) return events;
  throw std::runtime_error(fmt::format("{} events of {}; last error: \"{}\"", events.size(), count, words));
}

std::vector<std::string> Values(const std::vector<Event>& events) {
  std::vector<std::string> values;
  for (const Event& event : events) values.push_back(event.value.value_or("(none)"));
  return values;
}

std::vector<std::string> ReadLog(const KafkaOptions& options, const std::string& topic, std::size_t count) {
  const auto client = OpenObserver(options);
  rd_kafka_topic_partition_list_t* const places = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(places, topic.c_str(), 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_assign(client.get(), places);
  rd_kafka_topic_partition_list_destroy(places);
  std::vector<std::string> values;
  const auto deadline = SteadyClock::now() + kPatience;
  while (values.size() < count && SteadyClock::now() < deadline) {
    rd_kafka_message_t* const message = rd_kafka_consumer_poll(client.get(), static_cast<int>(kPoll.count()));
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      values.emplace_back(static_cast<const char*>(message->payload), message->len);
    }
    rd_kafka_message_destroy(message);
  }
  if (values.size() < count) throw std::runtime_error(fmt::format("{} records of {} in the log", values.size(), count));
  return values;
}

testing::KafkaBroker& OutageTest::Broker() {
  static const std::unique_ptr<testing::KafkaBroker> broker = testing::KafkaBroker::Start();
  return *broker;
}

void OutageTest::Kill() {
  down_ = true;
  broker_.Kill();
}

void OutageTest::Stop() {
  down_ = true;
  broker_.Stop();
}

void OutageTest::Pause() {
  paused_ = true;
  broker_.Pause();
}

void OutageTest::Heal() {
  if (std::exchange(paused_, false)) broker_.Continue();
  if (std::exchange(down_, false)) broker_.Restart();
}

}  // namespace outrider::kafka
