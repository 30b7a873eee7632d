// `outrider bench`: measures this installation. A command like those of commands.h, but for what it works on: tables,
// databases and topics of its own, put away at its end, also after SIGINT or SIGTERM.
#pragma once

#include <string>

#include "app/commands.h"
#include "app/config.h"
#include "app/delivery_bench/options.h"
#include "app/relay_bench/options.h"

namespace outrider::app {

// `options` but for what the configuration says. `source`: whose database; the first one's when empty.
int BenchRelay(const Config& config, const std::string& source, RelayBenchOptions options, OutputFormat format);
// The same. `options.fake_im` says where the fake IM server is.
int BenchDelivery(const Config& config, DeliveryBenchOptions options, OutputFormat format);

}  // namespace outrider::app
