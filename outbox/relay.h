// Relay: moves one source's committed rows from its outbox to the sink, and deletes what the sink has durably taken.
//
// Leads only while it holds the source's lease (database clock, epoch). Reads behind its place and in the gaps below it
// (OutboxReader), so that a transaction that commits late is found. Reading, publishing and deleting overlap, each on
// what is its own; no transaction is open while the sink works. Deletes name keys, never ranges, and stand in one
// transaction with the ledger row and the check of the epoch, so a stale leader changes nothing. On the first report
// that isn't kStored it abandons what is outstanding, waits for every report, and reads again: first occurrences of a
// key keep their order.
//
// Threads: one, that calls Run() or RunOnce(), and one of its own for deleting. Shared objects outlive it. On a crash
// nothing is lost: rows whose report wasn't seen are still there and go out again (windows W1 and W2 of the copies that
// ingest removes).
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>

#include "metrics/health.h"
#include "metrics/log.h"
#include "metrics/relay_probe.h"
#include "outbox/event_sink.h"
#include "outbox/on_poison.h"
#include "outbox/source_share.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

struct RelayOptions {
  std::string source;  // its configured name
  mysql::MysqlOptions database;
  std::string table = "outbox";
  std::string owner;                                                     // unique per process: "host:pid:random"
  std::shared_ptr<SourceShare> share = std::make_shared<SourceShare>();  // one for all relays of a process
  OnPoison on_poison = OnPoison::kSkip;
  std::size_t batch_rows = 2'000;
  std::size_t batch_bytes = 4 << 20;
  std::chrono::milliseconds lease{10'000};
  std::chrono::milliseconds poll_busy{2};  // for 2 s after a row
  std::chrono::milliseconds poll_idle{40};
};

class Relay final {
 public:
  Relay(RelayOptions options, EventSink& sink, const Clock& clock, RelayProbe& probe, Health& health, Log& log);
  ~Relay();  // gives the lease back when it can
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  struct Round {
    bool leading = false;
    std::size_t read = 0;
    std::size_t published = 0;
    std::size_t deleted = 0;
    std::size_t moved_to_dead = 0;
    std::size_t held = 0;  // rows of held keys, moved to outbox_held
  };
  // One turn: lease, then up to `reads` reads, overlapping with the submission and deletion of what was read before;
  // ends when a read gave nothing and every row that was read is deleted. kUnavailable: the database or the sink is
  // away; call again.
  Result<Round> RunOnce(std::stop_token stop, std::size_t reads = 1);
  // Turns without a limit until stopped, with adaptive polling and back-off; never returns for an error. On stop it
  // abandons what is outstanding, deletes what was acknowledged, and gives the lease back.
  void Run(std::stop_token stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::outbox
