#include "platform/kafka/consumer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "platform/kafka/rdkafka.h"

namespace outrider::kafka {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kCommitPatience{3'000};
constexpr milliseconds kClosePatience{3'000};
constexpr milliseconds kLookAgain{1'000};
constexpr milliseconds kLookPatience{500};

// What a user may change. What is fetched ahead is bounded in bytes; a member that dies is replaced after six seconds,
// which is as soon as a broker allows by default; a topic or partition that is new is seen after ten.
const Settings kDefaults = {
    {"client.id", "outrider-consumer"},      {"session.timeout.ms", "6000"},
    {"heartbeat.interval.ms", "1500"},       {"queued.min.messages", "10000"},
    {"queued.max.messages.kbytes", "16384"}, {"topic.metadata.refresh.interval.ms", "10000"},
    {"reconnect.backoff.max.ms", "1000"},
};

const Settings kFixed = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "earliest"},
    {"isolation.level", "read_committed"},
    {"partition.assignment.strategy", "cooperative-sticky"},
};

bool NeedsAPerson(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
      return true;
    default:
      return false;
  }
}

Error ToError(rd_kafka_resp_err_t error, std::string_view detail) {
  return {NeedsAPerson(error) ? ErrorCode::kInvalid : ErrorCode::kUnavailable, Words(error, detail), error};
}

Error ToCommitError(rd_kafka_resp_err_t error, std::string_view detail) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
      return {ErrorCode::kConflict, Words(error, detail), error};
    case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
      return {ErrorCode::kInvalid, Words(error, detail), error};
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return {ErrorCode::kUnknown, Words(error, detail), error};
    default:
      return ToError(error, detail);
  }
}

std::vector<TopicPartition> ToPartitions(const rd_kafka_topic_partition_list_t& list) {
  std::vector<TopicPartition> partitions;
  for (int i = 0; i < list.cnt; ++i) partitions.push_back({list.elems[i].topic, list.elems[i].partition});
  return partitions;
}

PartitionList ToList(const std::vector<TopicPartition>& partitions) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const auto& [topic, partition] : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  }
  return list;
}

std::string PlaceOf(const rd_kafka_topic_partition_t& place) {
  return fmt::format("{}/{}", place.topic, place.partition);
}

std::optional<std::string> ToText(const void* bytes, std::size_t size) {
  if (bytes == nullptr) return std::nullopt;
  return std::string(static_cast<const char*>(bytes), size);
}

Event ToEvent(const rd_kafka_message_t& message) {
  Event event;
  event.position = {rd_kafka_topic_name(message.rkt), message.partition, message.offset};
  event.key = ToText(message.key, message.key_len);
  event.value = ToText(message.payload, message.len);
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t time = rd_kafka_message_timestamp(&message, &type);
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time > 0) event.timestamp = Timestamp(milliseconds(time));
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return event;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    event.headers.push_back({name, ToText(value, size)});
  }
  return event;
}

}  // namespace

struct KafkaConsumer::State {
  static void OnRebalance(rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* list, void* opaque) {
    static_cast<State*>(opaque)->Rebalance(error, *list);
  }
  static void OnError(rd_kafka_t*, int code, const char* reason, void* opaque) {
    static_cast<State*>(opaque)->TakeError(static_cast<rd_kafka_resp_err_t>(code), reason);
  }

  void Rebalance(rd_kafka_resp_err_t error, const rd_kafka_topic_partition_list_t& list);
  void Gain(const rd_kafka_topic_partition_list_t& list);
  void GiveUp(const rd_kafka_topic_partition_list_t& list);
  void TakeError(rd_kafka_resp_err_t error, std::string_view reason);
  void Take(const rd_kafka_message_t& message);
  void LookAgain(milliseconds wait);
  Result<void> Send(const PartitionList& offsets);
  Result<void> SetPaused(const std::vector<TopicPartition>& partitions, bool paused);
  static void KeepForever(std::shared_ptr<State> state);

