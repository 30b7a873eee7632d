#include <gtest/gtest.h>

#include <string>

#include "platform/mysql/connection.h"

namespace outrider::mysql {
namespace {

TEST(MysqlUrlTest, HasUserPasswordHostPortAndDatabase) {
  const auto options = ParseMysqlUrl("mysql://relay:s3cret@db.example:3307/shop");
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->user, "relay");
  EXPECT_EQ(options->password.Reveal(), "s3cret");
  EXPECT_EQ(options->host, "db.example");
  EXPECT_EQ(options->port, 3307u);
  EXPECT_EQ(options->database, "shop");
}

TEST(MysqlUrlTest, MayLeaveOutUserPasswordAndPort) {
  const auto options = ParseMysqlUrl("mysql://db/shop");
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->user, "");
  EXPECT_TRUE(options->password.empty());
  EXPECT_EQ(options->port, 3306u);
}

TEST(MysqlUrlTest, DecodesPercentSigns) {
  const auto options = ParseMysqlUrl("mysql://a%40b:p%3a%2F%25@db/shop%20two");
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->user, "a@b");
  EXPECT_EQ(options->password.Reveal(), "p:/%");
  EXPECT_EQ(options->database, "shop two");
}

TEST(MysqlUrlTest, TakesAnUnescapedPasswordUpToTheLastAtSign) {
  const auto options = ParseMysqlUrl("mysql://u:p/@:q@db:1/x");
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->password.Reveal(), "p/@:q");
  EXPECT_EQ(options->host, "db");
}

TEST(MysqlUrlTest, KnowsIpv6Hosts) {
  const auto options = ParseMysqlUrl("mysql://u@[::1]:3307/x");
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->host, "::1");
  EXPECT_EQ(options->port, 3307u);
  EXPECT_EQ(Describe(*options), "u@[::1]:3307/x");
}

TEST(MysqlUrlTest, IsDescribedWithoutThePassword) {
  EXPECT_EQ(Describe(*ParseMysqlUrl("mysql://relay:s3cret@db/shop")), "relay@db:3306/shop");
}

class BadMysqlUrlTest : public ::testing::TestWithParam<const char*> {};

TEST_P(BadMysqlUrlTest, IsRefusedWithoutShowingThePassword) {
  const auto options = ParseMysqlUrl(GetParam());
  ASSERT_FALSE(options.has_value());
  EXPECT_EQ(options.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(options.error().message.find("s3cret"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Urls, BadMysqlUrlTest,
                         ::testing::Values("", "postgres://u:s3cret@db/x", "mysql://u:s3cret@db",
                                           "mysql://u:s3cret@db/", "mysql://u:s3cret@/x", "mysql://u:s3cret@db:/x",
                                           "mysql://u:s3cret@db:0/x", "mysql://u:s3cret@db:70000/x",
                                           "mysql://u:s3cret@db:33o6/x", "mysql://u:s3cret%@db/x",
                                           "mysql://u:s3cret%4@db/x", "mysql://u:s3cret%zz@db/x",
                                           "mysql://u:s3cret@db/x/y", "mysql://u:s3cret@db/x?ssl=1",
                                           "mysql://u:s3cret@[::1/x", "mysql://u:s3cret@[::1]x/x"));

TEST(SqlTextTest, HasAQuestionMarkForEachValue) {
  EXPECT_EQ(Placeholders(0), "");
  EXPECT_EQ(Placeholders(1), "?");
  EXPECT_EQ(Placeholders(3), "?, ?, ?");
  EXPECT_EQ(PlaceholderRows(2, 2), "(?, ?), (?, ?)");
}

TEST(SqlTextTest, QuotesIdentifiersSoThatNothingEscapes) {
  EXPECT_EQ(QuoteIdentifier("outbox"), "`outbox`");
  EXPECT_EQ(QuoteIdentifier("a`; DROP TABLE b"), "`a``; DROP TABLE b`");
}

}  // namespace
}  // namespace outrider::mysql
