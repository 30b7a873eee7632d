// Secret: a text that must not be printed.
//
// It has no stream operator and its formatter prints "***"; the value is reachable only through Reveal(), which is easy
// to search for. A value; not wiped from memory on destruction (core dumps are switched off by the program instead).
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace outrider {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  friend bool operator==(const Secret&, const Secret&) = default;

 private:
  std::string value_;
};

}  // namespace outrider

template <>
struct fmt::formatter<outrider::Secret> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const outrider::Secret&, Context& context) const {
    return fmt::formatter<std::string_view>::format("***", context);
  }
};
