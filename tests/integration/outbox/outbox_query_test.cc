#include "outbox/outbox_query.h"

#include "tests/integration/outbox/fixture.h"

namespace outrider::outbox {
namespace {

class OutboxQueryTest : public OutboxTest {
 protected:
  std::vector<OutboxSighting> Find(std::string_view dedupe_key) {
    auto found = FindInOutbox(*app_, "shop", "outbox", dedupe_key);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(std::vector<OutboxSighting>{});
  }
};

TEST_F(OutboxQueryTest, AWaitingRowIsFoundByItsExactKey) {
  const std::uint64_t seq = Insert("a", R"({"dedupe_key": "order-é-1"})");
  Insert("a", R"({"dedupe_key": "Order-é-1"})");
  Insert("a", R"({"no": "key"})");
  const auto found = Find("order-é-1");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].seq, seq);
  EXPECT_FALSE(found[0].moved_aside);
  EXPECT_TRUE(Find("order-e-1").empty());
}

TEST_F(OutboxQueryTest, ARowThatWasMovedAsideIsFoundWithItsReasonAmongWhatIsNotJson) {
  for (const char* payload : {"not json", R"({"dedupe_key": "k"})"}) {
    Must(*app_,
         "INSERT INTO outbox_dead (source, seq, event_id, aggregatetype, aggregateid, type, payload, created_at, "
         "reason, "
         "detail) VALUES ('shop', 7, 'e', 'notification', 'a', 't', ?, NOW(6), 'too_large', '')",
         {std::string_view(payload)});
  }
  const auto found = Find("k");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].moved_aside);
  EXPECT_EQ(found[0].reason, "too_large");
  EXPECT_TRUE(FindInOutbox(*app_, "other", "outbox", "k")->empty()) << "sources may share a database";
}

TEST_F(OutboxQueryTest, ARowThatIsNotCommittedIsNotSeen) {
  auto other = Connect(server().Options(Options().database.database));
  ASSERT_TRUE(other->Begin());
  Must(*other, "INSERT INTO outbox (aggregateid, payload) VALUES ('a', ?)", {R"({"dedupe_key": "k"})"});
  EXPECT_TRUE(Find("k").empty());
}

}  // namespace
}  // namespace outrider::outbox
