#include "outbox/kafka_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "platform/kafka/producer.h"

namespace outrider::outbox {
namespace {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

// Numbers of Kafka's protocol.
constexpr int kInvalidMessageSize = 4;
constexpr int kMessageTooLarge = 10;
constexpr int kInvalidTopic = 17;
constexpr int kRecordListTooLarge = 18;

PoisonReason ReasonOf(int native_code) {
  switch (native_code) {
    case kInvalidMessageSize:
    case kMessageTooLarge:
    case kRecordListTooLarge:
      return PoisonReason::kTooLarge;
    case kInvalidTopic:
      return PoisonReason::kIllegalTopic;
    default:
      return PoisonReason::kCannotBePublished;
  }
}

}  // namespace

struct KafkaSink::State {
  State(kafka::KafkaOptions kafka_options, Routes the_routes)
      : options(std::move(kafka_options)), routes(std::move(the_routes)) {}

  Result<void> Connect() {
    auto created = kafka::KafkaProducer::Create(options);
    if (!created) {
      rebuild_trouble = created.error().message;
      return std::unexpected(created.error());
    }
    producer = std::move(*created);
    rebuild_trouble.clear();
    return {};
  }

  // The old producer goes only when it owes no report. Its requests that are still on their way can't reorder anything:
  // the broker takes them in their own sequence, so of two rows each producer writes the earlier one first, and the
  // first copies stay in order.
  void RebuildIfFatal() {
    if (producer) {
      const auto fatal = producer->fatal_error();
      if (!fatal) return;
      rebuild_trouble = fatal->message;
      producer->Purge();
      if (producer->outstanding() > 0) return;
      producer.reset();
    }
    (void)Connect();
  }

  const kafka::KafkaOptions options;
  const Routes routes;
  std::unique_ptr<kafka::KafkaProducer> producer;
  // Outlive the producers that report them.
  std::unordered_set<std::string, TextHash, std::equal_to<>> topics;
  std::string topic;  // of the row in Submit(), for its memory
  std::vector<kafka::DeliveryReport> deliveries;
  std::string rebuild_trouble;
};

Result<std::unique_ptr<KafkaSink>> KafkaSink::Create(const kafka::KafkaOptions& options, Routes routes) {
  auto state = std::make_unique<State>(options, std::move(routes));
  if (auto connected = state->Connect(); !connected) return std::unexpected(connected.error());
  return std::unique_ptr<KafkaSink>(new KafkaSink(std::move(state)));
}

KafkaSink::KafkaSink(std::unique_ptr<State> state) : state_(std::move(state)) {}
KafkaSink::~KafkaSink() = default;

Result<void> KafkaSink::Submit(const OutboxRow& row) {
  std::string& topic = state_->topic;
  if (auto found = FindTopic(state_->routes, row.aggregatetype, topic); !found) return found;
  if (!state_->producer || state_->producer->fatal_error()) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the Kafka producer is being rebuilt: {}", state_->rebuild_trouble));
  }
  const std::string created_at = FormatRfc3339(row.created_at);
  std::array<std::pair<std::string_view, std::string_view>, 5> headers = {
      {{"id", row.id}, {"eventType", row.type}, {"createdAt", created_at}}};
  std::size_t count = 3;
  if (row.traceparent) headers[count++] = {"traceparent", *row.traceparent};
  if (row.tracestate) headers[count++] = {"tracestate", *row.tracestate};
  auto taken = state_->producer->Produce({topic, row.aggregateid, row.payload, {headers.data(), count}, row.seq});
  if (!taken && taken.error().code == ErrorCode::kInvalid) {
    return Fail(ErrorCode::kInvalid, taken.error().message, static_cast<int>(ReasonOf(taken.error().native_code)));
  }
  return taken;
}

void KafkaSink::Poll(std::chrono::milliseconds wait, std::vector<PublishReport>& reports) {
  state_->RebuildIfFatal();
  if (!state_->producer) return;
  state_->deliveries.clear();
  state_->producer->Poll(wait, state_->deliveries);
  for (const kafka::DeliveryReport& delivery : state_->deliveries) {
    PublishReport& report = reports.emplace_back();
    report.seq = delivery.tag;
    auto topic = state_->topics.find(delivery.topic);
    if (topic == state_->topics.end()) topic = state_->topics.emplace(delivery.topic).first;
    report.topic = *topic;
    if (delivery.kind == kafka::DeliveryReport::Kind::kAcked) {
      report.kind = PublishReport::Kind::kStored;
      report.partition = delivery.partition;
      report.offset = delivery.offset;
      continue;
    }
    const bool poison =
        delivery.kind == kafka::DeliveryReport::Kind::kNotWritten && delivery.error.code == ErrorCode::kInvalid;
    report.kind = poison ? PublishReport::Kind::kPoison : PublishReport::Kind::kNotStored;
    report.problem = delivery.error.message;
  }
}

void KafkaSink::Abandon() {
  if (state_->producer) state_->producer->Purge();
}

std::size_t KafkaSink::outstanding() const { return state_->producer ? state_->producer->outstanding() : 0; }

std::string KafkaSink::trouble() const {
  if (!state_->rebuild_trouble.empty()) return state_->rebuild_trouble;
  return state_->producer ? state_->producer->last_trouble() : "";
}

}  // namespace outrider::outbox
