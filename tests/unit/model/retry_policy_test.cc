#include "model/retry_policy.h"

#include <limits>

#include "tests/unit/model/property.h"

namespace outrider {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kNoJitter = 0.5;

RetryPolicy Exponential(milliseconds base, milliseconds max, double jitter = 0) {
  RetryPolicy policy;
  policy.base = base;
  policy.max = max;
  policy.jitter = jitter;
  return policy;
}

RetryPolicy Listed(std::vector<milliseconds> schedule, double jitter = 0) {
  RetryPolicy policy;
  policy.schedule = std::move(schedule);
  policy.jitter = jitter;
  return policy;
}

TEST(RetryPolicyTest, TheDefaultsGiveSmartFlowsWaits) {
  const RetryPolicy policy;
  EXPECT_EQ(policy.max_attempts, 5);
  EXPECT_EQ(RetryDelay(policy, -1, kNoJitter), minutes{5});
  EXPECT_EQ(RetryDelay(policy, 0, kNoJitter), minutes{5});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter), minutes{5});
  EXPECT_EQ(RetryDelay(policy, 2, kNoJitter), minutes{10});
  EXPECT_EQ(RetryDelay(policy, 3, kNoJitter), minutes{20});
  EXPECT_EQ(RetryDelay(policy, 4, kNoJitter), minutes{30});
  EXPECT_EQ(RetryDelay(policy, 5, kNoJitter), minutes{30});
  EXPECT_EQ(RetryDelay(policy, std::numeric_limits<int>::max(), kNoJitter), minutes{30});
}

// Four waits, then the fifth failure is dead.
TEST(RetryPolicyTest, FiveAttemptsWait65MinutesInAll) {
  const RetryPolicy policy;
  milliseconds sum{0};
  for (int attempt = 1; attempt < policy.max_attempts; ++attempt) sum += RetryDelay(policy, attempt, kNoJitter);
  EXPECT_EQ(sum, minutes{65});
}

TEST(RetryPolicyTest, AListGivesItsWaitsInOrderAndRepeatsTheLast) {
  const RetryPolicy policy = Listed({seconds{1}, seconds{5}, seconds{30}, minutes{5}, minutes{30}});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter), seconds{1});
  EXPECT_EQ(RetryDelay(policy, 2, kNoJitter), seconds{5});
  EXPECT_EQ(RetryDelay(policy, 3, kNoJitter), seconds{30});
  EXPECT_EQ(RetryDelay(policy, 4, kNoJitter), seconds{300});
  EXPECT_EQ(RetryDelay(policy, 5, kNoJitter), seconds{1800});
  EXPECT_EQ(RetryDelay(policy, 6, kNoJitter), seconds{1800});
  EXPECT_EQ(RetryDelay(policy, 0, kNoJitter), seconds{1});
  EXPECT_EQ(RetryDelay(policy, std::numeric_limits<int>::min(), kNoJitter), seconds{1});
}

// SmartFlow's retries=3, 60 s.
TEST(RetryPolicyTest, AFixedWaitIsAListOfOne) {
  const RetryPolicy policy = Listed({seconds{60}});
  for (int attempt = 1; attempt <= 3; ++attempt) EXPECT_EQ(RetryDelay(policy, attempt, kNoJitter), seconds{60});
}

TEST(RetryPolicyTest, AMaximumThatIsNoPowerOfTheBaseIsReachedExactly) {
  const RetryPolicy policy = Exponential(seconds{10}, seconds{35});
  EXPECT_EQ(RetryDelay(policy, 2, kNoJitter), seconds{20});
  EXPECT_EQ(RetryDelay(policy, 3, kNoJitter), seconds{35});
}

TEST(RetryPolicyTest, JitterSpreadsToBothSidesEvenAtTheMaximum) {
  const RetryPolicy policy = Exponential(seconds{10}, seconds{10}, 0.2);
  EXPECT_EQ(RetryDelay(policy, 1, 0), seconds{8});
  EXPECT_EQ(RetryDelay(policy, 1, 0.25), seconds{9});
  EXPECT_EQ(RetryDelay(policy, 1, 0.75), seconds{11});
  EXPECT_EQ(RetryDelay(policy, 1, 1), seconds{12});
  EXPECT_EQ(RetryDelay(Listed({seconds{10}}, 0.2), 1, 0), seconds{8});
}

TEST(RetryPolicyTest, AHintWinsWhenItIsLonger) {
  const RetryPolicy policy = Exponential(seconds{10}, minutes{1});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter, seconds{11}), seconds{11});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter, seconds{9}), seconds{10});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter, milliseconds{0}), seconds{10});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter, milliseconds::min()), seconds{10});
}

