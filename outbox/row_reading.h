// RowReading: rows of an outbox, or of those that are held, into memory that is used again.
//
// Large payloads stay on the server until it is known that their rows are taken. Threads: the connection's. Keeps
// nothing.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "outbox/event_sink.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

struct Reading {
  std::size_t rows = 0;   // the first of the vector
  bool cut = false;       // one more would have been too many bytes
  bool any_held = false;  // some key of the source is held, as of this read
};

// Payloads above this are fetched by themselves: the first parameter of a statement that reads rows.
inline constexpr std::uint64_t kInlineBytes = 16 << 10;

struct RowStatement {
  // Columns: seq, id, aggregatetype, aggregateid, type, bytes of the payload, payload (NULL: fetched by itself),
  // traceparent, tracestate, created_at, and the row's id among the held (or whether any key is held).
  std::string_view rows;
  // By a JSON list of seqs (of ids among the held): that number and the payload.
  std::string_view payloads;
  bool of_held = false;
};

// Into `rows`, which grows but never shrinks. No more bytes than `max_bytes` unless a single row is larger.
Result<Reading> ReadRows(mysql::MysqlConnection& connection, const RowStatement& statement,
                         std::span<const mysql::Param> params, std::size_t max_bytes, std::vector<OutboxRow>& rows);

// "[1,2,3]": so that a statement is prepared once for all lengths.
std::string NumberList(std::span<const std::uint64_t> numbers);

}  // namespace outrider::outbox
