// QuietMinutes: keeps what isn't urgent away from full and half hours, when everybody's timers fire and Feishu asks for
// rest. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "model/time.h"

namespace outrider::consumer {

// Around each full and half hour of UTC (most of the world's clocks show one then too).
inline constexpr std::chrono::seconds kQuietBefore{15};
inline constexpr std::chrono::seconds kQuietAfter{45};
// Over so long what waited is spread afterwards.
inline constexpr std::chrono::minutes kQuietSpread{3};

// How long a record that is due now waits; nothing when the minute isn't quiet. The same for the same record and hour,
// so that several processes, and a repetition, come to the same time.
std::optional<std::chrono::microseconds> QuietDelay(Timestamp now, std::int64_t record_id);

}  // namespace outrider::consumer
