#include "app/delivery_bench/floor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "app/bench_report/usage.h"
#include "model/digest.h"
#include "model/request.h"
#include "model/time.h"
#include "platform/http/bare_client.h"
#include "platform/kafka/bare_consumer.h"
#include "platform/kafka/producer.h"

namespace outrider::app {
namespace {

using SteadyClock = std::chrono::steady_clock;
using mysql::Param;

constexpr std::size_t kInsertBatch = 500;
constexpr std::size_t kClaimBatch = 250;
constexpr std::size_t kSettleBatch = 250;
constexpr std::size_t kHttpConnections = 64;
constexpr std::int64_t kNobodysShard = -1;

// {0}: rows.
constexpr std::string_view kInsert =
    "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, shard, "
    "due_at, priority, request, source_topic, source_partition, source_offset, source_key, committed_at, status) "
    "VALUES {0}";
constexpr std::string_view kRow = "(?, 'default', ?, ?, ?, ?, ?, ?, 1, ?, ?, 0, ?, ?, ?, 'pending')";
// By primary key.
constexpr std::string_view kClaim =
    "UPDATE notification_records SET status = 'sending', version = version + 1, attempt_no = attempt_no + 1, "
    "attempts_spent = attempts_spent + 1, lease_owner = ?, due_at = NOW(6) + INTERVAL 60 SECOND, updated_at = NOW(6) "
    "WHERE id BETWEEN ? AND ? AND status = 'pending'";
constexpr std::string_view kSettle =
    "UPDATE notification_records SET status = 'sent', version = version + 1, due_at = NULL, lease_owner = NULL, "
    "provider = 'feishu_bot', provider_log_id = ?, sent_at = NOW(6), updated_at = NOW(6) "
    "WHERE id BETWEEN ? AND ? AND status = 'sending'";
// {0}: rows.
constexpr std::string_view kAttempts =
    "INSERT INTO notification_attempts (record_id, attempt_no, started_at, duration_us, worker, provider, verdict, "
    "http_status, provider_code, provider_log_id, answer) VALUES {0}";
constexpr std::string_view kAttempt =
    "(?, 1, NOW(6), 1500, 'a-host.of-some-length:12345:0123abcd', 'feishu_bot', 'accepted', 200, '0', "
    "'fake000000123456', "
    "'{\"StatusCode\":0,\"StatusMessage\":\"success\",\"code\":0,\"data\":{},\"msg\":\"success\"}')";

double Since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

std::string Rows(std::string_view row, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text.append(i == 0 ? "" : ", ").append(row);
  return text;
}

class SqlFloor final {
 public:
  SqlFloor(DeliveryGround& ground, std::string prefix) : ground_(ground), prefix_(std::move(prefix)) {}

  Result<void> Insert(std::size_t first, std::size_t count) {
    struct Texts {
      std::string key, hash, request, channel;
    };
    std::vector<Texts> texts;
    std::vector<Param> params;
    const Timestamp now = SystemClock().Now();
    texts.reserve(count);
    for (std::size_t i = first; i < first + count; ++i) {
      std::string key = fmt::format("{}{}", prefix_, i);
      std::string hash(AsBytes(Sha256(key)));
      std::string payload = ground_.Payload(key, i);
      texts.push_back({std::move(key), std::move(hash), std::move(payload), ground_.Channel(i)});
      const Texts& row = texts.back();
      params.insert(params.end(), {std::string_view(row.hash), std::string_view(row.channel), std::string_view(row.key),
                                   std::string_view(row.key), std::string_view(row.hash), kNobodysShard, now,
                                   std::string_view(row.request), std::string_view("outbox.event.outrider-bench-floor"),
                                   static_cast<std::int64_t>(i), std::string_view(row.key), now});
    }
    if (auto done = Transact(fmt::format(kInsert, Rows(kRow, count)), params); !done) return done;
    if (first == 0) first_id_ = static_cast<std::int64_t>(last_.insert_id);
    return {};
  }

  Result<void> Claim(std::size_t first, std::size_t count) {
    const std::array<Param, 3> params = {std::string_view("a-host.of-some-length:12345:0123abcd#1f"), Id(first),
                                         Id(first + count - 1)};
    return Transact(kClaim, params);
  }

  Result<void> Settle(std::size_t first, std::size_t count) {
    const std::array<Param, 3> params = {std::string_view("fake000000123456"), Id(first), Id(first + count - 1)};
    std::vector<Param> attempts;
    for (std::size_t i = first; i < first + count; ++i) attempts.emplace_back(Id(i));
    return Transact(kSettle, params, std::string(kAttempts.substr(0, kAttempts.size() - 3)) + Rows(kAttempt, count),
                    attempts);
  }

