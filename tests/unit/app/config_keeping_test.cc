#include "app/config_keeping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/config_files.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kHex(64, '7');
constexpr std::string_view kBase64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

class ConfigKeepingTest : public ::testing::Test {
 protected:
  ConfigReading Read(const std::string& yaml) { return files_.ReadMore(yaml); }
  ConfigFiles files_;
};

TEST_F(ConfigKeepingTest, SealingKeysAreReadInTheirOrderAndNotShown) {
  const std::string file = files_.Write("key", std::string(kBase64) + "\n");
  const ConfigReading reading =
      Read("sealing: {keys: [{id: new, key_file: " + file + "}, {id: old, key: \"" + kHex + "\"}]}");
  EXPECT_THAT(reading.faults, IsEmpty());
  ASSERT_EQ(reading.config.sealing_keys.size(), 2u);
  EXPECT_EQ(reading.config.sealing_keys[0].id, "new");
  EXPECT_EQ(reading.config.sealing_keys[0].key.Reveal().substr(0, 3), std::string("\0\1\2", 3));
  EXPECT_EQ(reading.config.sealing_keys[1].key.Reveal(), std::string(32, '\x77'));
  EXPECT_EQ(Shown(reading, "sealing.keys[1].key"), "***");
}

TEST_F(ConfigKeepingTest, EveryFaultOfASealingKeyIsNamedAndNoKeyIsQuoted) {
  const ConfigReading reading =
      Read("sealing: {keys: [{id: a, key: \"hunter2hunter2\"}, {id: a, key: \"" + kHex + "\"}, {id: \"a b\"}]}");
  EXPECT_THAT(reading.faults, ElementsAre(AllOf(HasSubstr("sealing.keys[0].key"), HasSubstr("32 bytes")),
                                          AllOf(HasSubstr("sealing.keys[1].id"), HasSubstr("stands twice")),
                                          AllOf(HasSubstr("sealing.keys[2].id"), HasSubstr("malformed")),
                                          AllOf(HasSubstr("sealing.keys[2].key"), HasSubstr("openssl rand"))));
  for (const std::string& fault : reading.faults) EXPECT_EQ(fault.find("hunter2"), std::string::npos);
}

TEST_F(ConfigKeepingTest, SealingKeysChangeWithAReload) {
  const ConfigReading before = Read("");
  const ConfigReading after = Read("sealing: {keys: [{id: a, key: \"" + kHex + "\"}]}");
  EXPECT_THAT(NeedRestart(before.config, after.config), IsEmpty());
}

TEST_F(ConfigKeepingTest, WhatIsKeptHasDefaultsAndLimits) {
  EXPECT_EQ(Read("").config.retention.sent, std::chrono::days{7});
  EXPECT_EQ(Read("retention: {sent: 12h}").config.retention.sent, std::chrono::hours{12});
  EXPECT_THAT(Read("retention: {dead: 10ms}").faults, ElementsAre(HasSubstr("retention.dead")));
  EXPECT_THAT(Read("retention: {attempts: 1d}").faults, ElementsAre(HasSubstr("retention.attempts")));
}

TEST_F(ConfigKeepingTest, ATenantsQuotasAreByChannelAndByProvider) {
  const ConfigReading reading =
      Read("tenants: {acme: {quota: {channels: {ops: 5, team: 0}, providers: {feishu_bot: 7}}}}");
  EXPECT_THAT(reading.faults, IsEmpty());
  using Kind = consumer::QuotaRule::Kind;
  EXPECT_EQ(
      reading.config.quotas,
      (consumer::QuotaRules{
          {"acme", {{Kind::kChannel, "ops", 5}, {Kind::kChannel, "team", 0}, {Kind::kProvider, "feishu_bot", 7}}}}));
  EXPECT_TRUE(reading.config.tenant_rates.special.empty());
}

TEST_F(ConfigKeepingTest, EveryFaultOfAQuotaIsNamed) {
  EXPECT_THAT(Read("tenants: {acme: {quota: {channels: {ops: -1}, providers: {nobody: 1}}}}").faults,
              ElementsAre(HasSubstr("tenants.acme.quota.channels.ops"), HasSubstr("is no provider")));
  EXPECT_THAT(Read("tenants: {acme: {quota: {}}}").faults, ElementsAre(HasSubstr("limits nothing")));
  EXPECT_THAT(Read("tenants: {acme: {}}").faults, ElementsAre(HasSubstr("says nothing")));
}

}  // namespace
}  // namespace outrider::app
