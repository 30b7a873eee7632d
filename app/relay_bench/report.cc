#include "app/relay_bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/bench_report/bars_json.h"

namespace outrider::app {
namespace {

using nlohmann::json;

std::string_view NameOf(DrainKind kind) {
  switch (kind) {
    case DrainKind::kFree:
      return "free";
    case DrainKind::kPurgeHeld:
      return "purge_held";
    case DrainKind::kSideBySide:
      return "side_by_side";
  }
  return "";
}

json ToJson(const DrainFigures& drain) {
  return {{"kind", NameOf(drain.kind)},
          {"sources", drain.sources},
          {"seconds", drain.seconds},
          {"rows_per_second", drain.rows_per_second},
          {"to_one_source", drain.to_one_source},
          {"cpu_seconds_per_100k_rows", drain.cpu_seconds_per_100k},
          {"sql_floor_seconds", drain.sql_floor_seconds},
          {"producer_floor_seconds", drain.producer_floor_seconds},
          {"of_combined_floor", drain.of_floor},
          {"peak_rss_mib", drain.peak_rss_mib},
          {"load", drain.load}};
}

json ToJson(const WaitingFigures& waiting) {
  return {{"rows", waiting.rows},
          {"fill_seconds", waiting.fill_seconds},
          {"drained_rows", waiting.drained},
          {"seconds", waiting.seconds},
          {"rows_per_second", waiting.rows_per_second},
          {"first_quarter_rows_per_second", waiting.first_quarter_rows_per_second},
          {"last_quarter_rows_per_second", waiting.last_quarter_rows_per_second},
          {"peak_rss_mib", waiting.peak_rss_mib},
          {"rss_growth_mib", waiting.rss_growth_mib},
          {"cpu_seconds_per_100k_rows", waiting.cpu_seconds_per_100k},
          {"load", waiting.load}};
}

json ToJson(const LatencyFigures& latency) {
  return {{"rate", latency.rate},
          {"rows", latency.rows},
          {"p50_ms", latency.p50_ms},
          {"p99_ms", latency.p99_ms},
          {"p999_ms", latency.p999_ms},
          {"max_ms", latency.max_ms},
          {"cpu_percent", latency.cpu_percent},
          {"load", latency.load}};
}

template <class Values>
json ToArray(const Values& values) {
  json array = json::array();
  for (const auto& value : values) array.push_back(ToJson(value));
  return array;
}

std::string DrainName(const DrainFigures& drain) {
  switch (drain.kind) {
    case DrainKind::kFree:
      return "drain";
    case DrainKind::kPurgeHeld:
      return "drain, purge held back";
    case DrainKind::kSideBySide:
      return fmt::format("{} source{} side by side", drain.sources, drain.sources == 1 ? "" : "s");
  }
  return "";
}

std::string DrainLine(std::string_view indent, const DrainFigures& drain) {
  return fmt::format("{}{:<{}}{:>9.0f}{:>8.0f} %{:>8.2f}{:>7.2f} s{:>6.1f} MiB{:>6.2f} s{:>8.2f} s  load {:.1f}\n",
                     indent, DrainName(drain), 28 - indent.size(), drain.rows_per_second, drain.of_floor * 100,
                     drain.to_one_source, drain.cpu_seconds_per_100k, drain.peak_rss_mib, drain.sql_floor_seconds,
                     drain.producer_floor_seconds, drain.load);
}

void AddDrains(std::string& table, const RelayBenchReport& report) {
  if (report.medians.empty()) return;
  table += fmt::format("\n{:<28}{:>9}{:>10}{:>8}{:>9}{:>10}{:>8}{:>10}\n", "", "rows/s", "of floor", "to one",
                       "CPU/100k", "peak RSS", "SQL", "producer");
  for (const DrainFigures& drain : report.medians) table += DrainLine("", drain);
  for (const DrainFigures& drain : report.drains) table += DrainLine("  ", drain);
}

void AddWaiting(std::string& table, const RelayBenchReport& report) {
  if (!report.waiting) return;
  const WaitingFigures& waiting = *report.waiting;
  table += fmt::format(
      "\n{} waiting rows, filled in {:.0f} s: {} drained in {:.0f} s, {:.0f} rows/s (first quarter {:.0f}, last "
      "{:.0f}), "
      "CPU/100k {:.2f} s, peak RSS {:.1f} MiB, grown by {:.1f} MiB, load {:.1f}\n",
      waiting.rows, waiting.fill_seconds, waiting.drained, waiting.seconds, waiting.rows_per_second,
      waiting.first_quarter_rows_per_second, waiting.last_quarter_rows_per_second, waiting.cpu_seconds_per_100k,
      waiting.peak_rss_mib, waiting.rss_growth_mib, waiting.load);
}

std::string LatencyLine(std::string_view indent, const LatencyFigures& latency) {
  const std::string name = latency.rate == 0 ? "after idleness" : fmt::format("at {} rows/s", latency.rate);
  return fmt::format("{}{:<{}}{:>8.1f}{:>8.1f}{:>8.1f}{:>8.1f}{:>8}{:>7.1f} %  load {:.1f}\n", indent, name,
                     28 - indent.size(), latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms, latency.rows,
                     latency.cpu_percent, latency.load);
}

void AddLatencies(std::string& table, const RelayBenchReport& report) {
  if (!report.latencies.empty()) {
    table += fmt::format("\n{:<28}{:>8}{:>8}{:>8}{:>8}{:>8}{:>9}\n", "commit to consumer, ms", "p50", "p99", "p99.9",
                         "max", "rows", "CPU");
  }
  for (const LatencyFigures& latency : report.latencies) table += LatencyLine("", latency);
  for (const LatencyFigures& latency : report.latency_runs) table += LatencyLine("  ", latency);
  table += fmt::format("\nidle: {:.1f} queries/s, {:.2f} % of a core\n", report.idle.queries_per_second,
                       report.idle.cpu_percent);
}

}  // namespace

std::string RelayBenchTable(const RelayBenchReport& report) {
  std::string table = fmt::format(
      "database {}; {} cores, load {:.1f} before and {:.1f} after\n{} rows of {} bytes, {} partitions; medians of {}, "
      "then each run\n",
      report.database_version, report.cores, report.load_before, report.load_after, report.rows, report.payload_bytes,
      report.partitions, report.repeats);
  AddDrains(table, report);
  AddWaiting(table, report);
  AddLatencies(table, report);
  table += "\n";
  table += BarLines(JudgeBars(report));
  return table;
}

std::string RelayBenchJson(const RelayBenchReport& report) {
  json document = {
      {"database_version", report.database_version},
      {"cores", report.cores},
      {"load_before", report.load_before},
      {"load_after", report.load_after},
      {"rows", report.rows},
      {"payload_bytes", report.payload_bytes},
      {"partitions", report.partitions},
      {"repeats", report.repeats},
      {"drains", ToArray(report.drains)},
      {"medians", ToArray(report.medians)},
      {"latency_runs", ToArray(report.latency_runs)},
      {"latencies", ToArray(report.latencies)},
      {"idle", {{"queries_per_second", report.idle.queries_per_second}, {"cpu_percent", report.idle.cpu_percent}}},
      {"bars", ToArray(JudgeBars(report))}};
  if (report.waiting) document["waiting"] = ToJson(*report.waiting);
  return document.dump(2) + "\n";
}

}  // namespace outrider::app
