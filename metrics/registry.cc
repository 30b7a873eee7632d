#include "metrics/registry.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>

#include "metrics/registry_state.h"

namespace outrider {
namespace {

const prometheus::Histogram::BucketBoundaries kSecondsBuckets = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
                                                                 1,     2,     5,     10,   30,   60,   300, 900, 3600};
constexpr std::string_view kOther = "other";

template <class Metric, class... Args>
Metric& AddSeries(prometheus::Registry& registry, const std::string& name, const std::string& help,
                  const SeriesLabels& labels, Args&&... args) {
  auto& family = prometheus::detail::Builder<Metric>{}.Name("outrider_" + name).Help(help).Register(registry);
  return family.Add(prometheus::Labels(labels.begin(), labels.end()), std::forward<Args>(args)...);
}

SeriesLabels With(SeriesLabels labels, const std::string& label, std::string_view value) {
  labels[label] = std::string(value);
  return labels;
}

}  // namespace

MetricsRegistry::State::State() : registry(std::make_unique<prometheus::Registry>()) {}
MetricsRegistry::State::~State() = default;

prometheus::Counter& MetricsRegistry::State::Counter(const std::string& name, const std::string& help,
                                                     const SeriesLabels& labels) {
  return AddSeries<prometheus::Counter>(*registry, name, help, labels);
}

prometheus::Gauge& MetricsRegistry::State::Gauge(const std::string& name, const std::string& help,
                                                 const SeriesLabels& labels) {
  return AddSeries<prometheus::Gauge>(*registry, name, help, labels);
}

prometheus::Histogram& MetricsRegistry::State::Seconds(const std::string& name, const std::string& help,
                                                       const SeriesLabels& labels) {
  return AddSeries<prometheus::Histogram>(*registry, name, help, labels, kSecondsBuckets);
}

MetricsRegistry::MetricsRegistry() : state_(std::make_unique<State>()) {}
MetricsRegistry::~MetricsRegistry() = default;

std::string MetricsRegistry::Scrape() const {
  return prometheus::TextSerializer{}.Serialize(state_->registry->Collect());
}

CounterByLabel::CounterByLabel(MetricsRegistry::State& registry, const std::string& name, const std::string& help,
                               const std::string& label, const std::vector<std::string>& values,
                               const SeriesLabels& fixed) {
  for (const std::string& value : values) {
    counters_[value] = &registry.Counter(name, help, With(fixed, label, value));
  }
  counters_[std::string(kOther)] = &registry.Counter(name, help, With(fixed, label, kOther));
}

prometheus::Counter& CounterByLabel::operator[](std::string_view value) const {
  const auto found = counters_.find(value);
  return *(found != counters_.end() ? found : counters_.find(kOther))->second;
}

CounterByFirstSeen::CounterByFirstSeen(MetricsRegistry::State& registry, std::string name, std::string help,
                                       std::string label, std::vector<std::string> values, SeriesLabels fixed,
                                       std::size_t limit)
    : registry_(registry),
      name_(std::move(name)),
      help_(std::move(help)),
      label_(std::move(label)),
      fixed_(std::move(fixed)),
      limit_(limit) {
  values.emplace_back(kOther);
  for (const std::string& value : values) {
    counters_[value] = &registry_.Counter(name_, help_, With(fixed_, label_, value));
  }
}

prometheus::Counter& CounterByFirstSeen::operator[](std::string_view value) {
  const std::lock_guard lock(mutex_);
  if (const auto found = counters_.find(value); found != counters_.end()) return *found->second;
  if (counters_.size() > limit_) return *counters_.find(kOther)->second;
  auto& counter = registry_.Counter(name_, help_, With(fixed_, label_, value));
  counters_.emplace(value, &counter);
  return counter;
}

}  // namespace outrider
