#include "tests/integration/delivery/fixture.h"

#include <fmt/format.h>

#include <stdexcept>

#include "consumer/schema.h"
#include "model/dedupe_key.h"
#include "platform/mysql/migrator.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

std::string TokenOf(const std::string& channel) { return "token-" + channel; }

}  // namespace

void Migrate(mysql::MysqlConnection& connection) {
  const mysql::Migrator migrator("outrider", RecordMigrations());
  if (auto done = migrator.Up(connection); !done) throw std::runtime_error(done.error().message);
}

DeliveryTest::DeliveryTest(const mysql::MysqlOptions& database)
    : database_(database), db_(Connect(database_)), pool_(database_, 8) {
  Migrate(*db_);
  auto started = fake_im::FakeImServer::Start();
  if (!started) throw std::runtime_error(started.error().message);
  vendor_ = std::move(*started);
  engine_ = std::make_unique<http::HttpEngine>(
      http::HttpEngineOptions{.policy = {.allow_plain_http = true, .allow_private_addresses = true}});
  sender_ = std::make_unique<providers::Sender>(*engine_, clock_, probe_, log_.log());
  SetChannels({Bot()});
}

DeliveryTest::~DeliveryTest() = default;

providers::ChannelSettings DeliveryTest::Bot(const std::string& code, providers::RateLimit rate) {
  vendor_->SetBot({.token = TokenOf(code), .per_second = rate.per_second, .per_minute = rate.per_minute});
  providers::ChannelSettings channel;
  channel.code = code;
  channel.provider = "feishu_bot";
  channel.allow_insecure_targets = true;
  channel.settings.emplace("webhook_url", Secret(vendor_->WebhookUrl(TokenOf(code))));
  channel.rate = rate;
  channel.retry.base = std::chrono::minutes{5};
  return channel;
}

providers::ChannelSettings DeliveryTest::Mock(const std::string& code, const std::string& mode) const {
  providers::ChannelSettings channel;
  channel.code = code;
  channel.provider = "mock";
  channel.settings.emplace("mode", Secret(mode));
  return channel;
}

DeliveryOptions DeliveryTest::Options(const std::string& owner) const {
  DeliveryOptions options;
  options.owner = owner;
  options.sealer = &sealer_;
  options.sweep = std::chrono::milliseconds{0};
  options.shard_lease = std::chrono::seconds{10};
  return options;
}

std::unique_ptr<Delivery> DeliveryTest::MakeDelivery(const DeliveryOptions& options, const Clock& clock) {
  auto delivery = std::make_unique<Delivery>(options, pool_, *sender_, clock, probe_, health_, log_.log());
  delivery->Assigned({{"t", 0}});
  return delivery;
}

std::int64_t DeliveryTest::Insert(const NewRecord& record) {
  Execute("INSERT IGNORE INTO consumer_shards (topic, partition_no) VALUES (?, ?)",
          {std::string_view(record.topic), std::int64_t{record.partition}});
  const std::int64_t shard = Count("SELECT shard FROM consumer_shards WHERE topic = ? AND partition_no = ?",
                                   {std::string_view(record.topic), std::int64_t{record.partition}});
  std::string request = record.request;
  if (request.empty()) {
    request = fmt::format(R"({{"channel":"{}","dedupe_key":"{}","message":{{"text":"{}"}}{}}})", record.channel,
                          record.key, record.key, record.fields);
  }
  const Digest hash = DedupeHash(record.tenant, record.channel, record.key);
  const Digest ordering = Sha256(record.ordering_key);
  const std::string sql = fmt::format(
      "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, status, "
      "shard, due_at, parked_by, held_since, priority, ordering_hash, max_attempts, expires_at, private, recipient, "
      "request, source_topic, source_partition, source_offset, committed_at, sealed_by) "
      "VALUES (?, ?, ?, ?, UUID(), ?, ?, ?, {}, NULLIF(?, ''), {}, ?, ?, ?, {}, ?, 'chat_id:oc_1', ?, ?, ?, ?, "
      "NOW(6), NULLIF(?, ''))",
      record.parked_by.empty() ? record.due : "NULL", record.parked_by.empty() ? "NULL" : "NOW(6)",
      record.expires.empty() ? "NULL" : record.expires);
  const mysql::Param ordering_hash =
      record.ordering_key.empty() ? mysql::Param(nullptr) : mysql::Param(AsBytes(ordering));
  return static_cast<std::int64_t>(
      Must(*db_, sql,
           {AsBytes(hash), std::string_view(record.tenant), std::string_view(record.channel),
            std::string_view(record.key), AsBytes(hash), std::string_view(record.status), shard,
            std::string_view(record.parked_by), std::int64_t{record.priority}, ordering_hash,
            std::int64_t{record.max_attempts}, std::int64_t{record.is_private ? 1 : 0}, std::string_view(request),
            std::string_view(record.topic), std::int64_t{record.partition}, ++offset_,
            std::string_view(record.sealed_by)})
          .insert_id);
}

