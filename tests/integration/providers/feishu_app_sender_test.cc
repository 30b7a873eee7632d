// Sender with providers/feishu_app against the fake vendor over real sockets: tokens, look-ups, and what each kind of
// trouble becomes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "providers/sender.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/fake_im/fake_im_server.h"

namespace outrider::providers {
namespace {

using fake_im::FakeImServer;
using fake_im::FaultKind;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kSecret[] = "APPSECRETCANARY";
constexpr char kTokenPath[] = "/open-apis/auth/";
constexpr char kMessagePath[] = "/open-apis/im/v1/messages";
constexpr char kLookUpPath[] = "/open-apis/contact/";

class FeishuAppSenderTest : public ::testing::Test {
 protected:
  FeishuAppSenderTest() {
    EXPECT_EQ(::pipe2(log_ends_, O_CLOEXEC | O_NONBLOCK), 0);
    log_.emplace(LogOptions{.level = LogLevel::kDebug, .descriptor = log_ends_[1]});
    auto started = FakeImServer::Start({.bots = {}, .apps = {app_}});
    EXPECT_TRUE(started.has_value());
    vendor_ = std::move(*started);
    engine_ = std::make_unique<http::HttpEngine>(
        http::HttpEngineOptions{.policy = {.allow_plain_http = true, .allow_private_addresses = true}});
    sender_ = std::make_unique<Sender>(*engine_, clock_, probe_, *log_);
    sender_->SetChannels({Channel("app"), Channel("same-app")});
  }
  ~FeishuAppSenderTest() override {
    engine_.reset();
    ::close(log_ends_[0]);
    ::close(log_ends_[1]);
  }

  ChannelSettings Channel(const std::string& code, RateLimit rate = {}) const {
    ChannelSettings channel;
    channel.code = code;
    channel.provider = "feishu_app";
    channel.allow_insecure_targets = true;
    channel.settings = {
        {"app_id", Secret("cli_a1")}, {"app_secret", Secret(kSecret)}, {"host", Secret(vendor_->url())}};
    channel.rate = rate;
    return channel;
  }

  static Notification To(const std::string& recipient, const std::string& channel = "app") {
    Notification notification;
    notification.channel = channel;
    notification.dedupe_key = "order-1";
    notification.recipient = recipient;
    notification.message = {.text = "hello"};
    return notification;
  }

  std::future<SendOutcome> Start(const Notification& notification, const std::string& send_key,
                                 milliseconds deadline = seconds{20}) {
    auto done = std::make_shared<std::promise<SendOutcome>>();
    std::future<SendOutcome> outcome = done->get_future();
    sender_->Send(
        notification, send_key, Place(), deadline, [] { return true; },
        [done](SendOutcome result) { done->set_value(std::move(result)); });
    return outcome;
  }

  static SendOutcome Await(std::future<SendOutcome> outcome) {
    if (outcome.wait_for(seconds{60}) == std::future_status::ready) return outcome.get();
    ADD_FAILURE() << "done was not called";
    return {};
  }

  SendOutcome Send(const std::string& recipient = "chat_id:oc_1", const std::string& send_key = "key-1",
                   milliseconds deadline = seconds{20}) {
    return Await(Start(To(recipient), send_key, deadline));
  }

  std::string Story(const SendOutcome& outcome) {
    shown_ += outcome.detail + outcome.answer + outcome.reason;
    return std::string(ToString(outcome.verdict)) + (outcome.reason.empty() ? "" : " ") + outcome.reason;
  }

  std::size_t Asked(const std::string& path) const {
    std::size_t count = 0;
    for (const auto& request : vendor_->requests()) count += request.path.starts_with(path) ? 1 : 0;
    return count;
  }

  std::string Log() {
    char buffer[4096];
    for (ssize_t count; (count = ::read(log_ends_[0], buffer, sizeof buffer)) > 0;) {
      log_text_.append(buffer, static_cast<std::size_t>(count));
    }
    return log_text_;
  }

