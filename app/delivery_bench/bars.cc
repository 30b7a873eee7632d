#include <algorithm>

#include "app/bench_report/medians.h"
#include "app/delivery_bench/report.h"

namespace outrider::app {
namespace {

// Set for two cores, before the first line of the consumer was written.
constexpr double kDrainPerSecond = 5'000;
constexpr double kOfFloor = 65;
constexpr double kStatements = 0.05;
constexpr double kFirstSendSeconds = 5;
constexpr double kBesideDeadChannel = 1.2;
constexpr double kPeakRssMib = 96;
struct LatencyBar {
  const char* transport;
  int rate;
  double DeliveryLatency::*figure;
  const char* name;
  double ms;
};
constexpr LatencyBar kLatencies[] = {
    {"kafka", 50, &DeliveryLatency::p50_ms, "p50 at 50/s over Kafka", 12},
    {"kafka", 50, &DeliveryLatency::p99_ms, "p99 at 50/s over Kafka", 40},
    {"kafka", 1'000, &DeliveryLatency::p99_ms, "p99 at 1000/s over Kafka", 100},
    {"direct", 50, &DeliveryLatency::p50_ms, "p50 at 50/s direct", 6},
    {"direct", 50, &DeliveryLatency::p99_ms, "p99 at 50/s direct", 15},
};

}  // namespace

double Seconds(const DeliveryFloor& floor, bool from_topic) {
  const double sent = floor.sql_claim_seconds + floor.sql_settle_seconds + floor.http_seconds;
  return from_topic ? sent + floor.sql_insert_seconds + floor.kafka_seconds : sent;
}

void AddMedians(DeliveryBenchReport& report) {
  report.drains.clear();
  report.latencies.clear();
  report.floor.reset();
  report.restart.reset();
  if (!report.floor_runs.empty()) {
    report.floor = Median(report.floor_runs, &DeliveryFloor::sql_insert_seconds, &DeliveryFloor::sql_claim_seconds,
                          &DeliveryFloor::sql_settle_seconds, &DeliveryFloor::http_seconds,
                          &DeliveryFloor::kafka_seconds, &DeliveryFloor::load);
  }
  for (const auto& runs : Kinds(report.drain_runs, [](const DeliveryDrain&one, const DeliveryDrain&other) {
         return one.from == other.from && one.replicas == other.replicas;
       })) {
    report.drains.push_back(Median(runs, &DeliveryDrain::start_seconds, &DeliveryDrain::seconds,
                                   &DeliveryDrain::per_second, &DeliveryDrain::floor_seconds, &DeliveryDrain::of_floor,
                                   &DeliveryDrain::statements, &DeliveryDrain::cpu_seconds_per_100k,
                                   &DeliveryDrain::peak_rss_mib, &DeliveryDrain::load));
  }
  for (const auto& runs : Kinds(report.latency_runs, [](const DeliveryLatency&one, const DeliveryLatency&other) {
         return one.transport == other.transport && one.beside == other.beside && one.rate == other.rate;
       })) {
    report.latencies.push_back(Median(runs, &DeliveryLatency::p50_ms, &DeliveryLatency::p99_ms,
                                      &DeliveryLatency::p999_ms, &DeliveryLatency::max_ms,
                                      &DeliveryLatency::cpu_percent, &DeliveryLatency::statements,
                                      &DeliveryLatency::peak_rss_mib, &DeliveryLatency::load));
  }
  if (!report.restart_runs.empty()) {
    report.restart =
        Median(report.restart_runs, &RestartFigures::first_send_seconds, &RestartFigures::caught_up_seconds,
               &RestartFigures::in_flight, &RestartFigures::twice, &RestartFigures::load);
  }
}

std::vector<BarVerdict> JudgeBars(const DeliveryBenchReport& report) {
  std::vector<BarVerdict> bars;
  const auto at_least = [&](std::string what, double bar, std::string unit, double measured) {
    bars.push_back({std::move(what), true, bar, std::move(unit), measured});
  };
  const auto at_most = [&](std::string what, double bar, std::string unit, double measured) {
    bars.push_back({std::move(what), false, bar, std::move(unit), measured});
  };
  for (const DeliveryDrain& drain : report.drains) {
    if (drain.from != "topic" || drain.replicas != 1) continue;
    at_least("drain from the topic", kDrainPerSecond, "/s", drain.per_second);
    at_least("drain from the topic, of the combined floor", kOfFloor, "%", drain.of_floor * 100);
    at_most("statements for each notification of the drain", kStatements, "", drain.statements);
  }
  for (const LatencyBar& bar : kLatencies) {
    for (const DeliveryLatency& latency : report.latencies) {
      if (latency.transport != bar.transport || latency.rate != bar.rate || latency.beside != "nothing") continue;
      at_most(bar.name, bar.ms, "ms", latency.*bar.figure);
    }
  }
  const auto beside = [&](const DeliveryLatency& latency) {
    return std::find_if(report.latencies.begin(), report.latencies.end(), [&](const DeliveryLatency& other) {
      return other.transport == latency.transport && other.rate == latency.rate && other.beside == "nothing";
    });
  };
  for (const DeliveryLatency& latency : report.latencies) {
    if (latency.beside == "nothing") continue;
    const auto without = beside(latency);
    if (without == report.latencies.end() || without->p99_ms <= 0) continue;
    at_most("p99 beside " + latency.beside + ", of that beside nothing", kBesideDeadChannel, "times",
            latency.p99_ms / without->p99_ms);
    at_most("peak RSS beside " + latency.beside, kPeakRssMib, "MiB", latency.peak_rss_mib);
  }
  if (report.restart) {
    at_most("first send after kill -9", kFirstSendSeconds, "s", report.restart->first_send_seconds);
  }
  return bars;
}

}  // namespace outrider::app
