#include "tests/bench/debezium/side_by_side.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <thread>

#include "tests/bench/debezium/process_usage.h"
#include "tests/support/database/statements.h"
#include "tests/support/debezium/connect_worker.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/topic_ends.h"
#include "tests/support/outrider/outrider_program.h"
#include "tests/support/process/wait_until.h"

namespace outrider::bench {
namespace {

using testing::Must;
using testing::Number;
using Clock = std::chrono::steady_clock;
using Kind = testing::DatabaseServer::Kind;

constexpr std::string_view kDatabase = "bench";
constexpr std::string_view kConnector = "outbox";
constexpr std::string_view kType = "bench";
constexpr std::string_view kTopic = "outbox.event.bench";
// Two tables, so that neither reads the other's rows.
constexpr std::string_view kOutriderTable = "outbox_of_outrider";
constexpr std::string_view kDebeziumTable = "outbox";
constexpr int kWriters = 4;
constexpr std::size_t kPurgeBatch = 5'000;
constexpr std::chrono::minutes kPatience{10};
constexpr double kRowsOfCpuFigure = 100'000;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

std::vector<std::string> ServerOptions(Kind kind) {
  std::vector<std::string> options = {"--log-bin=bin", "--server-id=1", "--binlog-format=ROW",
                                      "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=512M"};
  if (kind == Kind::kMysql) {
    options.insert(options.end(),
                   {"--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--innodb-redo-log-capacity=512M"});
  } else {
    options.emplace_back("--innodb-log-file-size=256M");
  }
  return options;
}

class SideBySide final {
 public:
  SideBySide(const SideBySideOptions& options, const std::function<void(std::string_view)>& say)
      : options_(options),
        say_(say),
        server_(testing::DatabaseServer::Start(options.database, ServerOptions(options.database))),
        broker_(testing::KafkaBroker::Start()),
        root_(testing::Connect(server_->Options(""))),
        program_(Configuration()) {
    Must(*root_, fmt::format("CREATE DATABASE {}", kDatabase));
    Must(*root_, "CREATE DATABASE records");
    broker_->CreateTopic(std::string(kTopic), options.partitions);
    broker_->CreateTopic(fmt::format("__debezium-heartbeat.{}", kDatabase));
    database_ = testing::Connect(server_->Options(kDatabase));
    MigrateTables();
    ends_ = std::make_unique<testing::TopicEnds>(broker_->brokers(), std::string(kTopic), options.partitions);
    worker_ = testing::ConnectWorker::Start(
        {.brokers = broker_->brokers(), .java_options = options.worker_java_options, .properties = {}});
    testing::WriteTextFile(folder_.path() / "debezium.properties", "user=outrider\npassword=outrider\n");
    worker_->Configure(std::string(kConnector), ConnectorConfiguration());
    CatchUp();
  }

  SideBySideReport Measure() {
    SideBySideReport report;
    report.options = options_;
    report.database_version = root_->server_version();
    for (int i = 0; i < options_.warm_ups; ++i) {
      (void)DrainWithOutrider(fmt::format("warm-up {}", i + 1));
      const Drain drain = DrainWithDebezium(fmt::format("warm-up {}", i + 1));
      if (i == 0) report.cold_debezium = drain;
    }
    for (int i = 0; i < options_.rounds; ++i) {
      report.outrider.push_back(DrainWithOutrider(fmt::format("round {}", i + 1)));
      report.debezium.push_back(DrainWithDebezium(fmt::format("round {}", i + 1)));
    }
    report.outrider_median = Median(report.outrider);
    report.debezium_median = Median(report.debezium);
    report.ratio = report.outrider_median.rows_per_second / report.debezium_median.rows_per_second;
    report.steady_ratio = report.outrider_median.steady_rows_per_second / report.debezium_median.steady_rows_per_second;
    report.purged_ratio =
        (report.debezium_median.seconds + report.debezium_median.purge_seconds) / report.outrider_median.seconds;
    return report;
  }

 private:
  struct Cpu {
    double process = 0, database = 0, broker = 0;
  };

  static Drain Median(std::vector<Drain> drains) {
    Drain median;
    for (double Drain::*figure :
         {&Drain::seconds, &Drain::rows_per_second, &Drain::start_seconds, &Drain::steady_rows_per_second,
          &Drain::purge_seconds, &Drain::cpu_seconds, &Drain::database_cpu_seconds, &Drain::broker_cpu_seconds,
          &Drain::peak_rss_mib, &Drain::load}) {
      if (drains.empty()) break;
      std::ranges::sort(drains, {}, figure);
      median.*figure = drains[drains.size() / 2].*figure;
    }
    return median;
  }

