#include "app/sidecar.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "app/direct_sink.h"
#include "app/status_pages.h"
#include "consumer/delivery.h"
#include "consumer/ingest.h"
#include "consumer/kafka_ingest.h"
#include "consumer/schema.h"
#include "metrics/delivery_probe.h"
#include "metrics/health.h"
#include "metrics/ingest_probe.h"
#include "metrics/registry.h"
#include "metrics/relay_probe.h"
#include "outbox/kafka_sink.h"
#include "outbox/relay.h"
#include "platform/crypto/hmac.h"
#include "platform/http/engine.h"
#include "platform/http/server.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"

namespace outrider::app {
namespace {

// Claims and recoveries, the settlement writer, one ingest for each source or the group, and one to spare.
constexpr std::size_t kSpareConnections = 4;
constexpr std::chrono::milliseconds kRetryStart{1000};

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
    std::jthread thread;
  };

  bool Has(Role role) const { return roles.contains(role); }
  bool direct() const { return config.transport == Transport::kDirect; }

  Result<void> StartServer();
  void BuildConsumer();
  Result<void> BuildRelay(const SourceConfig& source);
  // Waits until the record tables are there, then starts delivery and ingest.
  void RunConsumer(std::stop_token stop);
  bool TablesUsable();

  Config config;
  std::set<Role> roles;
  Log& log;
  std::string owner = OwnerName();
  SystemClock clock;
  MetricsRegistry registry;
  Health health{clock};
  IngestProbe ingest_probe{registry};
  DeliveryProbe delivery_probe{registry};
  std::unique_ptr<http::HttpServer> server;
  std::unique_ptr<mysql::MysqlPool> pool;
  std::unique_ptr<http::HttpEngine> engine;
  std::unique_ptr<providers::Sender> sender;
  std::unique_ptr<consumer::Delivery> delivery;
  std::unique_ptr<consumer::Ingest> ingest;
  std::unique_ptr<consumer::KafkaIngest> kafka_ingest;
  std::jthread delivery_thread;
  std::jthread ingest_thread;
  std::jthread consumer_starter;
  std::vector<std::unique_ptr<RelayUnit>> relays;
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
  pool = std::make_unique<mysql::MysqlPool>(config.database, config.sources.size() + kSpareConnections);
  http::HttpEngineOptions engine_options;
  engine_options.policy = {config.allow_insecure_targets, config.allow_insecure_targets};
  engine_options.max_in_flight = static_cast<std::size_t>(config.delivery.max_in_flight);
  engine = std::make_unique<http::HttpEngine>(engine_options);
  sender = std::make_unique<providers::Sender>(*engine, clock, delivery_probe, log);
  sender->SetChannels(config.channels);

  consumer::DeliveryOptions options;
  options.owner = owner;
  options.lease = config.delivery.lease;
  options.call_deadline = config.delivery.call_deadline;
  options.max_age = std::chrono::duration_cast<std::chrono::hours>(config.delivery.max_age);
  options.max_in_flight = static_cast<std::size_t>(config.delivery.max_in_flight);
  delivery = std::make_unique<consumer::Delivery>(options, *pool, *sender, clock, delivery_probe, health, log);
}

Result<void> Sidecar::State::BuildRelay(const SourceConfig& source) {
  auto unit = std::make_unique<RelayUnit>();
  unit->source = source;
  unit->probe = std::make_unique<RelayProbe>(registry, source.name);
  if (direct()) {
    unit->ingest = std::make_unique<consumer::Ingest>(
        *pool, *sender, ingest_probe, log,
        consumer::IngestOptions{std::chrono::duration_cast<std::chrono::hours>(config.delivery.dedupe_memory)});
    unit->sink = std::make_unique<DirectSink>(source.name, *unit->ingest, *delivery);
  } else {
    auto sink = outbox::KafkaSink::Create(config.kafka);
    if (!sink) return std::unexpected(sink.error());
    unit->sink = std::move(*sink);
  }
  outbox::RelayOptions options;
  options.source = source.name;
  options.database = source.database;
  options.table = source.table;
  options.owner = owner;
  options.lease = config.relay.lease;
  options.batch_rows = static_cast<std::size_t>(config.relay.batch_rows);
  unit->relay = std::make_unique<outbox::Relay>(options, *unit->sink, clock, *unit->probe, health, log);
  relays.push_back(std::move(unit));
  return {};
}

