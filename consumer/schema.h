// Outrider's own tables (design.md 3.4). Migration set "outrider".
#pragma once

#include <string>
#include <vector>

#include "platform/mysql/migrator.h"

namespace outrider::consumer {

std::vector<mysql::Migration> RecordMigrations();

// What this database lacks, as sentences that name the command which creates it; empty: complete.
Result<std::vector<std::string>> MissingTables(mysql::MysqlConnection& connection);

}  // namespace outrider::consumer
