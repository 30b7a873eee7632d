#include "outbox/row_reading.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace outrider::outbox {
namespace {

constexpr std::size_t kRowOverhead = 256;        // a row's strings and map entries, roughly
constexpr std::size_t kKeptCapacity = 64 << 10;  // of a row that is used again

void AssignOptional(std::optional<std::string>& text, const mysql::RowView& row, std::size_t column) {
  if (row.IsNull(column)) {
    text.reset();
  } else if (text) {
    text->assign(row.Text(column));
  } else {
    text.emplace(row.Text(column));
  }
}

// Into the strings that are there already: after the first batches nothing is allocated any more.
void Assign(OutboxRow& taken, const mysql::RowView& row, bool of_held) {
  taken.seq = row.Unsigned(0);
  taken.id.assign(row.Text(1));
  taken.aggregatetype.assign(row.Text(2));
  taken.aggregateid.assign(row.Text(3));
  taken.type.assign(row.Text(4));
  if (taken.payload.capacity() > kKeptCapacity) std::string().swap(taken.payload);
  if (!row.IsNull(6)) taken.payload.assign(row.Text(6));
  AssignOptional(taken.traceparent, row, 7);
  AssignOptional(taken.tracestate, row, 8);
  taken.created_at = row.Time(9);
  taken.held_id = of_held ? row.Unsigned(10) : 0;
}

std::uint64_t NumberOf(const OutboxRow& row, bool of_held) { return of_held ? row.held_id : row.seq; }

Result<void> FetchLargePayloads(mysql::MysqlConnection& connection, const RowStatement& statement,
                                std::vector<OutboxRow>& rows, std::size_t& count, std::vector<std::uint64_t> numbers) {
  const std::string list = NumberList(numbers);
  auto found = connection.Execute(statement.payloads, {std::string_view(list)});
  if (!found) return std::unexpected(found.error());
  std::unordered_map<std::uint64_t, std::string> payloads;
  for (mysql::Row& row : found->rows) payloads.emplace(row.Unsigned(0), row.TakeText(1));
  std::ranges::sort(numbers);
  // A person may have deleted one meanwhile; it then isn't published.
  const auto end =
      std::remove_if(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count), [&](const OutboxRow& row) {
        const std::uint64_t number = NumberOf(row, statement.of_held);
        return std::ranges::binary_search(numbers, number) && !payloads.contains(number);
      });
  count = static_cast<std::size_t>(end - rows.begin());
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto payload = payloads.find(NumberOf(rows[i], statement.of_held)); payload != payloads.end()) {
      rows[i].payload = std::move(payload->second);
    }
  }
  return {};
}

}  // namespace

Result<Reading> ReadRows(mysql::MysqlConnection& connection, const RowStatement& statement,
                         std::span<const mysql::Param> params, std::size_t max_bytes, std::vector<OutboxRow>& rows) {
  Reading reading;
  std::vector<std::uint64_t> large;
  std::size_t bytes = 0;
  auto read = connection.ForEach(statement.rows, params, [&](const mysql::RowView& row) {
    if (reading.cut) return;
    bytes += row.Unsigned(5) + kRowOverhead;
    if (bytes > max_bytes && reading.rows > 0) {
      reading.cut = true;
      return;
    }
    if (reading.rows == rows.size()) rows.emplace_back();
    OutboxRow& taken = rows[reading.rows++];
    Assign(taken, row, statement.of_held);
    reading.any_held = row.Unsigned(10) != 0;
    if (row.IsNull(6)) large.push_back(NumberOf(taken, statement.of_held));
  });
  if (!read) return std::unexpected(read.error());
  if (large.empty()) return reading;
  auto fetched = FetchLargePayloads(connection, statement, rows, reading.rows, std::move(large));
  if (!fetched) return std::unexpected(fetched.error());
  return reading;
}

std::string NumberList(std::span<const std::uint64_t> numbers) { return fmt::format("[{}]", fmt::join(numbers, ",")); }

}  // namespace outrider::outbox