TEST(RetryPolicyTest, AHintIsCutAtFifteenMinutesAndNeverShortensTheBackOff) {
  const RetryPolicy policy = Exponential(seconds{10}, minutes{1});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter, hours{24}), minutes{15});
  EXPECT_EQ(RetryDelay(policy, 1, kNoJitter, milliseconds::max()), minutes{15});
  EXPECT_EQ(RetryDelay(RetryPolicy{}, 5, kNoJitter, hours{24}), minutes{30});
}

TEST(RetryPolicyTest, ADelayStaysInsideTheJittersBounds) {
  ExpectProperty([] {
    const milliseconds base{*rc::gen::inRange(1, 1'000'000)};
    const milliseconds max = base + milliseconds{*rc::gen::inRange(0, 10'000'000)};
    const RetryPolicy policy = Exponential(base, max, *rc::gen::inRange(0, 101) / 100.0);
    const int attempt = *rc::gen::inRange(-3, 70);
    const double random = *rc::gen::inRange(0, 1000) / 1000.0;
    const double plain = static_cast<double>(RetryDelay(policy, attempt, kNoJitter).count());
    const double delay = static_cast<double>(RetryDelay(policy, attempt, random).count());
    RC_ASSERT(plain >= static_cast<double>(base.count()));
    RC_ASSERT(plain <= static_cast<double>(max.count()));
    RC_ASSERT(delay >= plain * (1 - policy.jitter) - 1);
    RC_ASSERT(delay <= plain * (1 + policy.jitter) + 1);
  });
}

TEST(RetryPolicyTest, WithoutJitterALaterAttemptNeverWaitsShorter) {
  ExpectProperty([] {
    const milliseconds base{*rc::gen::inRange(1, 1'000'000)};
    const RetryPolicy policy = Exponential(base, base * *rc::gen::inRange(1, 1000));
    const int attempt = *rc::gen::inRange(1, 100);
    RC_ASSERT(RetryDelay(policy, attempt, kNoJitter) <= RetryDelay(policy, attempt + 1, kNoJitter));
  });
}

TEST(RetryPolicyTest, AnyNumbersGiveADelayThatIsNotNegative) {
  ExpectProperty([] {
    RetryPolicy policy;
    policy.base = milliseconds{*rc::gen::arbitrary<std::int64_t>()};
    policy.max = milliseconds{*rc::gen::arbitrary<std::int64_t>()};
    policy.jitter = *rc::gen::inRange(0, 101) / 100.0;
    const auto hint = milliseconds{*rc::gen::arbitrary<std::int64_t>()};
    RC_ASSERT(RetryDelay(policy, *rc::gen::arbitrary<int>(), *rc::gen::inRange(0, 1000) / 1000.0, hint) >=
              milliseconds{0});
  });
}

TEST(RetryPolicyTest, TheLongestPolicyDoesNotOverflow) {
  EXPECT_GT(RetryDelay(Exponential(milliseconds::max(), milliseconds::max(), 1), 1000, 1), hours{24 * 365 * 1000});
  EXPECT_EQ(RetryDelay(Exponential(milliseconds{1}, milliseconds::max()), 1000, kNoJitter).count() > 0, true);
}

TEST(RetryPolicyTest, TheDefaultsAreValid) { EXPECT_TRUE(Validate(RetryPolicy{}).empty()); }

TEST(RetryPolicyTest, AMaximumBelowTheBaseIsRefusedWithBothValues) {
  const auto faults = Validate(Exponential(minutes{5}, seconds{30}));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0], "max is 30s, below base, which is 5m; raise max or lower base");
  EXPECT_TRUE(Validate(Exponential(minutes{5}, minutes{5})).empty());
}

TEST(RetryPolicyTest, EveryFaultOfThePolicyIsNamedAtOnce) {
  RetryPolicy policy;
  policy.max_attempts = 0;
  policy.base = milliseconds{0};
  policy.max = seconds{-1};
  policy.jitter = 1.5;
  policy.schedule = {seconds{1}, seconds{0}, seconds{-5}};
  EXPECT_EQ(Validate(policy),
            (std::vector<std::string>{
                "max_attempts is 0; it must be at least 1", "base is 0s; it must be longer than 0s",
                "max is -1s, below base, which is 0s; raise max or lower base", "jitter is 1.5; it must be from 0 to 1",
                "schedule[1] is 0s; it must be longer than 0s", "schedule[2] is -5s; it must be longer than 0s"}));
}

TEST(RetryPolicyTest, AJitterThatIsNoNumberIsRefused) {
  RetryPolicy policy;
  policy.jitter = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Validate(policy).size(), 1u);
}

}  // namespace
}  // namespace outrider
