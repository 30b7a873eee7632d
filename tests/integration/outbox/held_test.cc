// on_poison: block: a key is held behind its dead row, and goes on in order once a person has decided.
#include <gmock/gmock.h>

#include <map>
#include <random>
#include <set>

#include "outbox/dead_letters.h"
#include "outbox/relay.h"
#include "tests/integration/outbox/fixture.h"

namespace outrider::outbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Fate = testing::MemorySink::Fate;
using Seqs = std::vector<std::uint64_t>;

constexpr std::string_view kPoison = "\"poison\"";

bool IsPoison(const OutboxRow& row) { return row.payload == kPoison; }

class StandingClock final : public Clock {
 public:
  Timestamp Now() const override { return SystemClock().Now(); }
  std::chrono::steady_clock::time_point SteadyNow() const override { return now_; }

 private:
  const std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
};

class HeldTest : public OutboxTest {
 protected:
  HeldTest() { sink_.RefuseAtOnce(IsPoison); }

  RelayOptions Blocking(const std::string& owner = "host:1:a") const {
    auto options = Options(owner);
    options.on_poison = OnPoison::kBlock;
    return options;
  }
  std::unique_ptr<Relay> MakeBlocking() { return MakeRelay(Blocking()); }

  // a, b, c in turns; the second of b is poison. Gives the seqs of b.
  Seqs InsertInterleaved() {
    Seqs of_b;
    for (int i = 0; i < 4; ++i) {
      Insert("a");
      of_b.push_back(Insert("b", i == 1 ? kPoison : "{}"));
      Insert("c");
    }
    return of_b;
  }
  Seqs PublishedOf(const std::string& key) const {
    Seqs seqs;
    for (const auto& record : sink_.log()) {
      if (record.row.aggregateid == key) seqs.push_back(record.row.seq);
    }
    return seqs;
  }
  std::int64_t Held() { return Number(*app_, "SELECT COUNT(*) FROM outbox_held"); }
  std::int64_t HeldKeys() { return Number(*app_, "SELECT COUNT(*) FROM outbox_held_keys"); }
  std::int64_t Dead() { return Number(*app_, "SELECT COUNT(*) FROM outbox_dead"); }
  std::uint64_t DeadId(std::uint64_t seq) {
    return static_cast<std::uint64_t>(Number(*app_, "SELECT CAST(id AS SIGNED) FROM outbox_dead WHERE seq = ?", {seq}));
  }
  void Replay(std::uint64_t dead_id) {
    const auto done = letters_.Replay(*app_, dead_id, {"ann@host", "fixed"});
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  void Discard(std::uint64_t dead_id) {
    const auto done = letters_.Discard(*app_, dead_id, {"ann@host", "not needed"});
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  void PassOver() { Must(*app_, "UPDATE outbox_leases SET epoch = epoch + 1, owner = 'somebody'"); }
  // Turns until nothing is left anywhere.
  void DrainAll(Relay& relay) {
    for (int turns = 0; turns < 5'000 && (Waiting() > 0 || HeldKeys() > 0); ++turns) (void)relay.RunOnce({});
    EXPECT_EQ(Waiting(), 0);
    EXPECT_EQ(Held(), 0);
    EXPECT_EQ(HeldKeys(), 0);
  }

  TestClock fast_{100};
  DeadLetters letters_{"shop"};
};

TEST_F(HeldTest, LaterRowsOfThePoisonRowsKeyWaitAndTheOtherKeysGoOn) {
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeBlocking();
  const auto round = Turn(*relay);
  EXPECT_THAT(PublishedOf("a"), SizeIs(4));
  EXPECT_THAT(PublishedOf("c"), SizeIs(4));
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0]));
  EXPECT_EQ(round.moved_to_dead, 1u);
  EXPECT_EQ(round.held, 2u);
  EXPECT_EQ(Waiting(), 0) << "no read of the others meets them again";
  EXPECT_EQ(Held(), 2);
  EXPECT_EQ(Dead(), 1);
  EXPECT_EQ(Ledger(), 9);
}

