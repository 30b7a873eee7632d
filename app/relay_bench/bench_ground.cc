#include "app/relay_bench/bench_ground.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "outbox/event_sink.h"
#include "outbox/schema.h"
#include "platform/kafka/topics.h"

namespace outrider::app {
namespace {

constexpr std::string_view kTablePrefix = "outrider_bench_";
constexpr std::size_t kRowsPerInsert = 10'000;
constexpr double kLongHistory = 200;
constexpr std::chrono::seconds kPurgePatience{10};
constexpr std::chrono::milliseconds kLook{50};

// The head of the primary key.
constexpr std::string_view kHasRows = "SELECT 1 FROM {0} LIMIT 1";
// By name.
constexpr std::string_view kLeftTables =
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE "
    "'outrider\\_bench\\_%' ORDER BY table_name";
// The end of the primary key.
constexpr std::string_view kLedgerEnd = "SELECT COALESCE(MAX(id), 0) FROM outbox_ledger";
// Ten thousand numbers without a table to take them from. {0}: the table, {1}: kDigits.
constexpr std::string_view kFill =
    "INSERT INTO {0} (seq, aggregatetype, aggregateid, payload) SELECT ? + n, ?, CONCAT('key-', MOD(n, ?)), ? FROM "
    "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n FROM {1} AS a, {1} AS b, {1} AS c, {1} AS e) AS numbers "
    "WHERE n < ? ORDER BY n";
constexpr std::string_view kDigits =
    "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 "
    "UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
// MariaDB tells it to everybody, MySQL (INNODB_METRICS) to those with PROCESS.
constexpr std::string_view kHistoryOnMariaDb = "SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'";
constexpr std::string_view kHistoryOnMysql =
    "SELECT 'length', CAST(count AS CHAR) FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'";

}  // namespace

std::string BenchGround::TopicOf(std::string_view aggregatetype) {
  return std::string(outbox::kTopicPrefix).append(aggregatetype);
}

Result<std::unique_ptr<BenchGround>> BenchGround::Make(const RelayBenchOptions& options) {
  auto opened = mysql::MysqlConnection::Open(options.database);
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<BenchGround> ground(new BenchGround(options));
  ground->connection_ = std::move(*opened);
  auto done = ground->Look();
  if (done) done = ground->MakeTopics();
  if (done) done = ground->MakeTables();
  if (!done) return std::unexpected(done.error());
  return ground;
}

BenchGround::~BenchGround() {
  if (!connection_->healthy()) {
    if (auto opened = mysql::MysqlConnection::Open(options_.database)) connection_ = std::move(*opened);
  }
  std::vector<std::string> names;
  for (const BenchSource& source : sources_) names.push_back(fmt::format("'{}'", source.table));
  for (const BenchSource& source : sources_) {
    (void)connection_->ExecuteScript(fmt::format("DROP TABLE IF EXISTS {}", mysql::QuoteIdentifier(source.table)));
  }
  if (!names.empty()) {
    const std::string list = fmt::format("source IN ({})", fmt::join(names, ", "));
    for (const char* const table : {"outbox_leases", "outbox_replicas"}) {
      (void)connection_->ExecuteScript(fmt::format("DELETE FROM {} WHERE {}", table, list));
    }
    (void)connection_->ExecuteScript(
        fmt::format("DELETE FROM outbox_ledger WHERE id > {} AND {}", ledger_before_, list));
  }
  for (const std::string& topic : made_topics_) (void)kafka::DeleteTopic(options_.kafka, topic);
}

Result<void> BenchGround::Look() {
  auto missing = outbox::MissingTables(*connection_, options_.table);
  if (!missing) return std::unexpected(missing.error());
  if (!missing->empty()) return Fail(ErrorCode::kInvalid, fmt::format("{}", fmt::join(*missing, "; ")));
  auto left = connection_->Execute(kLeftTables);
  if (!left) return std::unexpected(left.error());
  if (!left->rows.empty()) {
    std::vector<std::string> names;
    for (const mysql::Row& row : left->rows) names.push_back(mysql::QuoteIdentifier(row.Text(0)));
    return Fail(ErrorCode::kInvalid,
                fmt::format("another bench is running in this database, or one was killed and has left its tables; in "
                            "the latter case: DROP TABLE {}",
                            fmt::join(names, ", ")));
  }
  if (!options_.beside_traffic) {
    auto waiting = connection_->Execute(fmt::format(kHasRows, mysql::QuoteIdentifier(options_.table)));
    if (!waiting) return std::unexpected(waiting.error());
    if (!waiting->rows.empty()) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("rows wait in {}: a bench would take the database and the broker from them; try when it "
                              "is empty, or give --beside-traffic",
                              options_.table));
    }
  }
  auto end = connection_->Execute(kLedgerEnd);
  if (!end) return std::unexpected(end.error());
  ledger_before_ = end->rows.at(0).Unsigned(0);
  return {};
}