 private:
  Result<void> Transact(std::string_view sql, std::span<const Param> params, std::string_view then = {},
                        std::span<const Param> then_params = {}) {
    mysql::MysqlConnection& connection = ground_.connection();
    if (auto begun = connection.Begin(); !begun) return begun;
    auto done = connection.Execute(sql, params);
    if (done && !then.empty()) done = connection.Execute(then, then_params);
    if (!done) {
      connection.Rollback();
      return std::unexpected(done.error());
    }
    last_ = std::move(*done);
    return connection.Commit();
  }

  std::int64_t Id(std::size_t number) const { return first_id_ + static_cast<std::int64_t>(number); }
  DeliveryGround& ground_;
  const std::string prefix_;
  std::int64_t first_id_ = 0;
  mysql::Rows last_;
};

template <class Step>
Result<double> Time(const DeliveryBenchOptions& options, std::size_t count, std::size_t batch, const Step& step) {
  const auto start = SteadyClock::now();
  for (std::size_t first = 0; first < count; first += batch) {
    if (Stopped(options)) return Fail(ErrorCode::kUnavailable, "interrupted");
    if (auto done = step(first, std::min(batch, count - first)); !done) return std::unexpected(done.error());
  }
  return Since(start);
}

}  // namespace

Result<void> Publish(const DeliveryGround& ground, const DeliveryBenchOptions& options,
                     const DeliveryGround::Topic& topic, std::string_view prefix, std::size_t count) {
  auto producer = kafka::KafkaProducer::Create(options.kafka);
  if (!producer) return std::unexpected(producer.error());
  std::vector<kafka::DeliveryReport> reports;
  const std::string created = FormatRfc3339(SystemClock().Now());
  const auto take = [&](std::chrono::milliseconds wait) -> Result<void> {
    reports.clear();
    (*producer)->Poll(wait, reports);
    for (const kafka::DeliveryReport& report : reports) {
      if (report.kind != kafka::DeliveryReport::Kind::kAcked) return std::unexpected(report.error);
    }
    return {};
  };
  constexpr std::size_t kOutstanding = 20'000;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string key = fmt::format("{}{}", prefix, i);
    const std::string payload = ground.Payload(key, i);
    const std::array<std::pair<std::string_view, std::string_view>, 3> headers = {
        {{"id", key}, {"eventType", "notification.requested"}, {"createdAt", created}}};
    while ((*producer)->outstanding() > kOutstanding) {
      if (auto taken = take(std::chrono::milliseconds{10}); !taken) return taken;
    }
    auto done = (*producer)->Produce({topic.name, key, payload, headers, i});
    if (!done) return done;
    if (Stopped(options)) return Fail(ErrorCode::kUnavailable, "interrupted");
  }
  while ((*producer)->outstanding() > 0) {
    if (auto taken = take(std::chrono::milliseconds{100}); !taken) return taken;
  }
  return {};
}

Result<DeliveryFloor> MeasureFloor(DeliveryGround& ground, const DeliveryBenchOptions& options, std::size_t run) {
  DeliveryFloor floor;
  floor.notifications = options.notifications;
  SqlFloor sql(ground, fmt::format("floor-{}-", run));
  const auto measure = [&](double& seconds, std::size_t batch, auto step) -> Result<void> {
    auto time = Time(options, options.notifications, batch,
                     [&](std::size_t first, std::size_t count) { return (sql.*step)(first, count); });
    if (!time) return std::unexpected(time.error());
    seconds = *time;
    return {};
  };
  auto done = measure(floor.sql_insert_seconds, kInsertBatch, &SqlFloor::Insert);
  if (done) done = measure(floor.sql_claim_seconds, kClaimBatch, &SqlFloor::Claim);
  if (done) done = measure(floor.sql_settle_seconds, kSettleBatch, &SqlFloor::Settle);
  if (done) done = ground.ResetBots();
  if (!done) return std::unexpected(done.error());

  auto http = http::TimeBareRequests(ground.bots().WebhookUrl(ground.Channel(0)), ground.Post("floor-1234567"),
                                     options.notifications, kHttpConnections);
  if (!http) return std::unexpected(http.error());
  floor.http_seconds = std::chrono::duration<double>(*http).count();

  const auto topic = ground.MakeTopic();
  if (!topic) return std::unexpected(topic.error());
  if (done = Publish(ground, options, *topic, "floor-", options.notifications); !done) {
    return std::unexpected(done.error());
  }
  auto kafka = kafka::TimeBareConsumer(options.kafka, topic->name, options.partitions, options.notifications);
  if (!kafka) return std::unexpected(kafka.error());
  floor.kafka_seconds = std::chrono::duration<double>(*kafka).count();
  floor.load = Load();
  return floor;
}

}  // namespace outrider::app
