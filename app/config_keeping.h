// The parts of the configuration that say what is kept, and how. Pure; faults go to the section.
#pragma once

#include <vector>

#include "app/config.h"
#include "app/config_section.h"

namespace outrider::app {

// `sealing.keys`: each with an id and 32 bytes.
void ReadSealing(ConfigSection section, std::vector<crypto::SealingKey>& keys);

// A tenant's `quota`: notifications a day, by channel and by provider.
void ReadQuota(ConfigSection section, std::vector<consumer::QuotaRule>& rules);

// `retention`: how long bodies of finished records are kept, for each status, and rejected events.
void ReadRetention(ConfigSection section, Config::Retention& retention);

}  // namespace outrider::app
