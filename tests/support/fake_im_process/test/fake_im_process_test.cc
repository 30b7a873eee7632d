#include "tests/support/fake_im_process/fake_im_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/raw_http/raw_client.h"

namespace outrider::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kPath = "/open-apis/bot/v2/hook/group";

class FakeImProcessTest : public ::testing::Test {
 protected:
  RawAnswer Send(const std::string& text, std::chrono::milliseconds deadline = std::chrono::seconds{10}) {
    RawClient client(static_cast<std::uint16_t>(vendor_.port()));
    if (!client.connected()) return {.end = RawAnswer::End::kClosed};
    return client.Request("POST", std::string(kPath), R"({"msg_type": "text", "content": {"text": ")" + text + R"("}})",
                          deadline);
  }

  FakeImProcess vendor_{{"group"}};
};

TEST_F(FakeImProcessTest, KeepsTheTruthAboutWhatItAccepted) {
  EXPECT_EQ(vendor_.WebhookUrl("group"), vendor_.url() + std::string(kPath));
  EXPECT_EQ(Send("hello").status, 200);
  EXPECT_THAT(vendor_.Accepted(), ElementsAre("hello"));
}

TEST_F(FakeImProcessTest, MisbehavesAsItIsTold) {
  vendor_.AddFault(R"({"kind": "status_only", "n": 503})");
  EXPECT_EQ(Send("refused").status, 503);
  EXPECT_EQ(Send("taken").status, 200);
  EXPECT_THAT(vendor_.Accepted(), ElementsAre("taken"));
}

TEST_F(FakeImProcessTest, IsAwayWhenKilledAndForgetsWhenItComesBackOnItsPort) {
  EXPECT_EQ(Send("before").status, 200);
  vendor_.Kill();
  EXPECT_FALSE(vendor_.Running());
  EXPECT_EQ(Send("meanwhile").status, 0);
  vendor_.Restart();
  EXPECT_THAT(vendor_.Accepted(), IsEmpty());
  EXPECT_EQ(Send("after").status, 200);
  EXPECT_THAT(vendor_.Accepted(), ElementsAre("after"));
}

TEST_F(FakeImProcessTest, SaysNothingWhileItIsPaused) {
  vendor_.Pause();
  EXPECT_EQ(Send("unheard", std::chrono::milliseconds{200}).end, RawAnswer::End::kTimeout);
  vendor_.Continue();
  EXPECT_EQ(Send("heard").status, 200);
}

}  // namespace
}  // namespace outrider::testing