  fake_im::AppSettings app_{
      .app_id = "cli_a1", .app_secret = kSecret, .token_head = "t-TOKENCANARY", .people = {{"+8613800000000", "ou_7"}}};
  int log_ends_[2] = {-1, -1};
  FakeClock clock_;
  MetricsRegistry registry_;
  DeliveryProbe probe_{registry_};
  std::optional<outrider::Log> log_;
  std::unique_ptr<FakeImServer> vendor_;
  std::unique_ptr<http::HttpEngine> engine_;
  std::unique_ptr<Sender> sender_;
  std::string log_text_;
  std::string shown_;
};

TEST_F(FeishuAppSenderTest, AMessageArrivesWithTheVendorsIdAndUnderItsKey) {
  const SendOutcome outcome = Send();
  EXPECT_EQ(Story(outcome), "accepted");
  ASSERT_THAT(vendor_->app_deliveries(), SizeIs(1));
  const auto delivery = vendor_->app_deliveries().front();
  EXPECT_EQ(outcome.provider_message_id, delivery.message_id);
  EXPECT_EQ(delivery.uuid, "key-1");
  EXPECT_EQ(delivery.receive_id, "oc_1");
  EXPECT_EQ(delivery.content, R"({"text":"hello"})");
}

TEST_F(FeishuAppSenderTest, AReplyArrivesAtItsMessage) {
  EXPECT_EQ(Story(Send("message_id:om_9")), "accepted");
  EXPECT_EQ(vendor_->app_deliveries().front().receive_id_type, "message_id");
  EXPECT_EQ(vendor_->app_deliveries().front().receive_id, "om_9");
}

TEST_F(FeishuAppSenderTest, ChannelsOfOneAppShareItsTokenUntilItEnds) {
  Send();
  EXPECT_EQ(Story(Await(Start(To("chat_id:oc_1", "same-app"), "key-2"))), "accepted");
  EXPECT_EQ(vendor_->tokens_asked(), 1u);
  clock_.Advance(minutes{118});
  vendor_->AdvanceClock(minutes{118});
  EXPECT_EQ(Story(Await(Start(To("chat_id:oc_1"), "key-3"))), "accepted");
  EXPECT_EQ(vendor_->tokens_asked(), 2u);
}

TEST_F(FeishuAppSenderTest, ATokenIsRenewedBesideThoseThatStillUseIt) {
  Send();
  clock_.Advance(minutes{100});
  vendor_->AdvanceClock(minutes{100});
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout, .path = kTokenPath});
  EXPECT_EQ(Story(Send("chat_id:oc_1", "key-2")), "accepted") << "the renewal doesn't answer";
  EXPECT_TRUE(vendor_->WaitForRequests(4, seconds{60}));
  EXPECT_EQ(Asked(kTokenPath), 2u);
  EXPECT_EQ(Story(Send("chat_id:oc_1", "key-3")), "accepted");
  EXPECT_EQ(Asked(kTokenPath), 2u) << "one is on its way";
}

TEST_F(FeishuAppSenderTest, UnderFiftySendsARevokedTokenIsRenewedOnceAndEachArrivesOnceUnderItsKey) {
  Send();
  vendor_->RevokeTokens();
  std::vector<std::future<SendOutcome>> outcomes;
  for (int i = 0; i < 50; ++i) {
    outcomes.push_back(Start(To("chat_id:oc_1"), "many-" + std::to_string(i)));
  }
  for (auto& outcome : outcomes) EXPECT_EQ(Story(Await(std::move(outcome))), "accepted");
  EXPECT_EQ(vendor_->tokens_asked(), 2u);
  std::map<std::string, int> taken;
  for (const auto& delivery : vendor_->app_deliveries()) ++taken[delivery.uuid];
  EXPECT_THAT(taken, SizeIs(51));
  for (const auto& [uuid, count] : taken) EXPECT_EQ(count, 1) << uuid;
}

TEST_F(FeishuAppSenderTest, ATokenThatIsNeverTakenIsRenewedOnceAndHoldsTheChannel) {
  vendor_->AddFault({.kind = FaultKind::kCode,
                     .path = kMessagePath,
                     .times = 0,
                     .n = 99991663,
                     .text = "Invalid access token",
                     .status = 400});
  EXPECT_EQ(Story(Send()), "channel_down feishu_99991663");
  EXPECT_EQ(Asked(kMessagePath), 2u);
  EXPECT_EQ(vendor_->tokens_asked(), 2u);
}

TEST_F(FeishuAppSenderTest, TheSecondTryTakesAPlaceOfItsOwn) {
  sender_->SetChannels({Channel("app", {.per_second = 2, .per_minute = 0})});
  Send();
  vendor_->RevokeTokens();
  const SendOutcome outcome = Send("chat_id:oc_1", "key-2");
  EXPECT_EQ(Story(outcome), "not_now rate_limited");
  EXPECT_TRUE(outcome.retry_after.has_value()) << "so it costs no attempt";
  EXPECT_EQ(Asked(kMessagePath), 2u);
  clock_.Advance(seconds{2});
  EXPECT_EQ(Story(Send("chat_id:oc_1", "key-2")), "accepted");
  EXPECT_THAT(vendor_->app_deliveries(), SizeIs(2));
}

