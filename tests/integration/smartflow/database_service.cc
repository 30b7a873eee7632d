#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "consumer/delivery.h"
#include "consumer/ingest.h"
#include "consumer/schema.h"
#include "metrics/health.h"
#include "metrics/ingest_probe.h"
#include "model/text.h"
#include "platform/mysql/migrator.h"
#include "providers/smartflow_profile.h"
#include "tests/integration/smartflow/notification_service.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/kept_log/kept_log.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using testing::Must;

class DatabaseService final : public NotificationService {
 public:
  DatabaseService() {
    const mysql::Migrator migrator("outrider", RecordMigrations());
    if (auto done = migrator.Up(*db_); !done) throw std::runtime_error(done.error().message);
    channel_.code = "feishu";
    channel_.provider = "mock";
    ApplySmartFlowProfile(channel_);
    sender_.SetChannels({channel_});
    DeliveryOptions options;
    options.owner = "host:1:a";
    options.sweep = std::chrono::milliseconds{0};
    delivery_ = std::make_unique<Delivery>(options, pool_, sender_, clock_, delivery_probe_, health_, log_.log());
    delivery_->Assigned({{"t", 0}});
  }

  std::string Handle(const std::string& event) override {
    Event read;
    read.position = {"t", 0, ++offset_};
    read.value = event;
    const auto counts = ingest_.Store(std::span(&read, 1));
    if (!counts) throw std::runtime_error(counts.error().message);
    if (counts->recorded == 1) return "recorded";
    if (counts->rejected == 0) return "reused";
    return "rejected " + Must(*db_, "SELECT reason FROM rejected_events ORDER BY id DESC LIMIT 1").rows.at(0).Text(0);
  }

  RetryCounts Retry() override {
    std::vector<std::int64_t> due;
    for (const mysql::Row& row : Must(*db_, "SELECT id FROM notification_records WHERE due_at <= NOW(6)").rows) {
      due.push_back(row.Int(0));
    }
    RetryCounts counts;
    counts.scanned = due.size();
    const auto state_of = [&](std::int64_t id) {
      return Must(*db_,
                  "SELECT CONCAT(status, IF(status IN ('pending', 'failed') AND due_at <= NOW(6), ' due', '')) FROM "
                  "notification_records WHERE id = ?",
                  {id})
          .rows.at(0)
          .Text(0);
    };
    for (const std::int64_t id : due) {
      std::string state;
      const bool ended = testing::WaitUntil([&] {
        delivery_->LookAgain();
        if (auto round = delivery_->ScanOnce(); !round) throw std::runtime_error(round.error().message);
        state = state_of(id);
        return state != "sending" && !state.ends_with(" due");
      });
      if (!ended) throw std::runtime_error("a record that is due wasn't delivered");
      ++counts.retried;
      if (state == "sent") ++counts.sent;
      if (state == "failed") ++counts.failed;
      if (state == "dead") ++counts.dead;
      if (state == "skipped") ++counts.skipped;
    }
    return counts;
  }

  void Interrupt(const std::string& dedupe_key) override {
    Must(*db_,
         "UPDATE notification_records SET status = 'sending', version = version + 1, attempt_no = attempt_no + 1, "
         "attempts_spent = attempts_spent + 1, lease_owner = 'gone', due_at = NOW(6) + INTERVAL ? SECOND, updated_at = "
         "NOW(6) WHERE dedupe_key = ?",
         {std::int64_t{kLease.count()}, std::string_view(dedupe_key)});
  }
  void Pass(std::chrono::seconds time) override {
    Must(*db_,
         "UPDATE notification_records SET due_at = due_at - INTERVAL ? SECOND, updated_at = updated_at - INTERVAL ? "
         "SECOND WHERE due_at IS NOT NULL",
         {std::int64_t{time.count()}, std::int64_t{time.count()}});
  }
  void SetMode(const std::string& mode) override {
    channel_.settings.insert_or_assign("mode", Secret(mode));
    sender_.SetChannels({channel_});
  }
  void Disable() override {
    channel_.enabled = false;
    sender_.SetChannels({channel_});
  }

  NotificationState Find(const std::string& dedupe_key) override {
    NotificationState state;
    const auto found =
        Must(*db_,
             "SELECT status, reason, attempt_no, COALESCE(TIMESTAMPDIFF(SECOND, updated_at, due_at), 0), "
             "provider_message_id IS NOT NULL, request, metadata FROM notification_records WHERE "
             "dedupe_key = ?",
             {std::string_view(dedupe_key)});
    if (found.rows.empty()) return state;
    const mysql::Row& row = found.rows.front();
    state.status = row.Text(0);
    state.error_code = row.TextOr(1, "");
    state.attempts = static_cast<int>(row.Int(2));
    state.next_retry = std::chrono::seconds{row.Int(3)};
    state.has_message_id = row.Bool(4);
    state.text = nlohmann::json::parse(row.Text(5))["message"]["text"];
    state.fallback_used = nlohmann::json::parse(row.Text(6))["fallback_used"];
    return state;
  }
  std::size_t records() override {
    return static_cast<std::size_t>(testing::Number(*db_, "SELECT COUNT(*) FROM notification_records"));
  }

 private:
  mysql::MysqlOptions database_ = mysql::ParseMysqlUrl(testing::DatabaseServer::Shared().CreateDatabase()).value();
  std::unique_ptr<mysql::MysqlConnection> db_ = testing::Connect(database_);
  SystemClock clock_;
  MetricsRegistry registry_;
  IngestProbe ingest_probe_{registry_};
  DeliveryProbe delivery_probe_{registry_};
  Health health_{clock_};
  testing::KeptLog log_;
  mysql::MysqlPool pool_{database_, 8};
  http::HttpEngine engine_{http::HttpEngineOptions{}};
  providers::Sender sender_{engine_, clock_, delivery_probe_, log_.log()};
  Ingest ingest_{pool_, sender_, ingest_probe_, log_.log(), {}};
  providers::ChannelSettings channel_;
  std::unique_ptr<Delivery> delivery_;
  std::int64_t offset_ = 0;
};

}  // namespace

std::unique_ptr<NotificationService> MakeDatabaseService() { return std::make_unique<DatabaseService>(); }

}  // namespace outrider::consumer
