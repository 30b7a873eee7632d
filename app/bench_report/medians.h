// What benches make of repeated runs: percentiles, and medians field by field, kind by kind. Pure.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace outrider::app {

// By nearest rank: of a hundred, the 99th is p99.
inline double Percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  constexpr double kRounding = 1e-9;
  const double rank = std::ceil(share * static_cast<double>(sorted.size()) - kRounding);
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

// The first run, with the median of each of the named numbers. REQUIRES: a run.
template <class Figures, class... Numbers>
Figures Median(const std::vector<Figures>& runs, Numbers... numbers) {
  Figures median = runs.front();
  const auto set = [&](auto number) {
    std::vector<std::remove_cvref_t<decltype(median.*number)>> values;
    for (const Figures& run : runs) values.push_back(run.*number);
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    median.*number = values[values.size() / 2];
  };
  (set(numbers), ...);
  return median;
}

// Runs of one kind side by side, in the order in which the kinds first come.
template <class Figures, class Same>
std::vector<std::vector<Figures>> Kinds(const std::vector<Figures>& runs, Same same) {
  std::vector<std::vector<Figures>> kinds;
  for (const Figures& run : runs) {
    const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const auto& one) { return same(one.front(), run); });
    if (kind == kinds.end()) {
      kinds.push_back({run});
    } else {
      kind->push_back(run);
    }
  }
  return kinds;
}

}  // namespace outrider::app
