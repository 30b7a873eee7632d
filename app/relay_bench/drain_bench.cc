#include "app/relay_bench/drain_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "app/bench_report/usage.h"
#include "app/relay_bench/running_relays.h"
#include "platform/kafka/bare_producer.h"

namespace outrider::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kFloorBatch = 4'000;
constexpr std::chrono::milliseconds kSample{250};
constexpr double kRowsOfCpuFigure = 100'000;

// A range of the primary key; what the relay reads.
constexpr std::string_view kFloorRead =
    "SELECT seq, id, aggregatetype, aggregateid, type, payload, traceparent, tracestate, created_at FROM {0} "
    "WHERE seq > ? ORDER BY seq LIMIT ?";
// The same range: the relay's own statement, without the care that it takes of other writers.
constexpr std::string_view kFloorDelete = "DELETE o FROM {0} AS o FORCE INDEX (PRIMARY) WHERE o.seq BETWEEN ? AND ?";
constexpr std::string_view kHoldPurge =
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT";

double Seconds(SteadyClock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// What a long drain looked like at one moment.
struct Sample {
  double seconds = 0;
  std::size_t deleted = 0;
  double rss_mib = 0;
};

double Rate(const Sample& from, const Sample& to) {
  return static_cast<double>(to.deleted - from.deleted) / std::max(to.seconds - from.seconds, 1e-3);
}

}  // namespace

Result<void> DrainBench::Measure(RelayBenchReport& report) {
  auto done = DrainFree(report);
  if (done && options_.hold_purge) done = DrainWithPurgeHeld(report);
  if (!done) return done;
  if (options_.waiting > 0) {
    auto waiting = DrainWaiting();
    if (!waiting) return std::unexpected(waiting.error());
    report.waiting = *waiting;
  }
  return DrainSideBySide(report);
}

Result<void> DrainBench::DrainFree(RelayBenchReport& report) {
  for (std::size_t i = 0; i < options_.repeats; ++i) {
    say_(fmt::format("drain {} of {}", i + 1, options_.repeats));
    auto floor = MeasureFloor();
    if (!floor) return std::unexpected(floor.error());
    ground_.AwaitPurge();
    auto drain = Drain(1, *floor);
    if (!drain) return std::unexpected(drain.error());
    drain->to_one_source = 1;
    report.drains.push_back(*drain);
  }
  return {};
}

// What the floor deletes lies below the drain's rows, and what the drain deletes adds to it.
Result<void> DrainBench::DrainWithPurgeHeld(RelayBenchReport& report) {
  AddMedians(report);
  const double of_one = report.medians.front().rows_per_second;
  for (std::size_t i = 0; i < options_.repeats; ++i) {
    say_(fmt::format("drain {} of {}, purge held back", i + 1, options_.repeats));
    if (auto emptied = ground_.Empty(0); !emptied) return emptied;
    ground_.AwaitPurge();
    auto holder = mysql::MysqlConnection::Open(options_.database);
    if (!holder) return std::unexpected(holder.error());
    if (auto held = (*holder)->ExecuteScript(kHoldPurge); !held) return held;
    auto floor = MeasureFloor();
    if (!floor) return std::unexpected(floor.error());
    auto drain = Drain(1, *floor);
    if (!drain) return std::unexpected(drain.error());
    drain->kind = DrainKind::kPurgeHeld;
    drain->to_one_source = drain->rows_per_second / of_one;
    report.drains.push_back(*drain);
  }
  return {};
}

Result<void> DrainBench::DrainSideBySide(RelayBenchReport& report) {
  if (options_.sources.empty()) return {};
  for (std::size_t i = 0; i < options_.repeats; ++i) {
    say_(fmt::format("sources side by side: {} of {}", i + 1, options_.repeats));
    auto floor = MeasureFloor();
    if (!floor) return std::unexpected(floor.error());
    double of_one = 0;
    for (const std::size_t sources : options_.sources) {
      ground_.AwaitPurge();
      auto drain = Drain(sources, *floor);
      if (!drain) return std::unexpected(drain.error());
      drain->kind = DrainKind::kSideBySide;
      if (sources == 1) of_one = drain->rows_per_second;
      if (of_one > 0) drain->to_one_source = drain->rows_per_second / of_one;
      report.drains.push_back(*drain);
    }
  }
  return {};
}

Result<DrainBench::Floor> DrainBench::MeasureFloor() {
  auto sql = ReadAndDelete();
  if (!sql) return std::unexpected(sql.error());
  auto bare = kafka::TimeBareProducer(options_.kafka, BenchGround::TopicOf(BenchGround::kDrainType), options_.rows,
                                      options_.payload_bytes, options_.keys);
  if (!bare) return std::unexpected(bare.error());
  return Floor{*sql, Seconds(*bare)};
}

