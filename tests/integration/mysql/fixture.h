// What the tests of platform/mysql share: a fresh database on the shared server, and calls that must succeed.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "platform/mysql/connection.h"
#include "tests/support/database/database_server.h"

namespace outrider::mysql {

class MysqlTest : public ::testing::Test {
 protected:
  static testing::DatabaseServer& server() { return testing::DatabaseServer::Shared(); }
  static std::unique_ptr<MysqlConnection> Connect(const MysqlOptions& options);
  std::unique_ptr<MysqlConnection> Connect() { return Connect(options_); }

  MysqlOptions options_ = ParseMysqlUrl(server().CreateDatabase()).value();
};

// The result, or the error's text as a failure of the test.
Rows Must(MysqlConnection& connection, std::string_view sql, std::initializer_list<Param> params = {});
std::int64_t Number(MysqlConnection& connection, std::string_view sql, std::initializer_list<Param> params = {});
std::int64_t ConnectionId(MysqlConnection& connection);

}  // namespace outrider::mysql
