// BarVerdict: one of the project's own bars, and what a bench measured against it. A value.
#pragma once

#include <span>
#include <string>

namespace outrider::app {

struct BarVerdict {
  std::string what;
  bool at_least = false;  // else at most
  double bar = 0;
  std::string unit;
  double measured = 0;
  bool met() const { return at_least ? measured >= bar : measured <= bar; }
};

// A line for each, for people.
std::string BarLines(std::span<const BarVerdict> bars);

}  // namespace outrider::app
