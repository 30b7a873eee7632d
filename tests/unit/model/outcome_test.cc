#include "model/outcome.h"

#include <gtest/gtest.h>

#include "model/secret.h"

namespace outrider {
namespace {

TEST(OutcomeTest, VerdictsAreWrittenAsAttemptRowsHoldThem) {
  EXPECT_EQ(ToString(SendVerdict::kAccepted), "accepted");
  EXPECT_EQ(ToString(SendVerdict::kNotNow), "not_now");
  EXPECT_EQ(ToString(SendVerdict::kRefused), "refused");
  EXPECT_EQ(ToString(SendVerdict::kUnreachable), "unreachable");
  EXPECT_EQ(ToString(SendVerdict::kChannelDown), "channel_down");
  EXPECT_EQ(ToString(SendVerdict::kNoAnswer), "no_answer");
}

TEST(OutcomeTest, AnOutcomeThatNobodyFilledIsInDoubtAndNeverASuccess) {
  EXPECT_EQ(SendOutcome{}.verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(SendOutcome{}.retry_after, std::nullopt);
}

TEST(SecretTest, IsPrintedAsStars) {
  const Secret secret("hunter2");
  EXPECT_EQ(fmt::format("{}", secret), "***");
  EXPECT_EQ(fmt::format("{:>5}", secret), "  ***");
  EXPECT_EQ(fmt::format("{}", Secret{}), "***");
}

TEST(SecretTest, GivesItsValueOnlyWhenAsked) {
  const Secret secret("hunter2");
  EXPECT_EQ(secret.Reveal(), "hunter2");
  EXPECT_FALSE(secret.empty());
  EXPECT_TRUE(Secret{}.empty());
  EXPECT_EQ(secret, Secret("hunter2"));
  EXPECT_NE(secret, Secret("hunter3"));
}

template <class T>
concept Streamable = requires(std::ostream& stream, const T& value) {
  stream << value;
};

TEST(SecretTest, HasNoStreamOperator) { EXPECT_FALSE(Streamable<Secret>); }

}  // namespace
}  // namespace outrider