TEST_F(HeldTest, WhatIsHeldIsSaidInWordsMetricsAndTheLog) {
  InsertInterleaved();
  auto relay = MakeBlocking();
  Turn(*relay);
  Turn(*relay);
  EXPECT_EQ(Metric(R"(outbox_dead_rows{source="shop"})"), 1);
  EXPECT_EQ(Metric(R"(outbox_held_keys{source="shop"})"), 1);
  EXPECT_EQ(Metric(R"(outbox_held_rows{source="shop"})"), 2);
  EXPECT_EQ(Metric(R"(relay_moved_to_held_total{source="shop"})"), 2);
  EXPECT_EQ(PartWords(), "leads with epoch 1; 1 row in outbox_dead, 1 key held with 2 rows: see outrider outbox ls");
  EXPECT_THAT(log_.Text(), HasSubstr("holds_key"));
}

TEST_F(HeldTest, WithSkipTheKeyGoesOn) {
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeRelay();
  Turn(*relay);
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0], of_b[2], of_b[3]));
  EXPECT_EQ(HeldKeys(), 0);
}

TEST_F(HeldTest, AKeyIsOneAggregateidOfOneAggregatetype) {
  Insert("b", kPoison);
  Must(*app_, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES ('billing', 'b', '{}')");
  Insert("B");
  auto relay = MakeBlocking();
  Turn(*relay);
  EXPECT_THAT(sink_.log(), SizeIs(2));
}

TEST_F(HeldTest, RowsThatComeLaterAreHeldTooAndARestartChangesNothing) {
  InsertInterleaved();
  auto relay = MakeBlocking();
  Turn(*relay);
  Insert("b");
  Insert("a");
  Turn(*relay);
  relay.reset();
  Insert("b");
  relay = MakeRelay(Blocking("host:2:b"));
  Insert("b");
  const std::uint64_t other = Insert("c");
  Turn(*relay);
  EXPECT_THAT(PublishedOf("b"), SizeIs(1));
  EXPECT_THAT(PublishedOf("a"), SizeIs(5));
  EXPECT_EQ(PublishedOf("c").back(), other);
  EXPECT_EQ(Held(), 5);
}

TEST_F(HeldTest, AReplayedRowComesBeforeThoseThatWaitedBehindItAndTheKeyIsFree) {
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeRelay(Blocking(), fast_);
  Turn(*relay);
  sink_.RefuseAtOnce(nullptr);
  Replay(DeadId(of_b[1]));
  const std::uint64_t later = Insert("b");
  DrainAll(*relay);
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0], of_b[1], of_b[2], of_b[3], later));
  EXPECT_EQ(log_.Count("relay.key_released"), 1u);
  EXPECT_EQ(Ledger(), 13);
  const std::uint64_t last = Insert("b");
  EXPECT_EQ(Turn(*relay).held, 0u);
  EXPECT_EQ(PublishedOf("b").back(), last);
}

TEST_F(HeldTest, ADiscardedRowIsGoneAndThoseBehindItGoOn) {
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeRelay(Blocking(), fast_);
  Turn(*relay);
  Discard(DeadId(of_b[1]));
  DrainAll(*relay);
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0], of_b[2], of_b[3]));
  EXPECT_EQ(Dead(), 0);
}

TEST_F(HeldTest, ADeadRowThatSomebodyDeletesByHandReleasesItsKey) {
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeRelay(Blocking(), fast_);
  Turn(*relay);
  Must(*app_, "DELETE FROM outbox_dead");
  DrainAll(*relay);
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0], of_b[2], of_b[3]));
}

TEST_F(HeldTest, AKeyWithTwoDeadRowsWaitsForBoth) {
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeRelay(Blocking(), fast_);
  Turn(*relay);
  Must(*app_,
       "INSERT INTO outbox_dead (source, seq, event_id, aggregatetype, aggregateid, type, payload, created_at, reason, "
       "detail, holds_key) SELECT source, seq + 1, event_id, aggregatetype, aggregateid, type, payload, created_at, "
       "reason, detail, holds_key FROM outbox_dead");
  sink_.RefuseAtOnce(nullptr);
  Replay(DeadId(of_b[1]));
  for (int i = 0; i < 20; ++i) Turn(*relay);
  EXPECT_THAT(PublishedOf("b"), SizeIs(1));
  Discard(DeadId(of_b[1] + 1));
  DrainAll(*relay);
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0], of_b[1], of_b[2], of_b[3]));
}