std::vector<std::int64_t> DeliveryTest::InsertMany(std::size_t count, const std::string& channel,
                                                   const std::string& prefix) {
  std::vector<std::int64_t> ids;
  if (auto begun = db_->Begin(); !begun) throw std::runtime_error(begun.error().message);
  for (std::size_t i = 0; i < count; ++i) {
    ids.push_back(Insert({.key = fmt::format("{}{}", prefix, i), .channel = channel}));
  }
  if (auto done = db_->Commit(); !done) throw std::runtime_error(done.error().message);
  return ids;
}

std::string DeliveryTest::Column(std::int64_t id, std::string_view column) {
  return Must(*db_, fmt::format("SELECT CAST({} AS CHAR) FROM notification_records WHERE id = ?", column), {id})
      .rows.at(0)
      .TextOr(0, "NULL");
}

std::string DeliveryTest::Story(std::int64_t id) {
  const auto row = Must(*db_,
                        "SELECT CONCAT_WS(' ', status, reason, CONCAT('parked:', parked_by), "
                        "IF(uncertain, 'uncertain', NULL), CONCAT('spent:', NULLIF(attempts_spent, 0))) "
                        "FROM notification_records WHERE id = ?",
                        {id});
  return row.rows.at(0).Text(0);
}

std::string DeliveryTest::Attempts(std::int64_t id) {
  return Must(*db_,
              "SELECT GROUP_CONCAT(CONCAT_WS(' ', attempt_no, verdict, NULLIF(reason, '')) ORDER BY attempt_no "
              "SEPARATOR '; ') FROM notification_attempts WHERE record_id = ?",
              {id})
      .rows.at(0)
      .TextOr(0, "");
}

Delivery::Round DeliveryTest::Turn(Delivery& delivery) {
  delivery.LookAgain();
  auto round = delivery.ScanOnce();
  if (!round) throw std::runtime_error(round.error().message);
  return *round;
}

void DeliveryTest::MakeDue(std::int64_t id) {
  Execute("UPDATE notification_records SET due_at = NOW(6) WHERE id = ? AND status IN ('pending', 'failed')", {id});
}

bool DeliveryTest::TurnUntil(Delivery& delivery, std::int64_t id, std::string_view status) {
  return testing::WaitUntil([&] {
    MakeDue(id);
    Turn(delivery);
    clock_.Advance(std::chrono::milliseconds{20});
    return Column(id, "status") == status;
  });
}

bool DeliveryTest::WaitForStatus(std::int64_t id, std::string_view status) {
  return testing::WaitUntil([&] { return Column(id, "status") == status; });
}

bool DeliveryTest::WaitForCount(std::string_view sql, std::int64_t count) {
  return testing::WaitUntil([&] { return Count(sql) == count; });
}

std::vector<std::string> DeliveryTest::Delivered(const std::string& channel) const {
  std::vector<std::string> texts;
  for (const fake_im::Delivery& delivery : vendor_->deliveries()) {
    if (delivery.token == TokenOf(channel)) texts.push_back(delivery.text);
  }
  return texts;
}

double DeliveryTest::Metric(const std::string& name_with_labels) const {
  const std::string scrape = "\n" + registry_.Scrape();
  const std::string line = "\noutrider_" + name_with_labels + " ";
  const std::size_t at = scrape.find(line);
  if (at == std::string::npos) throw std::runtime_error("no metric " + name_with_labels);
  return std::stod(scrape.substr(at + line.size()));
}

bool DeliveryTest::MetricBecomes(const std::string& name_with_labels, double value) const {
  return testing::WaitUntil([&] { return Metric(name_with_labels) == value; }, std::chrono::seconds{5});
}

bool DeliveryTest::LogBecomes(std::string_view text) const {
  return testing::WaitUntil([&] { return log_.Text().find(text) != std::string::npos; }, std::chrono::seconds{5});
}

}  // namespace outrider::consumer
