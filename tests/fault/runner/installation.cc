#include "tests/fault/runner/installation.h"

#include <fmt/format.h>

#include <csignal>
#include <random>
#include <stdexcept>

#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_client.h"

namespace outrider::fault {
namespace {

using testing::DatabaseServer;

constexpr int kPartitions = 4;
constexpr std::string_view kTopic = "outbox.event.notification";
// A group notices a dead member within this, so that a run doesn't wait for the usual 45 s.
constexpr std::string_view kSessionTimeout = "2000";

std::string RandomSecret(std::string_view prefix) {
  std::random_device random;
  return fmt::format("{}-{:08x}{:08x}", prefix, random(), random());
}

std::string RandomKey() {
  std::random_device random;
  std::string key;
  for (int i = 0; i < 8; ++i) key += fmt::format("{:08x}", random());
  return key;
}

std::unique_ptr<fake_im::FakeImServer> StartVendor(const std::vector<Bot>& bots) {
  fake_im::FakeImOptions options;
  for (const Bot& bot : bots) {
    options.bots.push_back({.token = bot.token, .secret = bot.secret, .per_second = 0, .per_minute = 0});
  }
  auto vendor = fake_im::FakeImServer::Start(std::move(options));
  if (!vendor) throw std::runtime_error(vendor.error().message);
  return std::move(*vendor);
}

std::string DatabaseOf(const std::string& url) { return url.substr(url.rfind('/') + 1); }

}  // namespace

Installation::Installation(DatabaseServer::Kind kind, std::filesystem::path run_folder)
    : folder(std::move(run_folder)),
      bots({{"ops", RandomSecret("token"), RandomSecret("sign")},
            {"team", RandomSecret("token"), ""},
            {"gate", RandomSecret("token"), "", true}}),
      product_password(RandomSecret("password")),
      sealing_key(RandomKey()),
      server(DatabaseServer::Start(kind, {"--innodb-lock-wait-timeout=1"})),
      proxy(std::make_unique<testing::FaultProxy>(server->port())),
      broker(testing::KafkaBroker::Start({"group.min.session.timeout.ms=1000"})),
      vendor(StartVendor(bots)) {
  std::filesystem::create_directories(folder / "logs");
  std::filesystem::create_directories(folder / "metrics");
  broker->CreateTopic(std::string(kTopic), kPartitions);
  records_database = DatabaseOf(server->CreateDatabase());
  for (const char* const source : {"shop", "billing"}) source_databases[source] = DatabaseOf(server->CreateDatabase());
  auto root = Connect("");
  for (const std::string& statement : {fmt::format("CREATE USER product@'%' IDENTIFIED BY '{}'", product_password),
                                       std::string("GRANT ALL ON *.* TO product@'%'")}) {
    if (auto done = root->ExecuteScript(statement); !done) throw std::runtime_error(done.error().message);
  }
  program_ = std::make_unique<testing::OutriderProgram>(Configuration("outrider"));
  other_group_ = std::make_unique<testing::OutriderProgram>(Configuration("somebody-else"));
  if (const auto migrated = program_->Command({"migrate", "up"}); migrated.code != 0) {
    throw std::runtime_error("outrider migrate up failed:\n" + migrated.err);
  }
}

Installation::~Installation() = default;

std::string Installation::Configuration(std::string_view group) const {
  const auto url = [&](std::string_view database) {
    return fmt::format("mysql://product:{}@127.0.0.1:{}/{}", product_password, proxy->port(), database);
  };
  std::string yaml = fmt::format("database: {{url: \"{}\"}}\nsources:\n", url(records_database));
  for (const auto& [source, database] : source_databases) {
    yaml += fmt::format("  - {{name: {}, url: \"{}\"}}\n", source, url(database));
  }
  yaml += fmt::format(R"(kafka:
  brokers: "{}"
  group: "{}"
  properties: {{session.timeout.ms: "{}", heartbeat.interval.ms: "500"}}
api: {{listen: "127.0.0.1:0"}}
allow_insecure_targets: true
relay: {{lease: {}ms, batch_rows: 100}}
delivery: {{lease: {}ms, call_deadline: 1500ms}}
grace: {}s
retry: {{max_attempts: 200, base: 100ms, max: 1s}}
retention: {{sent: 1s, skipped: 1s}}
sealing: {{keys: [{{id: k1, key: "{}"}}]}}
channels:
)",
                      broker->brokers(), group, kSessionTimeout, kRelayLease.count(), kRecordLease.count(),
                      kGrace.count(), sealing_key);
  for (const Bot& bot : bots) {
    yaml += fmt::format(
        "  {}: {{provider: feishu_bot, webhook_url: \"{}\", rate: {{per_second: 0, per_minute: 0}}, quiet_minutes: "
        "false{}{}}}\n",  // else low priority would wait for minutes after each half hour
        bot.channel, vendor->WebhookUrl(bot.token),
        bot.secret.empty() ? "" : fmt::format(", secret: \"{}\"", bot.secret), bot.blocks ? ", ordering: block" : "");
  }
  yaml += fmt::format("  {}: {{provider: mock, retry: {{max_attempts: {}}}}}\n", kPoison, kPoisonAttempts);
  return yaml;
}

void Installation::Launch(std::string_view slot, testing::OutriderProgram& program,
                          const std::map<std::string, std::string>& environment) {
  Slot fresh;
  fresh.life.name = fmt::format("{}.{}", slot, ++lives_[std::string(slot)]);
  const std::string role(slot.substr(0, slot.find('-')));
  fresh.process = program.Run({"--roles", role}, environment);
  slots_.insert_or_assign(std::string(slot), std::move(fresh));
}

