#include "app/delivery_bench/latency_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "app/bench_report/medians.h"
#include "app/bench_report/usage.h"

namespace outrider::app {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLook{50};
constexpr std::chrono::seconds kPatience{120};
constexpr int kWarmRate = 50;
constexpr std::size_t kWarm = 50;
constexpr std::chrono::seconds kWarmBesideCrowd{5};
constexpr int kRestartRate = 200;
constexpr std::chrono::seconds kBeforeKill{5};
constexpr std::chrono::seconds kAfterKill{25};
constexpr std::string_view kInsert = "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)";
// By records_by_status.
constexpr std::string_view kInFlight = "SELECT COUNT(*) FROM notification_records WHERE status = 'sending'";

std::string KeyOf(const FakeBots::Taken& taken) { return taken.text.substr(0, taken.text.find(' ')); }

double Milliseconds(Timestamp from, Timestamp to) {
  return std::max(0.0, std::chrono::duration<double, std::milli>(to - from).count());
}

}  // namespace

Result<DeliveryLatencyBench::Commits> DeliveryLatencyBench::Write(const std::string& aggregatetype, int rate,
                                                                  std::size_t count) {
  const std::size_t writers = std::clamp<std::size_t>(static_cast<std::size_t>(rate) / 200, 1, 16);
  std::vector<std::unique_ptr<mysql::MysqlConnection>> connections;
  for (std::size_t i = 0; i < writers; ++i) {
    auto opened = mysql::MysqlConnection::Open(ground_.database());
    if (!opened) return std::unexpected(opened.error());
    connections.push_back(std::move(*opened));
  }
  const std::size_t first = next_;
  next_ += count;
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Commits commits;
  Result<void> fault;
  const auto start = SteadyClock::now();
  {
    std::vector<std::jthread> threads;
    for (const auto& connection : connections) {
      threads.emplace_back([&, insert = connection.get()] {
        for (std::size_t i = next++; i < count && !Stopped(options_); i = next++) {
          std::this_thread::sleep_until(start +
                                        std::chrono::nanoseconds(1'000'000'000LL * static_cast<long>(i) / rate));
          const std::string key = fmt::format("latency-{}", first + i);
          const std::string payload = ground_.Payload(key, first + i);
          auto done = insert->Execute(
              kInsert, {std::string_view(aggregatetype), std::string_view(key), std::string_view(payload)});
          const Timestamp now = SystemClock().Now();
          const std::lock_guard lock(mutex);
          if (!done) {
            fault = std::unexpected(done.error());
            return;
          }
          commits.emplace(key, now);
        }
      });
    }
  }
  if (!fault) return std::unexpected(fault.error());
  if (Stopped(options_)) return Fail(ErrorCode::kUnavailable, "interrupted");
  return commits;
}

Result<std::vector<FakeBots::Taken>> DeliveryLatencyBench::Await(const Commits& commits, std::size_t skip,
                                                                 std::size_t but_for) {
  // The crowd's messages are taken too, so the count alone doesn't tell.
  const auto deadline = SteadyClock::now() + kPatience;
  while (true) {
    auto count = ground_.bots().Count();
    if (!count) return std::unexpected(count.error());
    if (*count >= skip + commits.size() - but_for) {
      auto taken = ground_.bots().Read(skip);
      if (!taken) return std::unexpected(taken.error());
      std::set<std::string> seen;
      for (const FakeBots::Taken& one : *taken) {
        if (commits.contains(KeyOf(one))) seen.insert(KeyOf(one));
      }
      if (seen.size() >= commits.size() - but_for) return taken;
    }
    if (Stopped(options_) || SteadyClock::now() > deadline) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{} messages of {} arrived", *count - skip, commits.size()));
    }
    std::this_thread::sleep_for(kLook);
  }
}

Result<DeliveryLatency> DeliveryLatencyBench::Pace(Replica& replica, const std::string& aggregatetype, int rate) {
  const auto before = ground_.bots().Count();
  if (!before) return std::unexpected(before.error());
  const auto statements = ground_.Statements();
  if (!statements) return std::unexpected(statements.error());
  const double cpu = replica.CpuSeconds();
  const auto start = SteadyClock::now();
  const std::size_t count = static_cast<std::size_t>(rate) * static_cast<std::size_t>(options_.latency_time.count());
  const auto commits = Write(aggregatetype, rate, count);
  if (!commits) return std::unexpected(commits.error());
  const auto taken = Await(*commits, *before, 0);
  if (!taken) return std::unexpected(taken.error());
  DeliveryLatency latency;
  latency.cpu_percent =
      (replica.CpuSeconds() - cpu) / std::chrono::duration<double>(SteadyClock::now() - start).count() * 100;
  const auto statements_after = ground_.Statements();
  if (!statements_after) return std::unexpected(statements_after.error());
  std::vector<double> times;
  for (const FakeBots::Taken& one : *taken) {
    const auto commit = commits->find(KeyOf(one));
    if (commit != commits->end()) times.push_back(Milliseconds(commit->second, one.at));
  }
  std::sort(times.begin(), times.end());
  latency.rate = rate;
  latency.notifications = count;
  latency.p50_ms = Percentile(times, 0.5);
  latency.p99_ms = Percentile(times, 0.99);
  latency.p999_ms = Percentile(times, 0.999);
  latency.max_ms = times.back();
  // The writers' own are one for each notification.
  latency.statements = static_cast<double>(*statements_after - *statements) / static_cast<double>(count) - 1;
  latency.peak_rss_mib = replica.PeakRssMib();
  latency.load = Load();
  return latency;
}

Result<void> DeliveryLatencyBench::Measure(DeliveryBenchReport& report, bool direct) {
  const auto topic = ground_.MakeTopic();
  if (!topic) return std::unexpected(topic.error());
  if (auto done = MeasureRates(report, *topic, direct, options_.rates, "nothing"); !done) return done;
  return ground_.ForgetShards(*topic);
}

Result<void> DeliveryLatencyBench::MeasureBeside(DeliveryBenchReport& report, const DeliveryGround::Topic& topic,
                                                 const std::string& beside) {
  return MeasureRates(report, topic, false, {options_.crowd_rate}, beside);
}

Result<void> DeliveryLatencyBench::MeasureRates(DeliveryBenchReport& report, const DeliveryGround::Topic& topic,
                                                bool direct, const std::vector<int>& rates, const std::string& beside) {
  if (auto reset = ground_.ResetBots(); !reset) return reset;
  auto replica =
      Replica::Start(options_.program, ground_.Configuration(direct ? nullptr : &topic, options_.crowd > 0), {});
  if (!replica) return std::unexpected(replica.error());
  auto warm = Write(topic.aggregatetype, kWarmRate, kWarm);
  if (!warm) return std::unexpected(warm.error());
  if (auto arrived = Await(*warm, 0, 0); !arrived) return std::unexpected(arrived.error());
  if (beside != "nothing") {
    // The first wave for a dead channel has been answered by then, or fills its share of places.
    warm = Write(topic.aggregatetype, kWarmRate, static_cast<std::size_t>(kWarmBesideCrowd.count() * kWarmRate));
    if (!warm) return std::unexpected(warm.error());
  }
  for (const int rate : rates) {
    say_(fmt::format("latency at {}/s, {}, beside {}", rate, direct ? "direct" : "over Kafka", beside));
    auto latency = Pace(**replica, topic.aggregatetype, rate);
    if (!latency) return std::unexpected(latency.error());
    latency->transport = direct ? "direct" : "kafka";
    latency->beside = beside;
    say_(fmt::format("  p50 {:.1f} ms, p99 {:.1f} ms", latency->p50_ms, latency->p99_ms));
    report.latency_runs.push_back(*latency);
  }
  return {};
}

Result<RestartFigures> DeliveryLatencyBench::MeasureRestart() {
  const auto topic = ground_.MakeTopic();
  if (!topic) return std::unexpected(topic.error());
  if (auto reset = ground_.ResetBots(); !reset) return std::unexpected(reset.error());
  const std::string configuration = ground_.Configuration(&*topic, false);
  auto replica = Replica::Start(options_.program, configuration, {});
  if (!replica) return std::unexpected(replica.error());
  auto warm = Write(topic->aggregatetype, kWarmRate, kWarm);
  if (!warm) return std::unexpected(warm.error());
  if (auto arrived = Await(*warm, 0, 0); !arrived) return std::unexpected(arrived.error());

  Result<Commits> commits;
  std::jthread writer([&] {
    commits = Write(topic->aggregatetype, kRestartRate,
                    static_cast<std::size_t>(kRestartRate * (kBeforeKill + kAfterKill).count()));
  });
  std::this_thread::sleep_for(kBeforeKill);
  const Timestamp killed = SystemClock().Now();
  (*replica)->Kill();
  const auto in_flight = ground_.connection().Execute(kInFlight);
  if (!in_flight) return std::unexpected(in_flight.error());
  replica = Replica::Start(options_.program, configuration, {});
  if (!replica) return std::unexpected(replica.error());
  const Timestamp up = SystemClock().Now();
  writer.join();
  if (!commits) return std::unexpected(commits.error());
  const auto taken = Await(*commits, kWarm, static_cast<std::size_t>(in_flight->rows.at(0).Int(0)));
  if (!taken) return std::unexpected(taken.error());

  RestartFigures restart;
  Timestamp first = Timestamp::max();
  std::map<std::string, std::size_t> times;
  for (const FakeBots::Taken& one : *taken) {
    ++times[KeyOf(one)];
    if (one.at >= up) first = std::min(first, one.at);
    const auto commit = commits->find(KeyOf(one));
    if (commit == commits->end() || one.at < up) continue;
    // What was committed while nobody was there.
    if (commit->second < first) {
      restart.caught_up_seconds = std::max(restart.caught_up_seconds, Milliseconds(killed, one.at) / 1e3);
    }
  }
  restart.first_send_seconds = Milliseconds(killed, first) / 1e3;
  restart.in_flight = static_cast<std::size_t>(in_flight->rows.at(0).Int(0));
  restart.twice =
      static_cast<std::size_t>(std::ranges::count_if(times, [](const auto& one) { return one.second > 1; }));
  restart.load = Load();
  replica->reset();
  if (auto done = ground_.ForgetShards(*topic); !done) return std::unexpected(done.error());
  return restart;
}

}  // namespace outrider::app
