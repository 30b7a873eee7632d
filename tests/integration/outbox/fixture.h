// What the tests of outbox/ share: a fresh source on a real server, a memory sink, and relays over both.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/health.h"
#include "metrics/log.h"
#include "metrics/registry.h"
#include "metrics/relay_probe.h"
#include "outbox/relay.h"
#include "outbox/schema.h"
#include "platform/mysql/connection.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/kept_log/kept_log.h"
#include "tests/support/memory_sink/memory_sink.h"

namespace outrider::outbox {

using testing::Connect;
using testing::KeptLog;
using testing::Must;
using testing::Number;

void Migrate(mysql::MysqlConnection& connection, std::string_view table = "outbox");

// A clock that a test sets, or that runs faster than the real one.
class TestClock final : public Clock {
 public:
  explicit TestClock(int factor) : factor_(factor) {}
  Timestamp Now() const override { return SystemClock().Now(); }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    return start_ + (std::chrono::steady_clock::now() - start_) * factor_;
  }

 private:
  const int factor_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class OutboxTest : public ::testing::Test {
 protected:
  static testing::DatabaseServer& server() { return testing::DatabaseServer::Shared(); }

  OutboxTest() { Migrate(*app_); }

  RelayOptions Options(const std::string& owner = "host:1:a") const;
  std::unique_ptr<Relay> MakeRelay(RelayOptions options, const Clock& clock);
  std::unique_ptr<Relay> MakeRelay(RelayOptions options) { return MakeRelay(std::move(options), clock_); }
  std::unique_ptr<Relay> MakeRelay() { return MakeRelay(Options()); }

  // Inserts one row in a transaction of its own; gives its seq.
  std::uint64_t Insert(std::string_view key, std::string_view payload = "{}");
  std::int64_t Waiting() { return Number(*app_, "SELECT COUNT(*) FROM outbox"); }
  std::int64_t Ledger() {
    return Number(*app_, "SELECT CAST(COALESCE(SUM(row_count), 0) AS SIGNED) FROM outbox_ledger");
  }
  // A counter or gauge as the scrape shows it.
  double Metric(const std::string& name_with_labels) const;
  std::string PartWords() const;
  // One turn that must succeed.
  Relay::Round Turn(Relay& relay);
  // Turns until nothing is left, over failures.
  void Drain(Relay& relay);

  mysql::MysqlOptions database_ = mysql::ParseMysqlUrl(server().CreateDatabase()).value();
  std::unique_ptr<mysql::MysqlConnection> app_ = Connect(database_);
  SystemClock clock_;
  MetricsRegistry registry_;
  RelayProbe probe_{registry_, "shop"};
  Health health_{clock_};
  KeptLog log_;
  testing::MemorySink sink_;
};

// The first occurrences in the log of each key, in the log's order, are in the order of seq.
void ExpectFirstOccurrencesInOrder(const std::vector<testing::MemorySink::Record>& log);

}  // namespace outrider::outbox
