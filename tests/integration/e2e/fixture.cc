#include "tests/integration/e2e/fixture.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/process/wait_until.h"

namespace outrider::e2e {
namespace {

std::string RandomWord() {
  std::random_device random;
  return fmt::format("t{:08x}", random());
}

std::unique_ptr<fake_im::FakeImServer> StartVendor() {
  auto vendor = fake_im::FakeImServer::Start();
  if (!vendor) throw std::runtime_error(vendor.error().message);
  return std::move(*vendor);
}

}  // namespace

E2eTest::E2eTest(Databases databases)
    : topic_(RandomWord()),
      shop_database_(mysql::ParseMysqlUrl(server().CreateDatabase()).value()),
      outrider_database_(databases == Databases::kOne ? shop_database_
                                                      : mysql::ParseMysqlUrl(server().CreateDatabase()).value()),
      vendor_(StartVendor()),
      program_(Configuration("")),
      shop_(Connect(shop_database_)),
      records_(Connect(outrider_database_)) {
  testing::KafkaBroker::Shared().CreateTopic("outbox.event." + topic_, 4);
}

std::string E2eTest::Configuration(std::string_view channels) const {
  return fmt::format(R"(
database: {{url: "{}"}}
sources: [{{name: shop, url: "{}"}}]
kafka: {{brokers: "{}", topics: ["outbox.event.{}"], group: "{}", properties: {{session.timeout.ms: "6000"}}}}
api: {{listen: "127.0.0.1:0"}}
allow_insecure_targets: true
relay: {{lease: 4s}}
delivery: {{lease: 4s, call_deadline: 2s}}
retry: {{max_attempts: 20, base: 100ms, max: 1s}}
channels:
{})",
                     server().Url(outrider_database_.database), server().Url(shop_database_.database),
                     testing::KafkaBroker::Shared().brokers(), topic_, topic_, channels);
}

std::string E2eTest::BotChannel(std::string_view code, std::string_view token) const {
  return fmt::format(
      "  {}: {{provider: feishu_bot, webhook_url: \"{}\", rate: {{per_second: 0, per_minute: 0}}, on_uncertain: "
      "retry}}\n",
      code, vendor_->WebhookUrl(std::string(token)));
}

std::unique_ptr<testing::ChildProcess> E2eTest::Start(const std::string& roles) {
  return program_.Run({"--roles", roles});
}

void E2eTest::Migrate() {
  const auto migrated = program_.Command({"migrate", "up"});
  ASSERT_EQ(migrated.code, 0) << migrated.err;
}

void E2eTest::Insert(mysql::MysqlConnection& connection, std::string_view dedupe_key, std::string_view text) {
  const nlohmann::json request = {{"dedupe_key", dedupe_key}, {"channel", "ops"}, {"message", {{"text", text}}}};
  InsertRaw(connection, dedupe_key, request.dump());
}

void E2eTest::InsertRaw(mysql::MysqlConnection& connection, std::string_view aggregate_id, std::string_view payload) {
  Must(connection, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)",
       {std::string_view(topic_), aggregate_id, payload});
}

std::int64_t E2eTest::Records(std::string_view condition) {
  return Number(*records_, fmt::format("SELECT COUNT(*) FROM notification_records WHERE {}", condition));
}

bool E2eTest::Drained(std::int64_t records, std::chrono::milliseconds timeout) {
  return testing::WaitUntil(
      [&] {
        return Number(*shop_, "SELECT COUNT(*) FROM outbox") == 0 && Records("TRUE") == records &&
               Records("status NOT IN ('sent', 'dead', 'skipped')") == 0;
      },
      timeout);
}

std::map<std::string, int> E2eTest::Taken() const {
  std::map<std::string, int> taken;
  for (const fake_im::Delivery& delivery : vendor_->deliveries()) ++taken[delivery.text];
  return taken;
}

}  // namespace outrider::e2e
