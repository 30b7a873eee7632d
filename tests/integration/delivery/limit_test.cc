// Limits over several processes: deliveries with a sender, a pool and an engine of their own share nothing but the
// database, as processes do. The vendor refuses what exceeds the rate, and its clock is the measure.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What a process has.
struct Replica {
  Replica(const mysql::MysqlOptions& database, const Clock& the_clock, DeliveryProbe& probe, Log& log)
      : clock(the_clock), health(the_clock), pool(database, 4) {
    engine = std::make_unique<http::HttpEngine>(
        http::HttpEngineOptions{.policy = {.allow_plain_http = true, .allow_private_addresses = true}});
    sender = std::make_unique<providers::Sender>(*engine, clock, probe, log);
  }
  ~Replica() {
    thread = {};
    engine.reset();
  }

  const Clock& clock;
  Health health;
  mysql::MysqlPool pool;
  std::unique_ptr<http::HttpEngine> engine;
  std::unique_ptr<providers::Sender> sender;
  std::unique_ptr<Delivery> delivery;
  std::jthread thread;
};

class LimitTest : public DeliveryTest {
 protected:
  // One that scans the partition of its number.
  Replica& AddReplica(const std::vector<providers::ChannelSettings>& channels, const Clock& clock) {
    const int number = static_cast<int>(replicas_.size());
    auto replica = std::make_unique<Replica>(database_, clock, probe_, log_.log());
    replica->sender->SetChannels(channels);
    DeliveryOptions options = Options(fmt::format("host:{}:a", number));
    options.sweep = milliseconds{500};
    options.call_deadline = seconds{2};
    replica->delivery = std::make_unique<Delivery>(options, replica->pool, *replica->sender, clock, probe_,
                                                   replica->health, log_.log());
    replica->delivery->Assigned({{"t", number}});
    replicas_.push_back(std::move(replica));
    return *replicas_.back();
  }
  void RunAll() {
    for (const auto& replica : replicas_) {
      replica->thread =
          std::jthread([delivery = replica->delivery.get()](std::stop_token stop) { delivery->Run(stop, seconds{5}); });
    }
  }
  void InsertInto(int partition, int count, const std::string& prefix = "k", const std::string& fields = "") {
    if (auto begun = db_->Begin(); !begun) throw std::runtime_error(begun.error().message);
    for (int i = 0; i < count; ++i) {
      Insert({.key = fmt::format("{}{}-{}", prefix, partition, i), .fields = fields, .partition = partition});
    }
    if (auto done = db_->Commit(); !done) throw std::runtime_error(done.error().message);
  }
  std::int64_t Sent() { return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'"); }
  std::int64_t Refused() { return Count("SELECT COUNT(*) FROM notification_attempts WHERE verdict <> 'accepted'"); }
  // Of the server's statements, whoever asked.
  std::int64_t Statements() {
    return std::stoll(Must(*db_, "SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").rows.at(0).Text(1));
  }
  // The most that the vendor took in any window of that length, both ends included.
  std::size_t MostTakenWithin(microseconds window) const {
    std::vector<Timestamp> times;
    for (const fake_im::Delivery& delivery : vendor_->deliveries()) times.push_back(delivery.time);
    std::ranges::sort(times);
    std::size_t most = 0;
    for (std::size_t first = 0, last = 0; first < times.size(); ++first) {
      while (last < times.size() && times[last] - times[first] <= window) ++last;
      most = std::max(most, last - first);
    }
    return most;
  }
  // Of what the rate allows between the first and the last message, the part that was taken.
  double PartReached(int per_second) const {
    const auto deliveries = vendor_->deliveries();
    const std::chrono::duration<double> time = deliveries.back().time - deliveries.front().time;
    return static_cast<double>(deliveries.size() - static_cast<std::size_t>(per_second)) / (time.count() * per_second);
  }

  std::vector<std::unique_ptr<Replica>> replicas_;
};

TEST_F(LimitTest, FourProcessesTogetherSendToOneChatAtItsRateAndNeverAboveIt) {
  const auto channel = Bot("ops", {.per_second = 10});
  for (int i = 0; i < 4; ++i) AddReplica({channel}, system_clock_);
  for (int i = 0; i < 4; ++i) InsertInto(i, 50);
  RunAll();
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 200; }, seconds{60}));
  EXPECT_EQ(MostTakenWithin(seconds{1}), 10u);
  EXPECT_EQ(Refused(), 0);
  const double part = PartReached(10);
  RecordProperty("part_reached", fmt::format("{:.2f}", part));
  fmt::print("of the rate {:.0f} % was reached\n", part * 100);
  EXPECT_GT(part, 0.75);
}

