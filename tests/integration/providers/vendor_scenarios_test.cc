// Every vendor of a webhook against its fake over real sockets: what each kind of trouble becomes, and what is left of
// it in any sink.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <ostream>
#include <string>

#include "providers/provider_table.h"
#include "providers/sender.h"
#include "tests/support/fake_im/fake_im_server.h"

namespace outrider::providers {
namespace {

using fake_im::Fault;
using fake_im::FaultKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kToken[] = "TOKENCANARY-0f1e-2d3c";
constexpr char kSecret[] = "SECCANARYdemo";
constexpr char kText[] = "TEXTCANARY for the group";

struct Vendor {
  friend void PrintTo(const Vendor& vendor, std::ostream* out) { *out << vendor.provider; }
  std::string provider;
  std::string fake;  // its name at the fake server
  std::string path;  // what the token goes behind
  bool is_signed = false;
  // A refusal of the message and one of the channel, as codes or, for Slack, as words.
  int refusal = 0;
  int channel_fault = 0;
  std::string refusal_word;
  std::string channel_word;
};

const Vendor kVendors[] = {
    {"dingtalk_robot", "dingtalk", "/robot/send?access_token=", true, 430104, 300005, "unsafe content", "no token"},
    {"wecom_robot", "wecom", "/cgi-bin/webhook/send?key=", false, 44004, 93000, "empty content", "no key"},
    {"slack_webhook", "slack", "/services/T0/B0/", false, 0, 0, "no_text", "no_service"},
};

class VendorScenarioTest : public ::testing::TestWithParam<Vendor> {
 protected:
  VendorScenarioTest() {
    EXPECT_EQ(::pipe2(log_ends_, O_CLOEXEC), 0);
    ::fcntl(log_ends_[0], F_SETFL, O_NONBLOCK);
    log_ = std::make_unique<Log>(LogOptions{.level = LogLevel::kDebug, .descriptor = log_ends_[1]});
    auto started = fake_im::FakeImServer::Start({.bots = {Bot()}});
    EXPECT_TRUE(started.has_value());
    fake_ = std::move(*started);
    engine_ = std::make_unique<http::HttpEngine>(
        http::HttpEngineOptions{.policy = {.allow_plain_http = true, .allow_private_addresses = true}});
    sender_ = std::make_unique<Sender>(*engine_, clock_, probe_, *log_);
    sender_->SetChannels({Channel()});
  }
  ~VendorScenarioTest() override {
    engine_.reset();
    ::close(log_ends_[0]);
    ::close(log_ends_[1]);
  }

  fake_im::BotSettings Bot() const {
    fake_im::BotSettings bot;
    bot.vendor = GetParam().fake;
    bot.token = kToken;
    if (GetParam().is_signed) bot.secret = kSecret;
    bot.per_second = bot.per_minute = 0;
    return bot;
  }

  ChannelSettings Channel() const {
    ChannelSettings channel;
    channel.code = "ops";
    channel.provider = GetParam().provider;
    channel.allow_insecure_targets = true;
    channel.settings.emplace("webhook_url", Secret(fake_->url() + GetParam().path + kToken));
    if (GetParam().is_signed) channel.settings.emplace("secret", Secret(kSecret));
    EXPECT_THAT(FindProvider(channel.provider)->check(channel), IsEmpty());
    return channel;
  }

  SendOutcome Send(Message message = {.kind = Message::Kind::kText, .text = kText}, milliseconds deadline = seconds{60},
                   std::string send_key = "") {
    Notification notification;
    notification.channel = "ops";
    notification.dedupe_key = "order-1";
    notification.message = std::move(message);
    auto done = std::make_shared<std::promise<SendOutcome>>();
    std::future<SendOutcome> outcome = done->get_future();
    sender_->Send(
        notification, send_key, Place(), deadline, [] { return true; },
        [done](SendOutcome result) { done->set_value(std::move(result)); });
    if (outcome.wait_for(seconds{60}) != std::future_status::ready) {
      ADD_FAILURE() << "done was not called";
      return {};
    }
    return outcome.get();
  }

  SendOutcome SendUnder(Fault fault, milliseconds deadline = seconds{60}) {
    fake_->AddFault(std::move(fault));
    SendOutcome outcome = Send({.kind = Message::Kind::kText, .text = kText}, deadline);
    EXPECT_EQ(fake_->faults().back().fired, 1u);
    return outcome;
  }

  // The vendor refuses with a code or a word.
  SendOutcome SendRefused(int code, const std::string& word, int status = 200) {
    const bool by_word = code == 0;
    return SendUnder({.kind = FaultKind::kCode, .n = code, .text = word, .status = by_word ? 400 : status});
  }

  std::string LogText() {
    char buffer[4096];
    for (ssize_t count; (count = ::read(log_ends_[0], buffer, sizeof buffer)) > 0;)
      log_text_.append(buffer, static_cast<std::size_t>(count));
    return log_text_;
  }