  struct Course {
    Clock::time_point start, first, end;
    std::int64_t count_at_first = 0;  // of the drain's records
  };
  void NoteCourse(const Course& course, Drain& drain) const {
    const auto rows = static_cast<double>(options_.rows);
    drain.seconds = Seconds(course.end - course.start);
    drain.rows_per_second = rows / drain.seconds;
    drain.start_seconds = Seconds(course.first - course.start);
    drain.steady_rows_per_second =
        (rows - static_cast<double>(course.count_at_first)) / Seconds(course.end - course.first);
  }

  std::string Configuration() const {
    return fmt::format(R"(
database: {{url: "{}"}}
sources: [{{name: bench, url: "{}", table: {}}}]
kafka: {{brokers: "{}"}}
api: {{listen: "127.0.0.1:0"}}
)",
                       server_->Url("records"), server_->Url(kDatabase), kOutriderTable, broker_->brokers());
  }

  std::string ConnectorConfiguration() const {
    const std::string_view file = options_.database == Kind::kMysql ? "mysql.json" : "mariadb.json";
    auto json = nlohmann::json::parse(testing::ReadTextFile(fmt::format("{}/{}", DEBEZIUM_DOCS, file)));
    const std::string secret = "${file:" + (folder_.path() / "debezium.properties").string();
    json["database.port"] = std::to_string(server_->port());
    json["database.user"] = secret + ":user}";
    json["database.password"] = secret + ":password}";
    json["topic.prefix"] = kDatabase;
    json["database.include.list"] = kDatabase;
    json["table.include.list"] = fmt::format("{}.{}", kDatabase, kDebeziumTable);
    json["schema.history.internal.kafka.bootstrap.servers"] = broker_->brokers();
    return json.dump();
  }

  void MigrateTables() {
    const auto migrated = program_.Command({"migrate", "up"});
    if (migrated.code != 0) throw std::runtime_error(migrated.err);
    Must(*database_, fmt::format("CREATE TABLE {} LIKE {}", kDebeziumTable, kOutriderTable));
  }

  // One row a transaction. That the commits reach the disk isn't what is measured.
  void Fill(std::string_view table) {
    const std::int64_t flush = Number(*root_, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit");
    const std::int64_t sync = Number(*root_, "SELECT @@GLOBAL.sync_binlog");
    Must(*root_, "SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    Must(*root_, "SET GLOBAL sync_binlog = 0");
    std::vector<std::exception_ptr> failures(kWriters);
    {
      std::vector<std::jthread> writers;
      for (int writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&, writer] {
          try {
            Write(table, writer);
          } catch (const std::exception&) {
            failures[writer] = std::current_exception();
          }
        });
      }
    }
    for (const auto& failure : failures) {
      if (failure) std::rethrow_exception(failure);
    }
    Must(*root_, fmt::format("SET GLOBAL innodb_flush_log_at_trx_commit = {}", flush));
    Must(*root_, fmt::format("SET GLOBAL sync_binlog = {}", sync));
    Must(*root_, "FLUSH ENGINE LOGS");
  }

  void Write(std::string_view table, int writer) const {
    constexpr std::string_view kFrame = R"({"text":""})";
    const std::string payload =
        fmt::format(R"({{"text":"{}"}})",
                    std::string(options_.payload_bytes - std::min(options_.payload_bytes, kFrame.size()), 'x'));
    const auto connection = testing::Connect(server_->Options(kDatabase));
    const std::string sql = fmt::format("INSERT INTO {} (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)", table);
    for (std::size_t row = writer; row < options_.rows; row += kWriters) {
      Must(*connection, sql, {kType, fmt::format("key-{}", row % options_.keys), payload});
    }
  }

  Cpu CpuOf(pid_t pid) const { return {CpuSeconds(pid), CpuSeconds(server_->pid()), CpuSeconds(broker_->pid())}; }

  void NoteUsage(pid_t pid, const Cpu& before, Drain& drain) const {
    const Cpu now = CpuOf(pid);
    const double share = kRowsOfCpuFigure / static_cast<double>(options_.rows);
    drain.cpu_seconds = (now.process - before.process) * share;
    drain.database_cpu_seconds = (now.database - before.database) * share;
    drain.broker_cpu_seconds = (now.broker - before.broker) * share;
    drain.peak_rss_mib = PeakRssMib(pid);
  }

  // The topic's count once it has reached `target`, or all that came meanwhile.
  std::int64_t AwaitCount(std::int64_t target) const {
    std::int64_t count = 0;
    const auto came = [&] { return (count = ends_->Count()) >= target; };
    if (!testing::WaitUntil(came, kPatience))
      throw std::runtime_error(fmt::format("{} of {} records came", count, target));
    return count;
  }

