// One row, one record: whether Outrider publishes it or Debezium, from the binary log or from a snapshot.
#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/debezium/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::debezium {
namespace {

struct Row {
  std::string key;
  std::string payload;
  std::optional<std::string> traceparent = std::nullopt;
  std::optional<std::string> tracestate = std::nullopt;
  std::string created_at = "2026-11-24 05:11:41.436563";
  std::string type = "notification.requested";
};

constexpr std::string_view kTraceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::vector<Row> Rows() {
  std::vector<Row> rows = {
      {"plain", R"({"dedupe_key":"a","channel":"ops","message":{"text":"hello"}})"},
      {"traced", "{}", std::string(kTraceparent), "vendor=value,other=1"},
      {"half-traced", "{}", std::string(kTraceparent)},
      {"state-only", "{}", std::nullopt, ""},
      {"", R"({"of":"an empty key"})"},
      {"订单-1001 🎉", R"({"text":"一本书 🎉 é ẞ \u0000 \ud83d\ude00 \" \\ / \b\f\n\r\t \u202e"})"},
      {"trailing spaces  ", R"(["a  ", "  b", ""])"},
      {std::string(191, 'k'), "{}"},
      {"typed", "{}", std::nullopt, std::nullopt, "2026-11-24 05:11:41.436563", "order.placed/v2 中"},
      {"numbers",
       R"([0, -1, 9223372036854775807, 18446744073709551615, 0.1, -2.5e-9, 1e300, 1.0, 100000000000000000000])"},
      {"scalars", R"([true, false, null, "", {}, [], {"":{"":[[]]}}])"},
      {"scalar", "42"},
      {"text", R"("only a text")"},
      {"nothing", "null"},
      {"whole second", "{}", std::nullopt, std::nullopt, "2026-01-01 00:00:00.000000"},
      {"tenth", "{}", std::nullopt, std::nullopt, "2026-01-01 00:00:00.100000"},
      {"summer", "{}", std::nullopt, std::nullopt, "2026-07-01 12:30:00.000001"},
      {"leap day", "{}", std::nullopt, std::nullopt, "2024-02-29 23:59:59.999999"},
      {"big", R"({"text":")" + std::string(400'000, 'x') + R"(","list":[)" +
                  [] {
                    std::string list = "0";
                    for (int i = 1; i < 50'000; ++i) list += "," + std::to_string(i);
                    return list;
                  }() +
                  "]}"},
  };
  for (int i = 0; i < 100; ++i) rows.push_back({"key-" + std::to_string(i), std::to_string(i)});
  return rows;
}

// A record without its place in the partition. An absent header and a null one are the same.
struct Record {
  std::int32_t partition = 0;
  std::optional<std::string> key;
  nlohmann::json value;
  std::map<std::string, std::string> headers;
  friend bool operator==(const Record&, const Record&) = default;
};

void PrintTo(const Record& record, std::ostream* out) {
  *out << "partition " << record.partition << " key " << record.key.value_or("(null)") << " value "
       << record.value.dump().substr(0, 300);
  for (const auto& [name, value] : record.headers) *out << " " << name << "=" << value;
}

std::map<std::string, Record> ById(const std::vector<Event>& events) {
  std::map<std::string, Record> records;
  for (const Event& event : events) {
    Record record{event.position.partition, event.key, nlohmann::json::parse(event.value.value()), {}};
    for (const EventHeader& header : event.headers) {
      if (header.value && !header.name.starts_with("__debezium.")) record.headers[header.name] = *header.value;
    }
    // The same instant in UTC; Debezium leaves out the zeros at its end.
    const auto created_at = ParseRfc3339(record.headers.at("createdAt"));
    EXPECT_TRUE(created_at && record.headers.at("createdAt").ends_with("Z")) << record.headers.at("createdAt");
    record.headers["createdAt"] = FormatRfc3339(created_at.value_or(Timestamp{}));
    records[record.headers.at("id")] = record;
  }
  return records;
}

class RecordsTest : public DebeziumTest {
 protected:
  // Every row of the table is published once more; gives what was.
  std::map<std::string, Record> NextRecords() {
    const std::size_t count = seen_.size() + rows_.size();
    EXPECT_TRUE(testing::WaitUntil([&] { return PublishedCount() >= count; }));
    std::vector<Event> events = Published(count);
    std::erase_if(events, [&](const Event& event) {
      return !seen_.insert({event.position.partition, event.position.offset}).second;
    });
    return ById(events);
  }
  void InsertRow(const Row& row) {
    Must(*shop_, "SET time_zone = '+00:00'");
    Must(*shop_,
         "INSERT INTO outbox (aggregatetype, aggregateid, type, payload, traceparent, tracestate, created_at) "
         "VALUES (?, ?, ?, ?, IF(?, NULL, ?), IF(?, NULL, ?), ?)",
         {name_, row.key, row.type, row.payload, std::int64_t{!row.traceparent}, row.traceparent.value_or(""),
          std::int64_t{!row.tracestate}, row.tracestate.value_or(""), row.created_at});
  }

  const std::vector<Row> rows_ = Rows();
  std::set<std::pair<std::int32_t, std::int64_t>> seen_;
};

TEST_F(RecordsTest, OfOutriderAndDebeziumAreEqual) {
  StartDebezium();
  for (const Row& row : rows_) InsertRow(row);
  const auto streamed = NextRecords();
  worker().RemoveConnector(std::string(kConnector));

  broker().CreateTopic("__debezium-heartbeat." + name_ + "-again");
  worker().Configure(std::string(kConnector), ConnectorConfiguration(name_ + "-again"));
  const auto snapshotted = NextRecords();
  worker().RemoveConnector(std::string(kConnector));

  auto outrider = StartOutrider("relay");
  const auto ours = NextRecords();
  Stop(outrider);

  ASSERT_EQ(ours.size(), rows_.size());
  std::set<std::int32_t> partitions;
  for (const auto& [id, record] : ours) {
    EXPECT_EQ(record, streamed.at(id)) << "streamed";
    EXPECT_EQ(record, snapshotted.at(id)) << "snapshotted";
    partitions.insert(record.partition);
  }
  EXPECT_EQ(partitions.size(), 4u);
}

}  // namespace
}  // namespace outrider::debezium
