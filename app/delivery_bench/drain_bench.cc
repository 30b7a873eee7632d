#include "app/delivery_bench/drain_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "app/bench_report/usage.h"
#include "app/delivery_bench/floor.h"
#include "app/delivery_bench/record_fill.h"
#include "app/delivery_bench/replica.h"

namespace outrider::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::seconds kStandstill{60};

double Seconds(SteadyClock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Result<DeliveryDrain> DeliveryDrainBench::Drain(bool from_topic, std::size_t replicas, std::size_t run,
                                                const DeliveryFloor& floor) {
  const std::size_t count = options_.notifications;
  const std::string prefix = fmt::format("{}-{}-{}-", from_topic ? "topic" : "table", replicas, run);
  const auto topic = ground_.MakeTopic();
  if (!topic) return std::unexpected(topic.error());
  auto filled = from_topic ? Publish(ground_, options_, *topic, prefix, count)
                           : FillPending(ground_, options_, *topic, count, prefix);
  if (filled) filled = ground_.ResetBots();
  if (!filled) return std::unexpected(filled.error());
  ground_.AwaitPurge();

  const auto statements = ground_.Statements();
  if (!statements) return std::unexpected(statements.error());
  const std::string configuration = ground_.Configuration(&*topic, false);
  const auto start = SteadyClock::now();
  std::vector<std::unique_ptr<Replica>> running;
  for (std::size_t i = 0; i < replicas; ++i) {
    auto replica = Replica::Start(options_.program, configuration, {"--roles", "consumer"});
    if (!replica) return std::unexpected(replica.error());
    running.push_back(std::move(*replica));
  }
  SteadyClock::time_point first{};
  SteadyClock::time_point moved = SteadyClock::now();
  double accepted = 0;
  while (accepted < static_cast<double>(count)) {
    if (Stopped(options_)) return Fail(ErrorCode::kUnavailable, "interrupted");
    if (SteadyClock::now() - moved > kStandstill) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{} of {} were sent, then nothing more", accepted, count));
    }
    double sent = 0;
    double recorded = 0;
    for (const auto& replica : running) {
      const auto counts = replica->Read();
      if (!counts) return std::unexpected(counts.error());
      sent += counts->accepted;
      recorded += counts->recorded;
    }
    const auto now = SteadyClock::now();
    if (first == SteadyClock::time_point{} && sent + recorded > 0) first = now;
    if (sent + recorded > accepted) moved = now;
    accepted = sent;
    if (accepted < static_cast<double>(count)) std::this_thread::sleep_for(kLook);
  }
  const auto end = SteadyClock::now();
  const auto statements_after = ground_.Statements();
  if (!statements_after) return std::unexpected(statements_after.error());

  DeliveryDrain drain;
  drain.from = from_topic ? "topic" : "table";
  drain.replicas = replicas;
  drain.notifications = count;
  drain.start_seconds = Seconds(first - start);
  drain.seconds = Seconds(end - first);
  drain.per_second = static_cast<double>(count) / drain.seconds;
  drain.floor_seconds = app::Seconds(floor, from_topic);
  drain.of_floor = drain.floor_seconds / drain.seconds;
  drain.statements = static_cast<double>(*statements_after - *statements) / static_cast<double>(count);
  for (const auto& replica : running) {
    drain.cpu_seconds_per_100k += replica->CpuSeconds() / static_cast<double>(count) * 100'000;
    drain.peak_rss_mib = std::max(drain.peak_rss_mib, replica->PeakRssMib());
  }
  drain.load = Load();
  running.clear();
  const auto taken = ground_.bots().Count();
  if (!taken) return std::unexpected(taken.error());
  if (*taken != count) {
    return Fail(ErrorCode::kUnavailable, fmt::format("the bots took {} messages of {}", *taken, count));
  }
  if (auto done = ground_.ForgetShards(*topic); !done) return std::unexpected(done.error());
  return drain;
}

Result<void> DeliveryDrainBench::Measure(DeliveryBenchReport& report, std::size_t run) {
  say_("floor: SQL, HTTP, Kafka");
  auto floor = MeasureFloor(ground_, options_, run);
  if (!floor) return std::unexpected(floor.error());
  report.floor_runs.push_back(*floor);
  const auto drain = [&](bool from_topic, std::size_t replicas) -> Result<void> {
    say_(fmt::format("drain of {} from the {}, {} replicas", options_.notifications, from_topic ? "topic" : "table",
                     replicas));
    auto figures = Drain(from_topic, replicas, run, *floor);
    if (!figures) return std::unexpected(figures.error());
    say_(fmt::format("  {:.0f}/s, {:.0f} % of the floor", figures->per_second, figures->of_floor * 100));
    report.drain_runs.push_back(*figures);
    return {};
  };
  for (const std::size_t replicas : options_.replicas) {
    if (auto done = drain(true, replicas); !done) return done;
  }
  return options_.replicas.empty() ? Result<void>{} : drain(false, 1);
}

}  // namespace outrider::app
