// What private requests leave in the tables: nothing that can be read without the key.
#include <gmock/gmock.h>

#include "consumer/sealed_request.h"
#include "platform/crypto/hmac.h"
#include "tests/integration/ingest/fixture.h"

namespace outrider::consumer {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SealingTest : public IngestTest {
 protected:
  // Every column of every table of Outrider that isn't NULL, as text, in one.
  std::string Everything() {
    std::string all;
    for (const char* table : {"notification_records", "rejected_events"}) {
      for (const mysql::Row& row : Must(*connection_, fmt::format("SELECT * FROM {}", table)).rows) {
        for (std::size_t i = 0; i < row.size(); ++i) all += row.TextOr(i, "") + "\n";
      }
    }
    return all;
  }
  void UseKeys(std::vector<crypto::SealingKey> keys) { sealer_.SetKeys(std::move(keys)); }
};

const std::string kPrivate = R"(, "private": true, "recipient": "phone:canary")";

TEST_F(SealingTest, OfAPrivateRequestNeitherBodyNorRecipientCanBeRead) {
  UseKeys({KeyNamed("k1")});
  EXPECT_EQ(Store({EventOf(0, Request("a", kPrivate, "canary"))}).recorded, 1u);
  EXPECT_THAT(Everything(), Not(HasSubstr("canary")));
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', private, sealed_by, LEFT(recipient, 8), request IS NOT NULL) FROM "
                 "notification_records"),
            "1 k1 hmac:k1: 1");
  const std::string plain = ToHex(AsBytes(ParseRequest(Request("a", kPrivate, "canary")).content_hash));
  EXPECT_NE(Text("SELECT LOWER(HEX(content_hash)) FROM notification_records"), plain);
}

TEST_F(SealingTest, OtherRequestsStandAsTheyAre) {
  UseKeys({KeyNamed("k1")});
  Store({EventOf(0, Request("a", R"(, "recipient": "user:1")"))});
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', sealed_by, recipient, JSON_VALID(request)) FROM notification_records"),
            "user:1 1");
}

TEST_F(SealingTest, ACopyAndAConflictAreToldApartUnderAnyKey) {
  UseKeys({KeyNamed("k1")});
  Store({EventOf(0, Request("a", kPrivate))});
  UseKeys({KeyNamed("k2"), KeyNamed("k1")});
  EXPECT_EQ(Store({EventOf(1, Request("a", kPrivate))}).duplicates, 1u);
  EXPECT_EQ(Store({EventOf(2, Request("a", kPrivate, "other"))}).conflicts, 1u);
}

TEST_F(SealingTest, WithoutAKeyAPrivateRequestIsRejectedAndItsBytesAreNotKept) {
  const auto counts = Store({EventOf(0, Request("a", kPrivate, "canary")), EventOf(1, Request("b"))});
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', reason, offset_no, value IS NULL) FROM rejected_events"), "no_sealing_key 0 1");
  EXPECT_THAT(Text("SELECT faults FROM rejected_events"), HasSubstr("sealing.keys"));
  EXPECT_THAT(Everything(), Not(HasSubstr("canary")));
  EXPECT_THAT(log_.Text(), Not(HasSubstr("canary")));
}

TEST_F(SealingTest, RejectedBytesAreSealedAndOpenWithTheKey) {
  UseKeys({KeyNamed("k1")});
  const std::string broken = R"({"dedupe_key": 5, "private": true, "metadata": {"canary": 1}, "message": "canary"})";
  Store({EventOf(0, broken)});
  EXPECT_THAT(Everything(), Not(HasSubstr("canary")));
  EXPECT_THAT(log_.Text(), Not(HasSubstr("canary")));
  const auto row = Must(*connection_, "SELECT sealed_by, value, faults FROM rejected_events").rows.at(0);
  EXPECT_EQ(row.Text(0), "k1");
  EXPECT_EQ(sealer_.Open("k1", row.Text(1), RejectedContext({std::string(kTopic), 0, 0})), broken);
  EXPECT_THAT(row.Text(2), HasSubstr("/dedupe_key"));
  EXPECT_THAT(row.Text(2), HasSubstr("/metadata/*"));
}

TEST_F(SealingTest, WithoutAKeyRejectedBytesThatMayBePrivateAreNotKeptAndOthersAre) {
  Store({EventOf(0, R"({"dedupe_key": 5, "private": "yes", "message": "canary"})"),
         EventOf(1, R"({"private": true, "message": "canary)"), EventOf(2, R"({"dedupe_key": 5})")});
  EXPECT_EQ(Text("SELECT GROUP_CONCAT(value IS NULL ORDER BY offset_no) FROM rejected_events"), "1,1,0");
  EXPECT_THAT(Everything(), Not(HasSubstr("canary")));
}

TEST_F(SealingTest, ARejectedEventThatComesAgainIsKeptOnce) {
  UseKeys({KeyNamed("k1")});
  EXPECT_EQ(Store({EventOf(0, "garbage")}).rejected, 1u);
  EXPECT_EQ(Store({EventOf(0, "garbage")}).repeated, 1u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_events"), 1);
}

}  // namespace
}  // namespace outrider::consumer
