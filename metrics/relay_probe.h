// RelayProbe: how one source's relay is seen. Metric names and labels: metrics/README.md. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "metrics/registry.h"
#include "model/time.h"

namespace outrider {

class RelayProbe final {
 public:
  RelayProbe(MetricsRegistry& registry, std::string source);
  ~RelayProbe();
  void Read(std::size_t rows);
  void Published(std::string_view topic, std::size_t rows);
  void PublishFailed(std::string_view failure_class);  // "unavailable", "poison", "abandoned"
  void Deleted(std::size_t rows);
  void InsertToPublish(std::chrono::microseconds age);  // from the row's created_at to the acknowledgement
  void Leading(bool leader);
  void TookOver();
  void LostLease();  // a write of ours was fenced off
  void MovedToDead(std::size_t rows);
  void MovedToHeld(std::size_t rows);
  void Held(std::size_t dead_rows_capped, std::size_t keys_capped, std::size_t rows_capped);
  void Backlog(std::size_t rows_capped, std::optional<Timestamp> oldest, Timestamp probed_at);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider
