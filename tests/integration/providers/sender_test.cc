// Sender against the fake vendor over real sockets: what each kind of trouble becomes.
#include "providers/sender.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/fake_im/fake_im_server.h"

namespace outrider::providers {
namespace {

using fake_im::FakeImServer;
using fake_im::FaultKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kToken[] = "TOKENCANARY-0f1e-2d3c";
constexpr char kSecret[] = "SECRETCANARYdemo";
constexpr char kText[] = "TEXTCANARY for the group";

class ManualClock final : public Clock {
 public:
  Timestamp Now() const override { return SystemClock().Now(); }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    return std::chrono::steady_clock::time_point{} + std::chrono::hours{1} + milliseconds{offset_ms.load()};
  }
  std::atomic<int> offset_ms{0};
};

// Everything the log wrote, through a pipe that is read at the end.
class LogPipe {
 public:
  LogPipe() {
    EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0);
    ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
  }
  ~LogPipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  LogOptions options() const { return {.level = LogLevel::kDebug, .descriptor = ends_[1]}; }
  std::string Read() {
    char buffer[4096];
    for (ssize_t count; (count = ::read(ends_[0], buffer, sizeof buffer)) > 0;)
      text_.append(buffer, static_cast<std::size_t>(count));
    return text_;
  }

 private:
  int ends_[2] = {-1, -1};
  std::string text_;
};

class SenderTest : public ::testing::Test {
 protected:
  SenderTest() {
    auto started = FakeImServer::Start({.bots = {{.token = kToken, .per_second = 0, .per_minute = 0}}});
    EXPECT_TRUE(started.has_value());
    vendor_ = std::move(*started);
    engine_ = std::make_unique<http::HttpEngine>(
        http::HttpEngineOptions{.policy = {.allow_plain_http = true, .allow_private_addresses = true}});
    sender_ = std::make_unique<Sender>(*engine_, clock_, probe_, log_);
    sender_->SetChannels({Channel()});
  }

  ChannelSettings Channel(const std::string& code = "ops", const std::string& secret = "") const {
    ChannelSettings channel;
    channel.code = code;
    channel.provider = "feishu_bot";
    channel.allow_insecure_targets = true;
    channel.settings.emplace("webhook_url", Secret(vendor_->WebhookUrl(kToken)));
    if (!secret.empty()) channel.settings.emplace("secret", Secret(secret));
    channel.rate = {};
    return channel;
  }

  static Notification Hello(const std::string& channel = "ops") {
    Notification notification;
    notification.channel = channel;
    notification.dedupe_key = "order-1";
    notification.message = {.kind = Message::Kind::kText, .text = kText};
    notification.attempt = 2;
    return notification;
  }

  SendOutcome Send(
      const Notification& notification, milliseconds deadline = seconds{20},
      std::function<bool()> still_mine = [] { return true; }) {
    auto done = std::make_shared<std::promise<SendOutcome>>();
    std::future<SendOutcome> outcome = done->get_future();
    sender_->Send(notification, "", Place(), deadline, std::move(still_mine),
                  [done](SendOutcome result) { done->set_value(std::move(result)); });
    if (outcome.wait_for(seconds{30}) != std::future_status::ready) {
      ADD_FAILURE() << "done was not called";
      return {};
    }
    return outcome.get();
  }

  SendOutcome SendUnder(fake_im::Fault fault, milliseconds deadline = seconds{20}) {
    vendor_->AddFault(std::move(fault));
    SendOutcome outcome = Send(Hello(), deadline);
    EXPECT_EQ(vendor_->faults().back().fired, 1u);
    return outcome;
  }

  std::size_t Places() { return sender_->limits().Look(sender_->RulesOf("ops")).places; }

  ManualClock clock_;
  MetricsRegistry registry_;
  DeliveryProbe probe_{registry_};
  LogPipe pipe_;
  Log log_{pipe_.options()};
  std::unique_ptr<FakeImServer> vendor_;
  std::unique_ptr<Sender> sender_;
  std::unique_ptr<http::HttpEngine> engine_;  // ends first: its callbacks use the others
};