  int log_ends_[2] = {-1, -1};
  std::string log_text_;
  SystemClock clock_;
  MetricsRegistry registry_;
  DeliveryProbe probe_{registry_};
  std::unique_ptr<Log> log_;
  std::unique_ptr<fake_im::FakeImServer> fake_;
  std::unique_ptr<Sender> sender_;
  std::unique_ptr<http::HttpEngine> engine_;
};

INSTANTIATE_TEST_SUITE_P(All, VendorScenarioTest, ::testing::ValuesIn(kVendors),
                         [](const auto& param) { return param.param.provider; });

TEST_P(VendorScenarioTest, AMessageArrivesAndIsAccepted) {
  const SendOutcome outcome = Send();
  EXPECT_EQ(outcome.verdict, SendVerdict::kAccepted) << outcome.reason << ": " << outcome.detail;
  ASSERT_THAT(fake_->deliveries(), SizeIs(1));
  EXPECT_THAT(fake_->deliveries()[0].text, HasSubstr(kText));
}

TEST_P(VendorScenarioTest, EveryTextArrivesAsItWasWritten) {
  for (const char* text : {"一本书 · a book 🎉\n\"quoted\" \\ back", "%2B+%20&sign=x", "\u202e\u200b\u0001 end"}) {
    EXPECT_EQ(Send({.kind = Message::Kind::kText, .text = text}).verdict, SendVerdict::kAccepted) << text;
    EXPECT_EQ(fake_->deliveries().back().text,
              GetParam().fake == "slack" && std::string(text).find('&') != std::string::npos ? "%2B+%20&amp;sign=x"
                                                                                             : std::string(text));
  }
  const SendOutcome markdown = Send({.kind = Message::Kind::kMarkdown, .title = "T", .text = "**c**"});
  EXPECT_EQ(markdown.verdict, SendVerdict::kAccepted);
}

TEST_P(VendorScenarioTest, WhatIsTooLongIsRefusedBeforeItIsSent) {
  const SendOutcome outcome = Send({.kind = Message::Kind::kText, .text = std::string(64 * 1024, 'x')});
  EXPECT_EQ(outcome.reason, "payload_too_large");
  EXPECT_THAT(fake_->requests(), IsEmpty());
}

TEST_P(VendorScenarioTest, WhatWasTakenWithoutAnAnswerIsInDoubt) {
  for (const FaultKind kind :
       {FaultKind::kAcceptThenReset, FaultKind::kAcceptThen504, FaultKind::kTruncatedJson, FaultKind::kTruncatedBody}) {
    EXPECT_EQ(SendUnder({.kind = kind}).verdict, SendVerdict::kNoAnswer) << ToString(kind);
  }
  const SendOutcome late = SendUnder({.kind = FaultKind::kAcceptThenTimeout}, milliseconds{300});
  EXPECT_EQ(late.verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(late.reason, "timeout");
  EXPECT_THAT(fake_->deliveries(), SizeIs(5));
  EXPECT_THAT(fake_->requests(), SizeIs(5)) << "nothing is repeated behind the caller's back";
}

TEST_P(VendorScenarioTest, WhatNeverLeftIsntInDoubt) {
  fake_->GoDown();
  const SendOutcome outcome = Send();
  EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow);
  EXPECT_EQ(outcome.reason, "connect_failed");
}

TEST_P(VendorScenarioTest, ARefusalOfTheMessageIsFinalAtTheFirstAttempt) {
  const SendOutcome outcome = SendRefused(GetParam().refusal, GetParam().refusal_word);
  EXPECT_EQ(outcome.verdict, SendVerdict::kRefused) << outcome.reason;
  EXPECT_THAT(fake_->requests(), SizeIs(1));
}

TEST_P(VendorScenarioTest, AnUnknownRobotIsTheChannelsFault) {
  ChannelSettings channel = Channel();
  channel.settings.insert_or_assign("webhook_url", Secret(fake_->url() + GetParam().path + "unknown"));
  sender_->SetChannels({channel});
  const SendOutcome outcome = Send();
  EXPECT_EQ(outcome.verdict, SendVerdict::kChannelDown) << outcome.reason;
  EXPECT_TRUE(outcome.alert);
  EXPECT_EQ(SendRefused(GetParam().channel_fault, GetParam().channel_word).verdict, SendVerdict::kChannelDown);
}

TEST_P(VendorScenarioTest, TooManyRequestsCloseTheChannelForEverybody) {
  fake_im::BotSettings bot = Bot();
  bot.per_minute = 1;
  fake_->SetBot(bot);
  EXPECT_EQ(Send().verdict, SendVerdict::kAccepted);
  const SendOutcome outcome = Send();
  EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow) << outcome.reason;
  EXPECT_TRUE(outcome.throttled);
  ASSERT_TRUE(outcome.retry_after.has_value());
  EXPECT_EQ(Send().reason, "rate_limited") << "no other request leaves until then";
  EXPECT_THAT(fake_->requests(), SizeIs(2));
}

TEST_P(VendorScenarioTest, WhatIsNoAnswerOfTheVendorIsClassified) {
  EXPECT_EQ(SendUnder({.kind = FaultKind::kHtmlBody}).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kStatusOnly, .n = 502}).verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendUnder({.kind = FaultKind::kStatusOnly, .n = 404}).verdict, SendVerdict::kChannelDown);
  const SendOutcome huge = SendUnder({.kind = FaultKind::kHugeBody, .bytes = 10'000'000});
  EXPECT_EQ(huge.verdict, SendVerdict::kNoAnswer);
  EXPECT_LE(huge.answer.size(), 64u * 1024);
  const std::size_t before = fake_->requests().size();
  EXPECT_EQ(SendUnder({.kind = FaultKind::kRedirect302, .location = fake_->url() + GetParam().path + kToken}).verdict,
            SendVerdict::kChannelDown);
  EXPECT_THAT(fake_->requests(), SizeIs(before + 1)) << "a redirect isn't followed";
  EXPECT_THAT(fake_->deliveries(), SizeIs(1)) << "the one whose answer was huge";
}

