#include "model/dedupe_key.h"

#include <fmt/format.h>

#include <cstdint>

#include "model/text.h"

namespace outrider {
namespace {

void AppendPart(std::string& bytes, std::string_view part) {
  const std::uint64_t length = part.size();
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>((length >> shift) & 0xFF);
  bytes += part;
}

bool HasNoKey(long long user_id, std::string_view type, Timestamp at, std::chrono::seconds window) {
  return user_id <= 0 || TrimSpace(type).empty() || at == Timestamp{} || window < std::chrono::seconds{1};
}

// The start of the window, counted from `origin`.
std::chrono::sys_seconds WindowStart(Timestamp at, std::chrono::seconds window, std::chrono::sys_seconds origin) {
  const auto since = std::chrono::floor<std::chrono::seconds>(at) - origin;
  auto into = since % window;
  if (into < std::chrono::seconds{0}) into += window;
  return origin + (since - into);
}

std::string FormatOffset(std::chrono::minutes offset) {
  if (offset == std::chrono::minutes{0}) return "Z";
  const auto size = std::chrono::abs(offset).count();
  return fmt::format("{}{:02}:{:02}", offset < std::chrono::minutes{0} ? '-' : '+', size / 60, size % 60);
}

}  // namespace

Digest DedupeHash(std::string_view tenant, std::string_view channel, std::string_view dedupe_key) {
  std::string bytes;
  AppendPart(bytes, tenant);
  AppendPart(bytes, channel);
  AppendPart(bytes, TrimSpace(dedupe_key));
  return Sha256(bytes);
}

Digest OrderingHash(std::string_view tenant, std::string_view channel, std::string_view ordering_key) {
  std::string bytes;
  AppendPart(bytes, tenant);
  AppendPart(bytes, channel);
  AppendPart(bytes, ordering_key);
  return Sha256(bytes);
}

std::string TumblingWindowKey(long long user_id, std::string_view type, Timestamp at, std::chrono::seconds window) {
  if (HasNoKey(user_id, type, at, window)) return "";
  const auto start = WindowStart(at, window, std::chrono::sys_seconds{});
  return fmt::format("{}:{}:{}", user_id, TrimSpace(type), start.time_since_epoch() / window);
}

std::string TruncatedTimeKey(long long user_id, std::string_view type, Timestamp at, std::chrono::seconds window,
                             std::chrono::minutes utc_offset) {
  if (HasNoKey(user_id, type, at, window)) return "";
  // Go's Time.Truncate counts windows from its zero time, year 1 (https://pkg.go.dev/time#Time.Truncate): a weekly
  // window begins on Monday there and on Thursday when counted from 1970.
  constexpr std::chrono::sys_days kGoZeroTime{std::chrono::year{1} / 1 / 1};
  std::string start = FormatRfc3339(WindowStart(at, window, kGoZeroTime) + utc_offset);
  start.pop_back();
  return fmt::format("{}:{}:{}{}", user_id, TrimSpace(type), start, FormatOffset(utc_offset));
}

}  // namespace outrider
