#include "platform/kafka/producer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <unordered_map>

#include "platform/kafka/rdkafka.h"

namespace outrider::kafka {
namespace {

using std::chrono::milliseconds;

// What a user may change. A lone record shouldn't wait for company for long, and a batch of the relay is handed over in
// far less than the millisecond; the queue is bounded in bytes and in records, because librdkafka doesn't count its own
// some 200 bytes for each.
const Settings kDefaults = {
    {"client.id", "outrider-relay"},
    {"linger.ms", "1"},
    {"queue.buffering.max.kbytes", "16384"},
    {"queue.buffering.max.messages", "32768"},
    {"socket.nagle.disable", "true"},
    {"reconnect.backoff.max.ms", "1000"},
    {"topic.metadata.propagation.max.ms", "5000"},
};

// One request at a time for each broker (which serves a connection's requests one by one anyway): a broker that doesn't
// know this producer yet takes any sequence, so of two requests under way it could refuse the first and take the
// second.
const Settings kFixed = {
    {"enable.idempotence", "true"},
    {"enable.gapless.guarantee", "true"},
    {"acks", "all"},
    {"max.in.flight.requests.per.connection", "1"},
    {"message.timeout.ms", "0"},
    {"partitioner", "murmur2_random"},
};

// The broker would answer the same for ever. An unknown topic or a missing right heals when somebody acts.
bool IsPoison(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return true;
    default:
      return false;
  }
}

Error ToError(rd_kafka_resp_err_t error, std::string_view detail = {}) {
  return {IsPoison(error) ? ErrorCode::kInvalid : ErrorCode::kUnavailable, Words(error, detail), error};
}

// Without an offset an acknowledgement is librdkafka's conclusion from that of a later record, which proves nothing
// where the broker takes any sequence (kFixed).
DeliveryReport::Kind KindOf(const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR && message.offset >= 0) return DeliveryReport::Kind::kAcked;
  if (message.err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT &&
      rd_kafka_message_status(&message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
    return DeliveryReport::Kind::kNotWritten;
  }
  return DeliveryReport::Kind::kMaybeWritten;
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

}  // namespace

struct KafkaProducer::State {
  static void OnReport(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    static_cast<State*>(opaque)->Take(*message);
  }
  static void OnError(rd_kafka_t* client, int code, const char* reason, void* opaque) {
    auto& state = *static_cast<State*>(opaque);
    const auto error = static_cast<rd_kafka_resp_err_t>(code);
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
      std::array<char, 512> words{};
      const auto fatal = rd_kafka_fatal_error(client, words.data(), words.size());
      state.trouble = Words(fatal, words.data());
      return;
    }
    // Says which broker; the summary that follows doesn't.
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !state.trouble.empty()) return;
    state.trouble = Words(error, reason);
  }

  void Take(const rd_kafka_message_t& message);
  Result<rd_kafka_topic_t*> TopicHandle(std::string_view name);

  std::vector<DeliveryReport>* reports = nullptr;  // of the Poll() that is running
  std::size_t outstanding = 0;
  bool spent = false;
  std::string trouble;
  // The topics go before the client.
  Client client;
  std::unordered_map<std::string, Topic, TextHash, std::equal_to<>> topics;
};

void KafkaProducer::State::Take(const rd_kafka_message_t& message) {
  --outstanding;
  if (reports == nullptr) return;
  DeliveryReport& report = reports->emplace_back();
  report.tag = reinterpret_cast<std::uintptr_t>(message._private);
  report.kind = KindOf(message);
  report.topic = rd_kafka_topic_name(message.rkt);
  if (report.kind == DeliveryReport::Kind::kAcked) {
    report.partition = message.partition;
    report.offset = message.offset;
    trouble.clear();
  } else if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    report.error = {ErrorCode::kUnknown, "the broker acknowledged a later record, but not this one"};
  } else {
    report.error = ToError(message.err);
  }
}

