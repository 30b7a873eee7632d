// `outrider bench`: measures this installation. A command like those of commands.h; its table is dropped at the end,
// and the topic outbox.event.outrider-bench must exist.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/config.h"

namespace outrider::app {

struct BenchRelayOptions {
  std::string source;
  std::size_t rows = 100'000;
  std::size_t payload_bytes = 400;
  std::size_t repeats = 3;
  std::vector<int> rates{200, 1'000};
};
int BenchRelay(const Config& config, const BenchRelayOptions& options, OutputFormat format);

}  // namespace outrider::app