TEST_F(LimitTest, AMinutesLimitHoldsOverFourProcessesToo) {
  const auto channel = Bot("ops", {.per_second = 20, .per_minute = 150});
  for (int i = 0; i < 4; ++i) AddReplica({channel}, system_clock_);
  for (int i = 0; i < 4; ++i) InsertInto(i, 50);
  RunAll();
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 200; }, seconds{110}));
  EXPECT_LE(MostTakenWithin(seconds{1}), 20u);
  EXPECT_EQ(MostTakenWithin(seconds{60}), 150u);
  EXPECT_EQ(Refused(), 0);
  const auto deliveries = vendor_->deliveries();
  const std::chrono::duration<double> time = deliveries.back().time - deliveries.front().time;
  fmt::print("200 messages took {:.1f} s, of which the limit asks for 62\n", time.count());
  EXPECT_LT(time.count(), 75);
}

TEST_F(LimitTest, WhatOneProcessDoesntNeedTheOthersHave) {
  const auto channel = Bot("ops", {.per_second = 10});
  for (int i = 0; i < 2; ++i) AddReplica({channel}, system_clock_);
  InsertInto(0, 5);
  InsertInto(1, 60);
  RunAll();
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 65; }, seconds{60}));
  EXPECT_EQ(MostTakenWithin(seconds{1}), 10u);
  EXPECT_EQ(Refused(), 0);
  EXPECT_GT(PartReached(10), 0.75);
}