Result<void> BenchGround::MakeTables() {
  const std::size_t most =
      options_.sources.empty() ? 1 : *std::max_element(options_.sources.begin(), options_.sources.end());
  for (std::size_t i = 0; i < std::max<std::size_t>(most, 1); ++i) {
    const std::string table = fmt::format("{}{}", kTablePrefix, i + 1);
    // The first of the migrations makes it; the tables beside it are there.
    if (auto made = connection_->ExecuteScript(outbox::OutboxMigrations(table).front().sql); !made) return made;
    sources_.push_back({table});
  }
  return {};
}

Result<void> BenchGround::MakeTopics() {
  for (const std::string_view type : {kDrainType, kLatencyType}) {
    const std::string topic = TopicOf(type);
    auto made = kafka::CreateTopic(options_.kafka, topic, options_.partitions);
    if (!made) {
      return Fail(made.error().code, fmt::format("{}; the bench needs it: make it with {} partitions, or let this "
                                                 "account make it",
                                                 made.error().message, options_.partitions));
    }
    if (*made) made_topics_.push_back(topic);
  }
  return {};
}

std::string BenchGround::Payload() const {
  constexpr std::string_view kFrame = R"({"text":""})";
  return fmt::format(R"({{"text":"{}"}})",
                     std::string(options_.payload_bytes - std::min(options_.payload_bytes, kFrame.size()), 'x'));
}

Result<void> BenchGround::Fill(std::size_t source, std::size_t rows) {
  BenchSource& filled = sources_.at(source);
  const std::string payload = Payload();
  const std::string sql = fmt::format(kFill, mysql::QuoteIdentifier(filled.table), kDigits);
  while (rows > 0) {
    if (options_.stop.stop_requested()) return Fail(ErrorCode::kUnavailable, "interrupted");
    const std::size_t count = std::min(rows, kRowsPerInsert);
    auto done = connection_->Execute(sql, {filled.next_seq, kDrainType, std::uint64_t{options_.keys},
                                           std::string_view(payload), std::uint64_t{count}});
    if (!done) return std::unexpected(done.error());
    filled.next_seq += count;
    rows -= count;
  }
  return {};
}

Result<void> BenchGround::Empty(std::size_t source) {
  return connection_->ExecuteScript(fmt::format("TRUNCATE TABLE {}", mysql::QuoteIdentifier(Table(source))));
}

void BenchGround::AwaitPurge() {
  const auto deadline = std::chrono::steady_clock::now() + kPurgePatience;
  const std::string_view sql = connection_->flavor() == mysql::Flavor::kMariaDb ? kHistoryOnMariaDb : kHistoryOnMysql;
  while (std::chrono::steady_clock::now() < deadline && !options_.stop.stop_requested()) {
    auto history = connection_->Execute(sql);
    if (!history || history->rows.empty()) return;
    if (std::strtod(history->rows.front().Text(1).c_str(), nullptr) < kLongHistory) return;
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace outrider::app