TEST_F(SenderTest, AMessageArrivesAndIsAccepted) {
  const SendOutcome outcome = Send(Hello());
  EXPECT_EQ(outcome.verdict, SendVerdict::kAccepted) << outcome.reason << ": " << outcome.detail;
  EXPECT_EQ(outcome.provider_code, "0");
  EXPECT_EQ(outcome.http_status, 200);
  EXPECT_THAT(outcome.provider_log_id, HasSubstr("fake"));
  ASSERT_THAT(vendor_->deliveries(), SizeIs(1));
  EXPECT_EQ(vendor_->deliveries()[0].text, kText);
}

TEST_F(SenderTest, ASignedChannelSatisfiesABotThatDemandsIt) {
  vendor_->SetBot({.token = kToken, .secret = kSecret});
  sender_->SetChannels({Channel("ops", kSecret)});
  EXPECT_EQ(Send(Hello()).verdict, SendVerdict::kAccepted);
  sender_->SetChannels({Channel()});
  const SendOutcome unsigned_outcome = Send(Hello());
  EXPECT_EQ(unsigned_outcome.verdict, SendVerdict::kChannelDown);
  EXPECT_EQ(unsigned_outcome.reason, "feishu_19021");
  EXPECT_TRUE(unsigned_outcome.alert);
  EXPECT_THAT(vendor_->deliveries(), SizeIs(1));
}

TEST_F(SenderTest, EveryFormOfMessageIsTaken) {
  for (const Message& message :
       {Message{.kind = Message::Kind::kText, .text = "a"},
        Message{.kind = Message::Kind::kTitledText, .title = "t", .text = "b"},
        Message{.kind = Message::Kind::kMarkdown, .title = "t", .text = "**c**"},
        Message{.kind = Message::Kind::kCard, .card = R"({"elements":[{"tag":"markdown","content":"d"}]})"}}) {
    Notification notification = Hello();
    notification.message = message;
    EXPECT_EQ(Send(notification).verdict, SendVerdict::kAccepted);
  }
  std::vector<std::string> texts;
  for (const fake_im::Delivery& delivery : vendor_->deliveries()) texts.push_back(delivery.text);
  EXPECT_THAT(texts, ElementsAre("a", "t — b", "t — **c**", "d"));
}

TEST_F(SenderTest, ARefusalOfTheBotIsFinalAtTheFirstAttempt) {
  vendor_->SetBot({.token = kToken, .keywords = {"alarm"}});
  const SendOutcome outcome = Send(Hello());
  EXPECT_EQ(outcome.verdict, SendVerdict::kRefused);
  EXPECT_EQ(outcome.reason, "feishu_19024");
  EXPECT_EQ(outcome.provider_code, "19024");
  EXPECT_EQ(outcome.http_status, 200);
  EXPECT_THAT(vendor_->requests(), SizeIs(1));
}

TEST_F(SenderTest, TheTwoMeaningsOf9499AreToldApart) {
  EXPECT_EQ(SendUnder({.kind = FaultKind::kCode, .n = 9499, .text = "too many request", .status = 400}).verdict,
            SendVerdict::kNotNow);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kCode, .n = 9499, .text = "Bad Request", .status = 400}).verdict,
            SendVerdict::kRefused);
}

