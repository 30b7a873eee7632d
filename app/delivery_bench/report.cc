#include "app/delivery_bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/bench_report/bars_json.h"

namespace outrider::app {
namespace {

using nlohmann::json;

json ToJson(const DeliveryFloor& floor) {
  return {{"notifications", floor.notifications},
          {"sql_insert_seconds", floor.sql_insert_seconds},
          {"sql_claim_seconds", floor.sql_claim_seconds},
          {"sql_settle_seconds", floor.sql_settle_seconds},
          {"http_seconds", floor.http_seconds},
          {"kafka_seconds", floor.kafka_seconds},
          {"load", floor.load}};
}

json ToJson(const DeliveryDrain& drain) {
  return {{"from", drain.from},
          {"replicas", drain.replicas},
          {"notifications", drain.notifications},
          {"start_seconds", drain.start_seconds},
          {"seconds", drain.seconds},
          {"per_second", drain.per_second},
          {"floor_seconds", drain.floor_seconds},
          {"of_combined_floor", drain.of_floor},
          {"statements_per_notification", drain.statements},
          {"cpu_seconds_per_100k", drain.cpu_seconds_per_100k},
          {"peak_rss_mib", drain.peak_rss_mib},
          {"load", drain.load}};
}

json ToJson(const DeliveryLatency& latency) {
  return {{"transport", latency.transport},
          {"beside", latency.beside},
          {"rate", latency.rate},
          {"notifications", latency.notifications},
          {"p50_ms", latency.p50_ms},
          {"p99_ms", latency.p99_ms},
          {"p999_ms", latency.p999_ms},
          {"max_ms", latency.max_ms},
          {"cpu_percent", latency.cpu_percent},
          {"statements_per_notification", latency.statements},
          {"peak_rss_mib", latency.peak_rss_mib},
          {"load", latency.load}};
}

json ToJson(const RestartFigures& restart) {
  return {{"first_send_seconds", restart.first_send_seconds},
          {"caught_up_seconds", restart.caught_up_seconds},
          {"in_flight", restart.in_flight},
          {"twice", restart.twice},
          {"load", restart.load}};
}

template <class Values>
json ToArray(const Values& values) {
  json array = json::array();
  for (const auto& value : values) array.push_back(ToJson(value));
  return array;
}

std::string FloorLine(std::string_view name, const DeliveryFloor& floor) {
  const auto rate = [&](double seconds) {
    return seconds > 0 ? static_cast<double>(floor.notifications) / seconds : 0.0;
  };
  return fmt::format("{:<28}{:>9.0f}{:>9.0f}{:>9.0f}{:>9.0f}{:>9.0f}{:>10.0f}  load {:.1f}\n", name,
                     rate(floor.sql_insert_seconds), rate(floor.sql_claim_seconds), rate(floor.sql_settle_seconds),
                     rate(floor.http_seconds), rate(floor.kafka_seconds), rate(Seconds(floor, true)), floor.load);
}

void AddFloors(std::string& table, const DeliveryBenchReport& report) {
  if (!report.floor) return;
  table += fmt::format("\n{:<28}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}\n", "floor, per second", "insert", "claim", "settle",
                       "HTTP", "Kafka", "combined");
  table += FloorLine("median", *report.floor);
  for (const DeliveryFloor& floor : report.floor_runs) table += FloorLine("  run", floor);
}

std::string DrainLine(std::string_view indent, const DeliveryDrain& drain) {
  const std::string name =
      fmt::format("{}from the {}, {} replica{}", indent, drain.from, drain.replicas, drain.replicas == 1 ? "" : "s");
  return fmt::format("{:<28}{:>9.0f}{:>8.0f} %{:>11.3f}{:>8.1f} s{:>6.1f} MiB{:>8.1f} s{:>8.1f} s  load {:.1f}\n", name,
                     drain.per_second, drain.of_floor * 100, drain.statements, drain.cpu_seconds_per_100k,
                     drain.peak_rss_mib, drain.start_seconds, drain.seconds, drain.load);
}

void AddDrains(std::string& table, const DeliveryBenchReport& report) {
  if (report.drains.empty()) return;
  table += fmt::format("\n{:<28}{:>9}{:>10}{:>11}{:>10}{:>10}{:>10}{:>10}\n", "drain", "sent/s", "of floor",
                       "statements", "CPU/100k", "peak RSS", "start", "time");
  for (const DeliveryDrain& drain : report.drains) table += DrainLine("", drain);
  for (const DeliveryDrain& drain : report.drain_runs) table += DrainLine("  ", drain);
}

std::string LatencyLine(std::string_view indent, const DeliveryLatency& latency) {
  const std::string name = fmt::format("{}{} {}/s, {}", indent, latency.transport, latency.rate, latency.beside);
  return fmt::format("{:<40}{:>8.1f}{:>8.1f}{:>8.1f}{:>8.1f}{:>8}{:>7.1f} %{:>11.3f}{:>7.1f} MiB  load {:.1f}\n", name,
                     latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms, latency.notifications,
                     latency.cpu_percent, latency.statements, latency.peak_rss_mib, latency.load);
}

void AddLatencies(std::string& table, const DeliveryBenchReport& report) {
  if (report.latencies.empty()) return;
  table += fmt::format("\n{:<40}{:>8}{:>8}{:>8}{:>8}{:>8}{:>9}{:>11}{:>11}\n", "commit to provider, ms; beside", "p50",
                       "p99", "p99.9", "max", "sent", "CPU", "statements", "peak RSS");
  for (const DeliveryLatency& latency : report.latencies) table += LatencyLine("", latency);
  for (const DeliveryLatency& latency : report.latency_runs) table += LatencyLine("  ", latency);
}

void AddRestarts(std::string& table, const DeliveryBenchReport& report) {
  if (!report.restart) return;
  const auto line = [&](std::string_view name, const RestartFigures& restart) {
    table += fmt::format(
        "{:<28}first send after {:.2f} s, caught up after {:.2f} s, {} were in flight, {} twice  load {:.1f}\n", name,
        restart.first_send_seconds, restart.caught_up_seconds, restart.in_flight, restart.twice, restart.load);
  };
  table += "\n";
  line("kill -9 and start", *report.restart);
  for (const RestartFigures& restart : report.restart_runs) line("  run", restart);
}

}  // namespace

std::string DeliveryBenchTable(const DeliveryBenchReport& report) {
  std::string table = fmt::format(
      "database {}; {} cores, load {:.1f} before and {:.1f} after\n{} bytes a request, {} partitions, {} channels, {} "
      "finished records present, crowds of {}; medians of {}, then each run\n",
      report.database_version, report.cores, report.load_before, report.load_after, report.payload_bytes,
      report.partitions, report.channels, report.finished, report.crowd, report.repeats);
  AddFloors(table, report);
  AddDrains(table, report);
  AddLatencies(table, report);
  AddRestarts(table, report);
  table += "\n";
  table += BarLines(JudgeBars(report));
  return table;
}

std::string DeliveryBenchJson(const DeliveryBenchReport& report) {
  json document = {{"database_version", report.database_version},
                   {"cores", report.cores},
                   {"load_before", report.load_before},
                   {"load_after", report.load_after},
                   {"payload_bytes", report.payload_bytes},
                   {"partitions", report.partitions},
                   {"channels", report.channels},
                   {"repeats", report.repeats},
                   {"finished", report.finished},
                   {"crowd", report.crowd},
                   {"floor_runs", ToArray(report.floor_runs)},
                   {"drain_runs", ToArray(report.drain_runs)},
                   {"drains", ToArray(report.drains)},
                   {"latency_runs", ToArray(report.latency_runs)},
                   {"latencies", ToArray(report.latencies)},
                   {"restart_runs", ToArray(report.restart_runs)},
                   {"bars", ToArray(JudgeBars(report))}};
  if (report.floor) document["floor"] = ToJson(*report.floor);
  if (report.restart) document["restart"] = ToJson(*report.restart);
  return document.dump(2) + "\n";
}

}  // namespace outrider::app
