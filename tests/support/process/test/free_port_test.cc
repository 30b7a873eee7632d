#include "tests/support/process/free_port.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/support/process/temp_dir.h"
#include "tests/support/process/wait_until.h"

namespace outrider::testing {
namespace {

TEST(FreePortTest, IsNeverGivenTwice) {
  std::set<unsigned> ports;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(ports.insert(FreePort()).second);
  EXPECT_GE(*ports.begin(), 1024u);
  EXPECT_LE(*ports.rbegin(), 65535u);
}

TEST(TempDirTest, GoesAwayWithAllItHolds) {
  std::filesystem::path path;
  {
    const TempDir folder("x");
    path = folder.path();
    std::filesystem::create_directories(path / "a" / "b");
    WriteTextFile(path / "a" / "b" / "c", "text");
    EXPECT_EQ(ReadTextFile(path / "a" / "b" / "c"), "text");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(TempDirTest, MovesWithoutGoingAwayTwice) {
  TempDir one;
  const TempDir two = std::move(one);
  EXPECT_TRUE(std::filesystem::exists(two.path()));
}

TEST(WaitUntilTest, AsksAgainUntilTheConditionHolds) {
  int asked = 0;
  EXPECT_TRUE(WaitUntil([&] { return ++asked == 3; }));
  EXPECT_EQ(asked, 3);
}

TEST(WaitUntilTest, GivesUpAtTheDeadline) {
  EXPECT_FALSE(WaitUntil([] { return false; }, std::chrono::milliseconds{5}));
}

}  // namespace
}  // namespace outrider::testing