TEST_F(HeldTest, ARowThatIsReplayedTooEarlyHoldsItsKeyAgain) {
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeRelay(Blocking(), fast_);
  Turn(*relay);
  const std::uint64_t first = DeadId(of_b[1]);
  Replay(first);
  for (int i = 0; i < 20; ++i) Turn(*relay);
  EXPECT_EQ(Dead(), 1);
  EXPECT_NE(DeadId(of_b[1]), first);
  EXPECT_THAT(PublishedOf("b"), SizeIs(1));
  EXPECT_EQ(Held(), 2);
  sink_.RefuseAtOnce(nullptr);
  Replay(DeadId(of_b[1]));
  DrainAll(*relay);
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0], of_b[1], of_b[2], of_b[3]));
}

TEST_F(HeldTest, ARowThatTheBrokerRefusesAloneHoldsItsKeyToo) {
  sink_.RefuseAtOnce(nullptr);
  sink_.DecideWith([](const OutboxRow& row) { return IsPoison(row) ? Fate::kRefuse : Fate::kStore; });
  const Seqs of_b = InsertInterleaved();
  auto relay = MakeBlocking();
  Drain(*relay);
  EXPECT_THAT(PublishedOf("a"), SizeIs(4));
  EXPECT_THAT(PublishedOf("b"), ElementsAre(of_b[0]));
  EXPECT_EQ(Held(), 2);
  EXPECT_EQ(Number(*app_, "SELECT reason = 'refused_by_broker' FROM outbox_dead"), 1);
}

TEST_F(HeldTest, ARowBeforeThePoisonOneThatWasNotStoredIsNotHeldBehindIt) {
  const std::uint64_t first = Insert("b");
  const std::uint64_t poison = Insert("b", kPoison);
  Insert("b");
  int asked = 0;
  sink_.DecideWith([&](const OutboxRow&) { return ++asked == 1 ? Fate::kLose : Fate::kStore; });
  auto relay = MakeBlocking();
  EXPECT_FALSE(relay->RunOnce({}).has_value());
  Drain(*relay);
  EXPECT_THAT(PublishedOf("b"), ElementsAre(first));
  EXPECT_EQ(Held(), 1);
  EXPECT_EQ(Number(*app_, "SELECT CAST(seq AS SIGNED) FROM outbox_dead"), static_cast<std::int64_t>(poison));
}

TEST_F(HeldTest, AStaleLeaderPublishesNothingBehindARowThatAnotherMovedAside) {
  const StandingClock standing;
  auto stale = MakeRelay(Blocking("a"), standing);
  ASSERT_TRUE(Turn(*stale).leading);
  Must(*app_, "UPDATE outbox_leases SET expires_at = NOW(6) - INTERVAL 1 SECOND");
  InsertInterleaved();
  auto heir = MakeRelay(Blocking("b"));
  ASSERT_TRUE(Turn(*heir).leading);
  ASSERT_EQ(Held(), 2);
  const std::uint64_t other = Insert("a");
  Insert("b");
  EXPECT_FALSE(Turn(*stale).leading);
  EXPECT_EQ(PublishedOf("a").back(), other) << "it must have read those rows";
  EXPECT_THAT(PublishedOf("b"), SizeIs(1));
  EXPECT_EQ(Held(), 2) << "its transaction changes nothing";
  EXPECT_EQ(Waiting(), 2);
}

TEST_F(HeldTest, ATakeOverInTheMiddleOfTheReleaseKeepsTheOrder) {
  const Seqs of_b = InsertInterleaved();
  auto first = MakeRelay(Blocking("a"), fast_);
  Turn(*first);
  for (int i = 0; i < 8; ++i) Insert("b");
  while (Turn(*first).read > 0) {
  }
  sink_.RefuseAtOnce(nullptr);
  Replay(DeadId(of_b[1]));
  int asked = 0;
  sink_.DecideWith([&](const OutboxRow&) {
    if (++asked == 5) PassOver();
    return Fate::kStore;
  });
  while (Turn(*first).leading) {
  }
  EXPECT_EQ(Held(), 11) << "published, but not by one that may say so";
  Must(*app_, "UPDATE outbox_leases SET expires_at = NOW(6) - INTERVAL 1 SECOND");
  auto second = MakeRelay(Blocking("b"));
  Insert("b");
  DrainAll(*second);
  const Seqs published = PublishedOf("b");
  EXPECT_THAT(std::set<std::uint64_t>(published.begin(), published.end()), SizeIs(13));
  ExpectFirstOccurrencesInOrder(sink_.log());
}

