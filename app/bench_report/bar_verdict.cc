#include "app/bench_report/bar_verdict.h"

#include <fmt/format.h>

namespace outrider::app {

std::string BarLines(std::span<const BarVerdict> bars) {
  std::string lines;
  for (const BarVerdict& bar : bars) {
    lines += fmt::format("{:<8}{}: {:.4g} {} (bar: {} {:g} {})\n", bar.met() ? "met" : "missed", bar.what, bar.measured,
                         bar.unit, bar.at_least ? "at least" : "at most", bar.bar, bar.unit);
  }
  return lines;
}

}  // namespace outrider::app
