#include "app/sidecar.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "app/direct_sink.h"
#include "app/status_pages.h"
#include "consumer/delivery.h"
#include "consumer/ingest.h"
#include "consumer/kafka_ingest.h"
#include "consumer/retention.h"
#include "consumer/schema.h"
#include "metrics/delivery_probe.h"
#include "metrics/health.h"
#include "metrics/ingest_probe.h"
#include "metrics/quota_probe.h"
#include "metrics/registry.h"
#include "metrics/relay_probe.h"
#include "metrics/retention_probe.h"
#include "outbox/kafka_sink.h"
#include "outbox/relay.h"
#include "outbox/schema.h"
#include "platform/crypto/hmac.h"
#include "platform/http/engine.h"
#include "platform/http/server.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"

namespace outrider::app {
namespace {

// Claims and recoveries, the settlement writer, retention, one ingest for each source or the group, and one to spare.
constexpr std::size_t kSpareConnections = 5;
constexpr std::chrono::milliseconds kWatchPause{1000};
constexpr std::chrono::seconds kLeastPatience{2};
constexpr std::chrono::seconds kWatchPatience{5};  // with a database that doesn't answer

std::string OwnerName() {
  std::string host(256, '\0');
  if (gethostname(host.data(), host.size() - 1) != 0) host = "unknown-host";
  host.resize(std::min<std::size_t>(host.find('\0'), 64));
  return fmt::format("{}:{}:{}", host, getpid(), crypto::RandomHex(4));
}

// Waits without missing a stop.
bool SleepFor(std::chrono::milliseconds wait, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, wait, [] { return false; });
  return !stop.stop_requested();
}

mysql::MysqlOptions WithPatience(mysql::MysqlOptions database, std::chrono::milliseconds patience) {
  database.io_timeout =
      std::min(database.io_timeout, std::max(std::chrono::ceil<std::chrono::seconds>(patience), kLeastPatience));
  return database;
}

std::string CantBeUsed(const mysql::MysqlOptions& database, const Error& error) {
  return fmt::format("the database {} can't be used: {}; trying again", Describe(database), error.message);
}

}  // namespace

// The order of members is the order of construction; Stop() runs the other way.
struct Sidecar::State {
  State(Config the_config, std::set<Role> the_roles, Log& the_log)
      : config(std::move(the_config)), roles(std::move(the_roles)), log(the_log) {}

  struct RelayUnit {
    SourceConfig source;
    std::unique_ptr<RelayProbe> probe;
    std::unique_ptr<consumer::Ingest> ingest;  // direct only
    std::unique_ptr<outbox::EventSink> sink;
    std::unique_ptr<outbox::Relay> relay;
    bool tables_found = false;
    std::jthread thread;
  };

  bool Has(Role role) const { return roles.contains(role); }
  bool direct() const { return config.transport == Transport::kDirect; }
  consumer::IngestOptions ingest_options() const {
    return {config.delivery.dedupe_memory, &sealer, &delivery->fresh_claims()};
  }

  Result<void> StartServer();
  void BuildConsumer();
  void SetSealingKeys(const Config& from);
  Result<void> BuildRelay(const SourceConfig& source);
  // Looks for tables and database until stopped, says what is missing, and starts delivery and ingest once they can
  // work.
  void Watch(std::stop_token stop);
  std::string FindRecordTables();
  std::string FindOutbox(RelayUnit& unit);
  void StartConsumer();

  Config config;
  std::set<Role> roles;
  Log& log;
  std::string owner = OwnerName();
  SystemClock clock;
  crypto::Sealer sealer;
  MetricsRegistry registry;
  Health health{clock};
  IngestProbe ingest_probe{registry};
  DeliveryProbe delivery_probe{registry};
  RetentionProbe retention_probe{registry};
  QuotaProbe quota_probe{registry};
  consumer::Quotas quotas{quota_probe, log};
  std::unique_ptr<http::HttpServer> server;
  std::unique_ptr<mysql::MysqlPool> pool;
  std::unique_ptr<http::HttpEngine> engine;
  std::unique_ptr<providers::Sender> sender;
  std::unique_ptr<consumer::Delivery> delivery;
  std::unique_ptr<consumer::Ingest> ingest;
  std::unique_ptr<consumer::KafkaIngest> kafka_ingest;
  std::unique_ptr<consumer::Retention> retention;
  std::jthread retention_thread;
  std::jthread delivery_thread;
  std::jthread ingest_thread;
  std::shared_ptr<outbox::SourceShare> share = std::make_shared<outbox::SourceShare>();
  std::vector<std::unique_ptr<RelayUnit>> relays;
  std::unique_ptr<mysql::MysqlConnection> database;  // the watch's own
  bool records_found = false;
  std::jthread watch;
};

