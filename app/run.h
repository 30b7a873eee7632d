// `outrider run`: the sidecar from start to SIGTERM, with the reloads between.
#pragma once

#include <set>

#include "app/config.h"
#include "app/sidecar.h"

namespace outrider::app {

// SIGTERM or SIGINT stops it in order, a second one at once; SIGHUP reads the configuration again, as does a changed
// file. `migrate` creates missing tables first and waits for a database that is away. Gives the exit code. REQUIRES:
// `reading` came from `input` and has no fault; no other thread runs yet.
int RunSidecar(const ConfigInput& input, const ConfigReading& reading, const std::set<Role>& roles, bool migrate);

}  // namespace outrider::app
