// What the tests beside Debezium share: a database with a binary log, a broker, a Connect worker, `outrider` as
// processes, and what docs/debezium gives its readers, with this test's addresses and names put in.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/event.h"
#include "platform/mysql/connection.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/debezium/connect_worker.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/topic_ends.h"
#include "tests/support/outrider/outrider_program.h"

namespace outrider::debezium {

using testing::Must;
using testing::Number;

class DebeziumTest : public ::testing::Test {
 protected:
  static constexpr std::string_view kConnector = "outbox";

  DebeziumTest();
  ~DebeziumTest() override;

  // Of the test program, started on first use.
  static testing::DatabaseServer& server();
  static testing::KafkaBroker& broker() { return testing::KafkaBroker::Shared(); }
  static testing::ConnectWorker& worker();

  std::unique_ptr<testing::ChildProcess> StartOutrider(const std::string& roles);
  // SIGTERM; returns when it has ended.
  static void Stop(std::unique_ptr<testing::ChildProcess>& process);

  // The file of docs/debezium for this server; `prefix` tells two connectors apart.
  std::string ConnectorConfiguration(const std::string& prefix) const;
  void StartDebezium() { worker().Configure(std::string(kConnector), ConnectorConfiguration(name_)); }

  // docs/debezium/purge.py with this REST address of Connect; `wait` in seconds.
  struct Purged {
    int code = 0;
    std::string out;
    std::string err;
  };
  Purged Purge(int wait = 60) { return Purge(worker().url(), wait); }
  Purged Purge(const std::string& connect, int wait);

  void Insert(const std::string& payload);  // with the event key `key`
  // A row of a key of its own, in a transaction that stays open.
  std::unique_ptr<mysql::MysqlConnection> OpenTransaction(const std::string& dedupe_key) const;
  static void MustCommit(mysql::MysqlConnection& connection);
  std::int64_t Waiting() { return Number(*shop_, "SELECT COUNT(*) FROM outbox"); }
  // The first `count` events of this test's topic, copies among them; those of a key are in their order.
  std::vector<Event> Published(std::size_t count) const;
  // How many events this test's topic holds.
  std::size_t PublishedCount() const { return static_cast<std::size_t>(ends_.Count()); }

  const std::string name_;   // of this test's database, and of its aggregatetype
  const std::string topic_;  // outbox.event.<name_>, four partitions
  mysql::MysqlOptions shop_database_;
  mysql::MysqlOptions records_database_;
  std::unique_ptr<fake_im::FakeImServer> vendor_;
  testing::TempDir folder_{"debezium"};
  testing::OutriderProgram program_;
  std::unique_ptr<mysql::MysqlConnection> shop_;

 private:
  std::string OutriderConfiguration() const;
  std::string WithOwnNames(std::string text) const;

  testing::TopicEnds ends_;
};

// The JSON of a request with this dedupe key, for channel `ops`.
std::string RequestOf(const std::string& dedupe_key);

}  // namespace outrider::debezium
