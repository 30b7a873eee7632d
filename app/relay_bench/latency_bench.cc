#include "app/relay_bench/latency_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "app/bench_report/medians.h"
#include "app/bench_report/usage.h"
#include "app/relay_bench/running_relays.h"
#include "platform/kafka/consumer.h"

namespace outrider::app {

namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLook{10};
constexpr milliseconds kPoll{100};
constexpr std::size_t kMostAtOnce = 10'000;
constexpr std::chrono::minutes kArrivalPatience{5};  // a topic that is left from before is read to its end first
constexpr milliseconds kIdleMeasured{5'000};
constexpr int kWarmRate = 50;
constexpr milliseconds kWarmTime{1'000};
constexpr int kRateOfOneWriter = 200;
constexpr std::size_t kMaxWriters = 16;

// An append.
constexpr std::string_view kInsert = "INSERT INTO {0} (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)";

double Seconds(SteadyClock::duration duration) { return std::chrono::duration<double>(duration).count(); }

LatencyFigures FiguresOf(int rate, const std::vector<double>& sorted) {
  LatencyFigures figures;
  figures.rate = rate;
  figures.rows = sorted.size();
  figures.p50_ms = Percentile(sorted, 0.5);
  figures.p99_ms = Percentile(sorted, 0.99);
  figures.p999_ms = Percentile(sorted, 0.999);
  figures.max_ms = sorted.empty() ? 0 : sorted.back();
  return figures;
}

}  // namespace

// When each row was committed and seen, by its key. Any thread.
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

LatencyBench::LatencyBench(const RelayBenchOptions& options, BenchGround& ground,
                           const std::function<void(std::string_view)>& say)
    : options_(options),
      ground_(ground),
      say_(say),
      insert_(fmt::format(kInsert, mysql::QuoteIdentifier(ground.Table(0)))),
      payload_(ground.Payload()),
      next_key_(std::random_device()() * 1'000'000ULL) {}

Result<void> LatencyBench::Measure(RelayBenchReport& report) {
  ground_.AwaitPurge();
  auto relay = RunningRelays::Start(options_, ground_, 1);
  if (!relay) return std::unexpected(relay.error());
  if (auto done = MeasureLatencies(report); !done) return done;
  say_("idle cost");
  std::vector<double> queries;
  std::vector<double> cpu;
  if (!SleepUnlessStopped(options_.stop, options_.idle_time)) return Fail(ErrorCode::kUnavailable, "interrupted");
  for (std::size_t i = 0; i < options_.repeats; ++i) {
    auto idle = Idle();
    if (!idle) return std::unexpected(idle.error());
    queries.push_back(idle->queries_per_second);
    cpu.push_back(idle->cpu_percent);
  }
  std::sort(queries.begin(), queries.end());
  std::sort(cpu.begin(), cpu.end());
  report.idle = {Percentile(queries, 0.5), Percentile(cpu, 0.5)};
  return {};
}

Result<void> LatencyBench::MeasureLatencies(RelayBenchReport& report) {
  Arrivals arrivals;
  auto consumer = kafka::KafkaConsumer::Create(options_.kafka, fmt::format("outrider-bench-{}", std::random_device()()),
                                               {BenchGround::TopicOf(BenchGround::kLatencyType)}, {});
  if (!consumer) return std::unexpected(consumer.error());
  const std::jthread reader([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      auto events = (*consumer)->Poll(kPoll, kMostAtOnce);
      const auto now = SteadyClock::now();
      if (!events) continue;
      for (const Event& event : *events) {
        if (event.key && event.key->starts_with("latency-")) arrivals.Seen(*event.key, now);
      }
    }
  });
  say_("latencies: waiting for the consumer to join");
  if (auto warm = Pace(arrivals, kWarmRate, kWarmTime); !warm) return std::unexpected(warm.error());
  for (std::size_t i = 0; i < options_.repeats; ++i) {
    for (const int rate : options_.rates) {
      say_(fmt::format("latency at {} rows/s: {} of {}", rate, i + 1, options_.repeats));
      auto figures = Pace(arrivals, rate, options_.latency_time);
      if (!figures) return std::unexpected(figures.error());
      report.latency_runs.push_back(*figures);
    }
  }
  if (options_.idle_samples == 0) return {};
  say_(fmt::format("latency after {} s of idleness: {} rows", options_.idle_time.count(), options_.idle_samples));
  auto figures = AfterIdleness(arrivals);
  if (!figures) return std::unexpected(figures.error());
  report.latency_runs.push_back(*figures);
  return {};
}

// Rows of a transaction each, at an even pace, from as many connections as a slow disk needs.
Result<LatencyFigures> LatencyBench::Pace(Arrivals& arrivals, int rate, milliseconds time) {
  const auto rows = static_cast<std::size_t>(rate) * static_cast<std::size_t>(time.count()) / 1'000;
  const auto writers = std::clamp<std::size_t>(static_cast<std::size_t>(rate / kRateOfOneWriter), 1, kMaxWriters);
  std::vector<std::unique_ptr<mysql::MysqlConnection>> connections;
  for (std::size_t i = 0; i < writers; ++i) {
    auto opened = mysql::MysqlConnection::Open(options_.database);
    if (!opened) return std::unexpected(opened.error());
    connections.push_back(std::move(*opened));
  }
  const double load = Load();
  const double cpu = CpuSeconds();
  const auto start = SteadyClock::now();
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Result<void> outcome;
  {
    std::vector<std::jthread> threads;
    for (const auto& connection : connections) {
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < rows && !options_.stop.stop_requested(); i = next++) {
          std::this_thread::sleep_until(start +
                                        std::chrono::nanoseconds(1'000'000'000LL * static_cast<long>(i) / rate));
          if (auto done = InsertOne(*connection, arrivals); !done) {
            const std::lock_guard lock(mutex);
            outcome = done;
            return;
          }
        }
      });
    }
  }
  if (!outcome) return std::unexpected(outcome.error());
  if (auto all = AwaitArrivals(arrivals, rows); !all) return std::unexpected(all.error());
  LatencyFigures figures = FiguresOf(rate, arrivals.TakeSorted());
  figures.cpu_percent = (CpuSeconds() - cpu) / Seconds(SteadyClock::now() - start) * 100;
  figures.load = load;
  return figures;
}

