// Records that leave the moment they are recorded: claimed by the statement that inserts them, started by the answer to
// its commit, and left to the scan where anything speaks against it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "consumer/fresh_claims.h"
#include "consumer/ingest.h"
#include "metrics/ingest_probe.h"
#include "platform/failpoint/failpoint.h"
#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

mysql::MysqlOptions Through(unsigned port, mysql::MysqlOptions options) {
  options.port = port;
  return options;
}

class FreshTest : public DeliveryTest {
 protected:
  ~FreshTest() override { failpoint::Disarm(); }

  Event EventOf(const std::string& key, const std::string& fields = "", const std::string& channel = "ops") {
    Event event;
    event.position = {"t", 0, ++offset_};
    event.key = "aggregate-1";
    event.value =
        fmt::format(R"({{"dedupe_key":"{0}","channel":"{1}","message":{{"text":"{0}"}}{2}}})", key, channel, fields);
    event.headers = {{"id", "event-" + key}};
    return event;
  }
  std::unique_ptr<Ingest> MakeIngest(Delivery& delivery, mysql::MysqlPool& pool) {
    return std::make_unique<Ingest>(pool, *sender_, ingest_probe_, log_.log(),
                                    IngestOptions{.sealer = &sealer_, .claims = &delivery.fresh_claims()});
  }
  std::int64_t IdOf(const std::string& key) {
    return Count("SELECT id FROM notification_records WHERE dedupe_key = ?", {std::string_view(key)});
  }
  std::string StatusOf(const std::string& key) { return Column(IdOf(key), "status"); }
  std::int64_t Sent() { return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'"); }
  bool AllSent(std::int64_t count) {
    return testing::WaitUntil([&] { return Sent() == count; });
  }

  IngestProbe ingest_probe_{registry_};
  std::unique_ptr<Delivery> delivery_ = MakeDelivery();
  std::unique_ptr<Ingest> ingest_ = MakeIngest(*delivery_, pool_);
};

TEST_F(FreshTest, ARecordLeavesWithoutALook) {
  Turn(*delivery_);
  const auto counts = ingest_->Store({{EventOf("a"), EventOf("b"), EventOf("c")}});
  ASSERT_TRUE(counts.has_value());
  EXPECT_THAT(counts->waiting, IsEmpty());
  ASSERT_TRUE(AllSent(3));
  EXPECT_THAT(Delivered(), UnorderedElementsAre("a", "b", "c"));
  for (const char* key : {"a", "b", "c"}) {
    EXPECT_EQ(Story(IdOf(key)), "sent spent:1");
    EXPECT_EQ(Attempts(IdOf(key)), "1 accepted");
    EXPECT_EQ(Column(IdOf(key), "version"), "3") << "as if it had been recorded, claimed and settled";
  }
  EXPECT_TRUE(MetricBecomes("transitions_total{from=\"pending\",to=\"sending\"}", 3));
  EXPECT_TRUE(MetricBecomes("transitions_total{from=\"sending\",to=\"sent\"}", 3));
}

TEST_F(FreshTest, WhileItIsOnItsWayItIsClaimedLikeAnyOther) {
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout, .times = 1});
  Turn(*delivery_);
  ASSERT_TRUE(ingest_->Store({{EventOf("a")}}).has_value());
  const std::int64_t id = IdOf("a");
  EXPECT_EQ(Column(id, "CONCAT_WS(' ', status, attempt_no, attempts_spent, LEFT(lease_owner, 9))"),
            "sending 1 1 host:1:a#");
  EXPECT_EQ(Column(id, "due_at > NOW(6) + INTERVAL 50 SECOND AND due_at <= NOW(6) + INTERVAL 60 SECOND"), "1");
  EXPECT_EQ(Turn(*delivery_).claimed, 0u);
  // Its process dies: whoever finds the lease expired can't know that nothing left.
  Execute("UPDATE notification_records SET due_at = NOW(6) - INTERVAL 1 SECOND");
  auto other = MakeDelivery(Options("host:2:b"), clock_);
  EXPECT_EQ(Turn(*other).recovered, 1u);
  EXPECT_EQ(Story(id), "failed lease_expired uncertain spent:1");
}

TEST_F(FreshTest, NothingLeavesBeforeTheCommit) {
  Turn(*delivery_);
  ASSERT_TRUE(failpoint::Arm("ingest.before_commit=error@1"));
  const std::vector<Event> batch = {EventOf("a"), EventOf("b")};
  EXPECT_FALSE(ingest_->Store(batch).has_value());
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records"), 0);
  // What would have left stands in the vendor's list before what leaves now.
  ASSERT_TRUE(ingest_->Store({{EventOf("c")}}).has_value());
  ASSERT_TRUE(AllSent(1));
  EXPECT_THAT(Delivered(), ElementsAre("c"));
}

