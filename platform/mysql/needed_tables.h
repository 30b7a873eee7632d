// NeededTables: whether a database has the tables and columns that a part of the program works with.
//
// Pure but for the one read of the connection's data dictionary. Threads: the connection's.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::mysql {

struct NeededTable {
  std::string_view name;
  std::vector<std::string_view> columns;
};

// What the connection's database lacks, as sentences that name the command which creates it: one for all tables, one
// for the columns of each; empty: complete. A table that this account has no right to looks missing.
Result<std::vector<std::string>> MissingTables(MysqlConnection& connection, std::span<const NeededTable> needed);

}  // namespace outrider::mysql
