#include "app/delivery_bench/bench_ground.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "consumer/schema.h"
#include "outbox/event_sink.h"
#include "outbox/schema.h"
#include "platform/crypto/hmac.h"
#include "platform/kafka/topics.h"
#include "platform/mysql/migrator.h"

namespace outrider::app {
namespace {

using nlohmann::json;

constexpr double kLongHistory = 200;
constexpr std::chrono::seconds kPurgePatience{10};
constexpr std::chrono::milliseconds kLook{50};
constexpr int kSlowPerSecond = 5;

constexpr std::string_view kQuestions = "SHOW GLOBAL STATUS LIKE 'Questions'";
// MariaDB tells it to everybody, MySQL (INNODB_METRICS) to those with PROCESS.
constexpr std::string_view kHistoryOnMariaDb = "SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'";
constexpr std::string_view kHistoryOnMysql =
    "SELECT 'length', CAST(count AS CHAR) FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'";

Error WithHint(const Error& error, std::string_view hint) {
  return {error.code, fmt::format("{}; {}", error.message, hint), error.native_code};
}

}  // namespace

bool Stopped(const DeliveryBenchOptions& options) { return options.stop.stop_requested(); }

Result<std::unique_ptr<DeliveryGround>> DeliveryGround::Make(const DeliveryBenchOptions& options) {
  std::unique_ptr<DeliveryGround> ground(new DeliveryGround(options));
  ground->run_ = crypto::RandomHex(4);
  auto bots = FakeBots::Open(options.fake_im);
  if (!bots) return std::unexpected(bots.error());
  ground->bots_ = std::move(*bots);
  if (auto made = ground->MakeDatabase(); !made) return std::unexpected(made.error());
  return ground;
}

DeliveryGround::~DeliveryGround() {
  if (made_) {
    if (!connection_->healthy()) {
      if (auto opened = mysql::MysqlConnection::Open(database_)) connection_ = std::move(*opened);
    }
    (void)connection_->ExecuteScript("DROP DATABASE " + mysql::QuoteIdentifier(options_.scratch));
  }
  for (const std::string& topic : topics_) (void)kafka::DeleteTopic(options_.kafka, topic);
}

Result<void> DeliveryGround::MakeDatabase() {
  mysql::MysqlOptions server = options_.database;
  server.database.clear();
  server.io_timeout = std::chrono::hours{1};  // filling takes its time
  auto opened = mysql::MysqlConnection::Open(server);
  if (!opened) return std::unexpected(opened.error());
  const std::string name = mysql::QuoteIdentifier(options_.scratch);
  if (auto created = (*opened)->ExecuteScript("CREATE DATABASE " + name); !created) {
    return std::unexpected(WithHint(
        created.error(), fmt::format("the bench makes a database of its own, {}; if a killed run has left it, drop it, "
                                     "and if this account may not create it, give one that may as database.migrate_url",
                                     options_.scratch)));
  }
  made_ = true;
  connection_ = std::move(*opened);
  database_ = options_.database;
  database_.database = options_.scratch;
  if (auto used = connection_->ExecuteScript("USE " + name); !used) return used;
  for (const auto& [set, migrations] :
       {std::pair{std::string("outrider"), consumer::RecordMigrations()},
        std::pair{outbox::OutboxMigrationSet("outbox"), outbox::OutboxMigrations("outbox")}}) {
    if (auto up = mysql::Migrator(set, migrations).Up(*connection_); !up) return std::unexpected(up.error());
  }
  return {};
}

Result<void> DeliveryGround::ResetBots() {
  std::vector<std::string> tokens = {std::string(kSlow), std::string(kSilent)};
  for (std::size_t i = 0; i < options_.channels; ++i) tokens.push_back(Channel(i));
  if (auto reset = bots_->Reset(tokens); !reset) return reset;
  return bots_->Silence(std::string(kSilent));
}

std::string DeliveryGround::Channel(std::size_t number) const {
  return fmt::format("bench-{}", number % options_.channels + 1);
}

std::string DeliveryGround::Payload(std::string_view key, std::size_t number) const {
  const std::string frame =
      fmt::format(R"({{"dedupe_key":"{}","channel":"{}","message":{{"text":"{} "}}}})", key, Channel(number), key);
  const std::size_t filling = options_.payload_bytes - std::min(options_.payload_bytes, frame.size());
  return fmt::format(R"({{"dedupe_key":"{}","channel":"{}","message":{{"text":"{} {}"}}}})", key, Channel(number), key,
                     std::string(filling, 'x'));
}

std::string DeliveryGround::Post(std::string_view key) const {
  const json request = json::parse(Payload(key, 0));
  return json{{"msg_type", "text"}, {"content", {{"text", request.at("message").at("text")}}}}.dump();
}

Result<DeliveryGround::Topic> DeliveryGround::MakeTopic() {
  Topic topic;
  topic.aggregatetype = fmt::format("outrider-bench-{}-{}", run_, topics_.size() + 1);
  topic.name = std::string(outbox::kTopicPrefix) + topic.aggregatetype;
  topic.group = topic.aggregatetype;
  auto made = kafka::CreateTopic(options_.kafka, topic.name, options_.partitions);
  if (!made) {
    return std::unexpected(WithHint(made.error(), "the bench makes topics of its own; let this account make them"));
  }
  topics_.push_back(topic.name);
  return topic;
}

std::string DeliveryGround::Configuration(const Topic* topic, bool with_crowds) const {
  json channels = json::object();
  const auto add = [&](const std::string& code, const std::string& url, int per_second) {
    channels[code] = {
        {"provider", "feishu_bot"}, {"webhook_url", url}, {"rate", {{"per_second", per_second}, {"per_minute", 0}}}};
  };
  for (std::size_t i = 0; i < options_.channels; ++i) add(Channel(i), bots_->WebhookUrl(Channel(i)), 0);
  if (with_crowds) {
    add(std::string(kSlow), bots_->WebhookUrl(kSlow), kSlowPerSecond);
    add(std::string(kDead), "http://127.0.0.1:1/open-apis/bot/v2/hook/bench-dead", 0);
    add(std::string(kSilent), bots_->WebhookUrl(kSilent), 0);
  }
  json document = {{"database",
                    {{"url", fmt::format("mysql://{}@{}:{}/{}", database_.user, database_.host, database_.port,
                                         database_.database)}}},
                   {"channels", channels},
                   {"allow_insecure_targets", true},
                   {"api", {{"listen", "127.0.0.1:0"}}},
                   {"grace", "5s"},
                   {"transport", topic == nullptr ? "direct" : "kafka"}};
  if (!database_.password.empty()) document["database"]["password"] = database_.password.Reveal();
  if (topic != nullptr) {
    document["kafka"] = {{"brokers", options_.kafka.brokers},
                         {"topics", {topic->name}},
                         {"group", topic->group},
                         {"properties", options_.kafka.properties}};
  }
  return document.dump(2);
}

Result<std::uint64_t> DeliveryGround::Statements() {
  auto questions = connection_->Execute(kQuestions);
  if (!questions) return std::unexpected(questions.error());
  return std::strtoull(questions->rows.at(0).Text(1).c_str(), nullptr, 10);
}

Result<void> DeliveryGround::ForgetShards(const Topic& topic) {
  auto done = connection_->Execute("DELETE FROM consumer_shards WHERE topic = ?", {std::string_view(topic.name)});
  if (!done) return std::unexpected(done.error());
  return {};
}

void DeliveryGround::AwaitPurge() {
  const auto deadline = std::chrono::steady_clock::now() + kPurgePatience;
  const std::string_view sql = connection_->flavor() == mysql::Flavor::kMariaDb ? kHistoryOnMariaDb : kHistoryOnMysql;
  while (std::chrono::steady_clock::now() < deadline && !Stopped(options_)) {
    auto history = connection_->Execute(sql);
    if (!history || history->rows.empty()) return;
    if (std::strtod(history->rows.front().Text(1).c_str(), nullptr) < kLongHistory) return;
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace outrider::app
