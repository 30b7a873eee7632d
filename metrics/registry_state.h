// What the probes share behind MetricsRegistry: families by name, series at 0 from their first mention.
//
// For the .cc files of this folder only. References stay valid as long as the registry lives. Threads: safe from
// several.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/registry.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace outrider {

using SeriesLabels = std::map<std::string, std::string>;

struct MetricsRegistry::State {
  State();
  ~State();
  prometheus::Counter& Counter(const std::string& name, const std::string& help, const SeriesLabels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help, const SeriesLabels& labels = {});
  // Seconds, 1 ms to 1 h.
  prometheus::Histogram& Seconds(const std::string& name, const std::string& help, const SeriesLabels& labels = {});

  std::unique_ptr<prometheus::Registry> registry;
};

// One counter per value of a label whose values are known beforehand; anything else counts as "other".
class CounterByLabel final {
 public:
  CounterByLabel(MetricsRegistry::State& registry, const std::string& name, const std::string& help,
                 const std::string& label, const std::vector<std::string>& values, const SeriesLabels& fixed = {});
  prometheus::Counter& operator[](std::string_view value) const;

 private:
  std::map<std::string, prometheus::Counter*, std::less<>> counters_;
};

// A label whose values come from data (topics): the first `limit` values have a series each, later ones share "other".
class CounterByFirstSeen final {
 public:
  CounterByFirstSeen(MetricsRegistry::State& registry, std::string name, std::string help, std::string label,
                     std::vector<std::string> values, SeriesLabels fixed, std::size_t limit);
  prometheus::Counter& operator[](std::string_view value);

 private:
  MetricsRegistry::State& registry_;
  const std::string name_;
  const std::string help_;
  const std::string label_;
  const SeriesLabels fixed_;
  const std::size_t limit_;
  std::mutex mutex_;
  std::map<std::string, prometheus::Counter*, std::less<>> counters_;
};

}  // namespace outrider
