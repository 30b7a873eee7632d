// The part of the configuration that says where notifications go and how fast: `channels`, `rate_groups`, `tenants`,
// `tenant_rate` and `retry`. See config_section.h.
#pragma once

#include <string>
#include <string_view>

#include "app/config_section.h"

namespace outrider::app {

// 1 to 64 of A-Z a-z 0-9 . _ -: codes of channels and names of sources.
bool IsCode(std::string_view text);

void ReadRetry(ConfigSection section, RetryPolicy& policy);

void ReadRate(ConfigSection section, providers::RateLimit& rate);
void ReadTenants(ConfigSection& root, Config& config);

// `channels` and the `rate_groups` that they name. REQUIRES: config.retry and config.allow_insecure_targets are read;
// each channel starts from them.
void ReadChannels(ConfigSection& root, Config& config);

}  // namespace outrider::app