TEST_F(LimitTest, AVendorsHintClosesTheChannelForAllProcesses) {
  const auto channel = Bot("ops", {.per_second = 50});
  vendor_->AddFault({.kind = FaultKind::kRate, .times = 1, .limit = 0, .reset = 3});
  Replica& first = AddReplica({channel}, system_clock_);
  Replica& second = AddReplica({channel}, system_clock_);
  InsertInto(0, 1);
  first.delivery->LookAgain();
  ASSERT_TRUE(first.delivery->ScanOnce().has_value());
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'failed'", 1));
  const Timestamp closed = vendor_->requests().back().time;
  ASSERT_TRUE(first.delivery->ScanOnce().has_value());
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rate_leases WHERE closed_until BETWEEN NOW(6) + INTERVAL 1 SECOND AND NOW(6) + "
                  "INTERVAL 3 SECOND"),
            1);
  InsertInto(1, 1);
  second.thread = std::jthread([&](std::stop_token stop) { second.delivery->Run(stop, seconds{5}); });
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 1; }));
  EXPECT_GT(vendor_->deliveries().back().time - closed, milliseconds{2'800});
  EXPECT_THAT(vendor_->requests(), SizeIs(2)) << "the second one never tried in vain";
}

// Counted, not timed: the statements until the other one is sent.
TEST_F(LimitTest, TwentyThousandRowsOfAThrottledRecipientStandInNobodysWay) {
  providers::ChannelSettings channel = Bot();
  channel.recipient_rate = {.per_second = 5};
  sender_ = std::make_unique<providers::Sender>(*engine_, system_clock_, probe_, log_.log());
  SetChannels({channel});
  Insert({.key = "crowd", .fields = R"(,"recipient":"chat_id:crowd")"});
  constexpr std::string_view kDigits =
      "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 "
      "UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
  Execute(fmt::format(
      "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, status, "
      "shard, due_at, priority, recipient, request, source_topic, source_partition, source_offset) "
      "SELECT UNHEX(SHA2(n.i, 256)), r.tenant, r.channel, CONCAT('crowd', n.i), r.event_id, r.content_hash, r.status, "
      "r.shard, r.due_at, r.priority, r.recipient, r.request, r.source_topic, r.source_partition, n.i "
      "FROM notification_records r JOIN (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS i FROM {0} a, "
      "{0} b, {0} c, {0} e, {0} f) AS n WHERE n.i < 20000",
      kDigits));
  const std::int64_t other = Insert({.key = "other", .fields = R"(,"recipient":"chat_id:other")"});
  auto delivery = MakeDelivery(Options(), system_clock_);
  const std::int64_t before = Statements();
  int turns = 0;
  while (turns < 100 && Column(other, "status") == "pending") {
    Turn(*delivery);
    ++turns;
  }
  const std::int64_t statements = Statements() - before - turns;  // our own looks at its status
  fmt::print("{} looks, {} statements\n", turns, statements);
  ASSERT_TRUE(WaitForStatus(other, "sent"));
  EXPECT_LE(statements, 400);
  EXPECT_LE(Count("SELECT COUNT(*) FROM notification_records WHERE version > 2 AND status = 'pending'"), 200)
      << "each was postponed once, but for a few that missed their slot meanwhile";
  EXPECT_LE(MostTakenWithin(seconds{1}), 6u) << "five of the crowd and the other one";
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE attempt_no > 0 AND status = 'pending'"), 0)
      << "no attempt was spent on those that wait";
  EXPECT_GE(Count("SELECT COUNT(*) FROM notification_records WHERE reason = 'rate_limited'"), 19'900);
  // Along the rate, one after another: 5 a second.
  EXPECT_GE(Count("SELECT TIMESTAMPDIFF(SECOND, NOW(6), MAX(due_at)) FROM notification_records"), 3'900);
  EXPECT_LE(Count("SELECT TIMESTAMPDIFF(SECOND, NOW(6), MAX(due_at)) FROM notification_records"), 4'100);
  // Of slots that have come meanwhile some were missed and given anew, so those further on are looked at; where the
  // slots of two rounds meet a few may share a second.
  EXPECT_LE(Count("SELECT MAX(rows_in_a_second) FROM (SELECT COUNT(*) AS rows_in_a_second FROM notification_records "
                  "WHERE reason = 'rate_limited' AND due_at > NOW(6) + INTERVAL 1 MINUTE "
                  "GROUP BY TIMESTAMPDIFF(SECOND, '2026-01-01', due_at)) AS counted"),
            8);
}

// The clock stands still, so nothing that rests is looked at.
TEST_F(LimitTest, WhatWasLookedAtInVainIsLookedAtAgainAtOnce) {
  providers::ChannelSettings channel = Bot();
  channel.recipient_rate = {.per_minute = 1};
  SetChannels({channel});
  for (int i = 0; i < 10; ++i) Insert({.key = fmt::format("same{}", i), .fields = R"(,"recipient":"chat_id:same")"});
  for (int i = 0; i < 20; ++i) {
    Insert({.key = fmt::format("each{}", i), .fields = fmt::format(R"(,"recipient":"chat_id:{}")", i)});
  }
  DeliveryOptions options = Options();
  options.max_in_flight = 4;
  auto delivery = MakeDelivery(options, clock_);
  EXPECT_TRUE(testing::WaitUntil([&] {
    EXPECT_TRUE(delivery->ScanOnce().has_value());
    return Sent() == 21;
  }));
}

TEST_F(LimitTest, AThrottledRecipientsMessagesGoInOrderAndAtTheRateWhoeverSendsThem) {
  providers::ChannelSettings channel = Bot();
  channel.recipient_rate = {.per_second = 5};
  for (int i = 0; i < 2; ++i) AddReplica({channel}, system_clock_);
  for (int i = 0; i < 2; ++i) InsertInto(i, 20, "k", R"(,"recipient":"chat_id:one")");
  RunAll();
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 40; }, seconds{60}));
  EXPECT_LE(MostTakenWithin(seconds{1}), 5u);
  fmt::print("of the rate {:.0f} % was reached\n", PartReached(5) * 100);
  EXPECT_GT(PartReached(5), 0.6);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE attempts_spent <> 1"), 0);
}

TEST_F(LimitTest, ATenantsLimitHoldsOverAllChannelsAndDelaysNoOtherTenant) {
  SetChannels({Bot("a"), Bot("b")});
  sender_->SetTenantRates({.each = {}, .special = {{"default", {.per_second = 2}}}});
  InsertMany(10, "a");
  InsertMany(10, "b");
  Execute(
      "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, status, "
      "shard, due_at, priority, recipient, request, source_topic, source_partition, source_offset) "
      "SELECT UNHEX(SHA2('x', 256)), 'other', channel, 'other', event_id, content_hash, status, shard, NOW(6), "
      "priority, recipient, request, source_topic, source_partition, 999 FROM notification_records LIMIT 1");
  auto delivery = MakeDelivery();
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    return Count("SELECT COUNT(*) FROM notification_records WHERE tenant = 'other' AND status = 'sent'") == 1;
  }));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE tenant = 'default' AND attempt_no > 0"), 2);
  EXPECT_EQ(Metric("ratelimit_postponed_total{limit=\"tenant\"}"), 18);
}

