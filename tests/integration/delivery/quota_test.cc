// Quotas of a day: never more than they say, whoever claims, and each notification once.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <thread>

#include "consumer/record_actions.h"
#include "platform/failpoint/failpoint.h"
#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = QuotaRule::Kind;

class QuotaTest : public DeliveryTest {
 protected:
  ~QuotaTest() override { failpoint::Disarm(); }

  std::unique_ptr<Delivery> Deliver(const std::string& owner = "host:1:a") {
    DeliveryOptions options = Options(owner);
    options.quotas = &quotas_;
    return MakeDelivery(options, clock_);
  }
  std::int64_t WithStatus(std::string_view status) {
    return Count("SELECT COUNT(*) FROM notification_records WHERE status = ?", {status});
  }
  std::int64_t Used(std::string_view kind, std::string_view name) {
    return Count("SELECT CAST(COALESCE(SUM(used), 0) AS SIGNED) FROM quota_counters WHERE kind = ? AND name = ?",
                 {kind, name});
  }
  void TurnUntilNothingWaits(Delivery& delivery) {
    ASSERT_TRUE(testing::WaitUntil([&] {
      Turn(delivery);
      return Count("SELECT COUNT(*) FROM notification_records WHERE status IN ('pending', 'sending')") == 0;
    }));
  }

  QuotaProbe quota_probe_{registry_};
  Quotas quotas_{quota_probe_, log_.log()};
};

TEST_F(QuotaTest, WhatIsBeyondTheDaysQuotaIsSkipped) {
  quotas_.Set({{"default", {{Kind::kChannel, "ops", 3}}}});
  InsertMany(5);
  auto delivery = Deliver();
  TurnUntilNothingWaits(*delivery);
  EXPECT_THAT(Delivered(), SizeIs(3));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'skipped' AND reason = 'quota'"), 2);
  EXPECT_EQ(Used("channel", "ops"), 3);
  EXPECT_EQ(Metric("quota_refused_total"), 2);
}

TEST_F(QuotaTest, AQuotaOfAProviderHoldsOverItsChannels) {
  SetChannels({Bot("ops"), Bot("team"), Mock("other")});
  quotas_.Set({{"default", {{Kind::kProvider, "feishu_bot", 3}, {Kind::kChannel, "team", 1}}}});
  InsertMany(3, "team", "t");
  InsertMany(1, "ops", "o");
  InsertMany(4, "other", "x");
  auto delivery = Deliver();
  TurnUntilNothingWaits(*delivery);
  EXPECT_THAT(Delivered("team"), SizeIs(1));
  EXPECT_THAT(Delivered("ops"), SizeIs(1));
  EXPECT_EQ(Used("provider", "feishu_bot"), 2);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE channel = 'other' AND status = 'sent'"), 4);
}

TEST_F(QuotaTest, OtherTenantsAndOtherDaysHaveTheirOwn) {
  quotas_.Set({{"acme", {{Kind::kChannel, "ops", 1}}}});
  Execute(
      "INSERT INTO quota_counters (day, tenant, kind, name, used) VALUES (CURRENT_DATE - INTERVAL 1 DAY, 'acme', "
      "'channel', 'ops', 1)");
  InsertMany(3);
  const auto id = InsertKey("of acme");
  Execute("UPDATE notification_records SET tenant = 'acme' WHERE id = ?", {id});
  auto delivery = Deliver();
  TurnUntilNothingWaits(*delivery);
  EXPECT_THAT(Delivered(), SizeIs(4));
  EXPECT_EQ(Used("channel", "ops"), 2);
}

TEST_F(QuotaTest, RetriesCountOnceAndAReplayCountsAgain) {
  quotas_.Set({{"default", {{Kind::kChannel, "ops", 10}}}});
  vendor_->AddFault({.kind = fake_im::FaultKind::kStatusOnly, .n = 500});
  const auto id = InsertKey("a");
  auto delivery = Deliver();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Column(id, "attempt_no"), "2");
  EXPECT_EQ(Used("channel", "ops"), 1);

  RecordActions actions(pool_, [](std::string_view) { return false; });
  Execute("UPDATE notification_records SET status = 'dead' WHERE id = ?", {id});
  const auto job = actions.Begin(DeliveryEvent::kReplayed, {}, "ann", "again");
  ASSERT_TRUE(job);
  ASSERT_EQ(actions.RunBatch(*job, 0, 10)->changed, 1u);
  EXPECT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Used("channel", "ops"), 2);
}

