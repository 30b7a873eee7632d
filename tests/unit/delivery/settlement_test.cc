#include "consumer/settlement.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <vector>

namespace outrider::consumer {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr milliseconds kHold{7'000};
constexpr double kNoJitter = 0.5;

Record Sending(int spent = 1) {
  Record record;
  record.id = 7;
  record.version = 2;
  record.status = DeliveryStatus::kSending;
  record.attempt_no = 4;
  record.attempts_spent = spent;
  return record;
}

SendOutcome Outcome(SendVerdict verdict, const std::string& reason = "why") {
  SendOutcome outcome;
  outcome.verdict = verdict;
  outcome.reason = reason;
  return outcome;
}

SettleRules Rules() {
  SettleRules rules;
  rules.retry.max_attempts = 3;
  rules.retry.base = minutes{1};
  rules.retry.max = hours{1};
  return rules;
}

Change SettleNow(const Record& record, const SendOutcome& outcome, const SettleRules& rules = Rules()) {
  return Settle(record, outcome, rules, kHold, kNoJitter);
}

TEST(SettlementTest, TheBackOffGrowsWithTheAttemptsThatWereSpentNotWithTheClaims) {
  EXPECT_EQ(SettleNow(Sending(1), Outcome(SendVerdict::kNotNow)).due_in, minutes{1});
  EXPECT_EQ(SettleNow(Sending(2), Outcome(SendVerdict::kNotNow)).due_in, minutes{2});
  EXPECT_EQ(SettleNow(Sending(3), Outcome(SendVerdict::kNotNow)).to, DeliveryStatus::kDead);
}

SendOutcome FormRefused() {
  SendOutcome outcome = Outcome(SendVerdict::kRefused, "feishu_230099");
  outcome.downgrade = true;
  return outcome;
}

TEST(SettlementTest, ARefusedFormIsFollowedByASimplerOneAtOnceUnderANewKeyAndForNothing) {
  Record record = Sending(3);
  record.has_simpler = true;
  const Change change = SettleNow(record, FormRefused());
  EXPECT_EQ(change.to, DeliveryStatus::kFailed);
  EXPECT_EQ(change.due_in, milliseconds{0});
  EXPECT_TRUE(change.give_attempt_back);
  EXPECT_TRUE(change.new_send_key);
  EXPECT_TRUE(change.simpler_form);
  EXPECT_EQ(change.reason, "feishu_230099");
  EXPECT_TRUE(change.attempt.has_value());
}

TEST(SettlementTest, WithoutASimplerFormARefusedOneIsTheEnd) {
  EXPECT_EQ(SettleNow(Sending(1), FormRefused()).to, DeliveryStatus::kDead);
  Record record = Sending(1);
  record.has_simpler = true;
  EXPECT_EQ(SettleNow(record, Outcome(SendVerdict::kRefused)).to, DeliveryStatus::kDead) << "the message is refused";
}

TEST(SettlementTest, WhatMayHaveArrivedIsntSentInASimplerFormUnderANewKey) {
  Record record = Sending(1);
  record.has_simpler = true;
  record.uncertain = true;
  const Change change = SettleNow(record, FormRefused());
  EXPECT_EQ(change.to, DeliveryStatus::kDead);
  EXPECT_FALSE(change.new_send_key);
}

TEST(SettlementTest, TheRequestsOwnNumberOfAttemptsGoesBeforeTheChannels) {
  Record record = Sending(3);
  record.max_attempts = 4;
  EXPECT_EQ(SettleNow(record, Outcome(SendVerdict::kNotNow)).to, DeliveryStatus::kFailed);
  record.max_attempts = 1;
  EXPECT_EQ(SettleNow(record, Outcome(SendVerdict::kNotNow)).reason, "attempts_exhausted");
}

TEST(SettlementTest, AChannelsFaultGivesTheAttemptBackEvenTheLast) {
  for (SendOutcome outcome : {Outcome(SendVerdict::kChannelDown), Outcome(SendVerdict::kNotNow)}) {
    if (outcome.verdict == SendVerdict::kNotNow) outcome.throttled = true;
    const Change change = SettleNow(Sending(3), outcome);
    EXPECT_EQ(change.to, DeliveryStatus::kFailed);
    EXPECT_TRUE(change.give_attempt_back);
    EXPECT_EQ(change.held, Change::Held::kYes);
    EXPECT_EQ(change.due_in, kHold);
    EXPECT_TRUE(change.attempt.has_value());
  }
}

TEST(SettlementTest, AVendorsHintIsAChannelsLimitAndIsWaitedFor) {
  SendOutcome outcome = Outcome(SendVerdict::kNotNow);
  outcome.retry_after = seconds{30};
  const Change change = SettleNow(Sending(3), outcome);
  EXPECT_TRUE(change.give_attempt_back);
  EXPECT_EQ(change.due_in, seconds{30});
}

TEST(SettlementTest, HeldForTooLongIsDead) {
  Record record = Sending();
  record.held_for = hours{72};
  EXPECT_EQ(SettleNow(record, Outcome(SendVerdict::kChannelDown)).reason, "held_too_long");
  record.held_for = hours{71};
  EXPECT_EQ(SettleNow(record, Outcome(SendVerdict::kChannelDown)).to, DeliveryStatus::kFailed);
}

TEST(SettlementTest, AnAnswerThatIsntTheChannelsFaultEndsTheHold) {
  EXPECT_EQ(SettleNow(Sending(), Outcome(SendVerdict::kNotNow)).held, Change::Held::kNo);
  EXPECT_EQ(SettleNow(Sending(), Outcome(SendVerdict::kAccepted)).held, Change::Held::kNo);
}

TEST(SettlementTest, WhatNeverLeftIsGivenBackWithoutATrace) {
  for (const char* reason : {"not_mine", "queue_full", "stopped"}) {
    const Change change = SettleNow(Sending(3), Outcome(SendVerdict::kNotNow, reason));
    EXPECT_EQ(change.to, DeliveryStatus::kFailed);
    EXPECT_TRUE(change.give_attempt_back);
    EXPECT_FALSE(change.uncertain);
    EXPECT_FALSE(change.attempt.has_value());
    EXPECT_EQ(change.due_in, milliseconds{0});
    EXPECT_EQ(change.held, Change::Held::kAsBefore);
  }
  EXPECT_TRUE(SettleNow(Sending(), Outcome(SendVerdict::kNoAnswer, "stopped")).uncertain) << "it was on its way";
}

TEST(SettlementTest, DoubtIsKeptThroughEveryLaterOutcome) {
  for (const SendVerdict verdict : {SendVerdict::kAccepted, SendVerdict::kNotNow, SendVerdict::kRefused,
                                    SendVerdict::kUnreachable, SendVerdict::kChannelDown}) {
    Record record = Sending();
    record.uncertain = true;
    EXPECT_TRUE(SettleNow(record, Outcome(verdict)).uncertain) << ToString(verdict);
  }
}

TEST(SettlementTest, OnlyASuccessOfTheSameKeyInsideItsWindowTakesDoubtAway) {
  SettleRules rules = Rules();
  rules.key_dedupes = true;
  Record record = Sending();
  record.uncertain = true;
  record.send_key = "k";
  record.send_key_age = minutes{54};
  EXPECT_FALSE(SettleNow(record, Outcome(SendVerdict::kAccepted), rules).uncertain);
  record.send_key_age = minutes{56};
  EXPECT_TRUE(SettleNow(record, Outcome(SendVerdict::kAccepted), rules).uncertain);
}

TEST(SettlementTest, UnderThePolicyHoldDoubtEndsARecordUnlessItsKeyStillHolds) {
  SettleRules rules = Rules();
  rules.on_uncertain = providers::OnUncertain::kHold;
  const Change change = SettleNow(Sending(3), Outcome(SendVerdict::kNoAnswer), rules);
  EXPECT_EQ(change.to, DeliveryStatus::kFailed);
  EXPECT_EQ(change.due_in, milliseconds{0});

  Record record = Sending();
  record.status = DeliveryStatus::kFailed;
  record.uncertain = true;
  EXPECT_EQ(EndUnsent(record, rules)->reason, "uncertain");
  rules.key_dedupes = true;
  record.send_key_age = minutes{10};
  EXPECT_FALSE(EndUnsent(record, rules).has_value());
  record.send_key_age = minutes{60};
  EXPECT_TRUE(EndUnsent(record, rules).has_value());
  EXPECT_FALSE(EndUnsent(record, Rules()).has_value());
}

SettleRules KeyedRules() {
  SettleRules rules = Rules();
  rules.key_dedupes = true;
  rules.can_reconcile = true;
  rules.on_uncertain = providers::OnUncertain::kHold;
  rules.retry.max_attempts = 20;
  return rules;
}

Record Doubtful(int spent, minutes key_age) {
  Record record = Sending(spent);
  record.send_key = "k";
  record.send_key_age = key_age;
  return record;
}

TEST(SettlementTest, WhatAVendorRecognisesIsRepeatedOnAScheduleOfItsOwn) {
  const std::vector<milliseconds> waits = {seconds{10}, seconds{30}, minutes{2}, minutes{5}, minutes{10}, minutes{15}};
  minutes age{0};
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const Change change =
        SettleNow(Doubtful(static_cast<int>(i) + 1, age), Outcome(SendVerdict::kNoAnswer), KeyedRules());
    EXPECT_EQ(change.due_in, waits[i]);
    age += std::chrono::duration_cast<minutes>(waits[i]);
  }
}

TEST(SettlementTest, NoRepetitionIsPlannedForTheEndOfTheWindow) {
  EXPECT_EQ(SettleNow(Doubtful(4, minutes{49}), Outcome(SendVerdict::kNoAnswer), KeyedRules()).due_in, minutes{5});
  EXPECT_EQ(SettleNow(Doubtful(4, minutes{50}), Outcome(SendVerdict::kNoAnswer), KeyedRules()).due_in, minutes{0})
      << "it is asked about now";
}

TEST(SettlementTest, AVendorIsAskedOnceAKeyAndOnceBeyondTheAttempts) {
  Record record = Doubtful(3, minutes{56});
  record.status = DeliveryStatus::kFailed;
  record.uncertain = true;
  const SettleRules rules = KeyedRules();
  EXPECT_TRUE(ShallReconcile(record, rules));
  EXPECT_FALSE(EndUnsent(record, rules).has_value());
  record.reason = kNotReconciled;
  EXPECT_FALSE(ShallReconcile(record, rules));
  EXPECT_EQ(EndUnsent(record, rules)->reason, "uncertain");
  record.reason = "timeout";
  record.send_key_age = minutes{1};
  EXPECT_FALSE(ShallReconcile(record, rules)) << "the key holds";
  record.attempts_spent = 20;
  EXPECT_TRUE(ShallReconcile(record, rules)) << "but there is no attempt left to use it";
  record.attempts_spent = 21;
  EXPECT_FALSE(ShallReconcile(record, rules)) << "who asked died of it";
}

TEST(SettlementTest, AQuestionThatNeverLeftLeavesEverythingAsItWas) {
  Record record = Doubtful(3, minutes{56});
  record.uncertain = true;
  const Change change =
      SettleReconciled(record, Outcome(SendVerdict::kNotNow, "not_mine"), KeyedRules(), kHold, kNoJitter);
  EXPECT_TRUE(change.uncertain);
  EXPECT_TRUE(change.give_attempt_back);
  EXPECT_FALSE(change.new_send_key);
}

TEST(SettlementTest, TheAttemptRowTellsTheStory) {
  SendOutcome outcome = Outcome(SendVerdict::kRefused, "feishu_19024");
  outcome.detail = "no keyword";
  outcome.http_status = 200;
  outcome.provider_code = "19024";
  const Change change = SettleNow(Sending(), outcome);
  EXPECT_EQ(change.reason, "feishu_19024");
  EXPECT_EQ(change.last_error, "feishu_19024: no keyword");
  ASSERT_TRUE(change.attempt.has_value());
  EXPECT_EQ(change.attempt->attempt_no, 4);
  EXPECT_EQ(change.attempt->verdict, "refused");
  EXPECT_EQ(change.attempt->provider_code, "19024");
}

TEST(SettlementTest, WhateverTheOutcomeTheChangeIsSoundAndComplete) {
  const bool held = rc::check([] {
    Record record = Sending(*rc::gen::inRange(1, 6));
    record.uncertain = *rc::gen::arbitrary<bool>();
    record.max_attempts = *rc::gen::inRange(0, 6);
    if (*rc::gen::arbitrary<bool>()) record.held_for = hours{*rc::gen::inRange(0, 100)};
    SendOutcome outcome = Outcome(static_cast<SendVerdict>(*rc::gen::inRange(0, 6)),
                                  *rc::gen::element<std::string>("timeout", "not_mine", "feishu_1", "stopped"));
    outcome.throttled = *rc::gen::arbitrary<bool>();
    if (*rc::gen::arbitrary<bool>()) outcome.retry_after = seconds{*rc::gen::inRange(0, 900)};
    SettleRules rules = Rules();
    if (*rc::gen::arbitrary<bool>()) rules.on_uncertain = providers::OnUncertain::kHold;
    const Change change = Settle(record, outcome, rules, kHold, 0.99);

    RC_ASSERT(change.to != DeliveryStatus::kPending && change.to != DeliveryStatus::kSending);
    RC_ASSERT(change.due_in.has_value() == (change.to == DeliveryStatus::kFailed));
    RC_ASSERT(change.to == DeliveryStatus::kSent || change.to == DeliveryStatus::kFailed || !change.reason.empty());
    RC_ASSERT(!change.give_attempt_back || change.to == DeliveryStatus::kFailed);
    RC_ASSERT((change.to == DeliveryStatus::kSent) == (outcome.verdict == SendVerdict::kAccepted));
    RC_ASSERT(!record.uncertain || change.uncertain);
    RC_ASSERT(outcome.verdict != SendVerdict::kNoAnswer || change.uncertain);
  });
  EXPECT_TRUE(held);
}

TEST(RecoverTest, AVanishedSenderLeavesDoubtAndCostsItsAttempt) {
  const Change change = Recover(Sending(1), Rules(), kNoJitter);
  EXPECT_EQ(change.to, DeliveryStatus::kFailed);
  EXPECT_TRUE(change.uncertain);
  EXPECT_FALSE(change.give_attempt_back);
  EXPECT_EQ(change.attempt->verdict, "lease_expired");
  EXPECT_EQ(Recover(Sending(3), Rules(), kNoJitter).reason, "attempts_exhausted");
}

}  // namespace
}  // namespace outrider::consumer
