// When a vendor wants to be asked again, as its headers say it. Pure.
#pragma once

#include <chrono>
#include <optional>

#include "platform/http/message.h"

namespace outrider::providers {

// Whole seconds of x-ogw-ratelimit-reset or Retry-After, cut to kMaxRetryAfter; nothing when neither can be read.
std::optional<std::chrono::milliseconds> ReadRetryAfter(const http::Headers& headers);

}  // namespace outrider::providers