TEST_F(QuotaTest, ThresholdsAreToldOnce) {
  quotas_.Set({{"default", {{Kind::kChannel, "ops", 10}}}});
  auto delivery = Deliver();
  InsertMany(7, "ops", "a");
  TurnUntilNothingWaits(*delivery);
  EXPECT_EQ(Metric("quota_passed_total{percent=\"80\"}"), 0);
  InsertMany(2, "ops", "b");
  TurnUntilNothingWaits(*delivery);
  EXPECT_EQ(Metric("quota_passed_total{percent=\"80\"}"), 1);
  EXPECT_EQ(Metric("quota_passed_total{percent=\"95\"}"), 0);
  InsertMany(3, "ops", "c");
  TurnUntilNothingWaits(*delivery);
  EXPECT_EQ(Metric("quota_passed_total{percent=\"80\"}"), 1);
  EXPECT_EQ(Metric("quota_passed_total{percent=\"95\"}"), 1);
  EXPECT_EQ(Metric("quota_passed_total{percent=\"100\"}"), 1);
  EXPECT_THAT(log_.Text(), HasSubstr("quota.passed"));
}

TEST_F(QuotaTest, AClaimThatFailsBeforeItsCommitCountsNothing) {
  quotas_.Set({{"default", {{Kind::kChannel, "ops", 2}}}});
  InsertMany(2);
  ASSERT_TRUE(failpoint::Arm("claim.before_commit=error"));
  auto delivery = Deliver();
  delivery->LookAgain();
  EXPECT_FALSE(delivery->ScanOnce());
  EXPECT_EQ(Used("channel", "ops"), 0);
  failpoint::Disarm();
  TurnUntilNothingWaits(*delivery);
  EXPECT_THAT(Delivered(), SizeIs(2));
}

// What a claim asks and counts, in many hands at once, some of which never commit.
TEST_F(QuotaTest, OverAllProcessesNoMoreAreLetGoThanTheQuotaSays) {
  EXPECT_TRUE(rc::check([&] {
    const auto per_day = *rc::gen::inRange<std::int64_t>(0, 30);
    const auto of_provider = *rc::gen::inRange<std::int64_t>(0, 30);
    const auto batches = *rc::gen::container<std::vector<std::vector<int>>>(
        3, rc::gen::container<std::vector<int>>(5, rc::gen::inRange(0, 8)));
    const auto fails = *rc::gen::container<std::vector<int>>(3, rc::gen::inRange(0, 5));
    Execute("DELETE FROM quota_counters");
    quotas_.Set({{"default", {{Kind::kChannel, "ops", per_day}, {Kind::kProvider, "mock", of_provider}}}});
    std::vector<std::int64_t> let_go(batches.size(), 0);
    std::vector<int> broken(batches.size(), 0);
    {
      std::vector<std::jthread> processes;
      for (std::size_t p = 0; p < batches.size(); ++p) {
        processes.emplace_back([&, p] {
          for (std::size_t i = 0; i < batches[p].size(); ++i) {
            std::vector<Record> records(static_cast<std::size_t>(batches[p][i]));
            std::vector<Quotas::Applicant> applicants;
            for (std::size_t r = 0; r < records.size(); ++r) {
              records[r].id = static_cast<std::int64_t>(1'000'000 + p * 1000 + i * 100 + r);
              records[r].tenant = "default";
              records[r].channel = "ops";
              records[r].read_at = system_clock_.Now();
              applicants.push_back({&records[r], "mock"});
            }
            std::int64_t admitted = 0;
            const bool lost = static_cast<int>(i) == fails[p];
            auto done = pool_.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
              auto decision = quotas_.Admit(connection, applicants);
              if (!decision) return std::unexpected(decision.error());
              // Somebody else claims every third of them first.
              std::set<std::int64_t> claimed;
              for (const auto& [id, keys] : decision->counts) {
                if (id % 3 != 0) claimed.insert(id);
              }
              admitted = static_cast<std::int64_t>(claimed.size());
              if (auto counted = Quotas::Count(connection, *decision, claimed); !counted) return counted;
              if (lost) return Fail(ErrorCode::kInvalid, "the process ends here");
              return {};
            });
            if (done) let_go[p] += admitted;
            if (!done && !lost) ++broken[p];
          }
        });
      }
    }
    const std::int64_t sum = let_go[0] + let_go[1] + let_go[2];
    RC_ASSERT(broken == std::vector<int>(3, 0));
    RC_ASSERT(sum <= std::min(per_day, of_provider));
    RC_ASSERT(Used("channel", "ops") == sum);
    RC_ASSERT(Used("provider", "mock") == sum);
  }));
}

TEST_F(QuotaTest, TwoProcessesThatScanAtOnceKeepToIt) {
  quotas_.Set({{"default", {{Kind::kChannel, "ops", 50}}}});
  for (int i = 0; i < 120; ++i) Insert({.key = fmt::format("k{}", i), .partition = i % 2});
  auto first = Deliver("host:1:a");
  auto second = Deliver("host:2:b");
  second->Revoked({{"t", 0}});
  second->Assigned({{"t", 1}});
  {
    std::jthread other([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        second->LookAgain();
        (void)second->ScanOnce();
      }
    });
    TurnUntilNothingWaits(*first);
  }
  EXPECT_THAT(Delivered(), SizeIs(50));
  EXPECT_EQ(Used("channel", "ops"), 50);
  EXPECT_EQ(WithStatus("skipped"), 70);
}

}  // namespace
}  // namespace outrider::consumer
