// outrider-bench-relay: `outrider bench relay` over a database and a Kafka of its own: durable settings, binary log on,
// one broker on the same machine. Prints a table, or JSON with -o json. Exit code 0; 1: it couldn't be measured.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/relay_bench/relay_bench.h"
#include "outbox/schema.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/kafka/kafka_broker.h"

namespace {

void AddSeconds(CLI::App& app, const std::string& name, std::chrono::seconds& seconds) {
  app.add_option_function<long>(name, [&seconds](long count) { seconds = std::chrono::seconds{count}; });
}

}  // namespace

int main(int argc, char** argv) {
  using outrider::testing::DatabaseServer;
  CLI::App app{"Measures the relay beside its floor, on servers of its own."};
  outrider::app::RelayBenchOptions options;
  options.repeats = 5;
  std::string database = "mariadb";
  std::string output = "table";
  std::size_t buffer_pool_mib = 512;
  bool sync_binlog = false;
  app.add_option("--database", database)->check(CLI::IsMember({"mariadb", "mysql"}));
  app.add_option("-o,--output", output)->check(CLI::IsMember({"table", "json"}));
  app.add_option("--buffer-pool-mib", buffer_pool_mib, "The server's");
  app.add_flag("--sync-binlog", sync_binlog, "With sync_binlog=1 (MySQL's default anyway)");
  app.add_option("--rows", options.rows, "Rows of a drain");
  app.add_option("--payload", options.payload_bytes, "Bytes of a payload");
  app.add_option("--repeats", options.repeats, "Of each measurement; medians are told");
  app.add_option("--sources", options.sources, "Drained at once, between commas")->delimiter(',');
  app.add_flag("!--no-purge-held", options.hold_purge, "Without the drains while a snapshot holds purge back");
  app.add_option("--waiting", options.waiting, "Also drain a backlog of that many rows");
  AddSeconds(app, "--waiting-seconds", options.waiting_time);
  app.add_option("--partitions", options.partitions, "Of the topics");
  app.add_option("--batch-rows", options.batch_rows, "The relay's batch_rows");
  app.add_option("--rates", options.rates, "Rows per second at which latency is measured")->delimiter(',');
  AddSeconds(app, "--latency-seconds", options.latency_time);
  app.add_option("--idle-samples", options.idle_samples, "Single rows after idleness");
  AddSeconds(app, "--idle-seconds", options.idle_time);
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  const auto say = [](std::string_view line) { fmt::print(stderr, "{}\n", line); };
  try {
    say("starting a database and a broker");
    std::vector<std::string> server_options = {"--log-bin=bin",
                                               "--server-id=1",
                                               "--binlog-format=ROW",
                                               "--innodb-flush-log-at-trx-commit=1",
                                               "--innodb-log-file-size=256M",
                                               fmt::format("--innodb-buffer-pool-size={}M", buffer_pool_mib)};
    if (sync_binlog) server_options.push_back("--sync-binlog=1");
    const auto server = DatabaseServer::Start(
        database == "mysql" ? DatabaseServer::Kind::kMysql : DatabaseServer::Kind::kMariaDb, server_options);
    const auto broker = outrider::testing::KafkaBroker::Start();
    options.database = outrider::mysql::ParseMysqlUrl(server->CreateDatabase()).value();
    options.kafka = broker->Options();
    const auto connection = outrider::testing::Connect(options.database);
    for (const auto& migration : outrider::outbox::OutboxMigrations(options.table)) {
      if (auto made = connection->ExecuteScript(migration.sql); !made) throw std::runtime_error(made.error().message);
    }
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
