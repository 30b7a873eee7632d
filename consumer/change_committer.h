// ChangeCommitter: brings changes into the database, each only if its record is still as it was read.
//
// One transaction a call: the changes, their attempt rows, and the next record of each ordering key that was freed (or
// that is held from now on, because the record is dead and its channel's policy is to block).
// Changes that came too late change nothing. What was committed is told to metrics and log, once, here. Thread-safe.
// On a crash the transaction is there whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consumer/ordering_store.h"
#include "consumer/record.h"
#include "consumer/record_store.h"
#include "metrics/delivery_probe.h"
#include "metrics/log.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/pool.h"

namespace outrider::consumer {

class ChangeCommitter final {
 public:
  ChangeCommitter(mysql::MysqlPool& pool, KeyPolicy blocks, const Clock& clock, DeliveryProbe& probe, Log& log)
      : pool_(pool), blocks_(std::move(blocks)), clock_(clock), probe_(probe), log_(log) {}

  struct Committed {
    std::size_t changed = 0;
    std::size_t too_late = 0;           // somebody else was first
    std::vector<std::string> channels;  // that may have something to send now, because an ordering key went on
  };
  // `doubtful`: an earlier call with the same changes ended as kUnknown, so what is written already counts as changed.
  // kUnavailable: nothing was changed. kUnknown: look again with `doubtful`. kInvalid: the database doesn't take them.
  Result<Committed> Commit(std::span<const Change> changes, bool doubtful = false);

  // The same for followers in an ordering key: they are parked, if what they stand behind still holds them then.
  // `heads`: of each change, the unfinished head, or (parked by kParkedByBlockedKey) the dead record that holds the
  // key.
  Result<Committed> ParkBehind(std::span<const Change> followers, std::span<const std::int64_t> heads);

 private:
  Result<Committed> Write(std::span<const Change> changes, std::span<const std::int64_t> heads);
  void Tell(const Change& change);
  void TellTooLate(const Change& change);

  mysql::MysqlPool& pool_;
  const KeyPolicy blocks_;
  const Clock& clock_;
  DeliveryProbe& probe_;
  Log& log_;
  RecordStore store_;
  OrderingStore ordering_;
};

}  // namespace outrider::consumer
