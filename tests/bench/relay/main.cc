// outrider-bench-relay: `outrider bench relay` over a database and a Kafka of its own: durable settings, binary log on,
// one broker on the same machine. Prints a table, or JSON with -o json. Exit code 0; 1: it couldn't be measured.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "app/relay_bench.h"
#include "tests/support/database/database_server.h"
#include "tests/support/kafka/kafka_broker.h"

int main(int argc, char** argv) {
  using outrider::testing::DatabaseServer;
  CLI::App app{"Measures the relay beside its floor, on servers of its own."};
  outrider::app::RelayBenchOptions options;
  std::string database = "mariadb";
  std::string output = "table";
  int partitions = 4;
  int latency_seconds = static_cast<int>(options.latency_time.count());
  app.add_option("--database", database)->check(CLI::IsMember({"mariadb", "mysql"}));
  app.add_option("-o,--output", output)->check(CLI::IsMember({"table", "json"}));
  app.add_option("--rows", options.rows, "Rows of a drain");
  app.add_option("--payload", options.payload_bytes, "Bytes of a payload");
  app.add_option("--repeats", options.repeats, "Drains; the median is told");
  app.add_option("--partitions", partitions, "Of the topic");
  app.add_option("--batch-rows", options.batch_rows, "The relay's batch_rows");
  app.add_option("--rates", options.rates, "Rows per second at which latency is measured")->delimiter(',');
  app.add_option("--latency-seconds", latency_seconds, "For each rate");
  app.add_option("--idle-samples", options.idle_samples, "Single rows after idleness");
  app.add_flag("--hold-purge", options.hold_purge, "Also drain while an open snapshot holds purge back");
  CLI11_PARSE(app, argc, argv);
  options.latency_time = std::chrono::seconds{latency_seconds};
  std::signal(SIGPIPE, SIG_IGN);
  const auto say = [](std::string_view line) { fmt::print(stderr, "{}\n", line); };
  try {
    say("starting a database and a broker");
    const auto server = DatabaseServer::Start(
        database == "mysql" ? DatabaseServer::Kind::kMysql : DatabaseServer::Kind::kMariaDb,
        {"--log-bin=bin", "--server-id=1", "--binlog-format=ROW", "--innodb-flush-log-at-trx-commit=1",
         "--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M"});
    const auto broker = outrider::testing::KafkaBroker::Start();
    broker->CreateTopic("outbox.event." + options.aggregatetype, partitions);
    options.database = outrider::mysql::ParseMysqlUrl(server->CreateDatabase()).value();
    options.kafka = broker->Options();
    const auto report = outrider::app::MeasureRelay(options, say);
    if (!report) {
      fmt::print(stderr, "{}\n", report.error().message);
      return 1;
    }
    fmt::print("{}", output == "json" ? RelayBenchJson(*report) : RelayBenchTable(*report));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
