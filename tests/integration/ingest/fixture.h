// What the tests of ingest and of the record queries share: Outrider's tables on a real server, a sender with channels,
// and an ingest over both.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/ingest.h"
#include "metrics/delivery_probe.h"
#include "metrics/ingest_probe.h"
#include "metrics/log.h"
#include "metrics/registry.h"
#include "platform/http/engine.h"
#include "platform/mysql/connection.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/kept_log/kept_log.h"

namespace outrider::consumer {

using testing::Connect;
using testing::KeptLog;
using testing::Must;
using testing::Number;

void Migrate(mysql::MysqlConnection& connection);
// The `key` column of each row of the statement's plan, tables in the plan's order; "" where none is used.
std::vector<std::string> KeysUsed(mysql::MysqlConnection& connection, const std::string& sql);

// A key of that name; equal names are equal keys.
crypto::SealingKey KeyNamed(const std::string& id);

inline constexpr std::string_view kTopic = "outbox.event.notification";

// A request with this dedupe key and further JSON fields (`, "tenant": "t"`), on channel ops-alerts.
std::string Request(std::string_view key, std::string_view further = "", std::string_view text = "hello");
// An event of that request whose id is "event-<offset>".
Event EventOf(std::int64_t offset, std::string value, std::int32_t partition = 0);
Event WithHeader(Event event, std::string name, std::string value);
Event WithId(Event event, std::string id);

class IngestTest : public ::testing::Test {
 protected:
  static testing::DatabaseServer& server() { return testing::DatabaseServer::Shared(); }

  IngestTest();

  std::unique_ptr<Ingest> MakeIngest(mysql::MysqlPool& pool);
  // A batch that must be stored.
  IngestCounts Store(const std::vector<Event>& events);

  std::int64_t Count(std::string_view sql, std::initializer_list<mysql::Param> params = {}) {
    return Number(*connection_, sql, params);
  }
  std::int64_t Records() { return Count("SELECT COUNT(*) FROM notification_records"); }
  // The one value of the one row.
  std::string Text(std::string_view sql, std::initializer_list<mysql::Param> params = {});
  std::string Shard(std::string_view column, std::int32_t partition = 0);
  double Metric(const std::string& name_with_labels) const;

  mysql::MysqlOptions database_ = mysql::ParseMysqlUrl(server().CreateDatabase()).value();
  std::unique_ptr<mysql::MysqlConnection> connection_ = Connect(database_);
  MetricsRegistry registry_;
  IngestProbe probe_{registry_};
  DeliveryProbe delivery_probe_{registry_};
  KeptLog log_;
  SystemClock clock_;
  http::HttpEngine engine_{http::HttpEngineOptions{}};
  providers::Sender sender_{engine_, clock_, delivery_probe_, log_.log()};
  mysql::MysqlPool pool_{database_, 4};
  crypto::Sealer sealer_;  // without keys
  IngestOptions options_{.sealer = &sealer_};
  std::unique_ptr<Ingest> ingest_ = MakeIngest(pool_);
};

}  // namespace outrider::consumer
