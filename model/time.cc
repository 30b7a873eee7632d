#include "model/time.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <limits>

namespace outrider {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Timestamp kEpoch{};
constexpr Timestamp kLast =
    std::chrono::sys_days{std::chrono::year{9999} / 12 / 31} + std::chrono::hours{24} - microseconds{1};
constexpr milliseconds kLongestDuration = std::chrono::days{36'500};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes what it recognises off the front of the text; false or nothing leaves the rest undefined.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool AtEnd() const { return rest_.empty(); }
  bool NextIsDigit() const { return !rest_.empty() && IsDigit(rest_.front()); }

  bool Take(std::string_view any_of) {
    if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool TakeWord(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  std::optional<int> Digits(int count) {
    int value = 0;
    for (int i = 0; i < count; ++i) {
      if (!NextIsDigit()) return std::nullopt;
      value = value * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }

  // Between one and `limit` digits after the point, cut to microseconds.
  std::optional<microseconds> Fraction(int limit) {
    if (!NextIsDigit()) return std::nullopt;
    std::int64_t value = 0;
    int count = 0;
    for (; NextIsDigit(); ++count) {
      if (count == limit) return std::nullopt;
      if (count < 6) value = value * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    for (; count < 6; ++count) value *= 10;
    return microseconds{value};
  }

 private:
  std::string_view rest_;
};

std::optional<std::chrono::sys_days> ReadDate(Reader& reader) {
  const auto year = reader.Digits(4);
  if (!year || !reader.Take("-")) return std::nullopt;
  const auto month = reader.Digits(2);
  if (!month || !reader.Take("-")) return std::nullopt;
  const auto day = reader.Digits(2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date};
}

std::optional<microseconds> ReadTimeOfDay(Reader& reader, int fraction_digits) {
  const auto hour = reader.Digits(2);
  if (!hour || *hour > 23 || !reader.Take(":")) return std::nullopt;
  const auto minute = reader.Digits(2);
  if (!minute || *minute > 59 || !reader.Take(":")) return std::nullopt;
  const auto second = reader.Digits(2);
  if (!second || *second > 59) return std::nullopt;
  microseconds fraction{0};
  if (reader.Take(".")) {
    const auto digits = reader.Fraction(fraction_digits);
    if (!digits) return std::nullopt;
    fraction = *digits;
  }
  return std::chrono::hours{*hour} + std::chrono::minutes{*minute} + std::chrono::seconds{*second} + fraction;
}

std::optional<std::chrono::minutes> ReadOffset(Reader& reader) {
  if (reader.Take("Zz")) return std::chrono::minutes{0};
  const bool west = reader.TakeWord("-");
  if (!west && !reader.Take("+")) return std::nullopt;
  const auto hours = reader.Digits(2);
  if (!hours || *hours > 23 || !reader.Take(":")) return std::nullopt;
  const auto minutes = reader.Digits(2);
  if (!minutes || *minutes > 59) return std::nullopt;
  const std::chrono::minutes offset = std::chrono::hours{*hours} + std::chrono::minutes{*minutes};
  return west ? -offset : offset;
}

std::string Format(Timestamp time, char separator, bool always_fraction, std::string_view zone) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss<microseconds> clock{time - day};
  std::string text = fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), separator,
                                 clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (always_fraction || clock.subseconds().count() != 0) text += fmt::format(".{:06}", clock.subseconds().count());
  text += zone;
  return text;
}

struct Unit {
  std::string_view name;
  std::int64_t length;  // in milliseconds
};
constexpr std::array kUnits = {Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000},
                               Unit{"ms", 1}};

std::optional<std::int64_t> TakeUnit(Reader& reader) {
  // "m" is also how "ms" begins.
  if (reader.TakeWord("ms")) return 1;
  for (const Unit& unit : kUnits) {
    if (reader.TakeWord(unit.name)) return unit.length;
  }
  return std::nullopt;
}

}  // namespace

std::string FormatRfc3339(Timestamp time) { return Format(time, 'T', false, "Z"); }

std::optional<Timestamp> ParseRfc3339(std::string_view text) {
  Reader reader(text);
  const auto date = ReadDate(reader);
  if (!date || !reader.Take("Tt")) return std::nullopt;
  const auto time_of_day = ReadTimeOfDay(reader, 9);
  if (!time_of_day) return std::nullopt;
  const auto offset = ReadOffset(reader);
  if (!offset || !reader.AtEnd()) return std::nullopt;
  const Timestamp time = *date + *time_of_day - *offset;
  if (*date < kEpoch || time < kEpoch || time > kLast) return std::nullopt;
  return time;
}

std::string FormatSqlTime(Timestamp time) { return Format(time, ' ', true, ""); }

std::optional<Timestamp> ParseSqlTime(std::string_view text) {
  Reader reader(text);
  const auto date = ReadDate(reader);
  if (!date || !reader.Take(" ")) return std::nullopt;
  const auto time_of_day = ReadTimeOfDay(reader, 6);
  if (!time_of_day || !reader.AtEnd()) return std::nullopt;
  return *date + *time_of_day;
}

std::optional<milliseconds> ParseDuration(std::string_view text) {
  Reader reader(text);
  std::int64_t total = 0;
  std::int64_t previous = std::numeric_limits<std::int64_t>::max();
  do {
    if (!reader.NextIsDigit()) return std::nullopt;
    std::int64_t number = 0;
    while (reader.NextIsDigit()) {
      number = number * 10 + *reader.Digits(1);
      if (number > kLongestDuration.count()) return std::nullopt;
    }
    const std::optional<std::int64_t> unit = TakeUnit(reader);
    if (!unit || *unit >= previous) return std::nullopt;
    if (number > (kLongestDuration.count() - total) / *unit) return std::nullopt;
    total += number * *unit;
    previous = *unit;
  } while (!reader.AtEnd());
  return milliseconds{total};
}

std::string FormatDuration(milliseconds duration) {
  if (duration == milliseconds{0}) return "0s";
  std::string text = duration < milliseconds{0} ? "-" : "";
  // The magnitude without negating: the lowest number has no positive twin.
  std::uint64_t rest = static_cast<std::uint64_t>(duration.count());
  if (duration < milliseconds{0}) rest = 0 - rest;
  for (const Unit& unit : kUnits) {
    const auto length = static_cast<std::uint64_t>(unit.length);
    if (rest >= length) text += fmt::format("{}{}", rest / length, unit.name);
    rest %= length;
  }
  return text;
}

Timestamp SystemClock::Now() const { return std::chrono::floor<microseconds>(std::chrono::system_clock::now()); }

std::chrono::steady_clock::time_point SystemClock::SteadyNow() const { return std::chrono::steady_clock::now(); }

}  // namespace outrider
