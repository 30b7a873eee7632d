// Short statements for what most settlements of a batch are: records that were sent, and attempts that ended alike.
//
// RecordStore::Write() uses them where enough rows are alike, because what is the same in all rows costs the server
// nothing for each of them. Thread-safe: keeps nothing; the connection is the caller's. Errors are the connection's.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "consumer/record.h"
#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

struct AlikeChanges {
  // Each with one version and one provider, and nothing to be written beyond being sent.
  std::vector<std::vector<const Change*>> sent;
  std::vector<const Change*> others;
};
AlikeChanges GroupSent(std::span<const Change> changes);

struct AlikeAttempts {
  std::vector<std::vector<const Change*>> alike;  // each with one worker, verdict, answer ...
  std::vector<const Change*> others;
};
// Of the changes that have an attempt.
AlikeAttempts GroupAttempts(std::span<const Change> changes);

// Gives how many records it changed. REQUIRES: an open transaction; a group of GroupSent().
Result<std::size_t> WriteSent(mysql::MysqlConnection& connection, std::span<const Change* const> group);
// REQUIRES: the same; the records were written; a group of GroupAttempts().
Result<void> WriteAttempts(mysql::MysqlConnection& connection, std::span<const Change* const> group);

}  // namespace outrider::consumer
