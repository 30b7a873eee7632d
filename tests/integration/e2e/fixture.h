// What the end-to-end tests share: two databases, a topic and a group of one's own on a real broker, a fake vendor that
// keeps the truth, and `outrider` as processes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "platform/mysql/connection.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/outrider/outrider_program.h"

namespace outrider::e2e {

using testing::Connect;
using testing::Must;
using testing::Number;

class E2eTest : public ::testing::Test {
 protected:
  using Processes = std::vector<std::unique_ptr<testing::ChildProcess>>;

  enum class Databases { kTwo, kOne };  // kOne: the shop's outbox stands beside the records, and is the only source

  explicit E2eTest(Databases databases = Databases::kTwo);

  static testing::DatabaseServer& server() { return testing::DatabaseServer::Shared(); }

  // The configuration with these lines under `channels:`.
  std::string Configuration(std::string_view channels) const;
  // A bot channel without limits, whose group is `token` at the fake vendor.
  std::string BotChannel(std::string_view code, std::string_view token) const;
  void SetChannels(std::string_view channels) { program_.SetConfiguration(Configuration(channels)); }
  std::unique_ptr<testing::ChildProcess> Start(const std::string& roles);
  void Migrate();

  // One request in a transaction of its own.
  void Insert(std::string_view dedupe_key, std::string_view text) { Insert(*shop_, dedupe_key, text); }
  void Insert(mysql::MysqlConnection& connection, std::string_view dedupe_key, std::string_view text);
  void InsertRaw(mysql::MysqlConnection& connection, std::string_view aggregate_id, std::string_view payload);

  std::int64_t Records(std::string_view condition);
  // Until the outbox is empty and every record has ended; false when that takes longer than `timeout`.
  bool Drained(std::int64_t records, std::chrono::milliseconds timeout = std::chrono::seconds{60});
  // How often the vendor took each text.
  std::map<std::string, int> Taken() const;

  const std::string topic_;  // of this test alone, as are the group and the databases
  mysql::MysqlOptions shop_database_;
  mysql::MysqlOptions outrider_database_;
  std::unique_ptr<fake_im::FakeImServer> vendor_;
  testing::OutriderProgram program_;
  std::unique_ptr<mysql::MysqlConnection> shop_;
  std::unique_ptr<mysql::MysqlConnection> records_;
};

}  // namespace outrider::e2e