Result<void> Sidecar::State::StartServer() {
  http::HttpServerOptions options;
  options.listen = config.api_listen;
  auto started = http::HttpServer::Start(options, [this](const http::ServerRequest& request) {
    return ServeStatus(request, health, registry, config.api_token);
  });
  if (!started) return std::unexpected(started.error());
  server = std::move(*started);
  log.Info("http.listens", {{"address", config.api_listen}, {"port", server->port()}});
  return {};
}

void Sidecar::State::BuildConsumer() {
  // A connection that hangs must be given up while there is still time to settle over another one.
  mysql::MysqlOptions pool_options = WithPatience(config.database, config.delivery.lease / 4);
  // A process that stands still inside a transaction must not keep others from its keys and records.
  pool_options.hang_up_after =
      std::max(std::chrono::duration_cast<std::chrono::seconds>(config.delivery.lease / 2), std::chrono::seconds{5});
  pool = std::make_unique<mysql::MysqlPool>(pool_options, config.sources.size() + kSpareConnections);
  http::HttpEngineOptions engine_options;
  engine_options.policy = {config.allow_insecure_targets, config.allow_insecure_targets};
  engine_options.max_in_flight = static_cast<std::size_t>(config.delivery.max_in_flight);
  engine = std::make_unique<http::HttpEngine>(engine_options);
  sender = std::make_unique<providers::Sender>(*engine, clock, delivery_probe, log);
  sender->SetChannels(config.channels);
  sender->SetTenantRates(config.tenant_rates);
  quotas.Set(config.quotas);
  SetSealingKeys(config);

  consumer::DeliveryOptions options;
  options.owner = owner;
  options.lease = config.delivery.lease;
  options.call_deadline = config.delivery.call_deadline;
  options.max_age = config.delivery.max_age;
  options.max_in_flight = static_cast<std::size_t>(config.delivery.max_in_flight);
  options.sealer = &sealer;
  options.quotas = &quotas;
  delivery = std::make_unique<consumer::Delivery>(options, *pool, *sender, clock, delivery_probe, health, log);
  consumer::RetentionOptions keep;
  keep.sent = config.retention.sent;
  keep.skipped = config.retention.skipped;
  keep.dead = config.retention.dead;
  keep.rejected = config.retention.rejected;
  keep.dedupe_memory = config.delivery.dedupe_memory;
  retention = std::make_unique<consumer::Retention>(keep, *pool, retention_probe, log);
}

void Sidecar::State::SetSealingKeys(const Config& from) {
  sealer.SetKeys(from.sealing_keys);
  if (!from.sealing_keys.empty()) return;
  log.Warn("sealing.no_key",
           {{"what",
             "no key is configured (sealing.keys): private requests are refused, because their bodies "
             "may not stand in a table in clear"}});
}

Result<void> Sidecar::State::BuildRelay(const SourceConfig& source) {
  auto unit = std::make_unique<RelayUnit>();
  unit->source = source;
  unit->probe = std::make_unique<RelayProbe>(registry, source.name);
  if (direct()) {
    unit->ingest = std::make_unique<consumer::Ingest>(*pool, *sender, ingest_probe, log, ingest_options());
    unit->sink = std::make_unique<DirectSink>(source.name, *unit->ingest, *delivery, &sealer);
  } else {
    auto sink = outbox::KafkaSink::Create(config.kafka, source.routes);
    if (!sink) return std::unexpected(sink.error());
    unit->sink = std::move(*sink);
  }
  outbox::RelayOptions options;
  options.source = source.name;
  // Who hears nothing for a lease doesn't lead any more.
  options.database = WithPatience(source.database, config.relay.lease);
  options.table = source.table;
  options.on_poison = source.on_poison;
  options.owner = owner;
  options.share = share;
  options.lease = config.relay.lease;
  options.batch_rows = static_cast<std::size_t>(config.relay.batch_rows);
  unit->relay = std::make_unique<outbox::Relay>(options, *unit->sink, clock, *unit->probe, health, log);
  relays.push_back(std::move(unit));
  return {};
}

// Empty when the tables that the roles need are there.
std::string Sidecar::State::FindRecordTables() {
  if (database == nullptr || !database->healthy() || !database->Ping()) {
    database.reset();
    auto opened = mysql::MysqlConnection::Open(WithPatience(config.database, kWatchPatience));
    if (!opened) return CantBeUsed(config.database, opened.error());
    database = std::move(*opened);
  }
  if (records_found) return "";
  const auto missing = consumer::MissingTables(*database);
  if (!missing) return CantBeUsed(config.database, missing.error());
  records_found = missing->empty();
  return fmt::format("{}", fmt::join(*missing, "; "));
}

std::string Sidecar::State::FindOutbox(RelayUnit& unit) {
  if (unit.tables_found) return "";
  auto opened = mysql::MysqlConnection::Open(WithPatience(unit.source.database, kWatchPatience));
  if (!opened) return CantBeUsed(unit.source.database, opened.error());
  const auto missing = outbox::MissingTables(**opened, unit.source.table);
  if (!missing) return CantBeUsed(unit.source.database, missing.error());
  unit.tables_found = missing->empty();
  return missing->empty() ? "" : fmt::format("source {}: {}", unit.source.name, fmt::join(*missing, "; "));
}

