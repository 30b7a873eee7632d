#include <gtest/gtest.h>

#include <algorithm>

#include "app/verify.h"

namespace outrider::app {
namespace {

using Verdict = Finding::Verdict;

constexpr std::string_view kTopic = "outbox.event.notification";

class JudgeTest : public ::testing::Test {
 protected:
  // A healthy installation: ten rows relayed to one partition; nine became records, one was a copy.
  JudgeTest() {
    shop_.source = "shop";
    shop_.audit.ledger = {{std::string(kTopic), 0, 9, 10}};
    records_.shards = {{std::string(kTopic), 0, 10, 9, 1, 0, 0, 9}};
  }

  std::vector<Finding> Findings() const { return Judge({shop_}, records_); }
  bool Has(Verdict verdict, std::string_view check) const {
    const std::vector<Finding> findings = Findings();
    return std::ranges::any_of(
        findings, [&](const Finding& finding) { return finding.verdict == verdict && finding.check == check; });
  }
  bool AnyViolated() const {
    const std::vector<Finding> findings = Findings();
    return std::ranges::any_of(findings, [](const Finding& finding) { return finding.verdict == Verdict::kViolated; });
  }

  NamedSourceAudit shop_;
  consumer::RecordAudit records_;
};

TEST_F(JudgeTest, AHealthyInstallationHoldsEverything) {
  for (const Finding& finding : Findings()) EXPECT_EQ(finding.verdict, Verdict::kHeld) << finding.words;
}

TEST_F(JudgeTest, AnEventThatWasRelayedAndNeverIngestedIsLost) {
  records_.shards[0].recorded = 8;
  records_.shards[0].records = 8;
  EXPECT_TRUE(Has(Verdict::kViolated, "relayed_is_ingested"));
}

TEST_F(JudgeTest, WhatIngestHasNotReachedIsOnItsWayAndNotLost) {
  records_.shards[0] = {std::string(kTopic), 0, 5, 5, 0, 0, 0, 5};
  EXPECT_FALSE(AnyViolated());
  EXPECT_TRUE(Has(Verdict::kUnproven, "relayed_is_ingested"));
  records_.shards.clear();
  EXPECT_FALSE(AnyViolated());
  EXPECT_TRUE(Has(Verdict::kUnproven, "relayed_is_ingested"));
}

TEST_F(JudgeTest, InTheDirectFormOffsetsSayNothingAndCountsDo) {
  shop_.audit.ledger = {{"direct:shop", 0, 100, 10}};
  records_.shards = {{"direct:shop", 0, 50, 10, 0, 0, 0, 10}};
  EXPECT_FALSE(AnyViolated());
  records_.shards[0].recorded = 9;
  EXPECT_TRUE(Has(Verdict::kViolated, "relayed_is_ingested"));
}

TEST_F(JudgeTest, LedgersOfSeveralSourcesInOneTopicAreAdded) {
  NamedSourceAudit other = shop_;
  other.source = "billing";
  const auto findings = Judge({shop_, other}, records_);
  EXPECT_TRUE(std::ranges::any_of(findings, [](const Finding& finding) {
    return finding.verdict == Verdict::kViolated && finding.check == "relayed_is_ingested";
  }));
}

TEST_F(JudgeTest, ARecordThatIsGoneIsLost) {
  records_.shards[0].records = 8;
  EXPECT_TRUE(Has(Verdict::kViolated, "recorded_is_there"));
  records_.shards[0].removed = 1;
  EXPECT_FALSE(Has(Verdict::kViolated, "recorded_is_there"));
}

TEST_F(JudgeTest, EachPlantedFaultOfTheRecordsIsFound) {
  using Field = std::uint64_t consumer::RecordAudit::*;
  const std::pair<Field, std::string_view> planted[] = {
      {&consumer::RecordAudit::stuck, "nothing_is_stuck"},
      {&consumer::RecordAudit::overdue, "nothing_is_overdue"},
      {&consumer::RecordAudit::without_reason, "states_are_legal"},
      {&consumer::RecordAudit::sent_without_time, "states_are_legal"},
      {&consumer::RecordAudit::ended_but_due, "states_are_legal"},
      {&consumer::RecordAudit::spent_beyond_made, "states_are_legal"},
      {&consumer::RecordAudit::attempts_beyond, "states_are_legal"},
      {&consumer::RecordAudit::private_bodies_left, "private_bodies_are_gone"},
  };
  for (const auto& [field, check] : planted) {
    records_.*field = 1;
    EXPECT_TRUE(Has(Verdict::kViolated, check)) << check;
    records_.*field = 0;
  }
}

TEST_F(JudgeTest, WhatWaitsOrIsUncertainIsSaidToBeUnproven) {
  shop_.audit.waiting = 3;
  records_.under_way = 2;
  records_.uncertain = 1;
  EXPECT_FALSE(AnyViolated());
  EXPECT_TRUE(Has(Verdict::kUnproven, "outbox_is_relayed"));
  EXPECT_TRUE(Has(Verdict::kUnproven, "everything_ended"));
  EXPECT_TRUE(Has(Verdict::kUnproven, "sent_once"));
}

}  // namespace
}  // namespace outrider::app