TEST_F(LimitTest, APostponedRecordStillExpiresInTime) {
  providers::ChannelSettings channel = Bot();
  channel.recipient_rate = {.per_minute = 1};
  SetChannels({channel});
  Insert({.key = "first", .fields = R"(,"recipient":"chat_id:1")"});
  const std::int64_t id =
      Insert({.key = "second", .fields = R"(,"recipient":"chat_id:1")", .expires = "NOW(6) + INTERVAL 1 SECOND"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(id), "pending rate_limited");
  EXPECT_EQ(Count("SELECT due_at <= expires_at + INTERVAL 1 SECOND FROM notification_records WHERE id = ?", {id}), 1);
}

TEST_F(LimitTest, LowPriorityKeepsAwayFromFullHoursWhereTheChannelAsksForIt) {
  providers::ChannelSettings channel = Bot();
  channel.quiet_minutes = true;
  SetChannels({channel});
  const std::int64_t low = Insert({.key = "low", .fields = R"(,"priority":"low")", .priority = 2});
  const std::int64_t normal = Insert({.key = "normal"});
  const std::int64_t expiring = Insert(
      {.key = "soon", .fields = R"(,"priority":"low")", .priority = 2, .expires = "NOW(6) + INTERVAL 30 SECOND"});
  auto delivery = MakeDelivery();
  Turn(*delivery);  // midnight, by the fake clock
  ASSERT_TRUE(WaitForStatus(normal, "sent"));
  ASSERT_TRUE(WaitForStatus(expiring, "sent"));
  EXPECT_EQ(Story(low), "pending quiet_minute");
  EXPECT_EQ(
      Count("SELECT TIMESTAMPDIFF(SECOND, NOW(6), due_at) BETWEEN 40 AND 226 FROM notification_records WHERE id = ?",
            {low}),
      1);
  clock_.Advance(std::chrono::minutes{2});
  ASSERT_TRUE(TurnUntil(*delivery, low, "sent"));
}

TEST_F(LimitTest, WhoWaitsForALimitIsTold) {
  providers::ChannelSettings channel = Bot("ops", {.per_second = 2});
  channel.recipient_rate = {.per_second = 1};
  SetChannels({channel});
  for (int i = 0; i < 3; ++i)
    Insert({.key = fmt::format("same{}", i), .fields = R"(,"recipient":"chat_id:SECRETCHAT")"});
  for (int i = 0; i < 5; ++i) {
    Insert({.key = fmt::format("each{}", i), .fields = fmt::format(R"(,"recipient":"chat_id:{}")", i)});
  }
  auto delivery = MakeDelivery();
  for (int i = 0; i < 4; ++i) {
    Turn(*delivery);
    clock_.Advance(milliseconds{501});
  }
  Turn(*delivery);
  EXPECT_THAT(health_.parts()["limits"].words, HasSubstr("channel ops waits for places, 2 of 2 a second here"));
  EXPECT_THAT(health_.parts()["limits"].words, HasSubstr("1 recipient waits for places"));
  EXPECT_TRUE(health_.parts()["limits"].delivers);
  EXPECT_EQ(Metric("ratelimit_waited_for{limit=\"channel\"}"), 1);
  EXPECT_EQ(Metric("ratelimit_waited_for{limit=\"recipient\"}"), 1);
  EXPECT_THAT(log_.Text() + health_.parts()["limits"].words, ::testing::Not(HasSubstr("SECRETCHAT")));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rate_leases WHERE CONCAT(name, shares) LIKE '%SECRETCHAT%'"), 0);
}

TEST_F(LimitTest, ARowThatNobodyCanReadGivesNothingUntilItsSharesMustHaveEnded) {
  SetChannels({Bot("ops", {.per_second = 5})});
  InsertMany(2);
  Execute(
      "INSERT INTO rate_leases (limit_key, kind, version, written_by, shares, ends_at) "
      "VALUES (?, 'channel', 7, 'somebody', '{', NOW(6))",
      {AsBytes(sender_->RulesOf("ops").at(0).key)});
  DeliveryOptions options = Options();
  options.rate_lease = milliseconds{600};
  options.call_deadline = milliseconds{500};
  sender_ = std::make_unique<providers::Sender>(*engine_, system_clock_, probe_, log_.log());
  SetChannels({Bot("ops", {.per_second = 5})});
  auto delivery = MakeDelivery(options, system_clock_);
  const Timestamp start = vendor_->Now();
  Turn(*delivery);
  EXPECT_THAT(vendor_->requests(), IsEmpty());
  std::jthread thread([&](std::stop_token stop) { delivery->Run(stop, seconds{5}); });
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 2; }));
  EXPECT_GT(vendor_->deliveries().front().time - start, milliseconds{2'000});
  EXPECT_TRUE(LogBecomes("limit.unreadable"));
}

TEST_F(LimitTest, RowsOfLimitsThatNobodyUsesAreRemoved) {
  SetChannels({Bot("ops", {.per_second = 5})});
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rate_leases"), 1);
  clock_.Advance(seconds{3});
  Turn(*delivery);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rate_leases WHERE shares LIKE '%owner%'"), 0)
      << "given back, for nobody used it";
  Execute("UPDATE rate_leases SET ends_at = NOW(6) - INTERVAL 6 MINUTE");
  clock_.Advance(seconds{61});
  Turn(*delivery);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rate_leases"), 0);
}

TEST_F(LimitTest, UnderLoadLimitsCostFewStatements) {
  std::size_t sent = 0;
  const auto run = [&](const std::string& code, providers::ChannelSettings channel, providers::TenantRates tenants) {
    channel.code = code;
    sender_ = std::make_unique<providers::Sender>(*engine_, system_clock_, probe_, log_.log());
    SetChannels({channel});
    sender_->SetTenantRates(std::move(tenants));
    EXPECT_TRUE(db_->Begin().has_value());
    for (int i = 0; i < 2'000; ++i) {
      Insert({.key = fmt::format("{}{}", code, i),
              .channel = code,
              .fields = fmt::format(R"(,"recipient":"chat_id:{}")", i % 100)});
    }
    EXPECT_TRUE(db_->Commit().has_value());
    DeliveryOptions options = Options(code);
    options.sweep = seconds{1};
    auto delivery = MakeDelivery(options, system_clock_);
    const std::int64_t before = Statements();
    {
      std::jthread thread([&](std::stop_token stop) { delivery->Run(stop, seconds{5}); });
      sent += 2'000;
      EXPECT_TRUE(vendor_->WaitForDeliveries(sent, seconds{60}));
    }
    return Statements() - before;
  };
  const std::int64_t without = run("without", Bot("without"), {});
  providers::ChannelSettings limited = Bot("with");
  limited.rate = {.per_second = 50'000, .per_minute = 1'000'000};
  limited.rate_group = "app";
  limited.group_rate = limited.recipient_rate = limited.rate;
  const std::int64_t with = run("with", limited, {.each = limited.rate, .special = {}});
  fmt::print("2000 notifications: {} statements without limits, {} with four each\n", without, with);
  EXPECT_LT(with - without, 100) << "0.05 for each notification";
}

}  // namespace
}  // namespace outrider::consumer
