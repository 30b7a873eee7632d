#include "platform/mysql/needed_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace outrider::mysql {
namespace {

// Served by the data dictionary. {}: placeholders.
constexpr std::string_view kColumns =
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN "
    "({})";

// MySQL 8 gives the dictionary's column names in capitals, and servers with lower_case_table_names keep table names in
// lower case.
std::string Lower(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return lower;
}

}  // namespace

Result<std::vector<std::string>> MissingTables(MysqlConnection& connection, std::span<const NeededTable> needed) {
  std::vector<Param> names;
  for (const NeededTable& table : needed) names.emplace_back(table.name);
  auto rows = connection.Execute(fmt::format(kColumns, Placeholders(names.size())), names);
  if (!rows) return std::unexpected(rows.error());
  std::map<std::string, std::set<std::string>> present;
  for (const Row& row : rows->rows) present[Lower(row.Text(0))].insert(Lower(row.Text(1)));

  std::vector<std::string> faults;
  std::string absent;
  for (const NeededTable& table : needed) {
    const auto found = present.find(Lower(table.name));
    if (found == present.end()) {
      absent += fmt::format("{}{}", absent.empty() ? "" : ", ", table.name);
      continue;
    }
    std::string columns;
    for (const std::string_view column : table.columns) {
      if (found->second.contains(std::string(column))) continue;
      columns += fmt::format("{}{}", columns.empty() ? "" : ", ", column);
    }
    if (columns.empty()) continue;
    faults.push_back(
        fmt::format("table {} lacks the column(s) {}: compare it with the output of `outrider migrate sql`; `outrider "
                    "migrate up` creates missing tables but doesn't alter one that is there",
                    table.name, columns));
  }
  if (!absent.empty()) {
    faults.insert(
        faults.begin(),
        fmt::format("missing, or closed to this account: {}; create what is missing with `outrider migrate up`, "
                    "or give a DBA the output of `outrider migrate sql`",
                    absent));
  }
  return faults;
}

}  // namespace outrider::mysql