  RebalanceListener listener;
  Client client;
  Queue answers;  // of a commit that isn't answered yet; nothing: there is none
  bool closed = false;
  bool told = false;  // by the group what its share is, at least once
  std::set<TopicPartition> assigned;
  std::vector<Event> batch;  // of the Poll() that is running
  // The newest trouble of one broker, in words; it is the group's only when no broker is left.
  std::string broker_words;
  bool doubtful = false;  // one broker was lost: is there another?
  std::optional<Error> trouble;
  SteadyClock::time_point look_at{};
};

void KafkaConsumer::State::Rebalance(rd_kafka_resp_err_t error, const rd_kafka_topic_partition_list_t& list) {
  told = true;
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    Gain(list);
  } else {
    GiveUp(list);
  }
}

void KafkaConsumer::State::Gain(const rd_kafka_topic_partition_list_t& list) {
  const std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>> failed(
      rd_kafka_incremental_assign(client.get(), &list));
  if (failed) {
    TakeError(rd_kafka_error_code(failed.get()), rd_kafka_error_string(failed.get()));
    return;
  }
  const std::vector<TopicPartition> gained = ToPartitions(list);
  assigned.insert(gained.begin(), gained.end());
  (void)SetPaused(gained, false);
  if (listener.on_assigned && !gained.empty()) listener.on_assigned(gained);
}

void KafkaConsumer::State::GiveUp(const rd_kafka_topic_partition_list_t& list) {
  // Without those whose assignment was overtaken by the end of the consumer.
  std::vector<TopicPartition> gone = ToPartitions(list);
  std::erase_if(gone, [&](const TopicPartition& partition) { return !assigned.contains(partition); });
  const bool lost = rd_kafka_assignment_lost(client.get()) != 0;
  const auto forget = [&] {
    for (const TopicPartition& partition : gone) assigned.erase(partition);
  };
  // They come again, here or elsewhere, from the last committed offset.
  std::erase_if(batch, [&](const Event& event) {
    return std::find(gone.begin(), gone.end(), TopicPartition{event.position.topic, event.position.partition}) !=
           gone.end();
  });
  if (lost) forget();
  if (listener.on_revoked && !gone.empty()) listener.on_revoked(gone, lost);
  forget();
  const std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>> failed(
      rd_kafka_incremental_unassign(client.get(), &list));
  if (failed) TakeError(rd_kafka_error_code(failed.get()), rd_kafka_error_string(failed.get()));
}

void KafkaConsumer::State::TakeError(rd_kafka_resp_err_t error, std::string_view reason) {
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, 512> words{};
    const auto fatal = rd_kafka_fatal_error(client.get(), words.data(), words.size());
    trouble = ToError(fatal, words.data());
    return;
  }
  if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__RESOLVE) {
    broker_words = Words(error, reason);
    doubtful = true;
    return;
  }
  trouble =
      ToError(error, error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !broker_words.empty() ? broker_words : reason);
}

void KafkaConsumer::State::Take(const rd_kafka_message_t& message) {
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    TakeError(message.err, rd_kafka_message_errstr(&message));
    return;
  }
  trouble.reset();
  batch.push_back(ToEvent(message));
}

// librdkafka says when trouble begins, not when it ends; and "all brokers down" not at all while it looks for the
// group's coordinator. The owner has nothing better to do meanwhile.
void KafkaConsumer::State::LookAgain(milliseconds wait) {
  const auto now = SteadyClock::now();
  if (now < look_at || wait <= milliseconds(0)) return;
  look_at = now + kLookAgain;
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(client.get(), 0, nullptr, &metadata, static_cast<int>(kLookPatience.count())) !=
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (!trouble) trouble = Error{ErrorCode::kUnavailable, broker_words, RD_KAFKA_RESP_ERR__TRANSPORT};
    return;
  }
  doubtful = false;
  bool known = true;
  for (int i = 0; i < metadata->topic_cnt; ++i) known = known && metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_metadata_destroy(metadata);
  if (known) trouble.reset();
}

