#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/relay_bench.h"

namespace outrider::app {
namespace {

nlohmann::json ToJson(const DrainFigures& drain) {
  return {{"seconds", drain.seconds},
          {"rows_per_second", drain.rows_per_second},
          {"cpu_seconds_per_100k_rows", drain.cpu_seconds_per_100k},
          {"sql_floor_seconds", drain.sql_floor_seconds},
          {"producer_floor_seconds", drain.producer_floor_seconds},
          {"of_combined_floor", drain.of_floor}};
}

nlohmann::json ToJson(const LatencyFigures& latency) {
  return {{"rate", latency.rate},
          {"rows", latency.rows},
          {"p50_ms", latency.p50_ms},
          {"p99_ms", latency.p99_ms},
          {"p999_ms", latency.p999_ms},
          {"max_ms", latency.max_ms},
          {"cpu_percent", latency.cpu_percent}};
}

void AddDrain(std::vector<std::vector<std::string>>& rows, const std::string& name, const DrainFigures& drain) {
  rows.push_back({name, fmt::format("{:.0f} rows/s", drain.rows_per_second)});
  rows.push_back({"  of the combined floor",
                  fmt::format("{:.0f} % (SQL {:.2f} s + producer {:.2f} s, relay {:.2f} s)", drain.of_floor * 100,
                              drain.sql_floor_seconds, drain.producer_floor_seconds, drain.seconds)});
  rows.push_back({"  CPU per 100 000 rows", fmt::format("{:.2f} s", drain.cpu_seconds_per_100k)});
}

}  // namespace

std::string RelayBenchTable(const RelayBenchReport& report) {
  std::vector<std::vector<std::string>> rows;
  rows.push_back({"database", report.database_version});
  rows.push_back({"rows, payload", fmt::format("{}, {} bytes", report.rows, report.payload_bytes)});
  rows.push_back({"load before, after", fmt::format("{:.1f}, {:.1f}", report.load_before, report.load_after)});
  for (std::size_t i = 0; i < report.drains.size() && report.drains.size() > 1; ++i) {
    AddDrain(rows, fmt::format("drain {}", i + 1), report.drains[i]);
  }
  if (!report.drains.empty()) AddDrain(rows, "drain (median)", report.median);
  if (report.held_purge) AddDrain(rows, "drain, purge held back", report.purge_held);
  for (const LatencyFigures& latency : report.latencies) {
    rows.push_back(
        {latency.rate == 0 ? std::string("latency after idleness") : fmt::format("latency at {} rows/s", latency.rate),
         fmt::format("p50 {:.1f} ms, p99 {:.1f} ms, p99.9 {:.1f} ms, max {:.1f} ms ({} rows, {:.1f} % CPU)",
                     latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms, latency.rows,
                     latency.cpu_percent)});
  }
  rows.push_back({"idle", fmt::format("{:.1f} queries/s, {:.2f} % of a core", report.idle_queries_per_second,
                                      report.idle_cpu_percent)});
  rows.push_back({"peak RSS", fmt::format("{:.1f} MiB", report.peak_rss_mib)});
  std::size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.front().size());
  std::string table;
  for (const auto& row : rows) table += fmt::format("{:<{}}  {}\n", row.front(), width, row.back());
  return table;
}

std::string RelayBenchJson(const RelayBenchReport& report) {
  nlohmann::json json = {{"rows", report.rows},
                         {"payload_bytes", report.payload_bytes},
                         {"database_version", report.database_version},
                         {"load_before", report.load_before},
                         {"load_after", report.load_after},
                         {"median", ToJson(report.median)},
                         {"idle_queries_per_second", report.idle_queries_per_second},
                         {"idle_cpu_percent", report.idle_cpu_percent},
                         {"peak_rss_mib", report.peak_rss_mib}};
  json["drains"] = nlohmann::json::array();
  for (const DrainFigures& drain : report.drains) json["drains"].push_back(ToJson(drain));
  if (report.held_purge) json["purge_held"] = ToJson(report.purge_held);
  json["latencies"] = nlohmann::json::array();
  for (const LatencyFigures& latency : report.latencies) json["latencies"].push_back(ToJson(latency));
  return json.dump(2) + "\n";
}

}  // namespace outrider::app
