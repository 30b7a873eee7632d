// outrider-bench-debezium: Outrider's relay and a warm, tuned Debezium on the same backlog, on servers of its own.
// Prints a table, or JSON with -o json. Exit code 0; 1: it couldn't be measured.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/bench/debezium/side_by_side.h"

int main(int argc, char** argv) {
  using outrider::testing::DatabaseServer;
  CLI::App app{"Measures Outrider's relay beside Debezium's outbox event router."};
  outrider::bench::SideBySideOptions options;
  std::string database = "mariadb";
  std::string output = "table";
  app.add_option("--database", database)->check(CLI::IsMember({"mariadb", "mysql"}));
  app.add_option("-o,--output", output)->check(CLI::IsMember({"table", "json"}));
  app.add_option("--rows", options.rows, "Rows of a drain");
  app.add_option("--payload", options.payload_bytes, "Bytes of a payload");
  app.add_option("--partitions", options.partitions, "Of the topic");
  app.add_option("--rounds", options.rounds, "Measured drains of each; the median is told");
  app.add_option("--warm-ups", options.warm_ups, "Drains of each before the measured ones");
  app.add_option("--worker-java-options", options.worker_java_options, "Of the Connect worker");
  CLI11_PARSE(app, argc, argv);
  if (database == "mysql") options.database = DatabaseServer::Kind::kMysql;
  std::signal(SIGPIPE, SIG_IGN);
  // The tests' own broker starts quickly and is slow under load.
  setenv("KAFKA_JAVA_OPTIONS", "-Xms256m -Xmx512m", 0);
  const auto say = [](std::string_view line) { fmt::print(stderr, "{}\n", line); };
  try {
    const auto report = MeasureSideBySide(options, say);
    fmt::print("{}", output == "json" ? SideBySideJson(report) : SideBySideTable(report));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
