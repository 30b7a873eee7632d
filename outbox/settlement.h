// Settlement: what a round of publishing came to: rows to delete because the sink has them, rows to move to outbox_dead
// because it never will, and rows to hold because their key is. A value; what it names is in the database until
// OutboxStore::Settle() has committed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "outbox/row_key.h"

namespace outrider::outbox {

struct LedgerEntry {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t highest_offset = 0;
  std::size_t rows = 0;
};

struct DeadRow {
  std::uint64_t seq = 0;
  std::string reason;              // stable, at most 64 characters
  std::string detail;              // for people; cut at 2000 code points
  std::uint64_t held_id = 0;       // where it comes out of outbox_held
  std::optional<KeyNumber> holds;  // the key whose later rows wait until a person has decided
  std::string aggregatetype, aggregateid;
};

// To be moved from the outbox to outbox_held.
struct HeldRow {
  std::uint64_t seq = 0;
  KeyNumber key = 0;
};

// Published out of outbox_held.
struct ReleasedRow {
  std::uint64_t id = 0;
  std::uint64_t seq = 0;
};

struct Settlement {
  std::vector<std::uint64_t> stored;
  std::vector<ReleasedRow> released;
  std::vector<LedgerEntry> ledger;
  std::vector<DeadRow> dead;
  std::vector<HeldRow> held;

  bool empty() const { return rows() == 0; }
  std::size_t rows() const { return stored.size() + released.size() + dead.size() + held.size(); }
  void Append(Settlement more);
  // Of the rows that are in the outbox.
  std::optional<std::uint64_t> lowest_seq() const;
};

}  // namespace outrider::outbox
