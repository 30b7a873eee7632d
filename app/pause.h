// `outrider pause|resume channel|tenant NAME`, and `pause ls`: what a person stops for a while. Exit codes: kExitOk,
// also when it was so before; kExitUsage without a reason.
#pragma once

#include <string>

#include "app/commands.h"
#include "app/config.h"
#include "consumer/pauses.h"

namespace outrider::app {

int PauseOrResume(const Config& config, bool pause, consumer::PauseKind kind, const std::string& name,
                  const std::string& reason, OutputFormat format);
int ListPauses(const Config& config, OutputFormat format);

}  // namespace outrider::app
