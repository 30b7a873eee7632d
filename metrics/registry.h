// MetricsRegistry: every series of the program and its text form for Prometheus (exposition format 0.0.4).
//
// Nobody but the probes of this folder touches a series: the rest of the program tells a probe what happened, in verbs.
// Series exist from the start at 0. Labels come from closed sets only: there is no dedupe key, recipient, tenant or
// error text among them, because each value would be a series for ever. Threads: safe from several. Values start at 0
// again after a crash.
#pragma once

#include <memory>
#include <string>

namespace outrider {

class MetricsRegistry final {
 public:
  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  std::string Scrape() const;

  struct State;  // for the probes' .cc files
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace outrider
