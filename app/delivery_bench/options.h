// DeliveryBenchOptions: what `outrider bench delivery` measures, and where. A value.
#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "platform/kafka/options.h"
#include "platform/mysql/connection.h"

namespace outrider::app {

struct DeliveryBenchOptions {
  std::string program;                     // outrider itself; each replica is a process of its own
  mysql::MysqlOptions database;            // its server, and an account that may create a database there
  std::string scratch = "outrider_bench";  // the database that is made and dropped
  kafka::KafkaOptions kafka;
  std::string fake_im;        // the fake IM server, "http://127.0.0.1:port"
  int partitions = 4;         // of the topics that are made
  std::size_t channels = 10;  // among which the notifications are spread
  std::size_t payload_bytes = 400;

  std::size_t repeats = 3;                        // of all but the crowds; medians are told
  std::size_t notifications = 50'000;             // of a drain
  std::vector<std::size_t> replicas{1, 2, 4};     // processes at once
  std::size_t finished = 0;                       // records that are there already, without their requests
  std::vector<int> rates{50, 500, 1'000, 2'000};  // notifications per second
  std::chrono::seconds latency_time{10};          // for each rate
  std::size_t crowd = 0;                          // rows of each crowd: delayed, waiting, dead channel; 0: none
  int crowd_rate = 500;                           // of the others, meanwhile
  bool restart = true;                            // kill -9 and start again

  std::stop_token stop;  // ends it early, with everything put away
};

}  // namespace outrider::app