TEST_F(FreshTest, PlacesOfABatchThatFailedAreFreeAgain) {
  DeliveryOptions options = Options();
  options.max_in_flight = 2;
  delivery_ = MakeDelivery(options, clock_);
  ingest_ = MakeIngest(*delivery_, pool_);
  Turn(*delivery_);
  ASSERT_TRUE(failpoint::Arm("ingest.before_commit=error@1"));
  const std::vector<Event> batch = {EventOf("a"), EventOf("b")};
  EXPECT_FALSE(ingest_->Store(batch).has_value());
  const auto counts = ingest_->Store(batch);
  ASSERT_TRUE(counts.has_value());
  EXPECT_THAT(counts->waiting, IsEmpty());
  EXPECT_TRUE(AllSent(2));
}

TEST_F(FreshTest, WhatFindsNoPlaceIsLeftToTheScan) {
  DeliveryOptions options = Options();
  options.max_in_flight = 2;
  delivery_ = MakeDelivery(options, clock_);
  ingest_ = MakeIngest(*delivery_, pool_);
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout, .times = 2});
  Turn(*delivery_);
  const auto counts = ingest_->Store({{EventOf("a"), EventOf("b"), EventOf("c")}});
  ASSERT_TRUE(counts.has_value());
  EXPECT_THAT(counts->waiting, ElementsAre("ops"));
  EXPECT_EQ(StatusOf("b"), "sending");
  EXPECT_EQ(Column(IdOf("c"), "CONCAT_WS(' ', status, version, attempts_spent)"), "pending 1 0");
}

TEST_F(FreshTest, WhatIsntToLeaveNowIsLeftToTheScan) {
  providers::ChannelSettings off = Bot("off");
  off.enabled = false;
  SetChannels({Bot("ops"), off, Bot("paused")});
  ASSERT_EQ(AddPause(pool_, PauseKind::kChannel, "paused", "mei@desk", "why"), true);
  ASSERT_EQ(AddPause(pool_, PauseKind::kTenant, "acme", "mei@desk", "why"), true);
  Turn(*delivery_);
  const auto counts = ingest_->Store(
      {{EventOf("ordered", R"(,"ordering_key":"o")"), EventOf("later", R"(,"scheduled_at":"2099-01-01T00:00:00Z")"),
        EventOf("expired", R"(,"expires_at":"2020-01-01T00:00:00Z")"), EventOf("off", "", "off"),
        EventOf("paused", "", "paused"), EventOf("tenant", R"(,"tenant":"acme")"), EventOf("unknown", "", "nobody")}});
  ASSERT_TRUE(counts.has_value());
  EXPECT_THAT(counts->waiting, UnorderedElementsAre("ops", "off", "paused"));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'pending' AND version = 1"), 7);
  EXPECT_THAT(Delivered(), IsEmpty());
}

TEST_F(FreshTest, AHeldChannelIsLeftAlone) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 19001, .text = "token"});
  Turn(*delivery_);
  ASSERT_TRUE(ingest_->Store({{EventOf("a")}}).has_value());
  ASSERT_TRUE(WaitForStatus(IdOf("a"), "failed"));
  ASSERT_TRUE(ingest_->Store({{EventOf("b")}}).has_value());
  EXPECT_EQ(StatusOf("b"), "pending");
}

TEST_F(FreshTest, NewRecordsDontGoPastThoseThatWait) {
  DeliveryOptions options = Options();
  options.max_in_flight = 2;
  options.scan_batch = 1;
  delivery_ = MakeDelivery(options, clock_);
  ingest_ = MakeIngest(*delivery_, pool_);
  InsertMany(5);
  ASSERT_EQ(Turn(*delivery_).claimed, 1u);
  ASSERT_TRUE(AllSent(1));
  const auto counts = ingest_->Store({{EventOf("new")}});
  ASSERT_TRUE(counts.has_value());
  EXPECT_THAT(counts->waiting, ElementsAre("ops"));
  EXPECT_EQ(StatusOf("new"), "pending");
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery_);
    return Sent() == 6;
  }));
  ASSERT_TRUE(ingest_->Store({{EventOf("newer")}}).has_value());
  EXPECT_TRUE(AllSent(7));
}

TEST_F(FreshTest, OnlyWhatTheLimitAdmitsIsClaimed) {
  SetChannels({Bot("ops", {.per_second = 2})});
  Turn(*delivery_);
  // The first finds no share of the limit and is left to the scan, which gets one.
  ASSERT_TRUE(ingest_->Store({{EventOf("a")}}).has_value());
  EXPECT_EQ(StatusOf("a"), "pending");
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery_);
    return Sent() == 1;
  }));
  ASSERT_TRUE(ingest_->Store({{EventOf("b"), EventOf("c"), EventOf("d")}}).has_value());
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'pending'"), 2);
  ASSERT_TRUE(testing::WaitUntil([&] {
    clock_.Advance(std::chrono::milliseconds{100});
    Turn(*delivery_);
    return Sent() == 4;
  }));
  EXPECT_THAT(Delivered(), SizeIs(4));
}

