#include "app/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <thread>

#include "app/delivery_bench/delivery_bench.h"
#include "app/relay_bench/bench_ground.h"
#include "app/relay_bench/relay_bench.h"

namespace outrider::app {
namespace {

// SIGINT and SIGTERM as a request to stop, as long as it lives. REQUIRES: no other thread runs when it is made.
class StopOnSignal final {
 public:
  StopOnSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      const timespec look{0, 100'000'000};
      while (!stop.stop_requested()) {
        if (sigtimedwait(&signals_, nullptr, &look) > 0) source_.request_stop();
      }
    });
  }
  std::stop_token token() const { return source_.get_token(); }

 private:
  sigset_t signals_{};
  std::stop_source source_;
  std::jthread thread_;
};

int Refuse(std::string_view why) {
  fmt::print(stderr, "outrider: {}\n", why);
  return kExitUsage;
}

}  // namespace

int BenchRelay(const Config& config, const std::string& source, RelayBenchOptions options, OutputFormat format) {
  if (config.transport != Transport::kKafka) {
    return Refuse("bench relay measures the way through Kafka, and transport is direct");
  }
  const auto measured = std::find_if(config.sources.begin(), config.sources.end(), [&](const SourceConfig& candidate) {
    return source.empty() || candidate.name == source;
  });
  if (measured == config.sources.end()) return Refuse(fmt::format("there is no source {}", source));
  for (const std::string_view type : {BenchGround::kDrainType, BenchGround::kLatencyType}) {
    const std::string topic = BenchGround::TopicOf(type);
    if (std::find(config.topics.begin(), config.topics.end(), topic) != config.topics.end()) {
      return Refuse(fmt::format("kafka.topics has {}: a consumer would take the bench's rows for requests", topic));
    }
  }
  const StopOnSignal stop;
  options.stop = stop.token();
  options.database = measured->migrate.value_or(measured->database);  // it makes tables
  options.table = measured->table;
  options.kafka = config.kafka;
  options.batch_rows = static_cast<std::size_t>(config.relay.batch_rows);
  const auto report = MeasureRelay(options, [](std::string_view line) { fmt::print(stderr, "{}\n", line); });
  if (!report) {
    fmt::print(stderr, "outrider: {}\n", report.error().message);
    return kExitFailed;
  }
  fmt::print("{}", format == OutputFormat::kJson ? RelayBenchJson(*report) : RelayBenchTable(*report));
  return kExitOk;
}

int BenchDelivery(const Config& config, DeliveryBenchOptions options, OutputFormat format) {
  if (config.transport != Transport::kKafka) {
    return Refuse("bench delivery measures the way through Kafka too, and transport is direct");
  }
  const StopOnSignal stop;
  options.stop = stop.token();
  std::error_code unknown;
  options.program = std::filesystem::read_symlink("/proc/self/exe", unknown).string();
  options.database = config.migrate.value_or(config.database);  // it makes a database
  options.kafka = config.kafka;
  const auto report = MeasureDelivery(options, [](std::string_view line) { fmt::print(stderr, "{}\n", line); });
  if (!report) {
    fmt::print(stderr, "outrider: {}\n", report.error().message);
    return kExitFailed;
  }
  fmt::print("{}", format == OutputFormat::kJson ? DeliveryBenchJson(*report) : DeliveryBenchTable(*report));
  return kExitOk;
}

}  // namespace outrider::app
