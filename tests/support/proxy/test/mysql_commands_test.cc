#include "tests/support/proxy/mysql_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace outrider::testing {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Packet(std::uint8_t sequence, const std::string& payload) {
  const std::size_t size = payload.size();
  std::string packet;
  for (const std::size_t byte : {size, size >> 8, size >> 16}) packet += static_cast<char>(byte);
  return packet + static_cast<char>(sequence) + payload;
}

std::string Login(std::uint32_t flags) {
  std::string payload;
  for (int shift = 0; shift < 32; shift += 8) payload += static_cast<char>(flags >> shift);
  return Packet(1, payload + std::string(28, '\0') + "user\0"s);
}

class MysqlCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override { commands_.FromClient(Login(0x200)); }
  MysqlCommands commands_;
};

TEST_F(MysqlCommandsTest, ReadsQueries) {
  EXPECT_THAT(commands_.FromClient(Packet(0, "\3COMMIT")), ElementsAre("COMMIT"));
  EXPECT_THAT(commands_.FromClient(Packet(0, "\3\0\1COMMIT"s)), ElementsAre("COMMIT")) << "with query attributes";
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x0e")), IsEmpty()) << "a ping";
}

TEST_F(MysqlCommandsTest, ReadsThemHoweverTheyAreCutUpOrPutTogether) {
  const std::string bytes = Packet(0, "\3BEGIN") + Packet(0, "\3COMMIT");
  EXPECT_THAT(commands_.FromClient(bytes), ElementsAre("BEGIN", "COMMIT"));
  std::vector<std::string> found;
  for (const char byte : bytes) {
    for (std::string& statement : commands_.FromClient(std::string(1, byte))) found.push_back(std::move(statement));
  }
  EXPECT_THAT(found, ElementsAre("BEGIN", "COMMIT"));
}

TEST_F(MysqlCommandsTest, IsNotFooledByTextThatLooksLikeAPacket) {
  const std::string inside = "\3INSERT INTO t VALUES ('" + Packet(0, "\3COMMIT") + "')";
  EXPECT_THAT(commands_.FromClient(Packet(0, inside)), ElementsAre(inside.substr(1)));
}

TEST_F(MysqlCommandsTest, IgnoresWhatGoesOnWithALongPacketOrALogin) {
  EXPECT_THAT(commands_.FromClient(Packet(1, "\3COMMIT")), IsEmpty());
  EXPECT_THAT(commands_.FromClient(Packet(0, "\3COMMIT")), ElementsAre("COMMIT"));
}

TEST_F(MysqlCommandsTest, KeepsOnlyTheBeginningOfALongStatement) {
  const auto found = commands_.FromClient(Packet(0, "\3INSERT " + std::string(100'000, 'x')));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_LE(found[0].size(), MysqlCommands::kKept);
}

TEST_F(MysqlCommandsTest, KnowsWhatAPreparedStatementSays) {
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x16INSERT INTO t VALUES (?)")), IsEmpty());
  commands_.FromServer(Packet(1, "\0\7\0\0\0\0\0\1\0"s));
  EXPECT_THAT(commands_.FromClient(Packet(0,
                                          "\x16"
                                          "DELETE FROM t")),
              IsEmpty());
  commands_.FromServer(Packet(1, "\0\x8\0\0\0\0\0\0\0"s));
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x17\7\0\0\0\0"s)), ElementsAre("INSERT INTO t VALUES (?)"));
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x17\x8\0\0\0\0"s)), ElementsAre("DELETE FROM t"));
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x17\xff\xff\xff\xff\0"s)), ElementsAre("DELETE FROM t"));
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x19\7\0\0\0"s)), IsEmpty());
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x17\7\0\0\0\0"s)), IsEmpty());
}

TEST_F(MysqlCommandsTest, AStatementThatTheServerRefusedToPrepareHasNoNumber) {
  commands_.FromClient(Packet(0, "\x16SELEC"));
  commands_.FromServer(Packet(1, "\xff\x28\4#42000"s));
  EXPECT_THAT(commands_.FromClient(Packet(0, "\x17\x28\4\x23\x34\0"s)), IsEmpty());
}

TEST(MysqlCommandsBlindTest, FindsNothingUnderTlsOrCompression) {
  for (const std::uint32_t flag : {1u << 11, 1u << 5, 1u << 26}) {
    MysqlCommands commands;
    commands.FromClient(Login(0x200 | flag));
    EXPECT_THAT(commands.FromClient(Packet(0, "\3COMMIT")), IsEmpty());
  }
}

TEST(BeginsStatementTest, ComparesWholeWordsWithoutCase) {
  EXPECT_TRUE(BeginsStatement("COMMIT", "COMMIT"));
  EXPECT_TRUE(BeginsStatement(" \n commit;", "COMMIT"));
  EXPECT_TRUE(BeginsStatement("commit and chain", "COMMIT"));
  EXPECT_TRUE(BeginsStatement("DELETE FROM `outbox` WHERE", "delete from `outbox`"));
  EXPECT_FALSE(BeginsStatement("COMMITTED", "COMMIT"));
  EXPECT_FALSE(BeginsStatement("COMMI", "COMMIT"));
  EXPECT_FALSE(BeginsStatement("SELECT 'COMMIT'", "COMMIT"));
  EXPECT_FALSE(BeginsStatement("", "COMMIT"));
}

}  // namespace
}  // namespace outrider::testing