TEST_F(FeishuAppSenderTest, BothTriesStayCounted) {
  sender_->SetChannels({Channel("app", {.per_second = 3, .per_minute = 0})});
  Send();
  vendor_->RevokeTokens();
  EXPECT_EQ(Story(Send("chat_id:oc_1", "key-2")), "accepted");
  EXPECT_EQ(sender_->limits().Look(sender_->RulesOf("app")).places, 0u);
}

TEST_F(FeishuAppSenderTest, WrongCredentialsHoldTheChannelAndTheNextMessageAsksAgain) {
  app_.app_secret = "another";
  vendor_->SetApp(app_);
  EXPECT_EQ(Story(Send()), "channel_down feishu_10015");
  EXPECT_EQ(Asked(kMessagePath), 0u);
  app_.app_secret = kSecret;
  vendor_->SetApp(app_);
  EXPECT_EQ(Story(Send()), "accepted");
}

TEST_F(FeishuAppSenderTest, ATokenThatDoesntComeIsNobodysAttempt) {
  struct Case {
    FaultKind kind;
    const char* reason;
  };
  for (const auto& [kind, reason] :
       {Case{FaultKind::kRefuse, "reset"}, Case{FaultKind::kAcceptThenReset, "reset"},
        Case{FaultKind::kTruncatedJson, "unreadable_answer"}, Case{FaultKind::kHtmlBody, "unreadable_answer"},
        Case{FaultKind::kAcceptThen504, "http_504"}, Case{FaultKind::kTruncatedBody, "reset"}}) {
    vendor_->AddFault({.kind = kind, .path = kTokenPath});
    const SendOutcome outcome = Send();
    EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow) << ToString(kind);
    EXPECT_TRUE(outcome.throttled) << ToString(kind);
    EXPECT_THAT(outcome.reason, HasSubstr(reason)) << ToString(kind);
  }
  EXPECT_EQ(Asked(kMessagePath), 0u);
  vendor_->GoDown();
  const SendOutcome down = Send();
  EXPECT_EQ(Story(down), "not_now connect_failed");
  EXPECT_TRUE(down.throttled);
}

TEST_F(FeishuAppSenderTest, AShortLivedTokenAndALongOneWork) {
  app_.token_life = 1800;
  app_.token_head = "eyJTOKENCANARY";
  app_.token_size = 4'200;
  vendor_->SetApp(app_);
  EXPECT_EQ(Story(Send()), "accepted");
  EXPECT_EQ(Story(Send("chat_id:oc_1", "key-2")), "accepted");
  EXPECT_EQ(vendor_->tokens_asked(), 1u);
}

TEST_F(FeishuAppSenderTest, WhatIsInDoubtIsRepeatedUnderItsKeyAndArrivesOnce) {
  for (const FaultKind kind : {FaultKind::kAcceptThenReset, FaultKind::kAcceptThen504, FaultKind::kTruncatedJson,
                               FaultKind::kTruncatedBody, FaultKind::kHtmlBody}) {
    const std::string key = "key-" + std::string(ToString(kind));
    vendor_->AddFault({.kind = kind, .path = kMessagePath, .accept = true});
    EXPECT_EQ(Send("chat_id:oc_1", key).verdict, SendVerdict::kNoAnswer) << key;
    const SendOutcome again = Send("chat_id:oc_1", key);
    EXPECT_EQ(Story(again), "accepted") << key;
    EXPECT_EQ(again.provider_message_id, vendor_->app_deliveries().back().message_id);
  }
  EXPECT_THAT(vendor_->app_deliveries(), SizeIs(5));
}

TEST_F(FeishuAppSenderTest, AnswersThatNobodyMeantAreClassifiedAndNoRedirectIsFollowed) {
  Send();
  vendor_->AddFault({.kind = FaultKind::kStatusOnly, .path = kMessagePath, .n = 404});
  EXPECT_EQ(Story(Send()), "channel_down http_404");
  vendor_->AddFault({.kind = FaultKind::kRedirect302, .path = kMessagePath});
  EXPECT_EQ(Story(Send()), "channel_down http_302");
  EXPECT_EQ(Asked("/elsewhere"), 0u);
  vendor_->AddFault({.kind = FaultKind::kHugeBody, .path = kMessagePath});
  EXPECT_EQ(Story(Send()), "no_answer unreadable_answer");
  vendor_->AddFault({.kind = FaultKind::kRate, .path = kMessagePath, .limit = 0, .reset = 3});
  const SendOutcome limited = Send();
  EXPECT_EQ(Story(limited), "not_now feishu_99991400");
  EXPECT_EQ(limited.retry_after, seconds{3});
}

