#include "app/config_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/config_files.h"

namespace outrider::app {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConfigTreeTest : public ::testing::Test {
 protected:
  ConfigTree Load(std::string_view yaml, std::vector<std::string> environment = {},
                  std::vector<std::string> assignments = {}) const {
    return LoadConfigTree({{files_.Write("a.yaml", yaml)}, std::move(environment), std::move(assignments)});
  }

  static const ConfigValue& At(const ConfigTree& tree, std::initializer_list<std::string_view> path) {
    static const ConfigValue kAbsent{.origin = "(absent)"};
    const ConfigValue* value = &tree.root;
    for (const std::string_view key : path) {
      value = value->Find(key);
      if (value == nullptr) return kAbsent;
    }
    return *value;
  }

  ConfigFiles files_;
};

TEST_F(ConfigTreeTest, AValueKnowsItsFileAndLine) {
  const ConfigTree tree = Load("api:\n  listen: here\n");
  EXPECT_EQ(At(tree, {"api", "listen"}).scalar, "here");
  EXPECT_THAT(At(tree, {"api", "listen"}).origin, EndsWith("a.yaml:2"));
}

TEST_F(ConfigTreeTest, LaterFilesWinKeyByKey) {
  const std::string first = files_.Write("first.yaml", "api: {listen: one, token: kept}\nsources: [1, 2]\n");
  const std::string second = files_.Write("second.yaml", "api: {listen: two}\nsources: [3]\n");
  const ConfigTree tree = LoadConfigTree({{first, second}, {}, {}});
  EXPECT_EQ(At(tree, {"api", "listen"}).scalar, "two");
  EXPECT_EQ(At(tree, {"api", "token"}).scalar, "kept");
  EXPECT_EQ(At(tree, {"sources"}).items.size(), 1u) << "lists are replaced as a whole";
}

TEST_F(ConfigTreeTest, NullTakesBackWhatAnEarlierFileSaid) {
  const std::string first = files_.Write("first.yaml", "api: {token: x}\n");
  const std::string second = files_.Write("second.yaml", "api: {token: ~}\n");
  EXPECT_EQ(At(LoadConfigTree({{first, second}, {}, {}}), {"api", "token"}).kind, ConfigValue::Kind::kNull);
}

TEST_F(ConfigTreeTest, TheEnvironmentWinsOverFilesAndFlagsOverBoth) {
  const std::vector<std::string> environment = {"OUTRIDER_API__LISTEN=env", "OUTRIDER_LOG__LEVEL=debug"};
  const ConfigTree tree = Load("api: {listen: file}\n", environment, {"log.level=error"});
  EXPECT_EQ(At(tree, {"api", "listen"}).scalar, "env");
  EXPECT_EQ(At(tree, {"api", "listen"}).origin, "environment OUTRIDER_API__LISTEN");
  EXPECT_EQ(At(tree, {"log", "level"}).scalar, "error");
  EXPECT_EQ(At(tree, {"log", "level"}).origin, "flag --set log.level");
}

TEST_F(ConfigTreeTest, AVariableReachesAChannelWhoseCodeItCannotSpell) {
  const ConfigTree tree =
      Load("channels: {Ops-Alerts.eu: {enabled: true}}\n", {"OUTRIDER_CHANNELS__OPS_ALERTS_EU__SECRET=s"});
  EXPECT_EQ(At(tree, {"channels"}).entries.size(), 1u);
  EXPECT_EQ(At(tree, {"channels", "Ops-Alerts.eu", "secret"}).scalar, "s");
}

TEST_F(ConfigTreeTest, AVariableReachesAnEntryOfAList) {
  const ConfigTree tree = Load("sources: [{name: shop}]\n",
                               {"OUTRIDER_SOURCES__0__PASSWORD_FILE=/run/p", "OUTRIDER_SOURCES__1__NAME=second"});
  const ConfigValue& sources = At(tree, {"sources"});
  ASSERT_EQ(sources.items.size(), 2u);
  EXPECT_EQ(sources.items[0].Find("name")->scalar, "shop");
  EXPECT_EQ(sources.items[0].Find("password_file")->scalar, "/run/p");
  EXPECT_EQ(sources.items[1].Find("name")->scalar, "second");
}

TEST_F(ConfigTreeTest, OnlyRootSettingsAreReadFromVariablesWithoutASection) {
  const ConfigTree tree = Load("", {"OUTRIDER_TRANSPORT=direct", "OUTRIDER_FAILPOINT=x", "OUTRIDER_TEST_DB=mysql",
                                    "PATH=/bin", "OUTRIDER_GRACE"});
  EXPECT_EQ(At(tree, {"transport"}).scalar, "direct");
  EXPECT_EQ(tree.root.entries.size(), 1u);
}

TEST_F(ConfigTreeTest, AFlagWithoutAValueIsAFaultThatDoesNotRepeatIt) {
  const ConfigTree tree = Load("", {}, {"hunter2", "=hunter2"});
  EXPECT_THAT(tree.faults, ElementsAre("--set: must be section.key=value", "--set: must be section.key=value"));
}

TEST_F(ConfigTreeTest, AFileThatCannotBeReadIsAFault) {
  const ConfigTree tree = LoadConfigTree({{files_.folder() + "/none.yaml", files_.folder()}, {}, {}});
  EXPECT_THAT(tree.faults, ElementsAre(HasSubstr("none.yaml: can't be read"), HasSubstr("can't be read")));
}

TEST_F(ConfigTreeTest, WhatIsNotAMapOfSectionsIsAFault) {
  EXPECT_THAT(Load("- a\n").faults, ElementsAre(HasSubstr("must be a map of sections")));
  EXPECT_THAT(Load("just words").faults, ElementsAre(HasSubstr("must be a map of sections")));
  EXPECT_THAT(Load("").faults, IsEmpty());
}

TEST_F(ConfigTreeTest, BrokenYamlIsAFaultWithItsLine) {
  EXPECT_THAT(Load("api:\n  listen: [1\n").faults, ElementsAre(HasSubstr("not YAML")));
}

TEST_F(ConfigTreeTest, AKeyThatStandsTwiceIsAFault) {
  EXPECT_THAT(Load("api: {listen: a}\napi: {listen: b}\n").faults,
              ElementsAre(HasSubstr("a.yaml:2: the key \"api\" stands twice")));
}

TEST_F(ConfigTreeTest, AliasesAreRefusedBeforeTheyGrow) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb +=
        fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  EXPECT_THAT(Load(bomb).faults, ElementsAre(HasSubstr("aliases")));
}

