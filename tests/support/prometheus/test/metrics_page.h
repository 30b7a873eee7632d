// MetricsPage: the smallest program that Prometheus can scrape: one counter by channel on a free port.
//
// One thread of its own, one request a connection; Add() is safe from any other.
#pragma once

#include <map>
#include <memory>
#include <string>

namespace outrider::testing {

class MetricsPage final {
 public:
  MetricsPage();
  ~MetricsPage();
  MetricsPage(const MetricsPage&) = delete;
  MetricsPage& operator=(const MetricsPage&) = delete;

  std::string address() const;
  void Add(const std::string& channel, int value);  // to sent_total{channel="..."}

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::testing
