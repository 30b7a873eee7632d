// docs/debezium/purge.py deletes what Debezium has published, and nothing when it can't tell what that is.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/debezium/fixture.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_server.h"

namespace outrider::debezium {
namespace {

using ::testing::HasSubstr;

class PurgeTest : public DebeziumTest {
 protected:
  // With a Connect that tells these offsets.
  Purged PurgeWith(const std::string& offsets) {
    const testing::RawServer connect(testing::AnswerAlways(fmt::format(R"({{"offsets":[{}]}})", offsets)));
    return Purge(fmt::format("http://127.0.0.1:{}", connect.port()), 1);
  }
  // More GTIDs than the server has executed.
  std::string AllGtids() {
    if (server().kind() == testing::DatabaseServer::Kind::kMariaDb) return "0-1-999999999";
    return std::string(Must(*shop_, "SELECT CONCAT(@@server_uuid, ':1-999999999')").rows.at(0).Text(0));
  }
  void ExpectNothingDeleted(const Purged& purged) {
    EXPECT_EQ(purged.code, 1);
    EXPECT_THAT(purged.err, HasSubstr("nothing is deleted"));
    EXPECT_EQ(Waiting(), 1);
  }
};

TEST_F(PurgeTest, LeavesWhatDebeziumHasNotPublishedAndWhatIsNotCommitted) {
  const std::string connector(kConnector);
  StartDebezium();
  Insert("1");
  ASSERT_TRUE(testing::WaitUntil([&] { return PublishedCount() == 1; }));
  worker().StopConnector(connector);
  Insert("2");
  const auto refused = Purge(2);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("nothing is deleted"));
  EXPECT_EQ(Waiting(), 2);

  worker().ResumeConnector(connector);
  const auto open = OpenTransaction("open");
  const auto purged = Purge();
  EXPECT_EQ(purged.code, 0) << purged.err;
  EXPECT_THAT(purged.out, HasSubstr("deleted 2 rows"));
  EXPECT_EQ(PublishedCount(), 2u);
  MustCommit(*open);
  EXPECT_EQ(Waiting(), 1);
  EXPECT_TRUE(testing::WaitUntil([&] { return PublishedCount() == 3; }));
  worker().RemoveConnector(connector);
}

TEST_F(PurgeTest, DeletesWhenTheConnectorIsPastThePosition) {
  Insert("1");
  const auto purged = PurgeWith(fmt::format(R"({{"partition":{{}},"offset":{{"gtids":"{}"}}}})", AllGtids()));
  EXPECT_EQ(purged.code, 0) << purged.err;
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(PurgeTest, DeletesNothingWhileASnapshotIsUnderWay) {
  Insert("1");
  ExpectNothingDeleted(
      PurgeWith(fmt::format(R"({{"partition":{{}},"offset":{{"gtids":"{}","snapshot":"INITIAL"}}}})", AllGtids())));
}

TEST_F(PurgeTest, DeletesNothingWhenTheConnectorHasNoOffsetOrNoGtids) {
  Insert("1");
  ExpectNothingDeleted(PurgeWith(""));
  ExpectNothingDeleted(PurgeWith(R"({"partition":{},"offset":{"file":"bin.999999","pos":999999999}})"));
  ExpectNothingDeleted(PurgeWith(R"({"partition":{},"offset":{"gtids":""}})"));
}

TEST_F(PurgeTest, DeletesNothingWhenConnectIsAway) {
  Insert("1");
  EXPECT_EQ(Purge("http://127.0.0.1:1", 1).code, 1);
  EXPECT_EQ(Waiting(), 1);
}

}  // namespace
}  // namespace outrider::debezium
