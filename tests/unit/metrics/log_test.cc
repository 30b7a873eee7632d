#include "metrics/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace outrider {
namespace {

class LogTest : public ::testing::Test {
 protected:
  LogTest() : descriptor_(memfd_create("log", 0)) {}
  ~LogTest() override { close(descriptor_); }

  LogOptions Options(bool json) const { return {.level = LogLevel::kInfo, .json = json, .descriptor = descriptor_}; }
  std::string Written() const {
    std::string text(static_cast<std::size_t>(lseek(descriptor_, 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(descriptor_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }
  // Without the time, which the clock decides.
  std::string Line(bool json, std::initializer_list<LogField> fields) {
    Log(Options(json)).Info("relay.leads", fields);
    const std::string line = Written();
    return json ? line : line.substr(std::string("2026-11-24T05:11:41.436Z ").size());
  }

  const int descriptor_;
};

TEST_F(LogTest, ATextLineIsTimeLevelEventAndFields) {
  Log(Options(false)).Info("relay.leads", {{"source", "shop"}, {"epoch", 7}});
  static const std::regex kLine(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info  relay\.leads source=shop epoch=7\n)");
  EXPECT_TRUE(std::regex_match(Written(), kLine)) << Written();
}

TEST_F(LogTest, AJsonLineKeepsNumbersAsNumbers) {
  const std::string line = Line(true, {{"source", "shop"}, {"epoch", 7}});
  EXPECT_TRUE(std::regex_match(
      line, std::regex(R"re(\{"time":"[^"]+Z","level":"info","event":"relay\.leads","source":"shop","epoch":7\}\n)re")))
      << line;
}

TEST_F(LogTest, ValuesWithSpacesQuotesOrNothingAreQuoted) {
  EXPECT_EQ(Line(false, {{"why", "broker \"a\" away"}, {"empty", ""}, {"pair", "a=b"}}),
            "info  relay.leads why=\"broker \\\"a\\\" away\" empty=\"\" pair=\"a=b\"\n");
}

TEST_F(LogTest, DataCannotForgeALine) {
  EXPECT_EQ(Line(false, {{"key", "a\nb\r\x1b[31m\x7f"}}), "info  relay.leads key=a\\nb\\u{d}\\u{1b}[31m\\u{7f}\n");
}

TEST_F(LogTest, DataCannotForgeAJsonLine) {
  const std::string line = Line(true, {{"key", "a\n\"}\x01"}});
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_NE(line.find(R"re("key":"a\\n\"}\\u{1}")re"), std::string::npos) << line;
}

TEST_F(LogTest, DirectionMarksAndLineSeparatorsAreEscaped) {
  EXPECT_EQ(Line(false, {{"key", "\u202ex\u2028y\u0085z"}}), "info  relay.leads key=\\u{202e}x\\u{2028}y\\u{85}z\n");
}

TEST_F(LogTest, OtherLanguagesStayReadable) {
  EXPECT_EQ(Line(false, {{"key", "订单🎉"}}), "info  relay.leads key=订单🎉\n");
}

TEST_F(LogTest, BrokenUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(Line(false, {{"key", "a\xff"}}), "info  relay.leads key=a\uFFFD\n");
}

TEST_F(LogTest, ALongValueIsCut) {
  const std::string line = Line(false, {{"key", std::string(100'000, 'x')}, {"after", 1}});
  EXPECT_LT(line.size(), 2200u);
  EXPECT_TRUE(line.ends_with("x... after=1\n"));
}

TEST_F(LogTest, ALongLineIsCutAndSaysSo) {
  const std::string value(1900, 'x');
  const std::string line =
      Line(false, {{"a", value}, {"b", value}, {"c", value}, {"d", value}, {"e", value}, {"f", value}});
  EXPECT_LT(line.size(), 8200u);
  EXPECT_TRUE(line.ends_with(" cut=true\n"));
}

TEST_F(LogTest, LinesBelowTheLevelAreNotWritten) {
  Log log(Options(false));
  log.Debug("unseen");
  EXPECT_EQ(Written(), "");
  log.SetLevel(LogLevel::kDebug);
  log.Debug("seen");
  EXPECT_NE(Written().find("debug seen"), std::string::npos);
}

TEST_F(LogTest, LinesThatCouldNotBeWrittenAreCountedInTheNextThatCan) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
  Log log({.descriptor = ends[1]});
  const std::string filler(4096, 'x');
  while (write(ends[1], filler.data(), filler.size()) > 0) {
  }
  log.Info("lost.one");
  log.Info("lost.two");
  std::string sink(1 << 20, '\0');
  while (read(ends[0], sink.data(), sink.size()) > 0) {
  }
  log.Info("heard");
  const ssize_t size = read(ends[0], sink.data(), sink.size());
  ASSERT_GT(size, 0);
  const std::string written = sink.substr(0, static_cast<std::size_t>(size));
  EXPECT_NE(written.find("log.lines_dropped lines=2"), std::string::npos) << written;
  EXPECT_NE(written.find("heard"), std::string::npos) << written;
  close(ends[0]);
  close(ends[1]);
}

TEST_F(LogTest, LinesOfSeveralThreadsStayWhole) {
  Log log(Options(false));
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&log] {
      for (int i = 0; i < 250; ++i) log.Info("tick", {{"value", std::string(50, 'x')}});
    });
  }
  threads.clear();
  const std::string written = Written();
  std::size_t lines = 0;
  for (std::size_t at = 0; at < written.size(); ++lines) {
    const std::size_t end = written.find('\n', at);
    ASSERT_TRUE(written.substr(at, end - at).ends_with("info  tick value=" + std::string(50, 'x')));
    at = end + 1;
  }
  EXPECT_EQ(lines, 1000u);
}

TEST(LogLevelTest, NamesAreReadAndOthersRefused) {
  EXPECT_EQ(ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("error"), LogLevel::kError);
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
}

}  // namespace
}  // namespace outrider
