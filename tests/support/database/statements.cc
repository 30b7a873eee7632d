#include "tests/support/database/statements.h"

#include <stdexcept>
#include <string>

namespace outrider::testing {

std::unique_ptr<mysql::MysqlConnection> Connect(const mysql::MysqlOptions& options) {
  auto connection = mysql::MysqlConnection::Open(options);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

mysql::Rows Must(mysql::MysqlConnection& connection, std::string_view sql, std::initializer_list<mysql::Param> params) {
  auto rows = connection.Execute(sql, params);
  if (!rows) throw std::runtime_error(rows.error().message);
  return std::move(*rows);
}

std::int64_t Number(mysql::MysqlConnection& connection, std::string_view sql,
                    std::initializer_list<mysql::Param> params) {
  return Must(connection, sql, params).rows.at(0).Int(0);
}

std::int64_t RowLockWaits(mysql::MysqlConnection& connection) {
  return std::stoll(Must(connection, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'").rows.at(0).TakeText(1));
}

}  // namespace outrider::testing