Result<LatencyFigures> LatencyBench::AfterIdleness(Arrivals& arrivals) {
  const double load = Load();
  const double cpu = CpuSeconds();
  const auto start = SteadyClock::now();
  for (std::size_t i = 0; i < options_.idle_samples; ++i) {
    if (!SleepUnlessStopped(options_.stop, options_.idle_time)) return Fail(ErrorCode::kUnavailable, "interrupted");
    if (auto one = InsertOne(ground_.connection(), arrivals); !one) return std::unexpected(one.error());
  }
  if (auto all = AwaitArrivals(arrivals, options_.idle_samples); !all) return std::unexpected(all.error());
  LatencyFigures figures = FiguresOf(0, arrivals.TakeSorted());
  figures.cpu_percent = (CpuSeconds() - cpu) / std::max(Seconds(SteadyClock::now() - start), 1e-3) * 100;
  figures.load = load;
  return figures;
}

Result<IdleFigures> LatencyBench::Idle() {
  auto before = Queries();
  if (!before) return std::unexpected(before.error());
  const double cpu = CpuSeconds();
  const auto start = SteadyClock::now();
  if (!SleepUnlessStopped(options_.stop, std::min<milliseconds>(kIdleMeasured, options_.idle_time))) {
    return Fail(ErrorCode::kUnavailable, "interrupted");
  }
  const double spent = std::max(Seconds(SteadyClock::now() - start), 1e-3);
  IdleFigures figures;
  figures.cpu_percent = (CpuSeconds() - cpu) / spent * 100;
  auto after = Queries();
  if (!after) return std::unexpected(after.error());
  figures.queries_per_second = (*after - *before - 1) / spent;  // this one is none of the relay's
  return figures;
}

Result<void> LatencyBench::InsertOne(mysql::MysqlConnection& connection, Arrivals& arrivals) {
  const std::string key = fmt::format("latency-{}", next_key_.fetch_add(1));
  auto done =
      connection.Execute(insert_, {BenchGround::kLatencyType, std::string_view(key), std::string_view(payload_)});
  if (!done) return std::unexpected(done.error());
  arrivals.Committed(key, SteadyClock::now());
  return {};
}

Result<void> LatencyBench::AwaitArrivals(const Arrivals& arrivals, std::size_t rows) {
  const auto deadline = SteadyClock::now() + kArrivalPatience;
  while (arrivals.count() < rows) {
    if (!SleepUnlessStopped(options_.stop, kLook)) return Fail(ErrorCode::kUnavailable, "interrupted");
    if (SteadyClock::now() > deadline) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{} of {} rows arrived", arrivals.count(), rows));
    }
  }
  return {};
}

Result<double> LatencyBench::Queries() {
  auto rows = ground_.connection().Execute("SHOW GLOBAL STATUS LIKE 'Questions'");
  if (!rows) return std::unexpected(rows.error());
  return std::strtod(rows->rows.at(0).Text(1).c_str(), nullptr);
}

}  // namespace outrider::app