TEST_F(FreshTest, CopiesAndKnownKeysDontLeaveAgain) {
  Turn(*delivery_);
  ASSERT_TRUE(ingest_->Store({{EventOf("a")}}).has_value());
  ASSERT_TRUE(AllSent(1));
  const auto counts = ingest_->Store({{EventOf("b"), EventOf("a"), EventOf("b"), EventOf("c")}});
  ASSERT_TRUE(counts.has_value());
  EXPECT_EQ(counts->recorded, 2u);
  EXPECT_EQ(counts->duplicates, 2u);
  ASSERT_TRUE(AllSent(3));
  EXPECT_THAT(Delivered(), UnorderedElementsAre("a", "b", "c"));
}

TEST_F(FreshTest, EachRecordGetsTheAnswerToItsOwnMessage) {
  vendor_->AddFault({.kind = FaultKind::kCode, .times = 3, .n = 19024, .text = "Key Words Not Found"});
  Turn(*delivery_);
  std::vector<Event> batch;
  for (int i = 0; i < 30; ++i) {
    batch.push_back(EventOf(fmt::format("k{}", i), i % 3 == 0 ? R"(,"ordering_key":"o")" : ""));
  }
  ASSERT_TRUE(ingest_->Store(batch).has_value());
  ASSERT_TRUE(AllSent(17));
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'dead'", 3));
  std::vector<std::string> sent;
  for (const mysql::Row& row : Must(*db_, "SELECT dedupe_key FROM notification_records WHERE status = 'sent'").rows) {
    sent.push_back(row.Text(0));
  }
  EXPECT_THAT(Delivered(), UnorderedElementsAreArray(sent));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'pending'"), 10);
}

TEST_F(FreshTest, APrivateRecordLeavesOpenAndStandsSealed) {
  sealer_.SetKeys({{"k1", Secret(std::string(AsBytes(Sha256("k1"))))}});
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout, .times = 1});
  Turn(*delivery_);
  ASSERT_TRUE(ingest_->Store({{EventOf("a", R"(,"private":true,"recipient":"phone:1")")}}).has_value());
  EXPECT_EQ(Column(IdOf("a"), "CONCAT_WS(' ', status, sealed_by, LOCATE('phone:1', request), LEFT(recipient, 8))"),
            "sending k1 0 hmac:k1:");
  ASSERT_TRUE(ingest_->Store({{EventOf("b", R"(,"private":true)")}}).has_value());
  ASSERT_TRUE(WaitForStatus(IdOf("b"), "sent"));
  EXPECT_EQ(Column(IdOf("b"), "CONCAT_WS(' ', request IS NULL, sealed_by IS NULL)"), "1 1");
}

TEST_F(FreshTest, NothingIsClaimedBeforeTheFirstLookNorAfterTheStop) {
  ASSERT_TRUE(ingest_->Store({{EventOf("a")}}).has_value());
  EXPECT_EQ(StatusOf("a"), "pending");
  std::stop_source stop;
  stop.request_stop();
  Turn(*delivery_);
  delivery_->Run(stop.get_token(), seconds{5});
  ASSERT_TRUE(ingest_->Store({{EventOf("b")}}).has_value());
  EXPECT_EQ(StatusOf("b"), "pending");
}

TEST_F(FreshTest, WithoutPausesThatCanBeReadNothingIsClaimed) {
  Turn(*delivery_);
  Execute("RENAME TABLE delivery_pauses TO away");
  EXPECT_FALSE(delivery_->ScanOnce().has_value());
  ASSERT_TRUE(ingest_->Store({{EventOf("a")}}).has_value());
  EXPECT_EQ(StatusOf("a"), "pending");
}

class FreshCutTest : public FreshTest, public ::testing::WithParamInterface<testing::CutMoment> {
 protected:
  testing::FaultProxy proxy_{server().port()};
  mysql::MysqlPool far_pool_{Through(proxy_.port(), database_), 4};
};

TEST_P(FreshCutTest, ABatchWhoseCommitLostItsAnswerIsNotStartedFromMemory) {
  Turn(*delivery_);
  const auto ingest = MakeIngest(*delivery_, far_pool_);
  const std::vector<Event> batch = {EventOf("a"), EventOf("b")};
  const int cut = proxy_.Inject(testing::CutCommit(GetParam()));
  EXPECT_FALSE(ingest->Store(batch).has_value());
  EXPECT_EQ(proxy_.fired(cut), 1u);
  ASSERT_TRUE(ingest->Store(batch).has_value());
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery_);
    return Sent() == 2;
  }));
  EXPECT_THAT(Delivered(), UnorderedElementsAre("a", "b"));
  EXPECT_EQ(Story(IdOf("a")), "sent spent:1") << "given back without its attempt, and not in doubt";
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records"), 2);
}

INSTANTIATE_TEST_SUITE_P(Moments, FreshCutTest,
                         ::testing::Values(testing::CutMoment::kBeforeServer, testing::CutMoment::kAfterServer),
                         [](const auto& moment) {
                           return moment.param == testing::CutMoment::kBeforeServer ? "BeforeTheServer"
                                                                                    : "AfterTheServer";
                         });

}  // namespace
}  // namespace outrider::consumer
