#include "tests/integration/outbox/fixture.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <stdexcept>

#include "platform/mysql/migrator.h"

namespace outrider::outbox {

void Migrate(mysql::MysqlConnection& connection, std::string_view table) {
  const mysql::Migrator migrator(OutboxMigrationSet(table), OutboxMigrations(table));
  if (auto done = migrator.Up(connection); !done) throw std::runtime_error(done.error().message);
}

RelayOptions OutboxTest::Options(const std::string& owner) const {
  RelayOptions options;
  options.source = "shop";
  options.database = database_;
  options.owner = owner;
  return options;
}

std::unique_ptr<Relay> OutboxTest::MakeRelay(RelayOptions options, const Clock& clock) {
  return std::make_unique<Relay>(std::move(options), sink_, clock, probe_, health_, log_.log());
}

std::uint64_t OutboxTest::Insert(std::string_view key, std::string_view payload) {
  return Must(*app_, "INSERT INTO outbox (aggregateid, payload) VALUES (?, ?)", {key, payload}).insert_id;
}

double OutboxTest::Metric(const std::string& name_with_labels) const {
  const std::string scrape = "\n" + registry_.Scrape();
  const std::string line = "\noutrider_" + name_with_labels + " ";
  const std::size_t at = scrape.find(line);
  if (at == std::string::npos) throw std::runtime_error("no metric " + name_with_labels);
  return std::stod(scrape.substr(at + line.size()));
}

std::string OutboxTest::PartWords() const { return health_.parts()["relay shop"].words; }

Relay::Round OutboxTest::Turn(Relay& relay) {
  auto round = relay.RunOnce({});
  if (!round) throw std::runtime_error(round.error().message);
  return *round;
}

void OutboxTest::Drain(Relay& relay) {
  for (int turns = 0; turns < 10'000 && Waiting() > 0; ++turns) (void)relay.RunOnce({});
  EXPECT_EQ(Waiting(), 0);
}

void ExpectFirstOccurrencesInOrder(const std::vector<testing::MemorySink::Record>& log) {
  std::map<std::string, std::uint64_t> last_of_key;
  std::set<std::uint64_t> seen;
  for (const auto& record : log) {
    if (!seen.insert(record.row.seq).second) continue;
    std::uint64_t& last = last_of_key[record.row.aggregateid];
    EXPECT_LT(last, record.row.seq) << "of key " << record.row.aggregateid;
    last = record.row.seq;
  }
}

}  // namespace outrider::outbox