void Sidecar::State::Watch(std::stop_token stop) {
  std::string said = "starting";
  do {
    std::string why;
    // Once the tables were there, an outage of the database makes only the api role unready.
    if ((Has(Role::kConsumer) && !records_found) || Has(Role::kApi)) why = FindRecordTables();
    if (Has(Role::kConsumer) && records_found) StartConsumer();
    for (const auto& unit : relays) {
      if (stop.stop_requested()) return;
      if (const std::string fault = FindOutbox(*unit); why.empty()) why = fault;
    }
    if (why != said) {
      if (why.empty()) {
        log.Info("run.ready", {{"database", Describe(config.database)}, {"owner", owner}});
      } else {
        log.Warn("run.waits", {{"why", why}});
      }
      health.SetReady(why.empty(), why);
      said = why;
    }
    if (Has(Role::kConsumer) && !records_found) health.SetPart("delivery", false, why);
  } while (SleepFor(kWatchPause, stop));
}

void Sidecar::State::StartConsumer() {
  if (delivery_thread.joinable()) return;
  retention_thread = std::jthread([this](std::stop_token token) { retention->Run(token); });
  delivery_thread = std::jthread([this](std::stop_token token) { delivery->Run(token, config.grace); });
  if (direct()) {
    std::vector<kafka::TopicPartition> shards;
    for (const SourceConfig& source : config.sources) shards.push_back({DirectTopic(source.name), 0});
    delivery->Assigned(shards);
    return;
  }
  consumer::KafkaIngestOptions options;
  options.kafka = config.kafka;
  options.group = config.group;
  options.topics = config.topics;
  ingest = std::make_unique<consumer::Ingest>(*pool, *sender, ingest_probe, log, ingest_options());
  kafka_ingest = std::make_unique<consumer::KafkaIngest>(options, *ingest, *delivery, ingest_probe, health, log);
  ingest_thread = std::jthread([this](std::stop_token token) { kafka_ingest->Run(token); });
}

Sidecar::Sidecar(Config config, std::set<Role> roles, Log& log)
    : state_(std::make_unique<State>(std::move(config), std::move(roles), log)) {}

Sidecar::~Sidecar() { Stop(); }

Result<void> Sidecar::Listen() {
  State& state = *state_;
  if (state.config.allow_insecure_targets) {
    state.log.Warn("config.insecure_targets",
                   {{"what",
                     "allow_insecure_targets is on: plain http and private addresses are accepted "
                     "as targets; meant for tests only"}});
  }
  state.health.SetReady(false, "starting");
  return state.StartServer();
}

void Sidecar::Wait(const std::string& why) { state_->health.SetReady(false, why); }

Result<void> Sidecar::Start() {
  State& state = *state_;
  if (state.Has(Role::kConsumer)) state.BuildConsumer();
  if (state.Has(Role::kRelay)) {
    for (const SourceConfig& source : state.config.sources) {
      if (Result<void> built = state.BuildRelay(source); !built) return built;
    }
  }
  for (const auto& unit : state.relays) {
    unit->thread = std::jthread([relay = unit->relay.get()](std::stop_token stop) { relay->Run(stop); });
  }
  state.watch = std::jthread([&state](std::stop_token stop) { state.Watch(stop); });
  return {};
}

void Sidecar::Apply(const Config& next) {
  State& state = *state_;
  if (state.sender == nullptr) return;
  state.sender->SetChannels(next.channels);
  state.sender->SetTenantRates(next.tenant_rates);
  state.quotas.Set(next.quotas);
  state.SetSealingKeys(next);
  state.delivery->LookAgain();  // what was parked for a channel that is there now needn't wait for the next scan
}

void Sidecar::Stop() {
  State& state = *state_;
  const auto end = [](std::jthread& thread) {
    thread.request_stop();
    if (thread.joinable()) thread.join();
  };
  state.watch.request_stop();
  for (const auto& unit : state.relays) unit->thread.request_stop();
  end(state.watch);  // it may be starting the consumer
  // All at once, because each may be waiting for a database that doesn't answer; what ingest still stores is durable,
  // and delivered by whoever comes next.
  state.ingest_thread.request_stop();
  state.delivery_thread.request_stop();
  state.retention_thread.request_stop();
  for (const auto& unit : state.relays) end(unit->thread);
  state.relays.clear();
  end(state.ingest_thread);
  state.kafka_ingest.reset();
  state.ingest.reset();
  end(state.delivery_thread);
  end(state.retention_thread);
  state.engine.reset();
  state.delivery.reset();
  state.sender.reset();
  state.pool.reset();
  state.server.reset();
}

}  // namespace outrider::app
