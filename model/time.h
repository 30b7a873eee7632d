// Time: the one wall-clock type, its text forms, and the clock as a parameter.
//
// Timestamps are UTC with microseconds, as DATETIME(6) holds them. Decisions that several processes must agree on
// (leases, due times) use the database's clock, not this one; a Clock serves timers, logs and signatures.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace outrider {

using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

// "2026-11-24T05:11:41.436563Z"; the fraction is left out when it is zero.
std::string FormatRfc3339(Timestamp time);
// RFC 3339 with any offset and up to nine fraction digits (cut to microseconds). Nothing else is accepted: no date
// alone, no missing offset, no day that doesn't exist, no leap second (DATETIME has none). 1970 to 9999, in UTC and as
// written.
std::optional<Timestamp> ParseRfc3339(std::string_view text);
// "2026-11-24 05:11:41.436563": what DATETIME(6) columns of a UTC session take and give.
std::string FormatSqlTime(Timestamp time);
// Zero to six fraction digits. Nothing for MySQL's zero dates.
std::optional<Timestamp> ParseSqlTime(std::string_view text);

// "5m", "1h30m", "250ms", "72h", "0s"; whole numbers with units d, h, m, s, ms, each once, the longest first. Nothing
// when the text is anything else, or longer than 36500d (so that it fits a steady clock's nanoseconds).
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
// The shortest such text: "3d", "1h30m"; "-" before a negative one.
std::string FormatDuration(std::chrono::milliseconds duration);

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() const = 0;
  virtual std::chrono::steady_clock::time_point SteadyNow() const = 0;
};

class SystemClock final : public Clock {
 public:
  Timestamp Now() const override;
  std::chrono::steady_clock::time_point SteadyNow() const override;
};

}  // namespace outrider
