#include "tests/support/process/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/process/wait_until.h"

namespace outrider::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ChildOptions Shell(const std::string& script) { return {.command = {"sh", "-c", script}}; }

// A process that has ended but isn't reaped by its new parent yet doesn't run any more either.
bool Runs(pid_t pid) {
  const std::string stat = ReadTextFile("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat[name_end + 2] != 'Z' && stat[name_end + 2] != 'X';
}

TEST(ChildProcessTest, TellsHowItEndedAndWhatItSaid) {
  ChildProcess child(Shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(child.Wait(seconds{30}), (ExitStatus{3, 0}));
  EXPECT_EQ(child.Stdout(), "out\n");
  EXPECT_EQ(child.Stderr(), "err\n");
  EXPECT_FALSE(child.Running());
}

TEST(ChildProcessTest, GetsItsEnvironmentAndFolder) {
  const TempDir folder;
  ChildOptions options = Shell("echo $GREETING; pwd");
  options.environment = {{"GREETING", "hello"}};
  options.working_directory = folder.path();
  EXPECT_EQ(RunCommand(options, seconds{30}), "hello\n" + folder.path().string() + "\n");
}

TEST(ChildProcessTest, NamesAProgramThatCannotBeStarted) {
  EXPECT_THROW(ChildProcess({.command = {"/nowhere/to/be/found"}}), std::runtime_error);
}

TEST(ChildProcessTest, IsStillRunningAfterAWaitThatWasTooShort) {
  ChildProcess child({.command = {"sleep", "1000"}});
  EXPECT_EQ(child.Wait(milliseconds{1}), std::nullopt);
  EXPECT_TRUE(child.Running());
  EXPECT_EQ(child.Kill(), (ExitStatus{0, SIGKILL}));
  EXPECT_EQ(child.Wait(milliseconds{0}), (ExitStatus{0, SIGKILL}));
}

TEST(ChildProcessTest, EndsOnSigterm) {
  ChildProcess child({.command = {"sleep", "1000"}});
  EXPECT_EQ(child.Terminate(), (ExitStatus{0, SIGTERM}));
}

TEST(ChildProcessTest, StandsStillWhilePausedAndGoesOnAfterwards) {
  ChildProcess child({.command = {"sleep", "1000"}});
  for (int i = 0; i < 3; ++i) {
    child.Pause();
    EXPECT_NE(ReadTextFile("/proc/" + std::to_string(child.pid()) + "/stat").find(") T "), std::string::npos);
    EXPECT_TRUE(child.Running());
    child.Continue();
  }
  child.Pause();
  EXPECT_EQ(child.Kill(), (ExitStatus{0, SIGKILL}));
}

TEST(ChildProcessTest, DiesWithItsObject) {
  pid_t pid = 0;
  {
    const ChildProcess child({.command = {"sleep", "1000"}});
    pid = child.pid();
  }
  EXPECT_FALSE(Runs(pid));
}

TEST(ChildProcessTest, TakesItsOwnChildrenWithItWhenKilled) {
  ChildProcess child(Shell("sleep 1000 & echo $!; wait"));
  ASSERT_TRUE(WaitUntil([&] { return child.Stdout().ends_with('\n'); }));
  const pid_t grandchild = std::stoi(child.Stdout());
  child.Kill();
  EXPECT_TRUE(WaitUntil([&] { return !Runs(grandchild); }));
}

TEST(ChildProcessTest, OutlivesTheThreadThatStartedIt) {
  std::optional<ChildProcess> child;
  std::thread([&] { child.emplace(ChildOptions{.command = {"sleep", "1000"}}); }).join();
  EXPECT_EQ(child->Wait(milliseconds{100}), std::nullopt);
}

TEST(ChildProcessDeathTest, DiesWithItsProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const TempDir folder;
  // The program that dies runs this test anew; what it leaves must lie in this one's folder.
  const bool outer = std::getenv("OUTRIDER_TEST_TMP") == nullptr;
  if (outer) setenv("OUTRIDER_TEST_TMP", folder.path().c_str(), 1);
  const std::filesystem::path file = std::filesystem::path(std::getenv("OUTRIDER_TEST_TMP")) / "pid";
  EXPECT_EXIT(
      {
        ChildProcess child({.command = {"sleep", "1000"}});
        WriteTextFile(file, std::to_string(child.pid()));
        kill(getpid(), SIGKILL);
      },
      ::testing::KilledBySignal(SIGKILL), "");
  unsetenv("OUTRIDER_TEST_TMP");
  const pid_t pid = std::stoi(ReadTextFile(file));
  EXPECT_TRUE(WaitUntil([&] { return !Runs(pid); }));
}

TEST(RunCommandTest, FailsWithWhatTheCommandComplainedAbout) {
  try {
    RunCommand(Shell("echo too bad >&2; exit 1"), seconds{30});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("too bad"), std::string::npos);
  }
}

TEST(RunCommandTest, FailsWhenTheTimeIsUp) {
  EXPECT_THROW(RunCommand({.command = {"sleep", "1000"}}, milliseconds{10}), std::runtime_error);
}

}  // namespace
}  // namespace outrider::testing