  Drain DrainWithOutrider(std::string_view label) {
    say_(fmt::format("{}: Outrider", label));
    Fill(kOutriderTable);
    const std::int64_t before = ends_->Count();
    const auto rows = static_cast<std::int64_t>(options_.rows);
    Drain drain{.load = Load()};
    const Cpu cpu{0, CpuSeconds(server_->pid()), CpuSeconds(broker_->pid())};
    Course course{.start = Clock::now(), .first = {}, .end = {}};
    const auto relay = program_.Run({"--roles", "relay"});
    course.count_at_first = AwaitCount(before + 1) - before;
    course.first = Clock::now();
    AwaitCount(before + rows);
    const std::string any_left =
        fmt::format("SELECT COUNT(*) FROM (SELECT seq FROM {} LIMIT 1) AS one", kOutriderTable);
    if (!testing::WaitUntil([&] { return Number(*database_, any_left) == 0; })) {
      throw std::runtime_error("published rows aren't deleted: " + relay->Stderr());
    }
    course.end = Clock::now();
    NoteCourse(course, drain);
    NoteUsage(relay->pid(), cpu, drain);
    relay->Terminate();
    if (ends_->Count() != before + rows) throw std::runtime_error("Outrider published copies, so the figures are void");
    return drain;
  }

  // Reads past what the other one did to the binary log, publishes a last row, and stops.
  void CatchUp() {
    const std::int64_t before = ends_->Count();
    Must(*database_,
         fmt::format("INSERT INTO {} (aggregatetype, aggregateid, payload) VALUES (?, 'canary', '{{}}')",
                     kDebeziumTable),
         {kType});
    AwaitCount(before + 1);
    worker_->StopConnector(std::string(kConnector));
    Must(*database_, fmt::format("TRUNCATE TABLE {}", kDebeziumTable));
  }

  // The statements of docs/debezium/purge.py.
  double Purge() {
    std::vector<std::uint64_t> rows;
    for (const auto& row : Must(*database_, fmt::format("SELECT seq FROM {}", kDebeziumTable)).rows) {
      rows.push_back(row.Unsigned(0));
    }
    const std::string sql = fmt::format(
        "DELETE o FROM JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$')) AS k "
        "STRAIGHT_JOIN {} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq",
        kDebeziumTable);
    const auto start = Clock::now();
    for (std::size_t first = 0; first < rows.size(); first += kPurgeBatch) {
      const std::span batch = std::span(rows).subspan(first, std::min(kPurgeBatch, rows.size() - first));
      Must(*database_, sql, {fmt::format("[{}]", fmt::join(batch, ","))});
    }
    return Seconds(Clock::now() - start);
  }

  Drain DrainWithDebezium(std::string_view label) {
    say_(fmt::format("{}: Debezium", label));
    worker_->ResumeConnector(std::string(kConnector));
    CatchUp();
    Fill(kDebeziumTable);
    const std::int64_t before = ends_->Count();
    const auto rows = static_cast<std::int64_t>(options_.rows);
    Drain drain{.load = Load()};
    const Cpu cpu = CpuOf(worker_->pid());
    Course course{.start = Clock::now(), .first = {}, .end = {}};
    worker_->RequestResume(std::string(kConnector));
    course.count_at_first = AwaitCount(before + 1) - before;
    course.first = Clock::now();
    AwaitCount(before + rows);
    course.end = Clock::now();
    NoteCourse(course, drain);
    NoteUsage(worker_->pid(), cpu, drain);
    worker_->StopConnector(std::string(kConnector));
    drain.purge_seconds = Purge();
    Must(*database_, fmt::format("TRUNCATE TABLE {}", kDebeziumTable));
    return drain;
  }

  const SideBySideOptions options_;
  const std::function<void(std::string_view)>& say_;
  const std::unique_ptr<testing::DatabaseServer> server_;
  const std::unique_ptr<testing::KafkaBroker> broker_;
  const std::unique_ptr<mysql::MysqlConnection> root_;
  testing::TempDir folder_{"bench"};
  testing::OutriderProgram program_;
  std::unique_ptr<mysql::MysqlConnection> database_;
  std::unique_ptr<testing::TopicEnds> ends_;
  std::unique_ptr<testing::ConnectWorker> worker_;
};

}  // namespace

SideBySideReport MeasureSideBySide(const SideBySideOptions& options, const std::function<void(std::string_view)>& say) {
  return SideBySide(options, say).Measure();
}

}  // namespace outrider::bench
