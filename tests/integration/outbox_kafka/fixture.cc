#include "tests/integration/outbox_kafka/fixture.h"

#include <fmt/format.h>

#include <random>
#include <stdexcept>

#include "platform/kafka/consumer.h"

namespace outrider::outbox {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kPoll{50};

std::string RandomName() {
  std::random_device random;
  return fmt::format("t{:08x}{:08x}", random(), random());
}

}  // namespace

std::unique_ptr<KafkaSink> OpenSink(const kafka::KafkaOptions& options) {
  auto sink = KafkaSink::Create(options);
  if (!sink) throw std::runtime_error(sink.error().message);
  return std::move(*sink);
}

OutboxRow RowOf(std::uint64_t seq, const std::string& aggregatetype, const std::string& key) {
  OutboxRow row;
  row.seq = seq;
  row.id = fmt::format("00000000-0000-4000-8000-{:012}", seq);
  row.aggregatetype = aggregatetype;
  row.aggregateid = key;
  row.type = "notification.requested";
  row.payload = fmt::format(R"({{"n":{}}})", seq);
  row.created_at = Timestamp(std::chrono::seconds(1'700'000'000));
  return row;
}

void Submit(KafkaSink& sink, const OutboxRow& row, std::vector<PublishReport>& reports) {
  const auto deadline = SteadyClock::now() + kPatience;
  auto taken = sink.Submit(row);
  while (!taken && taken.error().code == ErrorCode::kUnavailable && SteadyClock::now() < deadline) {
    sink.Poll(kPoll, reports);
    taken = sink.Submit(row);
  }
  if (!taken) throw std::runtime_error(taken.error().message);
}

void AwaitReports(KafkaSink& sink, std::size_t count, std::vector<PublishReport>& reports) {
  const auto deadline = SteadyClock::now() + kPatience;
  while (reports.size() < count && SteadyClock::now() < deadline) sink.Poll(kPoll, reports);
  if (reports.size() == count) return;
  throw std::runtime_error(fmt::format("{} reports of {}; trouble: \"{}\"", reports.size(), count, sink.trouble()));
}

std::string NewAggregateType(const testing::KafkaBroker& broker, int partitions,
                             const std::map<std::string, std::string>& config) {
  const std::string name = RandomName();
  broker.CreateTopic("outbox.event." + name, partitions, config);
  return name;
}

std::vector<Event> Read(const kafka::KafkaOptions& options, const std::string& aggregatetype, std::size_t count) {
  auto consumer = kafka::KafkaConsumer::Create(options, RandomName(), {"outbox.event." + aggregatetype}, {});
  if (!consumer) throw std::runtime_error(consumer.error().message);
  std::vector<Event> events;
  const auto deadline = SteadyClock::now() + kPatience;
  const auto take = [&] {
    auto polled = (*consumer)->Poll(kPoll, 1'000);
    if (!polled) return false;
    events.insert(events.end(), polled->begin(), polled->end());
    return !polled->empty();
  };
  while (events.size() < count && SteadyClock::now() < deadline) take();
  while (!events.empty() && take()) {
  }
  if (events.size() >= count) return events;
  throw std::runtime_error(fmt::format("{} events of {} in the topic", events.size(), count));
}

}  // namespace outrider::outbox