TEST_F(FeishuAppSenderTest, AfterNotBeforeNobodyAsksSoonerNorForATokenOrAnId) {
  sender_->SetChannels({Channel("app", {.per_second = 50, .per_minute = 1000})});
  vendor_->AddFault({.kind = FaultKind::kRate, .path = kMessagePath, .limit = 0, .reset = 3});
  Send();
  const std::size_t before = vendor_->requests().size();
  EXPECT_EQ(Story(Send("phone:+8613800000000")), "not_now rate_limited");
  EXPECT_EQ(vendor_->requests().size(), before);
  clock_.Advance(seconds{4});
  EXPECT_EQ(Story(Send("phone:+8613800000000")), "accepted");
}

TEST_F(FeishuAppSenderTest, ATelephoneNumberIsLookedUpOnceAndCountsInTheChannelsLimit) {
  sender_->SetChannels({Channel("app", {.per_second = 3, .per_minute = 0})});
  EXPECT_EQ(Story(Send("phone:+8613800000000")), "accepted");
  EXPECT_EQ(vendor_->app_deliveries().front().receive_id, "ou_7");
  EXPECT_EQ(Story(Send("phone:+8613800000000", "key-2")), "accepted");
  EXPECT_EQ(Asked(kLookUpPath), 1u);
  EXPECT_EQ(Story(Send("phone:+8613800000000", "key-3")), "not_now rate_limited");
}

TEST_F(FeishuAppSenderTest, WithoutAPlaceForTheLookUpNothingLeaves) {
  sender_->SetChannels({Channel("app", {.per_second = 1, .per_minute = 0})});
  const SendOutcome outcome = Send("phone:+8613800000000");
  EXPECT_EQ(Story(outcome), "not_now rate_limited");
  EXPECT_TRUE(outcome.retry_after.has_value());
  EXPECT_EQ(Asked(kLookUpPath), 0u);
}

TEST_F(FeishuAppSenderTest, WhomNobodyKnowsIsUnreachableAndNothingIsSent) {
  EXPECT_EQ(Story(Send("phone:+8613999999999")), "unreachable recipient_unknown");
  EXPECT_EQ(Asked(kMessagePath), 0u);
}

TEST_F(FeishuAppSenderTest, ALookUpRenewsATokenThatIsntTakenAnyMore) {
  Send();
  vendor_->RevokeTokens();
  EXPECT_EQ(Story(Send("phone:+8613800000000", "key-2")), "accepted");
  EXPECT_EQ(Asked(kLookUpPath), 2u);
  EXPECT_EQ(vendor_->tokens_asked(), 2u);
}

TEST_F(FeishuAppSenderTest, WhenTheEngineStopsEverybodyWhoWaitsForATokenIsTold) {
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout, .path = kTokenPath});
  std::vector<std::future<SendOutcome>> outcomes;
  for (int i = 0; i < 5; ++i) outcomes.push_back(Start(To("chat_id:oc_1"), "key-" + std::to_string(i)));
  EXPECT_TRUE(vendor_->WaitForRequests(1, seconds{60}));
  engine_.reset();
  for (auto& outcome : outcomes) EXPECT_EQ(Story(Await(std::move(outcome))), "not_now stopped");
}

TEST_F(FeishuAppSenderTest, NoSecretShowsAnywhere) {
  Send();
  vendor_->RevokeTokens();  // the vendor's refusal repeats the token
  vendor_->AddFault({.kind = FaultKind::kCode,
                     .path = kTokenPath,
                     .n = 10015,
                     .text = std::string("app secret invalid: ") + kSecret});
  Story(Send("chat_id:oc_1", "key-2"));
  vendor_->AddFault({.kind = FaultKind::kCode,
                     .path = kMessagePath,
                     .times = 0,
                     .n = 99991668,
                     .text = "Invalid access token t-TOKENCANARY00000003" + std::string(21, 'x'),
                     .status = 400});
  Story(Send("chat_id:oc_1", "key-3"));
  Story(Send("phone:+8613999999999", "key-4"));
  EXPECT_THAT(shown_, HasSubstr("feishu_99991668"));
  for (const std::string& sink : {shown_, Log(), registry_.Scrape()}) {
    EXPECT_THAT(sink, Not(HasSubstr(kSecret)));
    EXPECT_THAT(sink, Not(HasSubstr("TOKENCANARY")));
    EXPECT_THAT(sink, Not(HasSubstr("13999999999")));
  }
}

}  // namespace
}  // namespace outrider::providers
