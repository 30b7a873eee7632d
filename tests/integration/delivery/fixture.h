// What the tests of delivery share: Outrider's tables on a real server, a fake vendor with one bot a channel, a sender,
// and deliveries over them. Records are inserted as ingest would insert them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/delivery.h"
#include "metrics/delivery_probe.h"
#include "metrics/health.h"
#include "metrics/log.h"
#include "metrics/registry.h"
#include "platform/http/engine.h"
#include "platform/mysql/connection.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/kept_log/kept_log.h"

namespace outrider::consumer {

using testing::Connect;
using testing::KeptLog;
using testing::Must;
using testing::Number;

void Migrate(mysql::MysqlConnection& connection);

// A record to insert. Its message's text is its dedupe key, so the vendor's deliveries tell which it was.
struct NewRecord {
  std::string key;
  std::string channel = "ops";
  std::string fields;  // further fields of the request: `, "max_attempts": 2`
  std::string ordering_key;
  int priority = 1;
  int max_attempts = 0;
  bool is_private = false;
  std::string expires;         // SQL: "NOW(6) - INTERVAL 1 SECOND"
  std::string due = "NOW(6)";  // SQL
  std::string parked_by;       // then it isn't due
  std::string status = "pending";
  std::string request;    // instead of the one that is made
  std::string sealed_by;  // the key that it is sealed under
  std::string topic = "t";
  int partition = 0;
  std::string tenant = "default";
};

class DeliveryTest : public ::testing::Test {
 protected:
  static testing::DatabaseServer& server() { return testing::DatabaseServer::Shared(); }

  explicit DeliveryTest(const mysql::MysqlOptions& database);
  DeliveryTest() : DeliveryTest(mysql::ParseMysqlUrl(server().CreateDatabase()).value()) {}
  ~DeliveryTest() override;

  // A channel whose bot has its own token; the bot has no limit unless told otherwise.
  providers::ChannelSettings Bot(const std::string& code = "ops", providers::RateLimit rate = {});
  providers::ChannelSettings Mock(const std::string& code = "ops", const std::string& mode = "success") const;
  void SetChannels(std::vector<providers::ChannelSettings> channels) { sender_->SetChannels(std::move(channels)); }

  DeliveryOptions Options(const std::string& owner = "host:1:a") const;
  std::unique_ptr<Delivery> MakeDelivery(const DeliveryOptions& options, const Clock& clock);
  std::unique_ptr<Delivery> MakeDelivery() { return MakeDelivery(Options(), clock_); }

  std::int64_t Insert(const NewRecord& record);
  std::int64_t InsertKey(const std::string& key) { return Insert({.key = key}); }
  std::vector<std::int64_t> InsertMany(std::size_t count, const std::string& channel = "ops",
                                       const std::string& prefix = "k");
  void Execute(std::string_view sql, std::initializer_list<mysql::Param> params = {}) { Must(*db_, sql, params); }
  std::int64_t Count(std::string_view sql, std::initializer_list<mysql::Param> params = {}) {
    return Must(*db_, sql, params).rows.at(0).Int(0);
  }
  // "status reason parked_by uncertain attempts_spent" of a record, without what is NULL or 0.
  std::string Story(std::int64_t id);
  std::string Column(std::int64_t id, std::string_view column);  // "NULL" when it is
  std::string Attempts(std::int64_t id);                         // "1 accepted; 2 no_answer timeout"

  // One look, as after new records came. It must succeed.
  Delivery::Round Turn(Delivery& delivery);
  // Looks, while the time goes on, until the record has that status; false at the end of the patience. Failed records
  // are made due at once.
  bool TurnUntil(Delivery& delivery, std::int64_t id, std::string_view status);
  bool WaitForStatus(std::int64_t id, std::string_view status);
  bool WaitForCount(std::string_view sql, std::int64_t count);
  void MakeDue(std::int64_t id);

  std::vector<std::string> Delivered(const std::string& channel = "ops") const;  // texts, in the vendor's order
  double Metric(const std::string& name_with_labels) const;
  // Metrics and log lines follow the commit.
  bool MetricBecomes(const std::string& name_with_labels, double value) const;
  bool LogBecomes(std::string_view text) const;
  std::string PartWords() const { return health_.parts()["delivery"].words; }

  mysql::MysqlOptions database_;
  std::unique_ptr<mysql::MysqlConnection> db_;
  FakeClock clock_;
  SystemClock system_clock_;
  MetricsRegistry registry_;
  DeliveryProbe probe_{registry_};
  Health health_{clock_};
  crypto::Sealer sealer_;  // without keys
  KeptLog log_;
  mysql::MysqlPool pool_;
  std::unique_ptr<fake_im::FakeImServer> vendor_;
  std::unique_ptr<http::HttpEngine> engine_;
  std::unique_ptr<providers::Sender> sender_;
  std::int64_t offset_ = 0;
};

}  // namespace outrider::consumer
