#include "platform/mysql/row.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace outrider::mysql {
namespace {

template <class Number>
Number ParseNumber(const std::string& text, std::size_t column) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    StopProgram(fmt::format("mysql::Row: column {} isn't a number of the type asked for", column));
  }
  return number;
}

}  // namespace

void StopProgram(const std::string& message) {
  std::fputs((message + "\n").c_str(), stderr);
  std::abort();
}

bool Row::IsNull(std::size_t column) const {
  if (column >= values_.size()) StopProgram(fmt::format("mysql::Row: no column {} among {}", column, values_.size()));
  return !values_[column].has_value();
}

const std::string& Row::Text(std::size_t column) const {
  if (IsNull(column)) StopProgram(fmt::format("mysql::Row: column {} is NULL", column));
  return *values_[column];
}

std::string Row::TextOr(std::size_t column, std::string_view fallback) const {
  return IsNull(column) ? std::string(fallback) : *values_[column];
}

std::string Row::TakeText(std::size_t column) {
  if (IsNull(column)) StopProgram(fmt::format("mysql::Row: column {} is NULL", column));
  return std::move(*values_[column]);
}

std::int64_t Row::Int(std::size_t column) const { return ParseNumber<std::int64_t>(Text(column), column); }
std::uint64_t Row::Unsigned(std::size_t column) const { return ParseNumber<std::uint64_t>(Text(column), column); }
double Row::Double(std::size_t column) const { return ParseNumber<double>(Text(column), column); }

Timestamp Row::Time(std::size_t column) const {
  const auto time = ParseSqlTime(Text(column));
  if (!time) StopProgram(fmt::format("mysql::Row: column {} isn't a time", column));
  return *time;
}

std::optional<Timestamp> Row::OptionalTime(std::size_t column) const {
  if (IsNull(column)) return std::nullopt;
  return Time(column);
}

}  // namespace outrider::mysql
