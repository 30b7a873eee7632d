#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/integration/app/program.h"
#include "tests/support/database/statements.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::chrono::seconds kLong{30};

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    auto started = fake_im::FakeImServer::Start({.bots = {{.token = "group"}}});
    if (!started) throw std::runtime_error(started.error().message);
    im_ = std::move(*started);
  }

  std::string Ops() const { return "channels:\n" + ChannelLine("ops", im_->WebhookUrl("group")); }

  // Status and parked_by of a key, "" when there is no record.
  static std::string State(const Installation& installation, const std::string& key) {
    const Ended ended = installation.Call({"show", key, "-o", "json"});
    const auto json = nlohmann::json::parse(ended.out, nullptr, false);
    if (!json.is_array() || json.empty()) return "";
    return json[0]["status"].get<std::string>() + " " + json[0]["parked_by"].get<std::string>();
  }
  static bool WaitForState(const Installation& installation, const std::string& key, const std::string& state) {
    return testing::WaitUntil([&] { return State(installation, key) == state; }, kLong);
  }

  std::unique_ptr<fake_im::FakeImServer> im_;
};

TEST_F(RunTest, ACommittedOrderArrivesAndARolledBackOneDoesNot) {
  Installation installation;
  installation.Configure(Ops());
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready")) << running->log();
  {
    const auto shop = installation.ConnectToShop();
    ASSERT_TRUE(shop->Begin());
    ASSERT_TRUE(shop->Execute("INSERT INTO outbox (aggregateid, payload) VALUES ('r', ?)",
                              {R"({"dedupe_key": "rolled-back", "channel": "ops", "message": {"text": "never"}})"}));
    shop->Rollback();
  }
  installation.Order("kept");
  ASSERT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();
  EXPECT_TRUE(WaitForState(installation, "kept", "sent "));
  EXPECT_EQ(State(installation, "rolled-back"), "");
  EXPECT_EQ(im_->deliveries().size(), 1u);
  EXPECT_THAT(running->Get("/metrics"), AllOf(StartsWith("200 "), HasSubstr("outrider_")));
  EXPECT_THAT(running->Get("/readyz?verbose"), AllOf(StartsWith("200 ready"), HasSubstr("[+] relay shop")));
  EXPECT_EQ(running->process().Terminate().code, 0);
  EXPECT_THAT(running->log(), HasSubstr("run.stopped"));
}

TEST_F(RunTest, MissingTablesAreNamedWithTheCommandAndWaitedFor) {
  Installation installation;
  installation.Configure(Ops());
  const auto running = installation.Run();
  ASSERT_TRUE(running->WaitForLog("run.waits"));
  EXPECT_THAT(running->log(), HasSubstr("outrider migrate up"));
  EXPECT_THAT(running->Get("/readyz"), AllOf(StartsWith("503 "), HasSubstr("outrider migrate up")));
  EXPECT_THAT(running->Get("/healthz"), StartsWith("200 "));
  // Each look after the first begins with a ping, which nothing else sends here.
  const auto shop = installation.ConnectToShop();
  const auto looks = [&] {
    return std::stoll(testing::Must(*shop, "SHOW GLOBAL STATUS LIKE 'Com_admin_commands'").rows.at(0).TakeText(1));
  };
  const auto before = looks();
  ASSERT_TRUE(testing::WaitUntil([&] { return looks() >= before + 2; }));
  ASSERT_EQ(installation.Call({"migrate", "up"}).code, 0);
  ASSERT_TRUE(running->WaitForLog("run.ready")) << running->log();
  installation.Order("k-1");
  EXPECT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();
  // Migrating takes a while, so there may be a wait for all of the tables and then one for the last ones.
  std::vector<std::string> waits = running->Said("run.waits");
  std::ranges::sort(waits);
  EXPECT_THAT(waits, Not(IsEmpty()));
  EXPECT_EQ(std::ranges::adjacent_find(waits), waits.end()) << "a wait is said once\n" << running->log();
}

