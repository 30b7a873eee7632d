// Bars and lists of figures as JSON, for the .cc files that print a report. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "app/bench_report/bar_verdict.h"

namespace outrider::app {

inline nlohmann::json ToJson(const BarVerdict& bar) {
  return {{"what", bar.what},         {"bound", bar.at_least ? "at least" : "at most"},
          {"bar", bar.bar},           {"unit", bar.unit},
          {"measured", bar.measured}, {"verdict", bar.met() ? "met" : "missed"}};
}

}  // namespace outrider::app
