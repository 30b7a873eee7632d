// A vendor that refuses the form of a message: simpler ones follow, each under a send key of its own.
#include <gmock/gmock.h>

#include <set>

#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using ::testing::SizeIs;

constexpr char kMarkdown[] =
    R"({"dedupe_key": "order-1", "channel": "app", "recipient": "chat_id:oc_1",
        "message": {"title": "Order 7", "markdown": "**paid**"}})";
constexpr char kMessages[] = "/open-apis/im/v1/messages";

class FormTest : public DeliveryTest {
 protected:
  FormTest() {
    vendor_->SetApp(app_);
    providers::ChannelSettings channel = Bot("app");
    channel.provider = "feishu_app";
    channel.on_uncertain = providers::OnUncertain::kHold;
    channel.settings = {
        {"app_id", Secret("cli_a1")}, {"app_secret", Secret("s3cret")}, {"host", Secret(vendor_->url())}};
    SetChannels({channel});
  }

  std::int64_t InsertMarkdown(int max_attempts = 1) {
    return Insert({.key = "order-1", .channel = "app", .max_attempts = max_attempts, .request = kMarkdown});
  }
  void RefuseCards() {
    app_.card_code = 230099;
    app_.card_words = "ErrCode: 11310; ErrMsg: card table number over limit; ErrorValue: table;";
    vendor_->SetApp(app_);
  }

  fake_im::AppSettings app_{.app_id = "cli_a1", .app_secret = "s3cret"};
};

TEST_F(FormTest, ARefusedCardArrivesOnceAsAPostWithinItsOnlyAttempt) {
  RefuseCards();
  const std::int64_t id = InsertMarkdown();
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
  EXPECT_EQ(Attempts(id), "1 refused feishu_230099; 2 accepted");
  ASSERT_THAT(vendor_->app_deliveries(), SizeIs(1));
  const auto delivered = vendor_->app_deliveries().front();
  EXPECT_EQ(delivered.msg_type, "post");
  EXPECT_EQ(delivered.content, R"({"zh_cn":{"content":[[{"tag":"text","text":"**paid**"}]],"title":"Order 7"}})");
  EXPECT_EQ(delivered.uuid, Column(id, "send_key"));
  EXPECT_EQ(Column(id, "provider_message_id"), delivered.message_id);
}

TEST_F(FormTest, EachFormHasAKeyOfItsOwnAndTheLastRefusalIsTheEnd) {
  vendor_->AddFault({.kind = FaultKind::kCode,
                     .path = kMessages,
                     .times = 0,
                     .n = 230025,
                     .text = "The length of the message content reaches its limit.",
                     .status = 400});
  const std::int64_t id = InsertMarkdown();
  auto delivery = MakeDelivery();
  std::set<std::string> keys;
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    if (const std::string key = Column(id, "send_key"); key != "NULL") keys.insert(key);
    return Column(id, "status") == "dead";
  }));
  EXPECT_EQ(Story(id), "dead feishu_230025 spent:1");
  EXPECT_EQ(Attempts(id), "1 refused feishu_230025; 2 refused feishu_230025; 3 refused feishu_230025");
  EXPECT_EQ(Column(id, "form_no"), "2");
  EXPECT_THAT(vendor_->app_deliveries(), SizeIs(0));
}

TEST_F(FormTest, WhatMayHaveArrivedAsACardIsntSentAsAPost) {
  vendor_->AddFault({.kind = FaultKind::kResetBeforeAccept, .path = kMessages});
  RefuseCards();
  const std::int64_t id = InsertMarkdown(5);
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "dead"));
  EXPECT_EQ(Attempts(id), "1 no_answer reset; 2 refused feishu_230099");
  EXPECT_EQ(Column(id, "form_no"), "0");
  EXPECT_THAT(vendor_->app_deliveries(), SizeIs(0));
}

TEST_F(FormTest, AnInDoubtMessageIsRepeatedUnderItsKeyAndArrivesOnce) {
  vendor_->AddFault({.kind = FaultKind::kAcceptThenReset, .path = kMessages});
  const std::int64_t id = InsertMarkdown(5);
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Attempts(id), "1 no_answer reset; 2 accepted");
  EXPECT_EQ(Story(id), "sent spent:2") << "and it is certain";
  EXPECT_THAT(vendor_->app_deliveries(), SizeIs(1));
}

TEST_F(FormTest, AFaultOfTheTokenIsNobodysAttempt) {
  app_.app_secret = "another";
  vendor_->SetApp(app_);
  const std::int64_t id = InsertMarkdown();
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Story(id), "failed feishu_10015");
}

TEST_F(FormTest, TheSameNotificationHasTheSameKeyInADatabaseThatWasPutBack) {
  const std::int64_t id = InsertMarkdown();
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  Execute(
      "UPDATE notification_records SET status = 'pending', attempt_no = 0, attempts_spent = 0, send_key = NULL, "
      "send_key_first_used_at = NULL, due_at = NOW(6) WHERE id = ?",
      {id});
  Execute("DELETE FROM notification_attempts WHERE record_id = ?", {id});
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_THAT(vendor_->app_deliveries(), SizeIs(1));
}

}  // namespace
}  // namespace outrider::consumer