TEST_F(RunTest, ADatabaseThatIsAwayIsWaitedForAndComesBack) {
  const auto server = testing::DatabaseServer::Start(testing::DatabaseServer::KindFromEnvironment());
  Installation installation(*server);
  installation.Configure(Ops());
  ASSERT_EQ(installation.Call({"migrate", "up"}).code, 0);
  server->Stop();
  const auto running = installation.Run();
  ASSERT_TRUE(running->WaitForLog("can't be used")) << running->log();
  EXPECT_THAT(running->Get("/readyz"), AllOf(StartsWith("503 "), HasSubstr("trying again")));
  EXPECT_THAT(running->Get("/healthz"), StartsWith("200 "));
  server->Restart();
  ASSERT_TRUE(running->WaitForLog("run.ready")) << running->log();
  installation.Order("first");
  ASSERT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();

  server->Kill();
  ASSERT_TRUE(testing::WaitUntil([&] { return running->Get("/readyz").starts_with("503 "); }, kLong));
  server->Restart();
  ASSERT_TRUE(testing::WaitUntil([&] { return running->Get("/readyz").starts_with("200 "); }, kLong));
  installation.Order("second");
  EXPECT_TRUE(im_->WaitForDeliveries(2, kLong)) << running->log();
  EXPECT_THAT(running->log(), Not(HasSubstr("outrider:outrider")));
  EXPECT_EQ(running->process().Terminate().code, 0);
}

TEST_F(RunTest, ADatabaseThatStandsStillDoesntHoldUpTheStopForLongerThanTheGrace) {
  const auto server = testing::DatabaseServer::Start(testing::DatabaseServer::KindFromEnvironment());
  Installation installation(*server);
  installation.Configure(Ops() + "grace: 4s\n");
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready")) << running->log();
  installation.Order("first");
  ASSERT_TRUE(WaitForState(installation, "first", "sent ")) << running->log();
  server->Pause();
  const auto before = std::chrono::steady_clock::now();
  running->process().Terminate();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{11}) << running->log();
  EXPECT_THAT(running->log(), HasSubstr("run.stops"));
  server->Continue();
}

TEST_F(RunTest, MigratingAtTheStartWaitsForTheDatabase) {
  const auto server = testing::DatabaseServer::Start(testing::DatabaseServer::KindFromEnvironment());
  Installation installation(*server);
  server->Stop();
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("migrate.waits")) << running->log();
  EXPECT_THAT(running->Get("/readyz"), StartsWith("503 "));
  server->Restart();
  EXPECT_TRUE(running->WaitForLog("run.ready")) << running->log();
  EXPECT_EQ(running->process().Terminate().code, 0);
}

TEST_F(RunTest, WhileItWaitsForTheDatabaseItStopsWhenTold) {
  Installation installation;
  const auto running = installation.Run(
      {"--migrate", "--set", fmt::format("database.url=mysql://u@127.0.0.1:{}/d", testing::FreePort())});
  ASSERT_TRUE(running->WaitForLog("migrate.waits"));
  EXPECT_EQ(running->process().Terminate().code, 0);
}

TEST_F(RunTest, AnUnknownChannelIsParkedAndDeliveredAfterAReload) {
  Installation installation;
  installation.Configure("channels: {}\n");
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready"));
  installation.Order("early");
  ASSERT_TRUE(WaitForState(installation, "early", "pending channel_unknown")) << running->log();
  EXPECT_THAT(installation.Call({"show", "early"}).out, HasSubstr("configure the channel \"ops\""));
  installation.Configure(Ops());
  running->process().Signal(SIGHUP);
  ASSERT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();
  EXPECT_TRUE(WaitForState(installation, "early", "sent "));
  EXPECT_THAT(running->log(), HasSubstr("config.reloaded channels=1 added=ops"));
}

TEST_F(RunTest, AChangedFileIsReloadedWithoutASignal) {
  Installation installation;
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready"));
  installation.Order("early");
  ASSERT_TRUE(WaitForState(installation, "early", "pending channel_unknown"));
  installation.Configure(Ops());
  EXPECT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();
}

TEST_F(RunTest, AnUnknownChannelIsParkedAndDeliveredAfterARestart) {
  Installation installation;
  auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready"));
  installation.Order("early");
  ASSERT_TRUE(WaitForState(installation, "early", "pending channel_unknown")) << running->log();
  ASSERT_EQ(running->process().Terminate().code, 0);
  installation.Configure(Ops());
  running = installation.Run();
  ASSERT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();
  EXPECT_TRUE(WaitForState(installation, "early", "sent "));
}

