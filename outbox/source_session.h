// A relay's session on its source's database. Threads: the caller's.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

// A relay that is paused inside its transaction keeps the lease's row locked. The server hangs up on such a session
// within a lease, and it waits for a lock no longer than a third of one, so a take-over isn't held up. An answer is
// waited for no longer than a lease, or 5 s where a lease is shorter.
Result<std::unique_ptr<mysql::MysqlConnection>> OpenSourceSession(const mysql::MysqlOptions& database,
                                                                  std::chrono::milliseconds lease);

// Whether it can be used as it is, without asking the server.
bool IsUsable(const mysql::MysqlConnection* connection);

}  // namespace outrider::outbox