Result<std::unique_ptr<KafkaConsumer>> KafkaConsumer::Create(const KafkaOptions& options, const std::string& group,
                                                             const std::vector<std::string>& topics,
                                                             RebalanceListener listener) {
  Settings fixed = kFixed;
  fixed.emplace_back("group.id", group);
  auto conf = MakeConf(options, kDefaults, fixed);
  if (!conf) return std::unexpected(conf.error());
  auto state = std::make_shared<State>();
  state->listener = std::move(listener);
  rd_kafka_conf_set_opaque(conf->get(), state.get());
  rd_kafka_conf_set_rebalance_cb(conf->get(), State::OnRebalance);
  rd_kafka_conf_set_error_cb(conf->get(), State::OnError);
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  state->client = std::move(*client);
  rd_kafka_poll_set_consumer(state->client.get());
  const PartitionList subscription(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const std::string& topic : topics) {
    rd_kafka_topic_partition_list_add(subscription.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  const auto subscribed = rd_kafka_subscribe(state->client.get(), subscription.get());
  if (subscribed != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(ErrorCode::kInvalid, Words(subscribed, fmt::format("{} topics, group {}", topics.size(), group)),
                subscribed);
  }
  return std::unique_ptr<KafkaConsumer>(new KafkaConsumer(std::move(state)));
}

KafkaConsumer::KafkaConsumer(std::shared_ptr<State> state) : state_(std::move(state)) {}

KafkaConsumer::~KafkaConsumer() { Close(); }

Result<std::vector<Event>> KafkaConsumer::Poll(milliseconds wait, std::size_t max) {
  State& state = *state_;
  if (state.closed) return Fail(ErrorCode::kUnavailable, "the consumer is closed");
  state.batch.clear();
  const auto deadline = SteadyClock::now() + wait;
  if (state.trouble || state.doubtful) state.LookAgain(wait);
  while (state.batch.size() < max) {
    milliseconds left{0};
    if (state.batch.empty()) left = std::chrono::ceil<milliseconds>(deadline - SteadyClock::now());
    const Message message(
        rd_kafka_consumer_poll(state.client.get(), static_cast<int>(std::max<milliseconds::rep>(left.count(), 0))));
    if (message) state.Take(*message);
    const bool more = message && message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!more && (!state.batch.empty() || SteadyClock::now() >= deadline)) break;
  }
  if (!state.batch.empty()) return std::exchange(state.batch, {});
  if (state.trouble) return std::unexpected(*state.trouble);
  return std::vector<Event>();
}

Result<void> KafkaConsumer::State::Send(const PartitionList& offsets) {
  const auto deadline = SteadyClock::now() + kCommitPatience;
  const auto await = [&] {
    const auto left = std::chrono::ceil<milliseconds>(deadline - SteadyClock::now());
    return QueuedEvent(
        rd_kafka_queue_poll(answers.get(), static_cast<int>(std::max<milliseconds::rep>(left.count(), 0))));
  };
  const auto no_answer = [] {
    return Fail(ErrorCode::kUnknown,
                fmt::format("no answer to an offset commit within {} ms", kCommitPatience.count()));
  };
  // librdkafka keeps a commit until there is a coordinator, and one that came later may be sent before it: the older
  // offset would stand in the end.
  if (answers && !await()) return no_answer();
  answers.reset(rd_kafka_queue_new(client.get()));
  const auto sent = rd_kafka_commit_queue(client.get(), offsets.get(), answers.get(), nullptr, nullptr);
  if (sent != RD_KAFKA_RESP_ERR_NO_ERROR) {
    answers.reset();
    return std::unexpected(ToCommitError(sent, {}));
  }
  const QueuedEvent answer = await();
  if (!answer) return no_answer();
  answers.reset();
  const auto error = rd_kafka_event_error(answer.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR__NO_OFFSET) {
    return std::unexpected(ToCommitError(error, rd_kafka_event_error_string(answer.get())));
  }
  const rd_kafka_topic_partition_list_t* const places = rd_kafka_event_topic_partition_list(answer.get());
  for (int i = 0; places != nullptr && i < places->cnt; ++i) {
    const rd_kafka_topic_partition_t& place = places->elems[i];
    if (place.err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(ToCommitError(place.err, PlaceOf(place)));
  }
  return {};
}

// The broker takes any offset from a member of the group, whoever owns the partition; so what isn't ours stays here.
Result<void> KafkaConsumer::Commit(const std::vector<EventPosition>& next_offsets) {
  const PartitionList offsets(rd_kafka_topic_partition_list_new(static_cast<int>(next_offsets.size())));
  std::string foreign;
  for (const EventPosition& next : next_offsets) {
    if (!state_->assigned.contains({next.topic, next.partition})) {
      foreign = fmt::format("{}/{}", next.topic, next.partition);
      continue;
    }
    rd_kafka_topic_partition_list_add(offsets.get(), next.topic.c_str(), next.partition)->offset = next.offset;
  }
  if (offsets->cnt > 0) {
    if (auto committed = state_->Send(offsets); !committed) return committed;
  }
  if (!foreign.empty()) return Fail(ErrorCode::kConflict, fmt::format("{} belongs to another member now", foreign));
  return {};
}

Result<void> KafkaConsumer::State::SetPaused(const std::vector<TopicPartition>& partitions, bool paused) {
  if (!client) return Fail(ErrorCode::kConflict, "the consumer is closed");
  const PartitionList list = ToList(partitions);
  const auto error = paused ? rd_kafka_pause_partitions(client.get(), list.get())
                            : rd_kafka_resume_partitions(client.get(), list.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(ToError(error, {}));
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& place = list->elems[i];
    if (place.err == RD_KAFKA_RESP_ERR_NO_ERROR && assigned.contains({place.topic, place.partition})) continue;
    return Fail(ErrorCode::kConflict, fmt::format("{} isn't assigned to this member", PlaceOf(place)), place.err);
  }
  return {};
}

Result<void> KafkaConsumer::Pause(const std::vector<TopicPartition>& partitions) {
  return state_->SetPaused(partitions, true);
}

Result<void> KafkaConsumer::Resume(const std::vector<TopicPartition>& partitions) {
  return state_->SetPaused(partitions, false);
}

std::vector<TopicPartition> KafkaConsumer::assignment() const {
  return {state_->assigned.begin(), state_->assigned.end()};
}

// librdkafka 2.0 ends the process when a member is destroyed that has joined its group and wasn't told its share yet
// (its assertion on assignor_state, gone in 2.3), and doesn't say who has joined.
void KafkaConsumer::State::KeepForever(std::shared_ptr<State> state) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::shared_ptr<State>>();
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(state));
}

