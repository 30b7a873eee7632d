#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/app/program.h"
#include "tests/support/fake_im/fake_im_server.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class SendTest : public ::testing::Test {
 protected:
  SendTest() {
    auto started = fake_im::FakeImServer::Start({.bots = {{.token = "group"}}});
    if (!started) throw std::runtime_error(started.error().message);
    im_ = std::move(*started);
    installation_.Configure("channels:\n" + ChannelLine("ops", im_->WebhookUrl("group")));
  }

  void StartRunning() {
    ASSERT_EQ(installation_.Call({"migrate", "up"}).code, 0);
    running_ = installation_.Run();
    ASSERT_TRUE(running_->WaitForLog("run.ready")) << running_->log();
  }

  std::unique_ptr<fake_im::FakeImServer> im_;
  Installation installation_;
  std::unique_ptr<Running> running_;
};

TEST_F(SendTest, MissingTablesNameTheCommandThatCreatesThem) {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"send", "--channel", "ops", "--text", "x"}, {"show", "order-1"}, {"ls"}, {"verify"}}) {
    const Ended ended = installation_.Call(command);
    EXPECT_EQ(ended.code, 1);
    EXPECT_THAT(ended.out, IsEmpty());
    EXPECT_THAT(ended.err, HasSubstr("outrider migrate up")) << command[0];
  }
}

TEST_F(SendTest, ARequestThatIsNotValidIsNamedWithEveryFaultAndNotWritten) {
  ASSERT_EQ(installation_.Call({"migrate", "up"}).code, 0);
  const Ended ended = installation_.Call({"send", "--channel", "two words", "--priority", "urgent"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("/priority"), HasSubstr("/message/text")));
  EXPECT_THAT(installation_.Call({"ls"}).out, Not(HasSubstr("two words")));
}

TEST_F(SendTest, WaitTellsTheWholeStory) {
  StartRunning();
  const Ended ended = installation_.Call(
      {"send", "--channel", "ops", "--title", "标题", "--text", "你好 🎉", "--dedupe-key", "hello-1", "--wait", "30s"});
  EXPECT_EQ(ended.code, 0) << ended.err << running_->log();
  EXPECT_THAT(ended.out, AllOf(HasSubstr("hello-1  channel ops"), HasSubstr("attempt 1"), HasSubstr("accepted"),
                               HasSubstr("sent")));
  const auto deliveries = im_->deliveries();
  ASSERT_EQ(deliveries.size(), 1u);
  EXPECT_THAT(deliveries[0].text, AllOf(HasSubstr("标题"), HasSubstr("你好 🎉")));
  EXPECT_THAT(running_->log(), Not(HasSubstr("你好"))) << "bodies don't belong in logs";
}

TEST_F(SendTest, AFileOrStandardInputHoldsAWholeRequest) {
  StartRunning();
  const testing::TempDir folder("request");
  testing::WriteTextFile(folder.path() / "request.json",
                         R"({"dedupe_key": "f-1", "channel": "ops", "message": {"text": "from a file"}})");
  EXPECT_EQ(installation_.Call({"send", "--file", (folder.path() / "request.json").string(), "--wait", "30s"}).code, 0);
  EXPECT_EQ(installation_.Call({"send", "--file", "/nowhere.json"}).code, 2);
  EXPECT_EQ(installation_.Call({"send", "--file", "-"}).code, 2) << "standard input is empty here";
}

TEST_F(SendTest, ShowAndLsGiveDataForProgramsToo) {
  StartRunning();
  ASSERT_EQ(
      installation_.Call({"send", "--channel", "ops", "--text", "x", "--dedupe-key", "k-1", "--wait", "30s"}).code, 0);
  const auto story = nlohmann::json::parse(installation_.Call({"show", "k-1", "-o", "json"}).out);
  ASSERT_EQ(story.size(), 1u);
  EXPECT_EQ(story[0]["status"], "sent");
  EXPECT_EQ(story[0]["attempts"].size(), 1u);
  EXPECT_THAT(installation_.Call({"ls"}).out, AllOf(HasSubstr("DEDUPE KEY"), HasSubstr("k-1")));
  EXPECT_EQ(nlohmann::json::parse(installation_.Call({"ls", "--status", "dead", "-o", "json"}).out).size(), 0u);
  EXPECT_EQ(installation_.Call({"ls", "--status", "lost"}).code, 2);
}

TEST_F(SendTest, LsGoesThroughPages) {
  StartRunning();
  for (const char* key : {"p-1", "p-2", "p-3"}) {
    ASSERT_EQ(
        installation_.Call({"send", "--channel", "ops", "--text", "x", "--dedupe-key", key, "--wait", "30s"}).code, 0);
  }
  const Ended first = installation_.Call({"ls", "--limit", "2", "-o", "json"});
  const auto page = nlohmann::json::parse(first.out);
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0]["dedupe_key"], "p-3");
  const std::string last = std::to_string(page[1]["id"].get<std::int64_t>());
  EXPECT_THAT(first.err, HasSubstr("--before " + last));
  const auto next = nlohmann::json::parse(installation_.Call({"ls", "--before", last, "-o", "json"}).out);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0]["dedupe_key"], "p-1");
}

TEST_F(SendTest, ARefusedMessageFailsTheCommandAndSaysWhy) {
  StartRunning();
  im_->SetBot({.token = "group", .keywords = {"must-hold"}});
  const Ended ended = installation_.Call({"send", "--channel", "ops", "--text", "x", "--wait", "30s"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.out, HasSubstr("code=19024"));
}

TEST_F(SendTest, WithoutTheSidecarWaitSaysThatNothingIsRecorded) {
  ASSERT_EQ(installation_.Call({"migrate", "up"}).code, 0);
  const Ended ended = installation_.Call({"send", "--channel", "ops", "--text", "x", "--wait", "200ms"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("nothing recorded yet; is \"outrider run\" at work?"));
}

TEST_F(SendTest, AKeyWithoutARecordIsExplained) {
  ASSERT_EQ(installation_.Call({"migrate", "up"}).code, 0);
  const Ended never = installation_.Call({"show", "order-1002"});
  EXPECT_EQ(never.code, 1);
  EXPECT_THAT(never.out, IsEmpty());
  EXPECT_THAT(never.err, AllOf(HasSubstr("nothing committed has the dedupe key \"order-1002\""),
                               HasSubstr("was rolled back or isn't committed yet"), Not(HasSubstr("rejected"))));
  installation_.Order("waiting");
  const Ended waits = installation_.Call({"show", "waiting"});
  EXPECT_EQ(waits.code, 1);
  EXPECT_THAT(waits.err, AllOf(HasSubstr("waits in the outbox of source \"shop\""), Not(HasSubstr("rolled back"))));
}

}  // namespace
}  // namespace outrider::app
