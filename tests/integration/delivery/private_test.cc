// Private records on their way: opened for the send, parked without their key, sealed anew.
#include <gmock/gmock.h>

#include "consumer/reseal.h"
#include "consumer/sealed_request.h"
#include "model/dedupe_key.h"
#include "tests/integration/delivery/fixture.h"

namespace outrider::consumer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PrivateTest : public DeliveryTest {
 protected:
  static crypto::SealingKey KeyNamed(const std::string& id) { return {id, Secret(std::string(AsBytes(Sha256(id))))}; }

  // A record as ingest makes it, its text being its key.
  std::int64_t InsertSealed(const std::string& key) {
    const auto request = ParseRequest(fmt::format(
        R"({{"channel":"ops","dedupe_key":"{0}","message":{{"text":"{0}"}},"private":true,"recipient":"phone:1"}})",
        key));
    const auto sealed = SealRequest(sealer_, *request.request, ToJson(*request.request),
                                    DedupeHash("default", "ops", key), request.content_hash)
                            .value();
    const auto id = Insert({.key = key, .is_private = true, .request = sealed.text, .sealed_by = sealed.key_id});
    Execute("UPDATE notification_records SET recipient = ? WHERE id = ?", {std::string_view(sealed.recipient), id});
    return id;
  }
};

TEST_F(PrivateTest, ASealedRequestIsSentAndOnlyTheRecipientsHashIsLeft) {
  sealer_.SetKeys({KeyNamed("k1")});
  const auto id = InsertSealed("a");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_THAT(Delivered(), ElementsAre("a"));
  EXPECT_EQ(Column(id, "CONCAT_WS(' ', request IS NULL, sealed_by IS NULL, LEFT(recipient, 8))"), "1 1 hmac:k1:");
}

TEST_F(PrivateTest, WithoutItsKeyARecordIsParkedAndGoesOnWhenTheKeyIsBack) {
  sealer_.SetKeys({KeyNamed("k1")});
  const auto id = InsertSealed("a");
  sealer_.SetKeys({KeyNamed("k2")});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(id), "pending parked:sealing_key:k1");
  for (int i = 0; i < 3; ++i) Turn(*delivery);
  EXPECT_EQ(Story(id), "pending parked:sealing_key:k1");
  EXPECT_THAT(Delivered(), IsEmpty());
  sealer_.SetKeys({KeyNamed("k2"), KeyNamed("k1")});
  EXPECT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_THAT(Delivered(), ElementsAre("a"));
}

TEST_F(PrivateTest, ABodyThatWasExchangedIsNotSent) {
  sealer_.SetKeys({KeyNamed("k1")});
  const auto id = InsertSealed("a");
  const auto other = InsertSealed("b");
  Execute(
      "UPDATE notification_records AS x JOIN notification_records AS y ON y.id = ? SET x.request = y.request "
      "WHERE x.id = ?",
      {other, id});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "dead"));
  EXPECT_EQ(Column(id, "reason"), "request_unreadable");
  ASSERT_TRUE(WaitForStatus(other, "sent"));
  EXPECT_THAT(Delivered(), ElementsAre("b"));
}

TEST_F(PrivateTest, SealedAnewARecordNeedsTheOldKeyNoMore) {
  sealer_.SetKeys({KeyNamed("k1")});
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 250; ++i) ids.push_back(InsertSealed(fmt::format("a{}", i)));
  Execute("UPDATE notification_records SET status = 'failed' WHERE id = ?", {ids[0]});
  sealer_.SetKeys({KeyNamed("k2"), KeyNamed("k1")});
  InsertSealed("under the new key");
  const auto version = Column(ids[0], "version");
  const auto done = Reseal(*db_, sealer_);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->records, 250u);
  EXPECT_EQ(done->left, 0u);
  EXPECT_EQ(Reseal(*db_, sealer_)->records, 0u);
  EXPECT_EQ(Column(ids[0], "version"), version);
  sealer_.SetKeys({KeyNamed("k2")});
  auto delivery = MakeDelivery();
  EXPECT_TRUE(TurnUntil(*delivery, ids[0], "sent"));
}

TEST_F(PrivateTest, WhatLacksItsKeyIsLeftAndCounted) {
  sealer_.SetKeys({KeyNamed("k1")});
  InsertSealed("a");
  sealer_.SetKeys({KeyNamed("k2")});
  const auto done = Reseal(*db_, sealer_);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->records, 0u);
  EXPECT_EQ(done->left, 1u);
}

TEST_F(PrivateTest, RejectedEventsAreSealedAnewToo) {
  sealer_.SetKeys({KeyNamed("k1")});
  const EventPosition at{"t", 0, 7};
  const auto sealed = sealer_.Seal("bytes", RejectedContext(at)).value();
  Execute(
      "INSERT INTO rejected_events (topic, partition_no, offset_no, event_hash, value, headers, reason, faults, "
      "sealed_by) VALUES ('t', 0, 7, REPEAT('x', 32), ?, '[]', 'not_json', '[]', 'k1')",
      {std::string_view(sealed.bytes)});
  sealer_.SetKeys({KeyNamed("k2"), KeyNamed("k1")});
  EXPECT_EQ(Reseal(*db_, sealer_)->rejected, 1u);
  const auto row = Must(*db_, "SELECT sealed_by, value FROM rejected_events").rows.at(0);
  EXPECT_EQ(row.Text(0), "k2");
  EXPECT_EQ(sealer_.Open("k2", row.Text(1), RejectedContext(at)), "bytes");
}

}  // namespace
}  // namespace outrider::consumer
