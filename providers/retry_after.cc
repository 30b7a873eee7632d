#include "providers/retry_after.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "model/retry_policy.h"
#include "model/text.h"

namespace outrider::providers {

std::optional<std::chrono::milliseconds> ReadRetryAfter(const http::Headers& headers) {
  for (const std::string_view name : {"x-ogw-ratelimit-reset", "retry-after"}) {
    const std::string_view text = TrimSpace(http::FindHeader(headers, name));
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || seconds < 0) continue;
    const std::int64_t most = std::chrono::duration_cast<std::chrono::seconds>(kMaxRetryAfter).count();
    return std::chrono::seconds{std::min(seconds, most)};
  }
  return std::nullopt;
}

}  // namespace outrider::providers
