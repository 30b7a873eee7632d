// From Outrider to Debezium, back, and over again, by the steps of the manual, while an application writes.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/integration/debezium/fixture.h"
#include "tests/integration/debezium/steady_writer.h"
#include "tests/support/process/wait_until.h"

namespace outrider::debezium {
namespace {

using ::testing::ElementsAre;

constexpr std::size_t kStep = 100;  // events that are published before the next thing happens
constexpr std::chrono::seconds kPatience{60};

class HandOverTest : public DebeziumTest {
 protected:
  // Whoever relays has published so many more.
  void AwaitProgress() {
    const std::size_t before = PublishedCount();
    ASSERT_TRUE(testing::WaitUntil([&] { return PublishedCount() >= before + kStep; }, kPatience)) << before;
  }
  void AwaitSent(std::int64_t records) {
    const auto reader = testing::Connect(records_database_);
    std::int64_t sent = 0;
    EXPECT_TRUE(testing::WaitUntil(
        [&] {
          sent = Number(*reader, "SELECT COUNT(*) FROM notification_records WHERE status = 'sent'");
          return sent == records;
        },
        kPatience))
        << sent << " of " << records;
  }

  // All but the one that is written to; a server keeps what a connection that has just ended was reading.
  void DropBinaryLogs() {
    Must(*shop_, "FLUSH BINARY LOGS");
    ASSERT_TRUE(testing::WaitUntil([&] {
      const auto logs = Must(*shop_, "SHOW BINARY LOGS").rows;
      if (logs.size() == 1) return true;
      EXPECT_TRUE(shop_->ExecuteScript(fmt::format("PURGE BINARY LOGS TO '{}'", logs.back().Text(0))));
      return false;
    }));
  }

  // The dedupe keys in the topic; of each event key the first occurrences come in the order of insertion.
  std::set<std::string> FirstOccurrences() {
    std::set<std::string> seen;
    std::map<std::string, int> last;
    for (const Event& event : Published(PublishedCount())) {
      const std::string dedupe_key = nlohmann::json::parse(event.value.value()).at("dedupe_key");
      if (!seen.insert(dedupe_key).second || !dedupe_key.starts_with("n-")) continue;
      const int number = std::stoi(dedupe_key.substr(2));
      const auto [entry, first] = last.try_emplace(event.key.value(), number);
      if (first) continue;
      EXPECT_LT(entry->second, number) << "of " << *event.key;
      entry->second = number;
    }
    return seen;
  }
};

TEST_F(HandOverTest, ToDebeziumAndBackAndOverAgainLosesNothingDoublesNothingAndKeepsTheOrder) {
  auto consumer = StartOutrider("consumer");
  auto relay = StartOutrider("relay");
  SteadyWriter writer(shop_database_, name_);
  AwaitProgress();

  // Outrider ends as badly as it can: what it published and didn't delete is in the snapshot.
  const auto open_before_debezium = OpenTransaction("open-before-debezium");
  relay->Kill();
  StartDebezium();
  AwaitProgress();
  MustCommit(*open_before_debezium);
  AwaitProgress();

  const auto open_while_purging = OpenTransaction("open-while-purging");
  const auto open_before_outrider = OpenTransaction("open-before-outrider");
  const auto waiting = Waiting();
  const auto purged = Purge();
  ASSERT_EQ(purged.code, 0) << purged.err;
  EXPECT_THAT(purged.out, ::testing::ContainsRegex("deleted [1-9][0-9]* rows"));
  EXPECT_LT(Waiting(), waiting);
  MustCommit(*open_while_purging);
  AwaitProgress();

  worker().RemoveConnector(std::string(kConnector));
  relay = StartOutrider("relay");
  AwaitProgress();
  MustCommit(*open_before_outrider);
  ASSERT_TRUE(testing::WaitUntil([&] { return Waiting() < 20; }, kPatience)) << Waiting();

  // Over again, in good order.
  Stop(relay);
  StartDebezium();
  AwaitProgress();
  const int asked = writer.Stop();
  const auto emptied = Purge();
  ASSERT_EQ(emptied.code, 0) << emptied.err;
  EXPECT_EQ(Waiting(), 0);
  worker().RemoveConnector(std::string(kConnector));

  std::set<std::string> committed = {"open-before-debezium", "open-while-purging", "open-before-outrider"};
  for (int number = 0; number < asked; ++number) {
    if (SteadyWriter::IsCommitted(number)) committed.insert("n-" + std::to_string(number));
  }
  EXPECT_EQ(FirstOccurrences(), committed);
  RecordProperty("events", static_cast<int>(PublishedCount()));
  RecordProperty("requests", static_cast<int>(committed.size()));

  AwaitSent(static_cast<std::int64_t>(committed.size()));
  std::map<std::string, int> taken;
  for (const fake_im::Delivery& delivery : vendor_->deliveries()) ++taken[delivery.text];
  EXPECT_EQ(taken.size(), committed.size());
  for (const auto& [text, times] : taken) EXPECT_EQ(times, 1) << text;
  const auto verified = program_.Command({"verify"});
  EXPECT_EQ(verified.code, 0) << verified.out;
  Stop(consumer);
}

TEST_F(HandOverTest, ALostBinaryLogIsMadeUpForFromTheTable) {
  StartDebezium();
  Insert("1");
  ASSERT_TRUE(testing::WaitUntil([&] { return PublishedCount() == 1; }));
  worker().StopConnector(std::string(kConnector));
  Insert("2");
  DropBinaryLogs();
  Insert("3");
  worker().RequestResume(std::string(kConnector));
  if (server().kind() == testing::DatabaseServer::Kind::kMariaDb) {
    // Debezium notices too late to take a snapshot by itself, and fails.
    ASSERT_TRUE(testing::WaitUntil([&] { return worker().Status(std::string(kConnector)).contains("FAILED"); }));
    worker().StopConnector(std::string(kConnector));
    worker().ForgetOffsets(std::string(kConnector));
    worker().ResumeConnector(std::string(kConnector));
  }
  ASSERT_TRUE(testing::WaitUntil([&] { return PublishedCount() == 4; }));
  Insert("4");
  ASSERT_TRUE(testing::WaitUntil([&] { return PublishedCount() == 5; }));
  std::vector<std::string> payloads;
  for (const Event& event : Published(5)) payloads.push_back(event.value.value());
  EXPECT_THAT(payloads, ElementsAre("1", "1", "2", "3", "4"));
  worker().RemoveConnector(std::string(kConnector));
}

}  // namespace
}  // namespace outrider::debezium
