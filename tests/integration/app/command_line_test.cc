#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/app/program.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string WriteConfig(const testing::TempDir& folder, std::string_view yaml) {
  const auto file = folder.path() / "outrider.yaml";
  testing::WriteTextFile(file, yaml);
  return file.string();
}

TEST(CommandLineTest, HelpAndVersionAreData) {
  const Ended help = CallProgram({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* command : {"run", "migrate", "config", "send", "show", "ls", "version"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
  }
  EXPECT_THAT(help.err, IsEmpty());
  EXPECT_THAT(CallProgram({"version"}).out, StartsWith("outrider "));
  EXPECT_TRUE(nlohmann::json::parse(CallProgram({"version", "-o", "json"}).out).contains("version"));
}

TEST(CommandLineTest, WrongUsageEndsWithTwoAndSaysWhyOnStderr) {
  const std::vector<std::vector<std::string>> calls = {
      {},
      {"frobnicate"},
      {"ls"},
      {"ls", "--limit", "0"},
      {"run", "--roles", "relay,postman"},
      {"send", "--file", "x", "--text", "y"},
      {"send", "--wait", "soon"},
      {"show"},
      {"-o", "xml", "ls"},
  };
  for (const std::vector<std::string>& call : calls) {
    const Ended ended = CallProgram(call);
    EXPECT_EQ(ended.code, 2) << (call.empty() ? "nothing" : call.back());
    EXPECT_THAT(ended.err, Not(IsEmpty()));
    EXPECT_THAT(ended.out, IsEmpty());
  }
}

TEST(CommandLineTest, WhatIsNotKnownIsNamedWithTheHelpThatTellsMore) {
  EXPECT_EQ(CallProgram({"shw", "order-1"}).err, "outrider: \"shw\" is not a command; see outrider --help\n");
  EXPECT_EQ(CallProgram({"config", "chek"}).err, "outrider: \"chek\" is not a command; see outrider config --help\n");
  EXPECT_EQ(CallProgram({"ls", "--stats", "dead"}).err,
            "outrider: not expected: --stats dead; see outrider ls --help\n");
  EXPECT_EQ(CallProgram({}).err, "outrider: a command is needed; see outrider --help\n");
  EXPECT_EQ(CallProgram({"show"}).err, "outrider: key is required; see outrider show --help\n");
}

TEST(CommandLineTest, AFileThatCannotBeReadIsTheOnlyFault) {
  const Ended ended = CallProgram({"config", "check", "-c", "/nonexistent/outrider.yaml"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("the configuration has 1 fault:"), HasSubstr("can't be read")));
}

TEST(CommandLineTest, CheckNamesEveryFaultAndEndsWithTwo) {
  const testing::TempDir folder("config");
  const std::string file = WriteConfig(folder,
                                       "databse: {url: \"mysql://u:pw@h/d\"}\ntransport: direct\n"
                                       "channels: {ops: {provider: feishu_bot}}\nlog: {level: loud}\n");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"config", "check"}, {"run"}, {"migrate", "up"}, {"ls"}}) {
    std::vector<std::string> call = command;
    call.insert(call.end(), {"--config", file});
    const Ended ended = CallProgram(call);
    EXPECT_EQ(ended.code, 2);
    EXPECT_THAT(ended.out, IsEmpty());
    EXPECT_THAT(ended.err,
                AllOf(HasSubstr("the configuration has 4 faults:"), HasSubstr("database.url: is missing"),
                      HasSubstr("databse: is not a setting; did you mean \"database\"?"),
                      HasSubstr("channels.ops.webhook_url: is missing"), HasSubstr("log.level: must be debug")));
    EXPECT_THAT(ended.err, Not(HasSubstr("pw")));
  }
}

TEST(CommandLineTest, CheckOfAValidConfigurationSaysSo) {
  const Installation installation;
  const Ended ended = installation.Call({"config", "check"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.err, HasSubstr("valid: 2 sources (the database's own among them), 0 channels"));
}

TEST(CommandLineTest, ShowPrintsEffectiveValuesWithTheirOriginAndNoSecret) {
  const testing::TempDir folder("config");
  const std::string file = WriteConfig(folder, "database: {url: \"mysql://u:hunter2@h/d\"}\ntransport: direct\n");
  const Ended table = CallProgram({"config", "show", "-c", file, "--set", "grace=3s"});
  EXPECT_EQ(table.code, 0);
  EXPECT_THAT(table.out, AllOf(HasSubstr("mysql://u:***@h:3306/d"), HasSubstr("outrider.yaml:1"),
                               HasSubstr("flag --set grace"), Not(HasSubstr("hunter2"))));
  const auto json = nlohmann::json::parse(CallProgram({"config", "show", "-c", file, "-o", "json"}).out);
  EXPECT_EQ(json[0]["path"], "database.url");
}

TEST(CommandLineTest, TransportDirectKeepsRelayAndConsumerTogether) {
  const Installation installation;
  const Ended ended = installation.Call({"run", "--roles", "relay,api"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("transport direct needs relay and consumer in one process"));
}

}  // namespace
}  // namespace outrider::app
