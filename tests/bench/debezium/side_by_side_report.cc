#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/bench/debezium/side_by_side.h"

namespace outrider::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kHead = "{:<18} {:>8} {:>8} {:>7} {:>8} {:>7} {:>10} {:>9} {:>9} {:>8} {:>6}\n";

std::string Line(std::string_view name, const Drain& drain) {
  return fmt::format(
      "{:<18} {:>8.0f} {:>8.2f} {:>7.2f} {:>8.0f} {:>7.2f} {:>10.2f} {:>9.2f} {:>9.2f} {:>8.0f} {:>6.1f}\n", name,
      drain.rows_per_second, drain.seconds, drain.start_seconds, drain.steady_rows_per_second, drain.purge_seconds,
      drain.cpu_seconds, drain.database_cpu_seconds, drain.broker_cpu_seconds, drain.peak_rss_mib, drain.load);
}

Json ToJson(const Drain& drain) {
  return {{"rows_per_second", drain.rows_per_second},
          {"seconds", drain.seconds},
          {"start_seconds", drain.start_seconds},
          {"steady_rows_per_second", drain.steady_rows_per_second},
          {"purge_seconds", drain.purge_seconds},
          {"cpu_seconds_per_100k_rows", drain.cpu_seconds},
          {"database_cpu_seconds_per_100k_rows", drain.database_cpu_seconds},
          {"broker_cpu_seconds_per_100k_rows", drain.broker_cpu_seconds},
          {"peak_rss_mib", drain.peak_rss_mib},
          {"load", drain.load}};
}

Json ToJson(const std::vector<Drain>& drains) {
  Json list = Json::array();
  for (const Drain& drain : drains) list.push_back(ToJson(drain));
  return list;
}

}  // namespace

std::string SideBySideTable(const SideBySideReport& report) {
  std::string text = fmt::format(
      "{} rows of {} bytes, one a transaction, {} partitions, {}; CPU seconds of 100000 rows\n\n", report.options.rows,
      report.options.payload_bytes, report.options.partitions, report.database_version);
  text += fmt::format(kHead, "", "rows/s", "seconds", "start s", "steady/s", "purge s", "relay CPU", "database",
                      "broker", "RSS MiB", "load");
  if (report.options.warm_ups > 0) text += Line("Debezium, cold", report.cold_debezium);
  for (std::size_t i = 0; i < report.outrider.size(); ++i) {
    text += Line(fmt::format("Outrider {}", i + 1), report.outrider[i]);
    text += Line(fmt::format("Debezium {}", i + 1), report.debezium[i]);
  }
  text += Line("Outrider, median", report.outrider_median) + Line("Debezium, median", report.debezium_median);
  return text + fmt::format(
                    "\nOutrider drains {:.2f} times as fast as Debezium, {:.2f} times without the start, {:.2f} times "
                    "with the "
                    "purge that Debezium's table needs, with "
                    "{:.0f} % of its CPU\n",
                    report.ratio, report.steady_ratio, report.purged_ratio,
                    100 * report.outrider_median.cpu_seconds / report.debezium_median.cpu_seconds);
}

std::string SideBySideJson(const SideBySideReport& report) {
  const Json json = {{"rows", report.options.rows},
                     {"payload_bytes", report.options.payload_bytes},
                     {"partitions", report.options.partitions},
                     {"database_version", report.database_version},
                     {"ratio", report.ratio},
                     {"steady_ratio", report.steady_ratio},
                     {"purged_ratio", report.purged_ratio},
                     {"outrider_median", ToJson(report.outrider_median)},
                     {"debezium_median", ToJson(report.debezium_median)},
                     {"debezium_cold", ToJson(report.cold_debezium)},
                     {"outrider", ToJson(report.outrider)},
                     {"debezium", ToJson(report.debezium)}};
  return json.dump(2) + "\n";
}

}  // namespace outrider::bench
