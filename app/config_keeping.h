// The parts of the configuration that say what is kept, and how. Pure; faults go to the section.
#pragma once

#include <vector>

#include "app/config.h"
#include "app/config_section.h"

namespace outrider::app {

// `sealing.keys`: each with an id and 32 bytes.
void ReadSealing(ConfigSection section, std::vector<crypto::SealingKey>& keys);

}  // namespace outrider::app