TEST_F(HeldTest, ManyKeysAreReleasedTogetherAndTheRestGoesOnBetween) {
  ASSERT_TRUE(app_->Begin().has_value());
  for (int i = 0; i < 600; ++i) {
    Insert("key-" + std::to_string(i), kPoison);
    Insert("key-" + std::to_string(i));
  }
  ASSERT_TRUE(app_->Commit().has_value());
  auto relay = MakeRelay(Blocking(), fast_);
  Drain(*relay);
  ASSERT_EQ(Held(), 600);
  Must(*app_, "DELETE FROM outbox_dead WHERE MOD(seq, 4) = 1");
  for (int i = 0; i < 200 && HeldKeys() > 300; ++i) Turn(*relay);
  EXPECT_EQ(Held(), 300);
  EXPECT_EQ(HeldKeys(), 300);
  EXPECT_THAT(sink_.log(), SizeIs(300));
}

// Random inserts with poison among them, a sink that fails at random, relays that are replaced, and persons that replay
// or discard: in the end every row that wasn't discarded is in the log, and of each key first occurrences are in order.
class HeldOrderTest : public HeldTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(HeldOrderTest, FirstOccurrencesKeepTheirOrderOverFailuresTakeOversAndReplays) {
  std::mt19937 random(GetParam());
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  std::set<std::uint64_t> poison;
  const auto is_poison = [&](const OutboxRow& row) { return poison.contains(row.seq); };
  const bool by_broker = one_in(2);
  sink_.RefuseAtOnce([&](const OutboxRow& row) { return !by_broker && is_poison(row); });
  sink_.DecideWith([&](const OutboxRow& row) {
    if (is_poison(row)) return Fate::kRefuse;
    if (one_in(12)) return Fate::kLose;
    return one_in(8) ? Fate::kStoreUnheard : Fate::kStore;
  });
  int relays = 0;
  const auto make = [&] {
    auto options = Blocking("relay-" + std::to_string(++relays));
    options.batch_rows = 2 + random() % 12;
    return MakeRelay(options, fast_);
  };
  auto relay = make();
  std::set<std::uint64_t> inserted;
  for (int step = 0; step < 80; ++step) {
    for (unsigned rows = random() % 6; rows > 0; --rows) {
      const std::uint64_t seq = Insert("key-" + std::to_string(random() % 4));
      inserted.insert(seq);
      if (one_in(10)) poison.insert(seq);
    }
    (void)relay->RunOnce({}, 1 + random() % 6);
    if (one_in(15)) {
      relay.reset();
      relay = make();
    }
    if (!one_in(4)) continue;
    auto dead = letters_.Oldest(*app_, {}, 0, 1);
    ASSERT_TRUE(dead.has_value()) << dead.error().message;
    if (dead->empty()) continue;
    if (!one_in(3)) poison.erase(dead->front().seq);
    if (one_in(4)) {
      Discard(dead->front().id);
      inserted.erase(dead->front().seq);
    } else {
      Replay(dead->front().id);
    }
  }
  poison.clear();
  for (int turns = 0; turns < 5'000 && (Waiting() > 0 || HeldKeys() > 0 || Dead() > 0); ++turns) {
    auto dead = letters_.Oldest(*app_, {}, 0, 100);
    ASSERT_TRUE(dead.has_value()) << dead.error().message;
    for (const DeadLetter& letter : *dead) Replay(letter.id);
    (void)relay->RunOnce({});
  }
  EXPECT_EQ(Waiting() + Held() + HeldKeys() + Dead(), 0);
  std::set<std::uint64_t> published;
  for (const std::uint64_t seq : sink_.seqs()) published.insert(seq);
  for (const std::uint64_t seq : inserted) EXPECT_TRUE(published.contains(seq)) << seq;
  ExpectFirstOccurrencesInOrder(sink_.log());
}

INSTANTIATE_TEST_SUITE_P(Seeds, HeldOrderTest, ::testing::Range(1u, 13u));

}  // namespace
}  // namespace outrider::outbox