bool Sidecar::State::TablesUsable() {
  Result<mysql::MysqlPool::Lease> connection = pool->Acquire();
  std::string why;
  if (!connection) {
    why = fmt::format("the database {} can't be used: {}; trying again", Describe(config.database),
                      connection.error().message);
  } else if (const auto missing = consumer::MissingTables(**connection); !missing) {
    why = fmt::format("the database {} can't be used: {}; trying again", Describe(config.database),
                      missing.error().message);
  } else if (!missing->empty()) {
    why = fmt::format("{}", fmt::join(*missing, "; "));
  }
  if (why.empty()) return true;
  if (why != health.why_not_ready()) log.Warn("start.waits", {{"why", why}});
  health.SetReady(false, why);
  health.SetPart("delivery", false, why);
  return false;
}

void Sidecar::State::RunConsumer(std::stop_token stop) {
  while (!TablesUsable()) {
    if (!SleepFor(kRetryStart, stop)) return;
  }
  if (stop.stop_requested()) return;
  health.SetReady(true);
  log.Info("start.ready", {{"database", Describe(config.database)}, {"owner", owner}});
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
  ingest = std::make_unique<consumer::Ingest>(
      *pool, *sender, ingest_probe, log,
      consumer::IngestOptions{std::chrono::duration_cast<std::chrono::hours>(config.delivery.dedupe_memory)});
  kafka_ingest = std::make_unique<consumer::KafkaIngest>(options, *ingest, *delivery, ingest_probe, health, log);
  ingest_thread = std::jthread([this](std::stop_token token) { kafka_ingest->Run(token); });
}

Sidecar::Sidecar(Config config, std::set<Role> roles, Log& log)
    : state_(std::make_unique<State>(std::move(config), std::move(roles), log)) {}

Sidecar::~Sidecar() { Stop(); }

Result<void> Sidecar::Start() {
  State& state = *state_;
  if (state.config.allow_insecure_targets) {
    state.log.Warn("config.insecure_targets",
                   {{"what",
                     "allow_insecure_targets is on: plain http and private addresses are accepted "
                     "as targets; meant for tests only"}});
  }
  state.health.SetReady(false, "starting");
  if (Result<void> started = state.StartServer(); !started) return started;
  if (state.Has(Role::kConsumer)) {
    state.BuildConsumer();
    state.consumer_starter = std::jthread([this](std::stop_token stop) { state_->RunConsumer(stop); });
  } else {
    state.health.SetReady(true);
  }
  if (state.Has(Role::kRelay)) {
    for (const SourceConfig& source : state.config.sources) {
      if (Result<void> built = state.BuildRelay(source); !built) return built;
    }
    for (const auto& unit : state.relays) {
      unit->thread = std::jthread([relay = unit->relay.get()](std::stop_token stop) { relay->Run(stop); });
    }
  }
  return {};
}

void Sidecar::Stop() {
  State& state = *state_;
  const auto end = [](std::jthread& thread) {
    thread.request_stop();
    if (thread.joinable()) thread.join();
  };
  for (const auto& unit : state.relays) unit->thread.request_stop();
  for (const auto& unit : state.relays) end(unit->thread);
  state.relays.clear();
  end(state.consumer_starter);
  end(state.ingest_thread);
  state.kafka_ingest.reset();
  state.ingest.reset();
  end(state.delivery_thread);
  state.engine.reset();
  state.delivery.reset();
  state.sender.reset();
  state.pool.reset();
  state.server.reset();
}

std::uint16_t Sidecar::port() const { return state_->server ? state_->server->port() : 0; }

}  // namespace outrider::app
