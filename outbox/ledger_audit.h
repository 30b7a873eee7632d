// LedgerAudit: what a source's relay says of itself, for `outrider verify`. Reads only; bounded by the ledger's size.
// Threads: the connection's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

// Of one partition: rows that were acknowledged there and deleted, as the ledger has them.
struct LedgerSum {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t highest_offset = 0;
  std::uint64_t rows = 0;
};

struct SourceAudit {
  std::vector<LedgerSum> ledger;
  std::size_t waiting = 0;  // rows in the outbox, at most kBacklogCap
  std::size_t dead = 0;     // rows in outbox_dead
};

Result<SourceAudit> AuditSource(mysql::MysqlConnection& connection, std::string_view source, std::string_view table);

}  // namespace outrider::outbox
