// KeyOrder: of the records that are due, which must wait for their ordering key, and parks those.
//
// Of each key only the first unfinished record goes on, and only if no dead one holds the key. The others are parked;
// who ends or frees what they stand behind wakes the next. A first record stays the first until it ends, or a person
// brings an earlier one back; that none of the key is in flight then is the claim's own condition (OrderingStore).
//
// Threads: the scanner's. On a crash what is parked stays so until it is woken, or found by the sweep.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "consumer/change_committer.h"
#include "consumer/ordering_store.h"
#include "consumer/record.h"
#include "model/result.h"
#include "platform/mysql/pool.h"

namespace outrider::consumer {

class KeyOrder final {
 public:
  KeyOrder(mysql::MysqlPool& pool, ChangeCommitter& committer) : pool_(pool), committer_(committer) {}

  struct Waiting {
    const Record* record = nullptr;  // with an ordering key
    bool may_be_held = false;        // its channel lets dead records hold their key
  };
  struct Left {
    std::set<std::int64_t> ids;  // must not go on now
    bool undecided = false;      // of some it couldn't be told whether to park them: look again soon
  };
  Result<Left> LookAtKeys(std::span<const Waiting> waiting);
  // After a claim found one of the keys in flight, because an earlier record was brought back meanwhile.
  Result<Left> LookAtFlights(std::span<const Waiting> waiting);

 private:
  struct Followers {
    std::vector<Change> changes;
    std::vector<std::int64_t> heads;  // of each, what it stands behind
    void Add(const Record& record, std::int64_t head, std::string_view parked_by);
  };
  Result<Left> Park(const Followers& followers, std::set<std::int64_t> left);

  mysql::MysqlPool& pool_;
  ChangeCommitter& committer_;
  OrderingStore ordering_;
};

}  // namespace outrider::consumer
