// Settler: deletes what the sink has taken, on a connection and a thread of its own, so that reading and publishing go
// on meanwhile. One settlement at a time.
//
// Threads: one owner calls it; its own thread works. Destruction waits for the settlement under way. What a crash
// leaves is what OutboxStore::Settle() says.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "model/result.h"
#include "outbox/outbox_lease.h"
#include "outbox/outbox_store.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

class Settler final {
 public:
  Settler(const mysql::MysqlOptions& database, const OutboxStore& store, const OutboxLease& lease);
  ~Settler();
  Settler(const Settler&) = delete;
  Settler& operator=(const Settler&) = delete;

  // REQUIRES: !busy().
  void Start(Settlement settlement, std::uint64_t epoch);
  // From Start() until Take() gave its outcome.
  bool busy() const;
  struct Outcome {
    Settlement settlement;
    Result<std::size_t> deleted = 0;  // as OutboxStore::Settle() gives it
  };
  // Waits up to `wait` for the outcome of what was started.
  std::optional<Outcome> Take(std::chrono::milliseconds wait);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::outbox
