#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config_channels.h"
#include "tests/unit/app/config_files.h"

namespace outrider::app {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kHook = "https://open.feishu.cn/open-apis/bot/v2/hook/abc";

class ConfigChannelsTest : public ::testing::Test {
 protected:
  ConfigReading Channel(std::string_view settings) const {
    return files_.ReadMore(fmt::format("channels:\n  ops: {{{}}}\n", settings));
  }

  ConfigFiles files_;
};

TEST_F(ConfigChannelsTest, AChannelTakesTheVendorsLimitsByDefault) {
  const ConfigReading reading = Channel(fmt::format("provider: feishu_bot, webhook_url: \"{}\"", kHook));
  EXPECT_THAT(reading.faults, IsEmpty());
  ASSERT_EQ(reading.config.channels.size(), 1u);
  const providers::ChannelSettings& channel = reading.config.channels[0];
  EXPECT_EQ(channel.code, "ops");
  EXPECT_EQ(channel.rate, (providers::RateLimit{5, 100}));
  EXPECT_TRUE(channel.enabled);
  EXPECT_EQ(channel.on_uncertain, providers::OnUncertain::kRetry);
  EXPECT_EQ(channel.settings.at("webhook_url").Reveal(), kHook);
}

TEST_F(ConfigChannelsTest, EverySettingOfAChannelIsTaken) {
  const ConfigReading reading = Channel(
      "provider: mock, mode: permanent_fail, enabled: off, rate: {per_second: 1, per_minute: 9}, on_uncertain: hold, "
      "ordering: block, "
      "retry: {max_attempts: 2, base: 1s, max: 2s, jitter: 0}, dedupe: {reopen: [dead, skipped]}");
  EXPECT_THAT(reading.faults, IsEmpty());
  const providers::ChannelSettings& channel = reading.config.channels[0];
  EXPECT_FALSE(channel.enabled);
  EXPECT_EQ(channel.settings.at("mode").Reveal(), "permanent_fail");
  EXPECT_EQ(channel.rate, (providers::RateLimit{1, 9}));
  EXPECT_EQ(channel.on_uncertain, providers::OnUncertain::kHold);
  EXPECT_EQ(channel.ordering, providers::OnDeadHead::kBlock);
  EXPECT_EQ(channel.retry.max_attempts, 2);
  EXPECT_EQ(channel.retry.base, milliseconds{1'000});
  EXPECT_THAT(channel.reopen, ElementsAre(DeliveryStatus::kDead, DeliveryStatus::kSkipped));
}

TEST_F(ConfigChannelsTest, AProfileHoldsWhereTheChannelSaysNothingElse) {
  const ConfigReading plain = files_.ReadMore(
      "retry: {max_attempts: 9, schedule: [1s]}\nchannels: {ops: {provider: mock, profile: smartflow}}\n");
  EXPECT_THAT(plain.faults, IsEmpty());
  EXPECT_EQ(plain.config.channels[0].retry, (RetryPolicy{.max_attempts = 5,
                                                         .base = std::chrono::minutes{5},
                                                         .max = std::chrono::minutes{30},
                                                         .jitter = 0,
                                                         .schedule = {}}));
  EXPECT_EQ(plain.config.channels[0].disabled_reason, "recipient_missing");
  const ConfigReading own = Channel("provider: mock, profile: smartflow, retry: {base: 30s}");
  EXPECT_EQ(own.config.channels[0].retry.base, milliseconds{30'000});
  EXPECT_EQ(own.config.channels[0].retry.jitter, 0);
  EXPECT_EQ(Channel("provider: mock").config.channels[0].disabled_reason, "channel_disabled");
  EXPECT_THAT(Channel("provider: mock, profile: smartflo").faults, ElementsAre(HasSubstr("may be smartflow")));
}

TEST_F(ConfigChannelsTest, LimitsOfRecipientsGroupsAndTenantsAreTaken) {
  const ConfigReading reading = files_.ReadMore(
      "rate_groups: {app: {per_second: 50, per_minute: 1000}}\n"
      "tenant_rate: {per_minute: 600}\n"
      "tenants: {shop: {rate: {per_second: 2}}}\n"
      "channels:\n  a: {provider: mock, rate_group: app, recipient_rate: {per_second: 3}, quiet_minutes: true}\n"
      "  b: {provider: mock}\n");
  EXPECT_THAT(reading.faults, IsEmpty());
  const providers::ChannelSettings& a = reading.config.channels[0];
  EXPECT_EQ(a.rate_group, "app");
  EXPECT_EQ(a.group_rate, (providers::RateLimit{50, 1000}));
  EXPECT_EQ(a.recipient_rate, (providers::RateLimit{3, 0}));
  EXPECT_TRUE(a.quiet_minutes);
  EXPECT_EQ(reading.config.channels[1].rate_group, "");
  EXPECT_FALSE(reading.config.channels[1].quiet_minutes);
  EXPECT_EQ(reading.config.tenant_rates.each, (providers::RateLimit{0, 600}));
  EXPECT_EQ(reading.config.tenant_rates.special.at("shop"), (providers::RateLimit{2, 600}));
}

TEST_F(ConfigChannelsTest, FeishusBotsKeepTheirQuietMinutesUnlessTold) {
  const std::string bot = fmt::format("provider: feishu_bot, webhook_url: \"{}\"", kHook);
  EXPECT_TRUE(Channel(bot).config.channels[0].quiet_minutes);
  EXPECT_FALSE(Channel(bot + ", quiet_minutes: false").config.channels[0].quiet_minutes);
}

TEST_F(ConfigChannelsTest, LimitsThatMeanNothingAreFaults) {
  EXPECT_THAT(Channel("provider: mock, rate: {per_second: 5, per_minute: 3}").faults,
              ElementsAre(HasSubstr("channels.ops.rate.per_second: is more than per_minute (3)")));
  EXPECT_THAT(Channel("provider: mock, rate: {per_second: 1, per_minute: 100}").faults,
              ElementsAre(HasSubstr("channels.ops.rate.per_minute: is more than 60 times per_second (1)")));
  EXPECT_THAT(Channel("provider: mock, rate: {per_second: 2}, recipient_rate: {per_second: 3}").faults,
              ElementsAre(HasSubstr("channels.ops.recipient_rate: allows one recipient more")));
  EXPECT_THAT(
      files_.ReadMore("rate_groups: {apps: {per_second: 5}}\nchannels: {a: {provider: mock, rate_group: app}}\n")
          .faults,
      ElementsAre(HasSubstr("did you mean \"apps\"?"), HasSubstr("rate_groups.apps: no channel names it")));
  EXPECT_THAT(files_.ReadMore("rate_groups: {app: {}}\nchannels: {a: {provider: mock, rate_group: app}}\n").faults,
              ElementsAre(HasSubstr("rate_groups.app: has neither per_second nor per_minute")));
  EXPECT_THAT(files_.ReadMore("tenants: {shop: {}}\n").faults, ElementsAre(HasSubstr("tenants.shop: says nothing")));
  EXPECT_THAT(files_.ReadMore("tenant_rate: {per_hour: 5}\n").faults, ElementsAre(HasSubstr("per_hour")));
  EXPECT_THAT(Channel("provider: mock, rate: {per_second: -1}").faults, ElementsAre(HasSubstr("rate.per_second")));
}

TEST_F(ConfigChannelsTest, AnUnknownProviderIsOneFaultWithASuggestion) {
  EXPECT_THAT(Channel("provider: feishu_bott, webhook_url: x, secret_file: y").faults,
              ElementsAre(AllOf(StartsWith("channels.ops.provider: \"feishu_bott\" is not known"),
                                HasSubstr("did you mean \"feishu_bot\"?"), EndsWith("outrider.yaml:4)"))));
  EXPECT_THAT(Channel("enabled: true").faults, ElementsAre(HasSubstr("channels.ops.provider: is missing; one of")));
}

TEST_F(ConfigChannelsTest, WhatTheProviderNeedsIsAskedFor) {
  EXPECT_THAT(Channel("provider: feishu_bot").faults,
              ElementsAre(HasSubstr("channels.ops.webhook_url: is missing; provider feishu_bot needs it")));
}

TEST_F(ConfigChannelsTest, WhatTheProviderRefusesIsAFaultAtItsPlace) {
  EXPECT_THAT(
      Channel("provider: feishu_bot, webhook_url: \"http://127.0.0.1/open-apis/bot/v2/hook/x\"").faults,
      ElementsAre(AllOf(StartsWith("channels.ops.webhook_url: must begin with https://"), EndsWith("outrider.yaml:4)")),
                  HasSubstr("its host must be")));
  EXPECT_THAT(Channel("provider: mock, mode: bogus").faults, ElementsAre(StartsWith("channels.ops.mode: ")));
}

TEST_F(ConfigChannelsTest, InsecureTargetsAreTakenWhereTheyAreAllowed) {
  EXPECT_THAT(files_
                  .ReadMore("allow_insecure_targets: true\nchannels: {ops: {provider: feishu_bot, webhook_url: "
                            "\"http://127.0.0.1:8/open-apis/bot/v2/hook/x\"}}\n")
                  .faults,
              IsEmpty());
}

TEST_F(ConfigChannelsTest, ACodeIsPlain) {
  EXPECT_THAT(files_.ReadMore("channels: {\"a b\": {provider: mock}}\n").faults,
              ElementsAre(StartsWith("channels.a b: a channel's code is 1 to 64 of the characters")));
  EXPECT_TRUE(IsCode("Ops-alerts_1.eu"));
  EXPECT_FALSE(IsCode(""));
  EXPECT_FALSE(IsCode(std::string(65, 'a')));
  EXPECT_FALSE(IsCode("é"));
}

TEST_F(ConfigChannelsTest, WordsOfAClosedSetAreChecked) {
  EXPECT_THAT(Channel("provider: mock, on_uncertain: shrug").faults, ElementsAre(HasSubstr("must be retry or hold")));
  EXPECT_THAT(Channel("provider: mock, ordering: fifo").faults,
              ElementsAre(HasSubstr("channels.ops.ordering: must be skip_on_dead or block, not \"fifo\"")));
  EXPECT_THAT(Channel("provider: mock, dedupe: {reopen: [sent, lost]}").faults,
              ElementsAre(HasSubstr("may list dead and skipped, not \"sent\""), HasSubstr("not \"lost\"")));
}

TEST_F(ConfigChannelsTest, AChannelsRetryOverridesTheCommonOneKeyByKey) {
  const ConfigReading reading = files_.ReadMore(
      "retry: {max_attempts: 9, base: 1s, max: 1m}\nchannels: {a: {provider: mock, retry: {base: 5s}}}\n");
  EXPECT_THAT(reading.faults, IsEmpty());
  EXPECT_EQ(reading.config.channels[0].retry.max_attempts, 9);
  EXPECT_EQ(reading.config.channels[0].retry.base, milliseconds{5'000});
}

TEST_F(ConfigChannelsTest, AChannelsBackOffReplacesTheCommonList) {
  const ConfigReading reading = files_.ReadMore(
      "retry: {schedule: [1s, 5m]}\nchannels: {a: {provider: mock}, b: {provider: mock, retry: {base: 5s}}}\n");
  EXPECT_THAT(reading.faults, IsEmpty());
  EXPECT_THAT(reading.config.channels[0].retry.schedule, ElementsAre(milliseconds{1'000}, milliseconds{300'000}));
  EXPECT_THAT(reading.config.channels[1].retry.schedule, IsEmpty());
}

TEST_F(ConfigChannelsTest, FaultsOfARetryStandWhereItWasWritten) {
  EXPECT_THAT(files_.ReadMore("retry: {base: 1h, max: 1m}\nchannels: {a: {provider: mock}}\n").faults,
              ElementsAre(AllOf(StartsWith("retry: "), EndsWith("outrider.yaml:3)"))));
  EXPECT_THAT(Channel("provider: mock, retry: {schedule: [1s, soon]}").faults,
              ElementsAre(HasSubstr("channels.ops.retry.schedule: holds \"soon\"")));
  EXPECT_THAT(Channel("provider: mock, retry: {schedule: [1s], base: 1s}").faults,
              ElementsAre(HasSubstr("stands beside base or max")));
  EXPECT_THAT(Channel("provider: mock, retry: {max_attempts: 0, jitter: 2}").faults,
              ElementsAre(HasSubstr("max_attempts: must be a whole number from 1 to 1000"),
                          HasSubstr("jitter: must be a number from 0 to 1")));
}

}  // namespace
}  // namespace outrider::app