TEST_F(ConfigTreeTest, ASecondDocumentIsAFaultRatherThanLost) {
  EXPECT_THAT(Load("api: {}\n---\nlog: {}\n").faults, ElementsAre(HasSubstr("more than one YAML document")));
  // The parser never gets past the comma.
  EXPECT_THAT(Load(",--\na: 1\n---\nb: 2\n").faults, ElementsAre(HasSubstr("more than one YAML document")));
}

TEST_F(ConfigTreeTest, DepthAndSizeAreBounded) {
  std::string deep = "a: ";
  for (int i = 0; i < 40; ++i) deep += "{a: ";
  deep += "x" + std::string(40, '}');
  EXPECT_THAT(Load(deep).faults, ElementsAre(HasSubstr("nested deeper than 32 levels")));
  EXPECT_THAT(Load(std::string(1 << 20, ' ') + "a: b\n").faults, ElementsAre(HasSubstr("larger than")));
  EXPECT_FALSE(Load(std::string(100'000, '[')).faults.empty());
}

TEST_F(ConfigTreeTest, JsonIsYaml) {
  const ConfigTree tree = Load(R"({"api": {"listen": "127.0.0.1:0"}})");
  EXPECT_THAT(tree.faults, IsEmpty());
  EXPECT_EQ(At(tree, {"api", "listen"}).scalar, "127.0.0.1:0");
}

}  // namespace
}  // namespace outrider::app