TEST_F(SenderTest, WhatWasTakenWithoutAnAnswerIsInDoubt) {
  EXPECT_EQ(SendUnder({.kind = FaultKind::kAcceptThenReset}).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kAcceptThen504}).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kTruncatedJson}).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kTruncatedBody}).verdict, SendVerdict::kNoAnswer);
  const SendOutcome late = SendUnder({.kind = FaultKind::kAcceptThenTimeout}, milliseconds{300});
  EXPECT_EQ(late.verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(late.reason, "timeout");
  EXPECT_EQ(SendUnder({.kind = FaultKind::kSlowBody, .ms = 10'000}, milliseconds{300}).verdict, SendVerdict::kNoAnswer);
  EXPECT_THAT(vendor_->deliveries(), SizeIs(6));
  EXPECT_THAT(vendor_->requests(), SizeIs(6)) << "nothing is repeated behind the caller's back";
}

TEST_F(SenderTest, AResetBeforeTheVendorReadIsInDoubtToo) {
  EXPECT_EQ(SendUnder({.kind = FaultKind::kResetBeforeAccept}).verdict, SendVerdict::kNoAnswer);
  EXPECT_THAT(SendUnder({.kind = FaultKind::kRefuse}).verdict, AnyOf(SendVerdict::kNoAnswer, SendVerdict::kNotNow));
  EXPECT_THAT(vendor_->deliveries(), IsEmpty());
}

TEST_F(SenderTest, ARefusedConnectionIsNotNow) {
  vendor_->GoDown();
  const SendOutcome outcome = Send(Hello());
  EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow);
  EXPECT_EQ(outcome.reason, "connect_failed");
  vendor_->ComeBack();
  EXPECT_EQ(Send(Hello()).verdict, SendVerdict::kAccepted);
}

TEST_F(SenderTest, ARedirectIsNotFollowed) {
  EXPECT_EQ(SendUnder({.kind = FaultKind::kRedirect302, .location = vendor_->WebhookUrl(kToken)}).verdict,
            SendVerdict::kChannelDown);
  EXPECT_THAT(vendor_->deliveries(), IsEmpty());
  EXPECT_THAT(vendor_->requests(), SizeIs(1));
}

TEST_F(SenderTest, APageFromAProxyAndAWrongPathAreClassified) {
  EXPECT_EQ(SendUnder({.kind = FaultKind::kHtmlBody}).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kStatusOnly, .n = 502}).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kStatusOnly, .n = 404}).verdict, SendVerdict::kChannelDown);
}

TEST_F(SenderTest, AHugeAnswerIsBounded) {
  const SendOutcome outcome = SendUnder({.kind = FaultKind::kHugeBody, .bytes = 10'000'000});
  EXPECT_EQ(outcome.verdict, SendVerdict::kNoAnswer);
  EXPECT_LE(outcome.answer.size(), 64u * 1024);
}

TEST_F(SenderTest, WhatIsNoLongerOursNeverLeaves) {
  const SendOutcome outcome = Send(Hello(), seconds{20}, [] { return false; });
  EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow);
  EXPECT_EQ(outcome.reason, "not_mine");
  EXPECT_THAT(vendor_->requests(), IsEmpty());
}

TEST_F(SenderTest, AnUnknownOrDisabledChannelIsUnreachable) {
  ChannelSettings off = Channel("off");
  off.enabled = false;
  sender_->SetChannels({off});
  for (const char* code : {"off", "unknown"}) {
    const SendOutcome outcome = Send(Hello(code));
    EXPECT_EQ(outcome.verdict, SendVerdict::kUnreachable);
    EXPECT_EQ(outcome.reason, "recipient_missing");
  }
  EXPECT_THAT(vendor_->requests(), IsEmpty());
}

TEST_F(SenderTest, WhatTheVendorCantCarryIsRefusedWithoutAsking) {
  Notification notification = Hello();
  notification.message = {.kind = Message::Kind::kHtml, .text = "<p>x</p>"};
  EXPECT_EQ(Send(notification).reason, "payload_invalid");
  EXPECT_THAT(vendor_->requests(), IsEmpty());
}

TEST_F(SenderTest, TheMockNeedsNoNetwork) {
  ChannelSettings channel;
  channel.code = "try";
  channel.provider = "mock";
  sender_->SetChannels({channel});
  const SendOutcome outcome = Send(Hello("try"));
  EXPECT_EQ(outcome.verdict, SendVerdict::kAccepted);
  EXPECT_THAT(outcome.provider_message_id, HasSubstr("mock_feishu_"));
}

TEST_F(SenderTest, ChannelsAreReplacedAsAWhole) {
  sender_->SetChannels({Channel("b"), Channel("a")});
  EXPECT_THAT(sender_->ChannelCodes(), ElementsAre("a", "b"));
  EXPECT_FALSE(sender_->FindChannel("ops").has_value());
  EXPECT_EQ(sender_->FindChannel("a")->provider, "feishu_bot");
}

