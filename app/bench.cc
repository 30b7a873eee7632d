#include "app/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "app/relay_bench.h"

namespace outrider::app {

int BenchRelay(const Config& config, const BenchRelayOptions& options, OutputFormat format) {
  if (config.transport != Transport::kKafka) {
    fmt::print(stderr, "outrider: bench relay measures the way through Kafka, and transport is direct\n");
    return kExitUsage;
  }
  const auto source = std::find_if(config.sources.begin(), config.sources.end(), [&](const SourceConfig& candidate) {
    return options.source.empty() || candidate.name == options.source;
  });
  if (source == config.sources.end()) {
    fmt::print(stderr, "outrider: there is no source {}\n", options.source);
    return kExitUsage;
  }
  std::signal(SIGPIPE, SIG_IGN);
  RelayBenchOptions bench;
  bench.database = source->migrate.value_or(source->database);  // it makes a table
  bench.kafka = config.kafka;
  bench.rows = options.rows;
  bench.payload_bytes = options.payload_bytes;
  bench.repeats = options.repeats;
  bench.rates = options.rates;
  bench.batch_rows = static_cast<std::size_t>(config.relay.batch_rows);
  const auto report = MeasureRelay(bench, [](std::string_view line) { fmt::print(stderr, "{}\n", line); });
  if (!report) {
    fmt::print(stderr, "outrider: {}\n", report.error().message);
    return kExitFailed;
  }
  fmt::print("{}", format == OutputFormat::kJson ? RelayBenchJson(*report) : RelayBenchTable(*report));
  return kExitOk;
}

}  // namespace outrider::app
