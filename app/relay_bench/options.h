// RelayBenchOptions: what `outrider bench relay` measures, and where. A value.
#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "platform/kafka/options.h"
#include "platform/mysql/connection.h"

namespace outrider::app {

struct RelayBenchOptions {
  mysql::MysqlOptions database;  // of a source, with its tables; an account that may create and drop one
  kafka::KafkaOptions kafka;
  std::string table = "outbox";  // the source's own: looked at, never touched
  bool beside_traffic = false;   // go on although rows wait there
  int partitions = 4;            // of the topics that are made
  std::size_t keys = 1'000;      // aggregateids
  std::size_t payload_bytes = 400;
  std::size_t batch_rows = 0;  // 0: the relay's own

  std::size_t repeats = 3;                    // of all but the waiting rows and the idle samples; medians are told
  std::size_t rows = 200'000;                 // of a drain, over all sources
  std::vector<std::size_t> sources{1, 2, 4};  // relays at once in this process, each with a table of its own
  bool hold_purge = true;                     // further drains while an open snapshot keeps deleted rows
  std::size_t waiting = 0;                    // a backlog of that many rows; 0: none
  std::chrono::seconds waiting_time{60};      // how long it is drained, at most
  std::vector<int> rates{200, 1'000, 5'000};  // rows per second
  std::chrono::seconds latency_time{10};      // for each rate
  std::size_t idle_samples = 10;              // single rows, each after idle_time
  std::chrono::seconds idle_time{10};

  std::stop_token stop;  // ends it early, with everything put away
};

}  // namespace outrider::app
