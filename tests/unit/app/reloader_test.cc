#include "app/reloader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

#include "tests/unit/app/config_files.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ReloaderTest : public ::testing::Test {
 protected:
  ReloaderTest() : descriptor_(open((files_.folder() + "/log").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600)) {
    log_.emplace(LogOptions{.descriptor = descriptor_});
  }
  ~ReloaderTest() override { close(descriptor_); }

  void Write(std::string_view channels) const { files_.Write("outrider.yaml", kLeast + std::string(channels)); }

  Reloader& Start(std::string_view channels) {
    Write(channels);
    const ConfigInput input{{files_.folder() + "/outrider.yaml"}, {}, {}};
    ConfigReading reading = ReadConfig(input);
    EXPECT_THAT(reading.faults, IsEmpty());
    reloader_.emplace(input, reading.config, reading.files, *log_, [this](const Config& next) {
      std::string codes;
      for (const auto& channel : next.channels) codes += channel.code + " ";
      applied_.push_back(codes);
    });
    return *reloader_;
  }

  std::string log() const { return testing::ReadTextFile(files_.folder() + "/log"); }

  ConfigFiles files_;
  int descriptor_;
  std::optional<Log> log_;
  std::optional<Reloader> reloader_;
  std::vector<std::string> applied_;
};

TEST_F(ReloaderTest, ANewChannelIsApplied) {
  Reloader& reloader = Start("channels: {a: {provider: mock}, c: {provider: mock}}\n");
  Write("channels: {a: {provider: mock, enabled: false}, b: {provider: mock}}\n");
  reloader.Reload();
  EXPECT_THAT(applied_, ElementsAre("a b "));
  EXPECT_THAT(log(), HasSubstr("config.reloaded channels=2 added=b changed=a removed=c"));
}

TEST_F(ReloaderTest, AConfigurationWithAFaultChangesNothing) {
  Reloader& reloader = Start("channels: {a: {provider: mock}}\n");
  Write("channels: {a: {provider: mock}, b: {provider: mokk}}\nlog: {level: debug}\n");
  reloader.Reload();
  EXPECT_THAT(applied_, IsEmpty());
  EXPECT_THAT(log(), AllOf(HasSubstr("config.fault"), HasSubstr("channels.b.provider"), HasSubstr("config.refused"),
                           Not(HasSubstr("config.reloaded"))));
}

TEST_F(ReloaderTest, WhatNeedsARestartIsRefusedAsAWholeInWords) {
  Reloader& reloader = Start("");
  Write("channels: {a: {provider: mock}}\ngrace: 1s\n");
  reloader.Reload();
  EXPECT_THAT(applied_, IsEmpty());
  EXPECT_THAT(log(), AllOf(HasSubstr("config.refused needs_restart=grace"), Not(HasSubstr("config.reloaded"))));
}

TEST_F(ReloaderTest, TheLevelOfTheLogChanges) {
  Reloader& reloader = Start("");
  Write("log: {level: error}\n");
  reloader.Reload();
  log_->Warn("not.shown");
  EXPECT_THAT(log(), Not(HasSubstr("not.shown")));
}

TEST_F(ReloaderTest, AChangedFileIsTakenOnceItStandsStill) {
  Reloader& reloader = Start("");
  reloader.Look();
  Write("channels: {a: {provider: mock}}\n");
  reloader.Look();
  EXPECT_THAT(applied_, IsEmpty()) << "it may be half written";
  reloader.Look();
  EXPECT_THAT(applied_, ElementsAre("a "));
  reloader.Look();
  EXPECT_EQ(applied_.size(), 1u) << "once";
}

TEST_F(ReloaderTest, AFileThatKeepsChangingIsNotTaken) {
  Reloader& reloader = Start("");
  for (const char* channels :
       {"channels: {a: {provider: mock}}\n", "channels: {}\n", "channels: {b: {provider: mock}}\n"}) {
    Write(channels);
    reloader.Look();
  }
  EXPECT_THAT(applied_, IsEmpty());
}

TEST_F(ReloaderTest, AFaultInAChangedFileIsSaidOnce) {
  Reloader& reloader = Start("");
  Write("channels: nonsense\n");
  for (int i = 0; i < 5; ++i) reloader.Look();
  const std::string text = log();
  EXPECT_NE(text.find("config.refused"), std::string::npos);
  EXPECT_EQ(text.find("config.refused"), text.rfind("config.refused"));
}

TEST_F(ReloaderTest, ASwappedSecretFileIsSeen) {
  const std::string hook = files_.Write("hook", "https://open.feishu.cn/open-apis/bot/v2/hook/one");
  Reloader& reloader = Start("channels: {a: {provider: feishu_bot, webhook_url_file: " + hook + "}}\n");
  const std::string next = files_.Write("hook.next", "https://open.feishu.cn/open-apis/bot/v2/hook/two");
  ASSERT_EQ(std::rename(next.c_str(), hook.c_str()), 0);
  reloader.Look();
  reloader.Look();
  EXPECT_EQ(applied_.size(), 1u);
  EXPECT_THAT(log(), AllOf(HasSubstr("changed=a"), Not(HasSubstr("hook/"))));
}

}  // namespace
}  // namespace outrider::app