// One connection, one statement after another: read a batch, delete it in a transaction.
Result<double> DrainBench::ReadAndDelete() {
  if (auto filled = ground_.Fill(0, options_.rows); !filled) return std::unexpected(filled.error());
  mysql::MysqlConnection& connection = ground_.connection();
  const std::string table = mysql::QuoteIdentifier(ground_.Table(0));
  const std::string read = fmt::format(kFloorRead, table);
  const std::string remove = fmt::format(kFloorDelete, table);
  std::uint64_t last = 0;
  const auto start = SteadyClock::now();
  while (true) {
    std::vector<std::uint64_t> keys;
    std::size_t bytes = 0;
    auto rows = connection.ForEach(read, {last, std::uint64_t{kFloorBatch}}, [&](const mysql::RowView& row) {
      keys.push_back(row.Unsigned(0));
      bytes += row.Text(5).size();
    });
    if (!rows) return std::unexpected(rows.error());
    if (keys.empty()) return Seconds(SteadyClock::now() - start);
    last = keys.back();
    if (auto begun = connection.Begin(); !begun) return std::unexpected(begun.error());
    auto removed = connection.Execute(remove, {keys.front(), keys.back()});
    if (!removed) {
      connection.Rollback();
      return std::unexpected(removed.error());
    }
    if (auto committed = connection.Commit(); !committed) return std::unexpected(committed.error());
  }
}

Result<DrainFigures> DrainBench::Drain(std::size_t sources, const Floor& floor) {
  const std::size_t rows = options_.rows / sources * sources;
  for (std::size_t i = 0; i < sources; ++i) {
    if (auto filled = ground_.Fill(i, rows / sources); !filled) return std::unexpected(filled.error());
  }
  DrainFigures figures;
  figures.sources = sources;
  figures.load = Load();
  ForgetPeakRss();
  const double cpu = CpuSeconds();
  const auto start = SteadyClock::now();
  auto relays = RunningRelays::Start(options_, ground_, sources);
  if (!relays) return std::unexpected(relays.error());
  if (auto done = (*relays)->AwaitDeleted(rows); !done) return std::unexpected(done.error());
  figures.seconds = Seconds(SteadyClock::now() - start);
  figures.peak_rss_mib = PeakRssMib();
  figures.cpu_seconds_per_100k = (CpuSeconds() - cpu) / static_cast<double>(rows) * kRowsOfCpuFigure;
  figures.rows_per_second = static_cast<double>(rows) / figures.seconds;
  figures.sql_floor_seconds = floor.sql_seconds;
  figures.producer_floor_seconds = floor.producer_seconds;
  figures.of_floor = (floor.sql_seconds + floor.producer_seconds) / figures.seconds;
  return figures;
}

Result<WaitingFigures> DrainBench::DrainWaiting() {
  WaitingFigures figures;
  figures.rows = options_.waiting;
  say_(fmt::format("{} waiting rows: filling", options_.waiting));
  const auto fill_start = SteadyClock::now();
  if (auto filled = ground_.Fill(0, options_.waiting); !filled) return std::unexpected(filled.error());
  figures.fill_seconds = Seconds(SteadyClock::now() - fill_start);
  say_(fmt::format("{} waiting rows: draining for {} s at most", options_.waiting, options_.waiting_time.count()));
  figures.load = Load();
  ForgetPeakRss();
  const double cpu = CpuSeconds();
  const auto start = SteadyClock::now();
  std::vector<Sample> samples{{0, 0, RssMib()}};
  {
    auto relays = RunningRelays::Start(options_, ground_, 1);
    if (!relays) return std::unexpected(relays.error());
    while (samples.back().deleted < options_.waiting &&
           samples.back().seconds < static_cast<double>(options_.waiting_time.count())) {
      if (!SleepUnlessStopped(options_.stop, kSample)) return Fail(ErrorCode::kUnavailable, "interrupted");
      samples.push_back({Seconds(SteadyClock::now() - start), (*relays)->deleted(), RssMib()});
    }
    figures.cpu_seconds_per_100k =
        (CpuSeconds() - cpu) / static_cast<double>(std::max<std::size_t>(samples.back().deleted, 1)) * kRowsOfCpuFigure;
    figures.peak_rss_mib = PeakRssMib();
  }
  if (auto emptied = ground_.Empty(0); !emptied) return std::unexpected(emptied.error());
  const Sample& end = samples.back();
  if (end.deleted == 0) return Fail(ErrorCode::kUnavailable, "no row was deleted in the time given");
  figures.seconds = end.seconds;
  figures.drained = end.deleted;
  figures.rows_per_second = Rate(samples.front(), end);
  const auto at = [&](double share) -> const Sample& {
    return *std::find_if(samples.begin(), samples.end(),
                         [&](const Sample& sample) { return sample.seconds >= end.seconds * share; });
  };
  figures.first_quarter_rows_per_second = Rate(samples.front(), at(0.25));
  for (const Sample& sample : samples) {
    if (sample.seconds < at(0.25).seconds) continue;
    figures.rss_growth_mib = std::max(figures.rss_growth_mib, sample.rss_mib - at(0.25).rss_mib);
  }
  figures.last_quarter_rows_per_second = Rate(at(0.75), end);
  return figures;
}

}  // namespace outrider::app
