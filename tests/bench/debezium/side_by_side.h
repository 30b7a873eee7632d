// SideBySide: drains the same backlog with Outrider's relay and with a warm, tuned Debezium, in turns, on one machine.
//
// Both take rows that were inserted one a transaction, and publish to one topic of one broker. Outrider is the built
// program with the role `relay`; Debezium is docs/debezium's own configuration. Threads: the caller's. Errors:
// std::runtime_error.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/database/database_server.h"

namespace outrider::bench {

struct SideBySideOptions {
  testing::DatabaseServer::Kind database = testing::DatabaseServer::Kind::kMariaDb;
  std::size_t rows = 300'000;  // of a drain
  std::size_t payload_bytes = 400;
  std::size_t keys = 1'000;
  int partitions = 4;
  int rounds = 5;    // measured drains of each
  int warm_ups = 3;  // drains of each before
  std::string worker_java_options = "-Xms256m -Xmx1g";
};

struct Drain {
  // Outrider: from the start of the process until every row is in the topic and deleted. Debezium: from the connector's
  // resumption until the last row is in the topic; it deletes nothing.
  double seconds = 0;
  double rows_per_second = 0;
  double start_seconds = 0;           // of those, until the first record
  double steady_rows_per_second = 0;  // after the first record
  double purge_seconds = 0;           // Debezium: to delete the rows afterwards, as purge.py does; not in `seconds`
  // Of 100 000 rows, for the relaying process (its start included), the database, the broker.
  double cpu_seconds = 0;
  double database_cpu_seconds = 0;
  double broker_cpu_seconds = 0;
  double peak_rss_mib = 0;  // of the relaying process, since its start
  double load = 0;          // one minute's, before the drain
};

struct SideBySideReport {
  SideBySideOptions options;
  std::string database_version;
  Drain cold_debezium;  // the worker's first drain
  std::vector<Drain> outrider;
  std::vector<Drain> debezium;
  Drain outrider_median;  // of each figure by itself
  Drain debezium_median;
  // The medians' rows_per_second and steady_rows_per_second, Outrider's over Debezium's.
  double ratio = 0;
  double steady_ratio = 0;
  double purged_ratio = 0;  // of the medians' times, with Debezium's purge
};

// `say` gets a line for each step.
SideBySideReport MeasureSideBySide(const SideBySideOptions& options, const std::function<void(std::string_view)>& say);

std::string SideBySideTable(const SideBySideReport& report);
std::string SideBySideJson(const SideBySideReport& report);

}  // namespace outrider::bench
