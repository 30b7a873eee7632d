#include "consumer/quiet_minutes.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::minutes kHalfHour{30};

}  // namespace

std::optional<microseconds> QuietDelay(Timestamp now, std::int64_t record_id) {
  const microseconds into = (now.time_since_epoch() + kQuietBefore) % kHalfHour;
  constexpr microseconds kQuiet = kQuietBefore + kQuietAfter;
  if (into >= kQuiet) return std::nullopt;
  // Knuth's multiplicative hash: neighbours land far from each other.
  const std::uint64_t scattered = static_cast<std::uint64_t>(record_id) * 0x9E3779B97F4A7C15ULL;
  const microseconds spread{
      static_cast<std::int64_t>((scattered >> 24U) % static_cast<std::uint64_t>(microseconds(kQuietSpread).count()))};
  return kQuiet - into + spread;
}

}  // namespace outrider::consumer