TEST_P(VendorScenarioTest, NoSinkHoldsASecretOrAText) {
  const std::string echo = "at " + fake_->url() + GetParam().path + kToken + " with " + kSecret;
  std::vector<SendOutcome> outcomes = {Send()};
  for (const FaultKind kind :
       {FaultKind::kAcceptThenReset, FaultKind::kTruncatedJson, FaultKind::kHtmlBody, FaultKind::kTruncatedBody}) {
    outcomes.push_back(SendUnder({.kind = kind}));
  }
  if (GetParam().is_signed) {
    outcomes.push_back(SendRefused(31337, echo));
  } else {
    outcomes.push_back(SendRefused(31337, "at " + fake_->url() + GetParam().path + kToken));
  }
  outcomes.push_back(SendUnder({.kind = FaultKind::kRedirect302, .location = fake_->url() + GetParam().path + kToken}));
  fake_->GoDown();
  outcomes.push_back(Send());
  std::string sinks = LogText() + registry_.Scrape();
  for (const SendOutcome& outcome : outcomes) {
    sinks += outcome.reason + outcome.detail + outcome.answer + outcome.provider_log_id + outcome.provider_code +
             outcome.provider_message_id;
  }
  EXPECT_THAT(sinks, HasSubstr("send.answered"));
  for (const char* canary : {kToken, kSecret, kText}) EXPECT_THAT(sinks, Not(HasSubstr(canary)));
}

class DingtalkScenarioTest : public VendorScenarioTest {};
INSTANTIATE_TEST_SUITE_P(Dingtalk, DingtalkScenarioTest, ::testing::Values(kVendors[0]));

TEST_P(DingtalkScenarioTest, TheCodeMayComeAsAText) {
  fake_im::BotSettings bot = Bot();
  bot.code_as_text = true;
  fake_->SetBot(bot);
  EXPECT_EQ(Send().verdict, SendVerdict::kAccepted);
}

TEST_P(DingtalkScenarioTest, ADissolvedGroupIsNobodysAlarmAndSkipped) {
  EXPECT_EQ(SendRefused(400013, "group dissolved").verdict, SendVerdict::kUnreachable);
}

TEST_P(DingtalkScenarioTest, WhoWasTooFastIsShutOutForTenMinutes) {
  fake_im::BotSettings bot = Bot();
  bot.per_minute = 1;
  fake_->SetBot(bot);
  Send();
  EXPECT_EQ(Send().retry_after, std::chrono::minutes{10});
}

TEST_P(DingtalkScenarioTest, TheGateInFrontIsWaitedForAMinute) {
  fake_im::BotSettings bot = Bot();
  bot.per_minute = 1;
  bot.rate_code = 1111;
  fake_->SetBot(bot);
  Send();
  const SendOutcome outcome = Send();
  EXPECT_EQ(outcome.reason, "dingtalk_gate");
  EXPECT_EQ(outcome.retry_after, seconds{60});
}

TEST_P(DingtalkScenarioTest, AWrongSecretAndAWrongClockAreToldApart) {
  ChannelSettings wrong = Channel();
  wrong.settings.insert_or_assign("secret", Secret("SECother"));
  sender_->SetChannels({wrong});
  const SendOutcome unsigned_outcome = Send();
  EXPECT_EQ(unsigned_outcome.verdict, SendVerdict::kChannelDown);
  EXPECT_THAT(unsigned_outcome.detail, HasSubstr("secret"));
  sender_->SetChannels({Channel()});
  EXPECT_THAT(SendUnder({.kind = FaultKind::kClockSkew, .s = 3700}).detail, HasSubstr("clock"));
  EXPECT_EQ(Send().verdict, SendVerdict::kAccepted);
}

TEST_P(DingtalkScenarioTest, ARepetitionIsRecognisedWhereTheVendorKnowsTheKey) {
  fake_im::BotSettings bot = Bot();
  bot.knows_keys = true;
  fake_->SetBot(bot);
  const Message message{.kind = Message::Kind::kText, .text = kText};
  fake_->AddFault({.kind = FaultKind::kAcceptThenReset});
  EXPECT_EQ(Send(message, seconds{60}, "key-1").verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(Send(message, seconds{60}, "key-1").verdict, SendVerdict::kAccepted);
  EXPECT_THAT(fake_->deliveries(), SizeIs(1));
}

}  // namespace
}  // namespace outrider::providers
