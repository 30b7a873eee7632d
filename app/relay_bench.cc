#include "app/relay_bench.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>
#include <unordered_map>

#include "metrics/health.h"
#include "metrics/log.h"
#include "metrics/registry.h"
#include "metrics/relay_probe.h"
#include "outbox/kafka_sink.h"
#include "outbox/relay.h"
#include "outbox/schema.h"
#include "platform/kafka/bare_producer.h"
#include "platform/kafka/consumer.h"

namespace outrider::app {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Connection = std::unique_ptr<mysql::MysqlConnection>;

constexpr std::string_view kSource = "outrider-bench";
constexpr std::size_t kRowsPerInsert = 10'000;
constexpr std::size_t kFloorBatch = 4'000;
constexpr milliseconds kLook{10};
constexpr std::chrono::seconds kIdleMeasured{5};
constexpr std::chrono::minutes kPatience{10};
constexpr std::chrono::minutes kArrivalPatience{5};  // the consumer reads what the drains left first
constexpr double kRowsOfCpuFigure = 100'000;

// {0}: the table. Ten thousand numbers without a table to take them from.
constexpr std::string_view kFill =
    "INSERT INTO {0} (aggregatetype, aggregateid, payload) SELECT ?, CONCAT('key-', MOD(n, ?)), ? FROM (SELECT a.d + "
    "10 * b.d + 100 * c.d + 1000 * e.d AS n FROM {1} AS a, {1} AS b, {1} AS c, {1} AS e) AS numbers WHERE n < ?";
constexpr std::string_view kDigits =
    "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 "
    "UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
constexpr std::string_view kInsertOne = "INSERT INTO {0} (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)";
// The relay's own two statements, by the primary key.
constexpr std::string_view kFloorRead =
    "SELECT seq, id, aggregatetype, aggregateid, type, payload, traceparent, tracestate, created_at FROM {0} "
    "WHERE seq > ? ORDER BY seq LIMIT ?";
constexpr std::string_view kFloorDelete =
    "DELETE o FROM JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN {0} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq";

double Seconds(SteadyClock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + time.tv_usec / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double Load() {
  std::array<double, 1> loads{};
  return getloadavg(loads.data(), 1) == 1 ? loads[0] : 0;
}

// What the floor's producer had is given back first.
void ForgetPeakRss() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

double PeakRssMib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

double Percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

// When each row was committed and seen, by its key.
class Arrivals final {
 public:
  void Committed(const std::string& key, SteadyClock::time_point at) { Note(key, at, true); }
  void Seen(const std::string& key, SteadyClock::time_point at) { Note(key, at, false); }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return milliseconds_.size();
  }
  std::vector<double> TakeSorted() {
    const std::lock_guard lock(mutex_);
    std::vector<double> sorted = std::exchange(milliseconds_, {});
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

 private:
  // A consumer may see a row before the insert has returned.
  void Note(const std::string& key, SteadyClock::time_point at, bool committed) {
    const std::lock_guard lock(mutex_);
    const auto [other, first] = waiting_.try_emplace(key, at);
    if (first) return;
    const auto latency = committed ? other->second - at : at - other->second;
    milliseconds_.push_back(std::max(0.0, Seconds(latency) * 1e3));
    waiting_.erase(other);
  }
  mutable std::mutex mutex_;
  std::unordered_map<std::string, SteadyClock::time_point> waiting_;
  std::vector<double> milliseconds_;
};

// A relay at work, seen through its own metrics.
class RunningRelay final {
 public:
  static Result<std::unique_ptr<RunningRelay>> Start(const RelayBenchOptions& bench) {
    auto sink = outbox::KafkaSink::Create(bench.kafka);
    if (!sink) return std::unexpected(sink.error());
    return std::unique_ptr<RunningRelay>(new RunningRelay(bench, std::move(*sink)));
  }

  std::size_t deleted() const {
    const std::string scrape = registry_.Scrape();
    const std::size_t at = scrape.find("\noutrider_relay_deleted_total{");
    const std::size_t value = scrape.find("} ", at);
    return static_cast<std::size_t>(std::strtod(scrape.c_str() + value + 2, nullptr));
  }
  bool leads() const {
    for (const auto& [name, part] : health_.parts()) {
      if (part.delivers && part.words.starts_with("leads")) return true;
    }
    return false;
  }
  std::string words() const {
    std::string words;
    for (const auto& [name, part] : health_.parts()) words += part.words;
    return words;
  }

 private:
  RunningRelay(const RelayBenchOptions& bench, std::unique_ptr<outbox::KafkaSink> sink) : sink_(std::move(sink)) {
    outbox::RelayOptions options;
    options.source = kSource;
    options.database = bench.database;
    options.table = bench.table;
    options.owner = fmt::format("bench:{}", getpid());
    if (bench.batch_rows > 0) options.batch_rows = bench.batch_rows;
    relay_ = std::make_unique<outbox::Relay>(options, *sink_, clock_, probe_, health_, log_);
    thread_ = std::jthread([this](std::stop_token stop) { relay_->Run(stop); });
  }

  SystemClock clock_;
  MetricsRegistry registry_;
  RelayProbe probe_{registry_, std::string(kSource)};
  Health health_{clock_};
  Log log_{{.level = LogLevel::kWarn}};
  std::unique_ptr<outbox::KafkaSink> sink_;
  std::unique_ptr<outbox::Relay> relay_;
  std::jthread thread_;
};

class RelayBench final {
 public:
  RelayBench(const RelayBenchOptions& options, const std::function<void(std::string_view)>& say)
      : options_(options), say_(say), table_(mysql::QuoteIdentifier(options.table)) {}

  Result<RelayBenchReport> Measure() {
    auto opened = mysql::MysqlConnection::Open(options_.database);
    if (!opened) return std::unexpected(opened.error());
    connection_ = std::move(*opened);
    RelayBenchReport report;
    report.rows = options_.rows;
    report.payload_bytes = options_.payload_bytes;
    report.database_version = connection_->server_version();
    report.load_before = Load();
    auto done = CreateTables();
    if (done) done = MeasureInto(report);
    DropTables();
    if (!done) return std::unexpected(done.error());
    report.load_after = Load();
    return report;
  }

 private:
  Result<void> MeasureInto(RelayBenchReport& report) {
    for (std::size_t i = 0; i < options_.repeats; ++i) {
      say_(fmt::format("drain {} of {}", i + 1, options_.repeats));
      auto drain = MeasureDrain();
      if (!drain) return std::unexpected(drain.error());
      report.drains.push_back(*drain);
      report.peak_rss_mib = std::max(report.peak_rss_mib, drain->peak_rss_mib);
    }
    if (!report.drains.empty()) {
      auto sorted = report.drains;
      std::sort(sorted.begin(), sorted.end(),
                [](const auto& a, const auto& b) { return a.rows_per_second < b.rows_per_second; });
      report.median = sorted[sorted.size() / 2];
    }
    if (options_.hold_purge) {
      say_("drain with purge held back");
      auto held = MeasurePurgeHeld();
      if (!held) return std::unexpected(held.error());
      report.held_purge = true;
      report.purge_held = *held;
    }
    return MeasureLatencies(report);
  }

  Result<void> CreateTables() {
    for (const mysql::Migration& migration : outbox::OutboxMigrations(options_.table)) {
      if (auto done = connection_->ExecuteScript(migration.sql); !done) return done;
    }
    return {};
  }

  void DropTables() {
    (void)connection_->ExecuteScript(
        fmt::format("DROP TABLE IF EXISTS {0}; DELETE FROM outbox_leases WHERE source = '{1}'; "
                    "DELETE FROM outbox_ledger WHERE source = '{1}'",
                    table_, kSource));
  }

  std::string Payload() const {
    constexpr std::string_view kFrame = R"({"text":""})";
    return fmt::format(R"({{"text":"{}"}})",
                       std::string(options_.payload_bytes - std::min(options_.payload_bytes, kFrame.size()), 'x'));
  }

  Result<void> Fill() {
    const std::string payload = Payload();
    const std::string sql = fmt::format(kFill, table_, kDigits);
    for (std::size_t left = options_.rows; left > 0;) {
      const std::size_t rows = std::min(left, kRowsPerInsert);
      auto done = connection_->Execute(sql, {std::string_view(options_.aggregatetype), std::uint64_t{options_.keys},
                                             std::string_view(payload), std::uint64_t{rows}});
      if (!done) return std::unexpected(done.error());
      left -= rows;
    }
    return {};
  }

  // One connection, one statement after another: read a batch, delete it in a transaction.
  Result<double> SqlFloor() {
    if (auto filled = Fill(); !filled) return std::unexpected(filled.error());
    const std::string read = fmt::format(kFloorRead, table_);
    const std::string remove = fmt::format(kFloorDelete, table_);
    std::uint64_t last = 0;
    const auto start = SteadyClock::now();
    while (true) {
      std::vector<std::uint64_t> keys;
      std::size_t bytes = 0;
      auto rows = connection_->ForEach(read, {last, std::uint64_t{kFloorBatch}}, [&](const mysql::RowView& row) {
        keys.push_back(row.Unsigned(0));
        bytes += row.Text(5).size();
      });
      if (!rows) return std::unexpected(rows.error());
      if (keys.empty()) return Seconds(SteadyClock::now() - start);
      last = keys.back();
      const std::string list = fmt::format("[{}]", fmt::join(keys, ","));
      if (auto begun = connection_->Begin(); !begun) return std::unexpected(begun.error());
      auto removed = connection_->Execute(remove, {std::string_view(list)});
      if (!removed) {
        connection_->Rollback();
        return std::unexpected(removed.error());
      }
      if (auto committed = connection_->Commit(); !committed) return std::unexpected(committed.error());
    }
  }

  Result<void> AwaitDeleted(const RunningRelay& relay, std::size_t rows) {
    const auto deadline = SteadyClock::now() + kPatience;
    while (relay.deleted() < rows) {
      if (SteadyClock::now() > deadline) {
        return Fail(ErrorCode::kUnavailable,
                    fmt::format("the relay deleted {} of {} rows: {}", relay.deleted(), rows, relay.words()));
      }
      std::this_thread::sleep_for(kLook);
    }
    return {};
  }

  Result<DrainFigures> MeasureDrain() {
    DrainFigures figures;
    auto sql = SqlFloor();
    if (!sql) return std::unexpected(sql.error());
    figures.sql_floor_seconds = *sql;
    auto bare = kafka::TimeBareProducer(options_.kafka, "outbox.event." + options_.aggregatetype, options_.rows,
                                        options_.payload_bytes, options_.keys);
    if (!bare) return std::unexpected(bare.error());
    figures.producer_floor_seconds = Seconds(*bare);
    if (auto filled = Fill(); !filled) return std::unexpected(filled.error());
    ForgetPeakRss();
    const double cpu = CpuSeconds();
    const auto start = SteadyClock::now();
    auto relay = RunningRelay::Start(options_);
    if (!relay) return std::unexpected(relay.error());
    if (auto done = AwaitDeleted(**relay, options_.rows); !done) return std::unexpected(done.error());
    figures.seconds = Seconds(SteadyClock::now() - start);
    figures.peak_rss_mib = PeakRssMib();
    const auto rows = static_cast<double>(options_.rows);
    figures.cpu_seconds_per_100k = (CpuSeconds() - cpu) / rows * kRowsOfCpuFigure;
    figures.rows_per_second = rows / figures.seconds;
    figures.of_floor = (figures.sql_floor_seconds + figures.producer_floor_seconds) / figures.seconds;
    return figures;
  }

  Result<DrainFigures> MeasurePurgeHeld() {
    auto holder = mysql::MysqlConnection::Open(options_.database);
    if (!holder) return std::unexpected(holder.error());
    auto held = (*holder)->ExecuteScript(
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT");
    if (!held) return std::unexpected(held.error());
    // Twice: what the first drain left behind is there in the second.
    if (auto first = MeasureDrain(); !first) return first;
    return MeasureDrain();
  }

  Result<void> MeasureLatencies(RelayBenchReport& report) {
    auto relay = RunningRelay::Start(options_);
    if (!relay) return std::unexpected(relay.error());
    Arrivals arrivals;
    auto consumer =
        kafka::KafkaConsumer::Create(options_.kafka, fmt::format("outrider-bench-{}", std::random_device()()),
                                     {"outbox.event." + options_.aggregatetype}, {});
    if (!consumer) return std::unexpected(consumer.error());
    std::jthread reader([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        auto events = (*consumer)->Poll(milliseconds{100}, 10'000);
        const auto now = SteadyClock::now();
        if (!events) continue;
        for (const Event& event : *events) {
          if (event.key && event.key->starts_with("latency-")) arrivals.Seen(*event.key, now);
        }
      }
    });
    say_("waiting for the consumer to reach the end of the topic");
    auto warm = Pace(arrivals, 50, std::chrono::seconds{1});
    if (!warm) return std::unexpected(warm.error());
    for (const int rate : options_.rates) {
      say_(fmt::format("latency at {} rows/s", rate));
      auto figures = Pace(arrivals, rate, options_.latency_time);
      if (!figures) return std::unexpected(figures.error());
      report.latencies.push_back(*figures);
    }
    say_("latency after idleness");
    for (std::size_t i = 0; i < options_.idle_samples; ++i) {
      std::this_thread::sleep_for(options_.idle_time);
      if (auto one = InsertOne(*connection_, arrivals); !one) return one;
    }
    if (auto all = AwaitArrivals(arrivals, options_.idle_samples); !all) return all;
    report.latencies.push_back(Figures(0, arrivals.TakeSorted()));

    say_("idle cost");
    reader.request_stop();
    reader.join();
    consumer->reset();
    std::this_thread::sleep_for(options_.idle_time);
    auto queries = Queries();
    if (!queries) return std::unexpected(queries.error());
    const double cpu = CpuSeconds();
    const auto start = SteadyClock::now();
    std::this_thread::sleep_for(kIdleMeasured);
    const double spent = Seconds(SteadyClock::now() - start);
    report.idle_cpu_percent = (CpuSeconds() - cpu) / spent * 100;
    auto later = Queries();
    if (!later) return std::unexpected(later.error());
    report.idle_queries_per_second = (*later - *queries - 1) / spent;
    return {};
  }

  Result<double> Queries() {
    auto rows = connection_->Execute("SHOW GLOBAL STATUS LIKE 'Questions'");
    if (!rows) return std::unexpected(rows.error());
    return std::strtod(rows->rows.at(0).Text(1).c_str(), nullptr);
  }

  static LatencyFigures Figures(int rate, const std::vector<double>& sorted) {
    LatencyFigures figures;
    figures.rate = rate;
    figures.rows = sorted.size();
    figures.p50_ms = Percentile(sorted, 0.5);
    figures.p99_ms = Percentile(sorted, 0.99);
    figures.p999_ms = Percentile(sorted, 0.999);
    figures.max_ms = sorted.empty() ? 0 : sorted.back();
    return figures;
  }

  Result<void> InsertOne(mysql::MysqlConnection& connection, Arrivals& arrivals) {
    const std::string key = fmt::format("latency-{}", next_key_.fetch_add(1));
    auto done = connection.Execute(
        insert_one_, {std::string_view(options_.aggregatetype), std::string_view(key), std::string_view(payload_)});
    if (!done) return std::unexpected(done.error());
    arrivals.Committed(key, SteadyClock::now());
    return {};
  }

  Result<void> AwaitArrivals(const Arrivals& arrivals, std::size_t rows) {
    const auto deadline = SteadyClock::now() + kArrivalPatience;
    while (arrivals.count() < rows) {
      if (SteadyClock::now() > deadline) {
        return Fail(ErrorCode::kUnavailable, fmt::format("{} of {} rows arrived", arrivals.count(), rows));
      }
      std::this_thread::sleep_for(kLook);
    }
    return {};
  }

  // Rows of a transaction each, at an even pace, from as many connections as a slow disk needs.
  Result<LatencyFigures> Pace(Arrivals& arrivals, int rate, std::chrono::seconds time) {
    const auto rows = static_cast<std::size_t>(rate) * static_cast<std::size_t>(time.count());
    const std::size_t writers = std::clamp<std::size_t>(static_cast<std::size_t>(rate) / 200, 1, 16);
    std::vector<Connection> connections;
    for (std::size_t i = 0; i < writers; ++i) {
      auto opened = mysql::MysqlConnection::Open(options_.database);
      if (!opened) return std::unexpected(opened.error());
      connections.push_back(std::move(*opened));
    }
    const double cpu = CpuSeconds();
    const auto start = SteadyClock::now();
    std::atomic<std::size_t> next = 0;
    std::mutex mutex;
    Result<void> fault;
    {
      std::vector<std::jthread> threads;
      for (const Connection& connection : connections) {
        threads.emplace_back([&] {
          for (std::size_t i = next++; i < rows; i = next++) {
            std::this_thread::sleep_until(start +
                                          std::chrono::nanoseconds(1'000'000'000LL * static_cast<long>(i) / rate));
            if (auto done = InsertOne(*connection, arrivals); !done) {
              const std::lock_guard lock(mutex);
              fault = done;
              return;
            }
          }
        });
      }
    }
    if (!fault) return std::unexpected(fault.error());
    if (auto all = AwaitArrivals(arrivals, rows); !all) return std::unexpected(all.error());
    LatencyFigures figures = Figures(rate, arrivals.TakeSorted());
    figures.cpu_percent = (CpuSeconds() - cpu) / Seconds(SteadyClock::now() - start) * 100;
    return figures;
  }

  const RelayBenchOptions& options_;
  const std::function<void(std::string_view)>& say_;
  const std::string table_;
  const std::string insert_one_ = fmt::format(kInsertOne, table_);
  const std::string payload_ = Payload();
  std::atomic<std::uint64_t> next_key_ = std::random_device()() * 1'000'000ULL;
  Connection connection_;
};

}  // namespace

Result<RelayBenchReport> MeasureRelay(const RelayBenchOptions& options,
                                      const std::function<void(std::string_view)>& say) {
  return RelayBench(options, say).Measure();
}

}  // namespace outrider::app