void KafkaConsumer::Close() {
  State& state = *state_;
  if (std::exchange(state.closed, true)) return;
  Queue queue(rd_kafka_queue_new(state.client.get()));
  const std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>> failed(
      rd_kafka_consumer_close_queue(state.client.get(), queue.get()));
  const auto deadline = SteadyClock::now() + kClosePatience;
  while (!failed && rd_kafka_consumer_closed(state.client.get()) == 0 && SteadyClock::now() < deadline) {
    const QueuedEvent event(rd_kafka_queue_poll(queue.get(), 100));
    if (!event || rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_REBALANCE) continue;
    state.told = true;
    // An assignment that wasn't served yet: librdkafka would take the answer to it for the end of everything and leave
    // before the revocation is served.
    if (rd_kafka_event_error(event.get()) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) continue;
    state.Rebalance(rd_kafka_event_error(event.get()), *rd_kafka_event_topic_partition_list(event.get()));
  }
  const std::vector<TopicPartition> kept(state.assigned.begin(), state.assigned.end());
  state.assigned.clear();
  if (state.listener.on_revoked && !kept.empty()) state.listener.on_revoked(kept, true);
  state.listener = {};
  state.answers.reset();
  queue.reset();
  if (!state.told) {
    State::KeepForever(state_);
    return;
  }
  const auto destroy = [](rd_kafka_t* client) { rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); };
  if (rd_kafka_consumer_closed(state.client.get()) != 0) {
    destroy(state.client.release());
    return;
  }
  // librdkafka waits for the broker's answer to the farewell, and that may not come.
  std::thread([destroy, callbacks = state_, client = state.client.release()] { destroy(client); }).detach();
}

}  // namespace outrider::kafka
