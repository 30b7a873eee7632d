#include "tests/integration/mysql/fixture.h"

#include <stdexcept>

namespace outrider::mysql {

std::unique_ptr<MysqlConnection> MysqlTest::Connect(const MysqlOptions& options) {
  auto connection = MysqlConnection::Open(options);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

Rows Must(MysqlConnection& connection, std::string_view sql, std::initializer_list<Param> params) {
  auto rows = connection.Execute(sql, params);
  if (!rows) throw std::runtime_error(rows.error().message);
  return std::move(*rows);
}

std::int64_t Number(MysqlConnection& connection, std::string_view sql, std::initializer_list<Param> params) {
  return Must(connection, sql, params).rows.at(0).Int(0);
}

std::int64_t ConnectionId(MysqlConnection& connection) { return Number(connection, "SELECT CONNECTION_ID()"); }

}  // namespace outrider::mysql