Result<rd_kafka_topic_t*> KafkaProducer::State::TopicHandle(std::string_view name) {
  if (const auto found = topics.find(name); found != topics.end()) return found->second.get();
  Topic topic(rd_kafka_topic_new(client.get(), std::string(name).c_str(), nullptr));
  if (!topic) return Fail(ErrorCode::kInvalid, fmt::format("topic: {}", rd_kafka_err2str(rd_kafka_last_error())));
  return topics.emplace(name, std::move(topic)).first->second.get();
}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::Create(const KafkaOptions& options) {
  auto conf = MakeConf(options, kDefaults, kFixed);
  if (!conf) return std::unexpected(conf.error());
  auto state = std::make_unique<State>();
  rd_kafka_conf_set_opaque(conf->get(), state.get());
  rd_kafka_conf_set_dr_msg_cb(conf->get(), State::OnReport);
  rd_kafka_conf_set_error_cb(conf->get(), State::OnError);
  auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  state->client = std::move(*client);
  return std::unique_ptr<KafkaProducer>(new KafkaProducer(std::move(state)));
}

KafkaProducer::KafkaProducer(std::unique_ptr<State> state) : state_(std::move(state)) {}

KafkaProducer::~KafkaProducer() {
  Purge();
  rd_kafka_poll(state_->client.get(), 0);
}

Result<void> KafkaProducer::Produce(const ProducerRecord& record) {
  if (state_->spent) return std::unexpected(*fatal_error());
  auto topic = state_->TopicHandle(record.topic);
  if (!topic) return std::unexpected(topic.error());
  Headers headers(rd_kafka_headers_new(record.headers.size()));
  for (const auto& [name, value] : record.headers) {
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  }
  std::array<rd_kafka_vu_t, 6> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = *topic;
  parts[1].vtype = RD_KAFKA_VTYPE_KEY;
  parts[1].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
  parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[2].u.mem = {const_cast<char*>(record.value.data()), record.value.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[3].u.headers = headers.get();
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_COPY;
  parts[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[5].u.ptr = reinterpret_cast<void*>(static_cast<std::uintptr_t>(record.tag));
  const std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>> refused(
      rd_kafka_produceva(state_->client.get(), parts.data(), parts.size()));
  if (!refused) {
    (void)headers.release();
    ++state_->outstanding;
    return {};
  }
  const rd_kafka_resp_err_t code = rd_kafka_error_code(refused.get());
  return std::unexpected(ToError(code, rd_kafka_error_string(refused.get())));
}

std::size_t KafkaProducer::Poll(milliseconds wait, std::vector<DeliveryReport>& reports) {
  const std::size_t before = reports.size();
  const auto deadline = std::chrono::steady_clock::now() + wait;
  state_->reports = &reports;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    rd_kafka_poll(state_->client.get(), static_cast<int>(std::max<milliseconds::rep>(left.count(), 0)));
    if (reports.size() > before || std::chrono::steady_clock::now() >= deadline) break;
  }
  state_->reports = nullptr;
  return reports.size() - before;
}

void KafkaProducer::Purge() {
  if (state_->outstanding == 0) return;
  state_->spent = true;
  rd_kafka_purge(state_->client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

std::size_t KafkaProducer::outstanding() const { return state_->outstanding; }

std::optional<Error> KafkaProducer::fatal_error() const {
  std::array<char, 512> words{};
  const auto code = rd_kafka_fatal_error(state_->client.get(), words.data(), words.size());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return Error{ErrorCode::kUnavailable, Words(code, words.data()), code};
  if (state_->spent) {
    return Error{ErrorCode::kUnavailable, "records were given up, and the broker would miss them in the sequence"};
  }
  return std::nullopt;
}

std::string KafkaProducer::last_trouble() const { return state_->outstanding == 0 ? "" : state_->trouble; }

}  // namespace outrider::kafka