TEST_F(SenderTest, NothingPassesWithoutAPlaceInTheChannelsLimit) {
  ChannelSettings channel = Channel();
  channel.rate = {.per_second = 2, .per_minute = 100};
  sender_->SetChannels({channel});
  EXPECT_EQ(Places(), 2u);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Send(Hello()).verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Send(Hello()).reason, "rate_limited");
  sender_->SetChannels({channel});
  const SendOutcome refused = Send(Hello());
  EXPECT_EQ(refused.reason, "rate_limited") << "a channel that stays keeps its memory";
  EXPECT_EQ(refused.verdict, SendVerdict::kNotNow);
  EXPECT_EQ(refused.retry_after, milliseconds{1001});
  EXPECT_THAT(vendor_->requests(), SizeIs(2));
  clock_.offset_ms = 1001;
  EXPECT_EQ(Places(), 2u);
  EXPECT_EQ(Send(Hello()).verdict, SendVerdict::kAccepted);
}

TEST_F(SenderTest, WhatNeverLeftGivesItsPlaceBack) {
  ChannelSettings channel = Channel();
  channel.rate = {.per_second = 1};
  sender_->SetChannels({channel});
  EXPECT_EQ(Send(Hello(), seconds{20}, [] { return false; }).reason, "not_mine");
  EXPECT_EQ(Places(), 1u);
  {
    const auto place = sender_->limits().Take(sender_->RulesOf(Hello()));
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(Places(), 0u);
  }
  EXPECT_EQ(Places(), 1u);
}

TEST_F(SenderTest, AllLimitsOfAMessageMustAllowIt) {
  ChannelSettings a = Channel("a");
  ChannelSettings b = Channel("b");
  ChannelSettings mock;
  mock.code = "try";
  mock.provider = "mock";
  for (ChannelSettings* channel : {&a, &mock}) {
    channel->rate_group = "app";
    channel->group_rate = {.per_second = 3};
  }
  a.recipient_rate = {.per_second = 1};
  sender_->SetChannels({a, b, mock});
  sender_->SetTenantRates({.each = {}, .special = {{"small", {.per_second = 1}}}});
  const auto take = [&](const std::string& channel, const std::string& recipient, const std::string& tenant) {
    Notification notification = Hello(channel);
    notification.recipient = recipient;
    notification.tenant = tenant;
    const std::vector<LimitRule> rules = sender_->RulesOf(notification);
    auto place = sender_->limits().Take(rules);
    if (!place) return std::string(ToString(rules[place.error().rule].kind));
    place->Use();
    return std::string("taken");
  };
  EXPECT_EQ(take("a", "chat_id:1", "default"), "taken");
  EXPECT_EQ(take("a", "chat_id:1", "default"), "recipient");
  EXPECT_EQ(take("a", "chat_id:2", "small"), "taken");
  EXPECT_EQ(take("b", "chat_id:3", "small"), "tenant") << "over all channels";
  EXPECT_EQ(take("try", "", "default"), "taken");
  EXPECT_EQ(take("try", "", "default"), "app") << "two of its three went through the other channel";
  EXPECT_EQ(take("b", "chat_id:1", "default"), "taken") << "what was refused took no place";
}

TEST_F(SenderTest, ChannelsWithTheSameWebhookAreOneBotAndShareItsLimit) {
  ChannelSettings a = Channel("a");
  ChannelSettings b = Channel("b");
  a.rate = {.per_second = 5};
  b.rate = {.per_second = 2};
  sender_->SetChannels({a, b});
  EXPECT_EQ(Send(Hello("a")).verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Send(Hello("b")).verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Send(Hello("a")).reason, "rate_limited");
}

TEST_F(SenderTest, AVendorsHintClosesTheChannelForEverybody) {
  vendor_->AddFault({.kind = FaultKind::kRate, .times = 0, .limit = 0, .reset = 30});
  const SendOutcome outcome = Send(Hello());
  EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow);
  ASSERT_TRUE(outcome.retry_after.has_value());
  EXPECT_EQ(sender_->limits().Look(sender_->RulesOf("ops")).wait, *outcome.retry_after);
  EXPECT_EQ(Send(Hello()).reason, "rate_limited");
  clock_.offset_ms = 30'000;
  EXPECT_GT(Places(), 0u);
}