TEST_F(RunTest, AWrongConfigurationIsNotReloadedAndNothingStops) {
  Installation installation;
  installation.Configure(Ops());
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready"));
  installation.Configure("channels: {ops: {provider: carrier_pigeon}}\n");
  running->process().Signal(SIGHUP);
  ASSERT_TRUE(running->WaitForLog("config.refused"));
  installation.Configure(Ops() + "grace: 1s\n");
  running->process().Signal(SIGHUP);
  ASSERT_TRUE(running->WaitForLog("needs_restart=grace"));
  installation.Order("still");
  EXPECT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();
}

TEST_F(RunTest, AnAddressThatIsTakenIsSaidAndEndsTheProgram) {
  Installation installation;
  const auto first = installation.Run();
  const Ended second = installation.Call({"run", "--set", fmt::format("api.listen=127.0.0.1:{}", first->port())});
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err, AllOf(HasSubstr("run.failed"), HasSubstr(std::to_string(first->port()))));
}

TEST_F(RunTest, ARequestWithoutStructureIsRejectedAndTheNextOneArrives) {
  Installation installation;
  installation.Configure(Ops());
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready"));
  ASSERT_TRUE(installation.ConnectToShop()->Execute("INSERT INTO outbox (aggregateid, payload) VALUES ('bad', ?)",
                                                    {R"({"channel": "ops", "message": 7})"}));
  installation.Order("good");
  ASSERT_TRUE(im_->WaitForDeliveries(1, kLong)) << running->log();
  auto own = mysql::MysqlConnection::Open(testing::DatabaseServer::Shared().Options(installation.own_database()));
  ASSERT_TRUE(own);
  const auto rejected = (*own)->Execute("SELECT faults FROM rejected_events");
  ASSERT_TRUE(rejected);
  ASSERT_EQ(rejected->rows.size(), 1u);
  EXPECT_THAT(rejected->rows[0].Text(0), AllOf(HasSubstr("/dedupe_key"), HasSubstr("/message")));
}

// ---- Private requests ----

constexpr std::string_view kPrivate =
    R"({"dedupe_key": "p", "channel": "ops", "message": {"text": "canary"}, "private": true, "recipient": "user:canary"})";

void OrderPrivately(const Installation& installation) {
  const auto inserted =
      installation.ConnectToShop()->Execute("INSERT INTO outbox (aggregateid, payload) VALUES ('p', ?)", {kPrivate});
  if (!inserted) throw std::runtime_error(inserted.error().message);
}

TEST_F(RunTest, WithoutAKeyAPrivateRequestIsMovedAsideInItsOwnDatabaseOnly) {
  Installation installation;
  installation.Configure(Ops());
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("sealing.no_key"));
  ASSERT_TRUE(running->WaitForLog("run.ready"));
  OrderPrivately(installation);
  installation.Order("next");
  ASSERT_TRUE(WaitForState(installation, "next", "sent "));
  EXPECT_TRUE(testing::WaitUntil([&] {
    const auto dead = installation.ConnectToShop()->Execute("SELECT COUNT(*) FROM outbox_dead");
    return dead && dead->rows.at(0).Int(0) == 1;
  }));
  EXPECT_EQ(State(installation, "p"), "");
  EXPECT_EQ(running->log().find("canary"), std::string::npos);
}

TEST_F(RunTest, APrivateRequestIsDeliveredUnderAKeyThatCameWithAReloadAndNothingShowsIt) {
  Installation installation;
  installation.Configure(Ops());
  const auto running = installation.Run({"--migrate"});
  ASSERT_TRUE(running->WaitForLog("run.ready"));
  installation.Configure(Ops() + "sealing: {keys: [{id: k1, key: \"" + std::string(64, '7') + "\"}]}\n");
  ASSERT_TRUE(running->WaitForLog("config.reloaded")) << running->log();
  OrderPrivately(installation);
  ASSERT_TRUE(WaitForState(installation, "p", "sent "));
  EXPECT_EQ(im_->deliveries().back().text, "canary");
  for (const auto& command :
       {std::vector<std::string>{"show", "p"}, {"show", "p", "-o", "json"}, {"ls", "-o", "json"}}) {
    EXPECT_THAT(installation.Call(command).out, Not(HasSubstr("canary")));
  }
  EXPECT_EQ(running->log().find("canary"), std::string::npos);
  EXPECT_THAT(installation.Call({"verify"}).out, HasSubstr("every private body that is kept is sealed"));
  EXPECT_THAT(installation.Call({"reseal"}).out, HasSubstr("0 records and 0 rejected events are sealed anew"));
}

}  // namespace
}  // namespace outrider::app
