// What a statement gives: rows of values, and how many it changed.
//
// Thread-safe as any value; a RowView is the connection's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/time.h"

namespace outrider::mysql {

// One result row. Values are kept as text (or raw bytes for BINARY and BLOB columns). Getters of a wrong type or column
// stop the program: the statement and its reader stand side by side in one .cc.
class Row {
 public:
  explicit Row(std::vector<std::optional<std::string>> values) : values_(std::move(values)) {}
  bool IsNull(std::size_t column) const;
  std::int64_t Int(std::size_t column) const;
  std::uint64_t Unsigned(std::size_t column) const;
  double Double(std::size_t column) const;
  bool Bool(std::size_t column) const { return Int(column) != 0; }
  const std::string& Text(std::size_t column) const;  // empty string for NULL is not given: stops
  std::string TextOr(std::size_t column, std::string_view fallback) const;
  std::string TakeText(std::size_t column);  // moves the value out
  Timestamp Time(std::size_t column) const;  // DATETIME(6), TIMESTAMP(6)
  std::optional<Timestamp> OptionalTime(std::size_t column) const;
  std::size_t size() const { return values_.size(); }

 private:
  std::vector<std::optional<std::string>> values_;
};

// A result row while it is being read: its texts are the connection's and gone with the next row. Getters stop the
// program as Row's do.
class RowView {
 public:
  virtual bool IsNull(std::size_t column) const = 0;
  virtual std::uint64_t Unsigned(std::size_t column) const = 0;
  virtual std::string_view Text(std::size_t column) const = 0;
  virtual Timestamp Time(std::size_t column) const = 0;

 protected:
  ~RowView() = default;
};

struct Rows {
  std::vector<Row> rows;
  std::uint64_t affected = 0;
  std::uint64_t insert_id = 0;
};

// Of a program that asks for a value which its own statement doesn't give.
[[noreturn]] void StopProgram(const std::string& message);

}  // namespace outrider::mysql
