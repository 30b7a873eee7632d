// One bot, four programs: whatever happens to them, the vendor never sees more than the rate. The bot refuses what
// exceeds it, and its clock is the measure.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/integration/app/program.h"
#include "tests/support/database/statements.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/process/wait_until.h"

namespace outrider::app {
namespace {

using std::chrono::seconds;
using testing::Number;

constexpr int kPrograms = 4;
constexpr int kOrdersEach = 50;
constexpr int kPerSecond = 10;

class LimitTest : public ::testing::Test {
 protected:
  LimitTest() {
    auto started =
        fake_im::FakeImServer::Start({.bots = {{.token = "group", .per_second = kPerSecond, .per_minute = 0}}});
    if (!started) throw std::runtime_error(started.error().message);
    im_ = std::move(*started);
    const std::string own = server().CreateDatabase();
    records_ = testing::Connect(mysql::ParseMysqlUrl(own).value());
    for (int i = 0; i < kPrograms; ++i) {
      shops_.push_back(server().CreateDatabase());
      programs_.push_back(std::make_unique<testing::OutriderProgram>(fmt::format(
          R"(database: {{url: "{}"}}
sources: [{{name: shop{}, url: "{}"}}]
transport: direct
allow_insecure_targets: true
api: {{listen: "127.0.0.1:0"}}
retry: {{base: 100ms, max: 1s}}
delivery: {{lease: 6s, call_deadline: 2s}}
channels:
  ops: {{provider: feishu_bot, webhook_url: "{}", rate: {{per_second: {}, per_minute: 0}}}}
)",
          own, i, shops_.back(), im_->WebhookUrl("group"), kPerSecond)));
      const auto migrated = programs_.back()->Command({"migrate", "up"});
      if (migrated.code != 0) throw std::runtime_error(migrated.err);
    }
  }

  static testing::DatabaseServer& server() { return testing::DatabaseServer::Shared(); }

  void Order() {
    for (int i = 0; i < kPrograms; ++i) {
      const auto shop = testing::Connect(mysql::ParseMysqlUrl(shops_[static_cast<std::size_t>(i)]).value());
      for (int j = 0; j < kOrdersEach; ++j) {
        const std::string key = fmt::format("order-{}-{}", i, j);
        const std::string payload =
            fmt::format(R"({{"dedupe_key": "{0}", "channel": "ops", "message": {{"text": "{0}"}}}})", key);
        testing::Must(*shop, "INSERT INTO outbox (aggregateid, payload) VALUES (?, ?)",
                      {std::string_view(key), std::string_view(payload)});
      }
    }
  }
  void RunAll() {
    for (const auto& program : programs_) running_.push_back(program->Run());
    for (const auto& process : running_) {
      ASSERT_TRUE(testing::WaitUntil([&] { return process->Stderr().find("run.ready") != std::string::npos; }))
          << process->Stderr();
    }
  }
  std::size_t OrdersDelivered() const {
    std::set<std::string> texts;
    for (const fake_im::Delivery& delivery : im_->deliveries()) texts.insert(delivery.text);
    return texts.size();
  }
  std::size_t MostTakenInASecond() const {
    const auto deliveries = im_->deliveries();
    std::size_t most = 0;
    for (std::size_t first = 0, last = 0; first < deliveries.size(); ++first) {
      while (last < deliveries.size() && deliveries[last].time - deliveries[first].time <= seconds{1}) ++last;
      most = std::max(most, last - first);
    }
    return most;
  }
  std::int64_t Refused() {
    return Number(*records_, "SELECT COUNT(*) FROM notification_attempts WHERE provider_code NOT IN ('', '0')");
  }
  std::int64_t Sent() { return Number(*records_, "SELECT COUNT(*) FROM notification_records WHERE status = 'sent'"); }

  std::unique_ptr<fake_im::FakeImServer> im_;
  std::unique_ptr<mysql::MysqlConnection> records_;
  std::vector<std::string> shops_;
  std::vector<std::unique_ptr<testing::OutriderProgram>> programs_;
  std::vector<std::unique_ptr<testing::ChildProcess>> running_;
};

TEST_F(LimitTest, FourProgramsSendToOneChatAtItsRateAndNeverAboveIt) {
  RunAll();
  Order();
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == kPrograms * kOrdersEach; }, seconds{60}));
  EXPECT_EQ(MostTakenInASecond(), static_cast<std::size_t>(kPerSecond));
  EXPECT_EQ(Refused(), 0);
  const auto deliveries = im_->deliveries();
  const std::chrono::duration<double> time = deliveries.back().time - deliveries.front().time;
  const double part = static_cast<double>(deliveries.size() - kPerSecond) / (time.count() * kPerSecond);
  fmt::print("of the rate {:.0f} % was reached\n", part * 100);
  EXPECT_GT(part, 0.4) << "one process alone has a quarter";
}

TEST_F(LimitTest, OneThatDiesAndOneThatStandsStillForAWhileDontBreakTheRate) {
  RunAll();
  Order();
  ASSERT_TRUE(testing::WaitUntil(
      [&] { return Number(*records_, "SELECT COUNT(*) FROM notification_records") == kPrograms * kOrdersEach; }));
  const std::string pid = std::to_string(running_[1]->pid());
  const auto is_in_the_row = [&] {
    return Number(*records_, "SELECT COUNT(*) FROM rate_leases WHERE shares LIKE CONCAT('%:', ?, ':%')",
                  {std::string_view(pid)}) > 0;
  };
  ASSERT_TRUE(im_->WaitForDeliveries(30, seconds{30}));
  ASSERT_TRUE(testing::WaitUntil(is_in_the_row));
  running_[0]->Kill();
  running_[1]->Pause();
  // Its share goes to the others when its lease, the longest call and the window are over.
  ASSERT_TRUE(testing::WaitUntil([&] { return !is_in_the_row(); }));
  running_[1]->Continue();
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == kPrograms * kOrdersEach; }, seconds{90}))
      << Sent() << " sent; " << running_[2]->Stderr();
  EXPECT_EQ(OrdersDelivered(), static_cast<std::size_t>(kPrograms * kOrdersEach));
  EXPECT_LE(MostTakenInASecond(), static_cast<std::size_t>(kPerSecond));
  EXPECT_EQ(Refused(), 0);
  const auto deliveries = im_->deliveries();
  const std::chrono::duration<double> time = deliveries.back().time - deliveries.front().time;
  fmt::print("{} deliveries in {:.1f} s\n", deliveries.size(), time.count());
}

}  // namespace
}  // namespace outrider::app
