#include "tests/integration/debezium/fixture.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <utility>

#include "tests/integration/outbox_kafka/fixture.h"

namespace outrider::debezium {
namespace {

using Kind = testing::DatabaseServer::Kind;

constexpr int kPartitions = 4;
constexpr std::chrono::seconds kPurgeTimeout{120};
constexpr std::string_view kDocs = DEBEZIUM_DOCS;
constexpr std::string_view kHeartbeats = "__debezium-heartbeat.";

std::string RandomWord() {
  std::random_device random;
  return fmt::format("t{:08x}", random());
}

std::string Replaced(std::string text, std::string_view what, std::string_view with) {
  std::size_t at = text.find(what);
  if (at == std::string::npos) throw std::runtime_error(fmt::format("docs/debezium no longer holds \"{}\"", what));
  for (; at != std::string::npos; at = text.find(what, at + with.size())) text.replace(at, what.size(), with);
  return text;
}

std::unique_ptr<fake_im::FakeImServer> StartVendor() {
  auto vendor = fake_im::FakeImServer::Start();
  if (!vendor) throw std::runtime_error(vendor.error().message);
  return std::move(*vendor);
}

}  // namespace

testing::DatabaseServer& DebeziumTest::server() {
  static const std::unique_ptr<testing::DatabaseServer> server = [] {
    const Kind kind = testing::DatabaseServer::KindFromEnvironment();
    std::vector<std::string> options = {"--log-bin=bin", "--server-id=1", "--binlog-format=ROW"};
    if (kind == Kind::kMysql) {
      options.emplace_back("--gtid-mode=ON");
      options.emplace_back("--enforce-gtid-consistency=ON");
    }
    return testing::DatabaseServer::Start(kind, options);
  }();
  return *server;
}

testing::ConnectWorker& DebeziumTest::worker() {
  static const std::unique_ptr<testing::ConnectWorker> worker =
      testing::ConnectWorker::Start({.brokers = broker().brokers()});
  return *worker;
}

DebeziumTest::DebeziumTest()
    : name_(RandomWord()),
      topic_("outbox.event." + name_),
      shop_database_(server().Options(name_)),
      records_database_(mysql::ParseMysqlUrl(server().CreateDatabase()).value()),
      vendor_(StartVendor()),
      program_(OutriderConfiguration()),
      ends_(broker().brokers(), topic_, kPartitions) {
  vendor_->SetBot({.token = "ops", .per_second = 0, .per_minute = 0});
  const auto root = testing::Connect(server().Options(""));
  if (auto created = root->ExecuteScript("CREATE DATABASE " + name_); !created) {
    throw std::runtime_error(created.error().message);
  }
  broker().CreateTopic(topic_, kPartitions);
  broker().CreateTopic(fmt::format("{}{}", kHeartbeats, name_));
  shop_ = testing::Connect(shop_database_);
  if (const auto migrated = program_.Command({"migrate", "up"}); migrated.code != 0) {
    throw std::runtime_error(migrated.err);
  }
  const std::string account = WithOwnNames(testing::ReadTextFile(fmt::format("{}/account.sql", kDocs)));
  if (auto made = root->ExecuteScript(account); !made) throw std::runtime_error(made.error().message);
  testing::WriteTextFile(folder_.path() / "debezium.properties", "user=debezium\npassword=change-me\n");
  testing::WriteTextFile(folder_.path() / "password", "change-me\n");
}

DebeziumTest::~DebeziumTest() = default;

// What a reader of docs/debezium puts in: the database's name, and addresses.
std::string DebeziumTest::WithOwnNames(std::string text) const { return Replaced(std::move(text), "shop", name_); }

std::string DebeziumTest::ConnectorConfiguration(const std::string& prefix) const {
  const std::string_view file = server().kind() == Kind::kMysql ? "mysql.json" : "mariadb.json";
  std::string text = testing::ReadTextFile(fmt::format("{}/{}", kDocs, file));
  text = Replaced(text, R"("topic.prefix": "shop")", fmt::format(R"("topic.prefix": "{}")", prefix));
  text = Replaced(text, "shop.outbox.schema-history", prefix + ".schema-history");
  text = Replaced(text, R"("3306")", fmt::format(R"("{}")", server().port()));
  text = Replaced(text, "127.0.0.1:9092", broker().brokers());
  text = Replaced(text, R"("5400")", fmt::format(R"("{}")", prefix == name_ ? 5400 : 5401));
  text = Replaced(text, "/run/secrets", folder_.path().string());
  return WithOwnNames(text);
}

std::string DebeziumTest::OutriderConfiguration() const {
  return fmt::format(R"(
database: {{url: "{}"}}
sources: [{{name: shop, url: "{}"}}]
kafka: {{brokers: "{}", topics: ["{}"], group: "{}", properties: {{session.timeout.ms: "6000"}}}}
api: {{listen: "127.0.0.1:0"}}
allow_insecure_targets: true
relay: {{lease: 4s}}
channels:
  ops: {{provider: feishu_bot, webhook_url: "{}", rate: {{per_second: 0, per_minute: 0}}}}
)",
                     server().Url(records_database_.database), server().Url(name_), broker().brokers(), topic_, name_,
                     vendor_->WebhookUrl("ops"));
}

std::unique_ptr<testing::ChildProcess> DebeziumTest::StartOutrider(const std::string& roles) {
  return program_.Run({"--roles", roles});
}

void DebeziumTest::Stop(std::unique_ptr<testing::ChildProcess>& process) {
  const testing::ExitStatus ended = process->Terminate();
  EXPECT_TRUE(ended.ok()) << testing::Describe(ended) << "\n" << process->Stderr();
  process.reset();
}

DebeziumTest::Purged DebeziumTest::Purge(const std::string& connect, int wait) {
  testing::ChildProcess purge(
      {.command = {PYTHON, fmt::format("{}/purge.py", kDocs), "--port", std::to_string(server().port()),
                   "--password-file", (folder_.path() / "password").string(), "--database", name_, "--connect", connect,
                   "--connector", std::string(kConnector), "--wait", std::to_string(wait)}});
  const auto ended = purge.Wait(kPurgeTimeout);
  if (!ended) throw std::runtime_error("purge.py didn't end");
  return {ended->code, purge.Stdout(), purge.Stderr()};
}

void DebeziumTest::Insert(const std::string& payload) {
  Must(*shop_, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, 'key', ?)", {name_, payload});
}

std::unique_ptr<mysql::MysqlConnection> DebeziumTest::OpenTransaction(const std::string& dedupe_key) const {
  auto connection = testing::Connect(shop_database_);
  if (auto begun = connection->Begin(); !begun) throw std::runtime_error(begun.error().message);
  Must(*connection, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)",
       {name_, dedupe_key, RequestOf(dedupe_key)});
  return connection;
}

void DebeziumTest::MustCommit(mysql::MysqlConnection& connection) {
  if (auto committed = connection.Commit(); !committed) throw std::runtime_error(committed.error().message);
}

std::vector<Event> DebeziumTest::Published(std::size_t count) const {
  return outbox::Read(broker().Options(), name_, count);
}

std::string RequestOf(const std::string& dedupe_key) {
  return nlohmann::json{{"dedupe_key", dedupe_key}, {"channel", "ops"}, {"message", {{"text", dedupe_key}}}}.dump();
}

}  // namespace outrider::debezium