void Installation::Start(std::string_view slot, const std::map<std::string, std::string>& environment) {
  Launch(slot, *program_, environment);
}

void Installation::StartInAnotherGroup(std::string_view slot) { Launch(slot, *other_group_, {}); }

void Installation::StartAll() {
  for (const auto slot : kRelays) {
    if (!slots_.contains(slot)) Start(slot);
  }
  for (const auto slot : kConsumers) {
    if (!slots_.contains(slot)) Start(slot);
  }
}

bool Installation::Runs(std::string_view slot) {
  const auto found = slots_.find(slot);
  return found != slots_.end() && found->second.process->Running();
}

void Installation::Close(std::string_view slot, std::string_view end, testing::ExitStatus status) {
  Slot& closed = slots_.find(slot)->second;
  closed.life.end = end;
  closed.life.exit_code = status.code;
  testing::WriteTextFile(folder / "logs" / (closed.life.name + ".log"),
                         closed.process->Stderr() + closed.process->Stdout());
  ended.push_back(closed.life);
  slots_.erase(slots_.find(slot));
}

void Installation::Kill(std::string_view slot) {
  if (!slots_.contains(slot)) return;
  Scrape(slot);
  const testing::ExitStatus status = slots_.find(slot)->second.process->Kill();
  Close(slot, status.signal == SIGKILL ? "killed" : "crashed", status);
}

bool Installation::AwaitCrash(std::string_view slot, std::chrono::milliseconds timeout) {
  const auto status = slots_.find(slot)->second.process->Wait(timeout);
  if (!status) {
    Kill(slot);
    return false;
  }
  const bool planned = status->signal == SIGKILL;
  Close(slot, planned ? "killed" : "crashed", *status);
  return planned;
}

void Installation::Terminate(std::string_view slot) {
  Scrape(slot);
  Slot& stopped = slots_.find(slot)->second;
  const auto before = std::chrono::steady_clock::now();
  stopped.process->Signal(SIGTERM);
  const auto status = stopped.process->Wait(kGrace + std::chrono::seconds{10});
  stopped.life.stop_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  if (status) {
    Close(slot, "terminated", *status);
  } else {
    Kill(slot);
  }
}

void Installation::Pause(std::string_view slot) { slots_.find(slot)->second.process->Pause(); }
void Installation::Continue(std::string_view slot) { slots_.find(slot)->second.process->Continue(); }

std::string Installation::Scrape(std::string_view slot) {
  Slot& scraped = slots_.find(slot)->second;
  if (scraped.port == 0) {
    const std::string log = scraped.process->Stderr();
    if (log.find("http.listens") == std::string::npos) return "";
    scraped.port = testing::HttpPort(*scraped.process);
  }
  testing::RawClient client(scraped.port);
  if (!client.connected()) return "";
  const testing::RawAnswer answer = client.Request("GET", "/metrics", "", std::chrono::seconds{2});
  if (answer.status != 200) return "";
  testing::WriteTextFile(folder / "metrics" / (scraped.life.name + ".prom"), answer.body);
  return answer.body;
}

std::string Installation::LeadingRelay() {
  auto connection = Connect(source_databases.at("shop"));
  const auto rows =
      connection->Execute("SELECT owner FROM outbox_leases WHERE source = 'shop' AND expires_at > UTC_TIMESTAMP(6)");
  if (!rows || rows->rows.empty()) return "";
  const std::string& owner = rows->rows.front().Text(0);  // host:pid:random
  for (const auto& [name, slot] : slots_) {
    if (owner.find(fmt::format(":{}:", slot.process->pid())) != std::string::npos) return name;
  }
  return "";
}

bool Installation::Drained() {
  for (const auto& [source, database] : source_databases) {
    const auto rows = Connect(database)->Execute("SELECT COUNT(*) FROM outbox");
    if (!rows || rows->rows.front().Int(0) > 0) return false;
  }
  auto records = Connect(records_database);
  const auto rows = records->Execute(
      "SELECT COUNT(*) FROM notification_records WHERE status IN ('pending', 'sending', 'failed') "
      "AND COALESCE(parked_by, '') <> 'channel_unknown'");
  if (!rows || rows->rows.front().Int(0) > 0) return false;
  // Everything relayed is ingested: the topic's ends are the consumers' places.
  for (const auto& [source, database] : source_databases) {
    const auto relayed = Connect(database)->Execute(
        "SELECT topic, partition_no, MAX(highest_offset) FROM outbox_ledger GROUP BY topic, partition_no");
    if (!relayed) return false;
    for (const mysql::Row& row : relayed->rows) {
      const auto shard =
          records->Execute("SELECT next_offset FROM consumer_shards WHERE topic = ? AND partition_no = ?",
                           {std::string_view(row.Text(0)), row.Int(1)});
      if (!shard || shard->rows.empty() || shard->rows.front().Int(0) <= row.Int(2)) return false;
    }
  }
  return true;
}

void Installation::Collect() {
  for (auto& [name, slot] : slots_) {
    Scrape(name);
    testing::WriteTextFile(folder / "logs" / (slot.life.name + ".log"),
                           slot.process->Stderr() + slot.process->Stdout());
    ended.push_back(slot.life);
  }
}

std::unique_ptr<mysql::MysqlConnection> Installation::Connect(std::string_view database) const {
  auto connection = mysql::MysqlConnection::Open(server->Options(database));
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

}  // namespace outrider::fault