TEST_F(SenderTest, WhatHasntLeftWhenTheVendorClosesTheChannelStays) {
  auto place = sender_->limits().Take(sender_->RulesOf(Hello()));
  ASSERT_TRUE(place.has_value() && place->MayLeave());
  vendor_->AddFault({.kind = FaultKind::kRate, .times = 0, .limit = 0, .reset = 30});
  Send(Hello());
  EXPECT_FALSE(place->MayLeave());
}

TEST_F(SenderTest, AnUnknownCodeIsCounted) {
  SendUnder({.kind = FaultKind::kCode, .n = 31337, .text = "new"});
  const std::string scrape = registry_.Scrape();
  EXPECT_THAT(scrape, ::testing::ContainsRegex("unknown_code[^\n]*feishu_bot[^\n]* 1\n"));
}

TEST_F(SenderTest, TheLogTellsEachAttemptOnce) {
  Send(Hello());
  const std::string log = pipe_.Read();
  EXPECT_THAT(log, HasSubstr("send.answered"));
  for (const char* field :
       {"channel=ops", "dedupe_key=order-1", "attempt=2", "verdict=", "code=0", "log_id=fake", "ms="}) {
    EXPECT_THAT(log, HasSubstr(field));
  }
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1);
}

TEST_F(SenderTest, NoSinkHoldsASecretOrAText) {
  vendor_->SetBot({.token = kToken, .secret = kSecret, .per_second = 0, .per_minute = 0});
  sender_->SetChannels({Channel("ops", kSecret)});
  const std::string echo = "at " + vendor_->WebhookUrl(kToken) + " with " + kSecret;
  std::vector<SendOutcome> outcomes;
  outcomes.push_back(Send(Hello()));
  for (const FaultKind kind :
       {FaultKind::kAcceptThenReset, FaultKind::kTruncatedJson, FaultKind::kHtmlBody, FaultKind::kTruncatedBody}) {
    outcomes.push_back(SendUnder({.kind = kind}));
  }
  outcomes.push_back(SendUnder({.kind = FaultKind::kCode, .n = 19001, .text = echo}));
  outcomes.push_back(SendUnder({.kind = FaultKind::kCode, .n = 31337, .text = echo}));
  outcomes.push_back(SendUnder({.kind = FaultKind::kRedirect302, .location = vendor_->WebhookUrl(kToken)}));
  vendor_->GoDown();
  outcomes.push_back(Send(Hello()));
  std::string sinks = pipe_.Read() + registry_.Scrape();
  for (const SendOutcome& outcome : outcomes) {
    sinks += outcome.reason + outcome.detail + outcome.answer + outcome.provider_log_id + outcome.provider_code +
             outcome.provider_message_id;
  }
  for (const char* canary : {kToken, kSecret, kText, "/hook/T"}) EXPECT_THAT(sinks, Not(HasSubstr(canary)));
}

TEST_F(SenderTest, OfAPrivateNotificationTheVendorsWordsAreNotKept) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 11246, .text = std::string("refused: ") + kText});
  Notification notification = Hello();
  notification.is_private = true;
  const SendOutcome outcome = Send(notification);
  EXPECT_EQ(outcome.reason, "feishu_11246");
  EXPECT_EQ(outcome.answer, "");
  EXPECT_THAT(outcome.detail, Not(HasSubstr("TEXTCANARY")));
}

TEST_F(SenderTest, ASenderMayEndBeforeItsRequests) {
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout});
  auto done = std::make_shared<std::promise<SendOutcome>>();
  std::future<SendOutcome> outcome = done->get_future();
  sender_->Send(
      Hello(), "", Place(), seconds{20}, [] { return true; },
      [done](SendOutcome result) { done->set_value(std::move(result)); });
  ASSERT_TRUE(vendor_->WaitForDeliveries(1, seconds{20}));
  sender_.reset();
  engine_.reset();
  ASSERT_EQ(outcome.wait_for(seconds{0}), std::future_status::ready);
  EXPECT_EQ(outcome.get().verdict, SendVerdict::kNoAnswer);
}

}  // namespace
}  // namespace outrider::providers
