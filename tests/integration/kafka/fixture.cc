#include "tests/integration/kafka/fixture.h"

#include <fmt/format.h>

#include <random>
#include <stdexcept>

namespace outrider::kafka {

using SteadyClock = std::chrono::steady_clock;

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

std::vector<Event> ReadAll(const KafkaOptions& options, const std::string& topic, std::size_t count) {
  return AwaitEvents(*OpenConsumer(options, NewGroup(), {topic}), count);
}

}  // namespace outrider::kafka
