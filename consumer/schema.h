// Outrider's own tables. Migration set "outrider".
#pragma once

#include <string>
#include <vector>

#include "platform/mysql/migrator.h"

namespace outrider::consumer {

std::vector<mysql::Migration> RecordMigrations();

// What this database lacks, as sentences that name the command which creates it (one for all tables, one for the
// columns of each); empty: complete.
Result<std::vector<std::string>> MissingTables(mysql::MysqlConnection& connection);

}  // namespace outrider::consumer
