// Statements of tests, which must succeed: a failure is a std::runtime_error with the server's words, which the test
// that sees it reports.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "platform/mysql/connection.h"

namespace outrider::testing {

std::unique_ptr<mysql::MysqlConnection> Connect(const mysql::MysqlOptions& options);
mysql::Rows Must(mysql::MysqlConnection& connection, std::string_view sql,
                 std::initializer_list<mysql::Param> params = {});
// The first column of the first row.
std::int64_t Number(mysql::MysqlConnection& connection, std::string_view sql,
                    std::initializer_list<mysql::Param> params = {});
// How many statements of the whole server wait for a row's lock. Doesn't look at their texts: MySQL fails to show those
// with bytes in them.
std::int64_t RowLockWaits(mysql::MysqlConnection& connection);

}  // namespace outrider::testing
