// Dedupe keys: what makes two requests the same notification.
//
// One key is one notification in (tenant, channel). Keys are compared byte for byte after trimming, through a hash over
// length-prefixed parts, because a database's collation would merge `Order-1` with `order-1` and é with e.
// Pure functions.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "model/digest.h"
#include "model/time.h"

namespace outrider {

// SHA-256 over (8-byte big-endian length, bytes) of tenant, channel and trimmed key.
Digest DedupeHash(std::string_view tenant, std::string_view channel, std::string_view dedupe_key);
// The same over tenant, channel and ordering key, which isn't trimmed: whose turn is decided among equals of it.
Digest OrderingHash(std::string_view tenant, std::string_view channel, std::string_view ordering_key);

// Builder A: "{user}:{type}:{floor(unix / window)}". Empty for user <= 0, a blank type, a zero
// time or a window below one second.
std::string TumblingWindowKey(long long user_id, std::string_view type, Timestamp at, std::chrono::seconds window);
// Builder B, always in UTC: "{user}:{type}:{RFC 3339 of the window's start}". `utc_offset` reproduces the
// zone of an old key for comparison. Empty in the same cases as A.
std::string TruncatedTimeKey(long long user_id, std::string_view type, Timestamp at, std::chrono::seconds window,
                             std::chrono::minutes utc_offset = std::chrono::minutes{0});

}  // namespace outrider
