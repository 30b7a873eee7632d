// outrider-bench-delivery: `outrider bench delivery` over a database, a Kafka and a fake IM server of its own: durable
// settings, binary log on, everything on the same machine. Prints a table, or JSON with -o json. Exit code 0; 1: it
// couldn't be measured.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "app/delivery_bench/delivery_bench.h"
#include "tests/support/database/database_server.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/process/child_process.h"
#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"

int main(int argc, char** argv) {
  using outrider::testing::ChildProcess;
  using outrider::testing::DatabaseServer;
  CLI::App app{"Measures delivery beside its floor, on servers of its own."};
  outrider::app::DeliveryBenchOptions options;
  std::string database = "mariadb";
  std::string output = "table";
  std::string buffer_pool = "1G";
  int latency_seconds = static_cast<int>(options.latency_time.count());
  bool no_restart = false;
  options.program = OUTRIDER_PROGRAM;
  app.add_option("--database", database)->check(CLI::IsMember({"mariadb", "mysql"}));
  app.add_option("-o,--output", output)->check(CLI::IsMember({"table", "json"}));
  app.add_option("--program", options.program, "The outrider that is measured");
  app.add_option("--notifications", options.notifications, "Of a drain");
  app.add_option("--payload", options.payload_bytes, "Bytes of a request");
  app.add_option("--repeats", options.repeats, "The medians are told");
  app.add_option("--partitions", options.partitions, "Of the topics");
  app.add_option("--channels", options.channels, "Channels among which the notifications are spread");
  app.add_option("--replicas", options.replicas, "Processes at once; empty: no drains")->delimiter(',');
  app.add_option("--finished", options.finished, "Finished records that are there already");
  app.add_option("--rates", options.rates, "Notifications per second at which latency is measured; empty: none")
      ->delimiter(',');
  app.add_option("--latency-seconds", latency_seconds, "For each rate");
  app.add_option("--crowd", options.crowd, "Rows of each crowd: delayed, waiting, dead channel");
  app.add_option("--crowd-rate", options.crowd_rate, "Of the others, meanwhile");
  app.add_option("--buffer-pool", buffer_pool, "The database's innodb_buffer_pool_size");
  std::vector<std::string> server_options;
  app.add_option("--server-option", server_options, "Of the database, such as --performance-schema=ON; repeatable");
  app.add_flag("--no-restart", no_restart, "Leave the kill -9 out");
  CLI11_PARSE(app, argc, argv);
  options.latency_time = std::chrono::seconds{latency_seconds};
  options.restart = !no_restart;
  std::erase(options.replicas, 0U);
  std::erase(options.rates, 0);
  std::signal(SIGPIPE, SIG_IGN);
  const auto say = [](std::string_view line) { fmt::print(stderr, "{}\n", line); };
  try {
    say("starting a database, a broker and a fake IM server");
    server_options.insert(server_options.begin(),
                          {"--log-bin=bin", "--server-id=1", "--binlog-format=ROW",
                           "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=" + buffer_pool,
                           database == "mysql" ? "--innodb-redo-log-capacity=1G" : "--innodb-log-file-size=1G"});
    const auto server = DatabaseServer::Start(
        database == "mysql" ? DatabaseServer::Kind::kMysql : DatabaseServer::Kind::kMariaDb, server_options);
    say(fmt::format("the database listens on port {}", server->port()));
    const auto broker = outrider::testing::KafkaBroker::Start();
    const unsigned port = outrider::testing::FreePort();
    ChildProcess fake_im({.command = {FAKE_IM_PROGRAM, "--quiet", "--port", std::to_string(port)}});
    if (!outrider::testing::WaitUntil([&] { return fake_im.Stdout().find("ready ") != std::string::npos; })) {
      throw std::runtime_error("the fake IM server didn't start: " + fake_im.Stderr());
    }
    options.database = server->Options("");
    options.kafka = broker->Options();
    options.fake_im = fmt::format("http://127.0.0.1:{}", port);
    const auto report = outrider::app::MeasureDelivery(options, say);
    if (!report) {
      fmt::print(stderr, "{}\n", report.error().message);
      return 1;
    }
    fmt::print("{}", output == "json" ? DeliveryBenchJson(*report) : DeliveryBenchTable(*report));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
