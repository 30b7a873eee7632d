// A record whose sending ends the process, each time: it is given up, and the others arrive all the same.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/app/program.h"
#include "tests/support/database/statements.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/process/wait_until.h"

namespace outrider::app {
namespace {

using testing::Must;

TEST(CrashLoopTest, ARecordThatEndsTheProcessIsDeadAfterItsAttemptsWhileOthersFlow) {
  auto im = fake_im::FakeImServer::Start({.bots = {{.token = "group"}}});
  ASSERT_TRUE(im);
  Installation installation;
  installation.Configure("delivery: {lease: 1s, call_deadline: 500ms}\nchannels:\n  poison: {provider: mock, retry: " +
                         std::string("{max_attempts: 3}}\n") + ChannelLine("ops", (*im)->WebhookUrl("group")));
  ASSERT_EQ(installation.Call({"migrate", "up"}).code, 0);
  auto db = installation.ConnectToOwn();
  const auto count = [&](std::string_view where) {
    return testing::Number(*db, fmt::format("SELECT COUNT(*) FROM notification_records WHERE {}", where));
  };
  const std::map<std::string, std::string> broken = {{"OUTRIDER_ALLOW_FAILPOINTS", "1"},
                                                     {"OUTRIDER_FAILPOINT", "mock.before_taking=crash"}};
  installation.Order("poison-1", "poison");
  int deaths = 0;
  int orders = 0;
  while (count("channel = 'poison' AND status = 'dead'") == 0 && deaths < 10) {
    installation.Order(fmt::format("order-{}", ++orders));
    // What a supervisor does.
    auto running = installation.Run({}, broken);
    const bool ended = testing::WaitUntil([&] {
      // It comes again at once, and not after a while. The program may stand in the way, or this in its.
      (void)db->Execute(
          "UPDATE notification_records SET due_at = NOW(6) WHERE channel = 'poison' AND status = 'failed'");
      return !running->process().Running() || count("channel = 'poison' AND status = 'dead'") > 0;
    });
    ASSERT_TRUE(ended) << running->log();
    if (running->process().Running()) {
      running->process().Terminate();
      break;
    }
    EXPECT_EQ(running->process().Wait(std::chrono::seconds{1})->signal, SIGKILL);
    ++deaths;
  }
  EXPECT_EQ(deaths, 3) << "as many as it had attempts";
  EXPECT_EQ(count("channel = 'poison' AND status = 'dead' AND reason = 'attempts_exhausted' AND uncertain"), 1);

  auto running = installation.Run({}, broken);
  EXPECT_TRUE(testing::WaitUntil([&] { return count("channel = 'ops' AND status = 'sent'") == orders; }))
      << running->log();
  EXPECT_TRUE(running->process().Running());
  EXPECT_EQ(count("channel = 'ops' AND attempts_spent > 3"), 0);
}

}  // namespace
}  // namespace outrider::app
