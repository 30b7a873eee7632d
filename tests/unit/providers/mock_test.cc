#include "providers/mock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace outrider::providers {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

SendOutcome Send(const Provider& mock, const std::string& dedupe_key = "k", Timestamp now = {}) {
  Notification notification;
  notification.dedupe_key = dedupe_key;
  return std::get<SendOutcome>(mock.BuildRequest(notification, SendContext{now, "send-key"}));
}

ChannelSettings Channel(const std::string& mode) {
  ChannelSettings channel;
  channel.code = "m";
  channel.provider = "mock";
  if (!mode.empty()) channel.settings.emplace("mode", Secret(mode));
  return channel;
}

TEST(MockProviderTest, TakesEverythingByDefaultAndInventsAnId) {
  const MockProvider mock;
  const SendOutcome outcome = Send(mock, "k", Timestamp{std::chrono::microseconds{1'700'000'000'123'456}});
  EXPECT_EQ(outcome.verdict, SendVerdict::kAccepted);
  EXPECT_EQ(outcome.provider_message_id, "mock_feishu_1700000000123456000");
  EXPECT_EQ(outcome.reason, "");
}

TEST(MockProviderTest, FailsTheWayItIsConfigured) {
  EXPECT_EQ(Send(*MockProvider::Make(Channel("temporary_fail"))).verdict, SendVerdict::kNotNow);
  EXPECT_EQ(Send(*MockProvider::Make(Channel("temporary_fail"))).reason, "provider_timeout");
  EXPECT_EQ(Send(*MockProvider::Make(Channel("permanent_fail"))).verdict, SendVerdict::kRefused);
  EXPECT_EQ(Send(*MockProvider::Make(Channel("permanent_fail"))).reason, "payload_invalid");
  EXPECT_EQ(Send(*MockProvider::Make(Channel("success"))).verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Send(*MockProvider::Make(Channel(""))).verdict, SendVerdict::kAccepted);
}

TEST(MockProviderTest, QueuedModesAreUsedOnceInOrderAndThenTheDefault) {
  MockProvider mock;
  mock.QueueOnce(MockProvider::Mode::kTemporaryFail);
  mock.QueueOnce(MockProvider::Mode::kPermanentFail);
  EXPECT_EQ(Send(mock).verdict, SendVerdict::kNotNow);
  EXPECT_EQ(Send(mock).verdict, SendVerdict::kRefused);
  EXPECT_EQ(Send(mock).verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Send(mock).verdict, SendVerdict::kAccepted);
}

TEST(MockProviderTest, RecordsEveryCall) {
  const MockProvider mock;
  Send(mock, "a");
  Send(mock, "b");
  ASSERT_THAT(mock.calls(), SizeIs(2));
  EXPECT_EQ(mock.calls()[1].notification.dedupe_key, "b");
  EXPECT_EQ(mock.calls()[1].context.send_key, "send-key");
}

TEST(MockProviderTest, RemembersABoundedNumberOfCallsAndCountsAll) {
  const MockProvider mock;
  for (std::size_t i = 0; i < MockProvider::kMaxCalls + 5; ++i) Send(mock, std::to_string(i));
  EXPECT_THAT(mock.calls(), SizeIs(MockProvider::kMaxCalls));
  EXPECT_EQ(mock.calls().front().notification.dedupe_key, "5");
  EXPECT_EQ(mock.call_count(), MockProvider::kMaxCalls + 5);
}

TEST(MockProviderTest, AnUnknownModeIsAFault) {
  EXPECT_THAT(MockProvider::Check(Channel("temporary")), ::testing::ElementsAre(HasSubstr("temporary_fail")));
  EXPECT_THAT(MockProvider::Check(Channel("")), IsEmpty());
  EXPECT_THAT(MockProvider::Check(Channel("success")), IsEmpty());
}

TEST(MockProviderTest, AnAnswerIsNeverASuccess) {
  EXPECT_EQ(MockProvider().ReadResponse({.status = 200, .body = R"({"code":0})"}).verdict, SendVerdict::kNoAnswer);
}

TEST(MockProviderTest, ALostAnswerIsFoundBySayingItAgainOrByAsking) {
  const MockProvider mock(MockProvider::Mode::kLoseAnswer);
  EXPECT_EQ(Send(mock).verdict, SendVerdict::kNoAnswer);
  const SendOutcome told = std::get<SendOutcome>(mock.BuildQuestion({}, SendContext{{}, "send-key"}));
  EXPECT_EQ(told.verdict, SendVerdict::kAccepted);
  const SendOutcome again = Send(mock, "k", Timestamp{std::chrono::seconds{9}});
  EXPECT_EQ(again.verdict, SendVerdict::kAccepted);
  EXPECT_EQ(again.provider_message_id, told.provider_message_id) << "it is the same message";
}

TEST(MockProviderTest, ALostMessageWasNeverTakenAndWhatItNeverSawItDoesntKnow) {
  const MockProvider mock(MockProvider::Mode::kLoseMessage);
  const auto ask = [&] { return std::get<SendOutcome>(mock.BuildQuestion({}, SendContext{{}, "send-key"})); };
  EXPECT_EQ(ask().verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(Send(mock).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(ask().verdict, SendVerdict::kNotNow);
  EXPECT_EQ(ask().reason, kNotTaken);
}

}  // namespace
}  // namespace outrider::providers
