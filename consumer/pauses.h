// Pauses: channels and tenants that a person has paused: none of their records is taken up, no attempt is spent, and
// what is on the wire ends as usual.
//
// They stand in the database, so that every process obeys within a sweep and a new one at once. Thread-safe: holds
// nothing; the connection is the caller's.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/audit_log.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/connection.h"
#include "platform/mysql/pool.h"

namespace outrider::consumer {

enum class PauseKind { kChannel, kTenant };
std::string_view ToString(PauseKind kind);

struct Pause {
  PauseKind kind = PauseKind::kChannel;
  std::string name;
  Timestamp since{};
  std::string actor, reason;
};
// "paused since ... by ...: reason".
std::string Describe(const Pause& pause);

struct PausedNames {
  std::set<std::string, std::less<>> channels, tenants;
};
PausedNames NamesOf(const std::vector<Pause>& pauses);

// All there are, by kind and name.
Result<std::vector<Pause>> ReadPauses(mysql::MysqlConnection& connection);
// Both give false when it was so before; then nothing is changed and nothing audited.
Result<bool> AddPause(mysql::MysqlPool& pool, PauseKind kind, const std::string& name, const std::string& actor,
                      const std::string& reason);
Result<bool> EndPause(mysql::MysqlPool& pool, PauseKind kind, const std::string& name, const std::string& actor,
                      const std::string& reason);

}  // namespace outrider::consumer
