// The tables of a source: the outbox itself and the relay's own beside it.
// Pure but for MissingTables(), which reads the connection's database.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/mysql/migrator.h"

namespace outrider::outbox {

// `table` is the outbox table's configured name; the relay's own tables have fixed names.
std::vector<mysql::Migration> OutboxMigrations(std::string_view table);
// The migrator's set for that table ("outbox" for `outbox`): two outbox tables of one database are recorded apart, so
// that the second one is created although the first one's files were applied.
std::string OutboxMigrationSet(std::string_view table);

// What this database lacks for a relay, as sentences that name the command which creates it (one for all tables,
// one for the columns of each); empty: complete.
Result<std::vector<std::string>> MissingTables(mysql::MysqlConnection& connection, std::string_view table);

}  // namespace outrider::outbox
