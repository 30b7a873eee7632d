#include "tests/integration/ingest/fixture.h"

#include <fmt/format.h>

#include <stdexcept>

#include "consumer/schema.h"
#include "platform/mysql/migrator.h"

namespace outrider::consumer {

void Migrate(mysql::MysqlConnection& connection) {
  const mysql::Migrator migrator("outrider", RecordMigrations());
  if (auto done = migrator.Up(connection); !done) throw std::runtime_error(done.error().message);
}

std::vector<std::string> KeysUsed(mysql::MysqlConnection& connection, const std::string& sql) {
  const bool mysql = connection.flavor() == mysql::Flavor::kMysql;
  const auto plan = Must(connection, (mysql ? "EXPLAIN FORMAT=TRADITIONAL " : "EXPLAIN ") + sql);
  std::vector<std::string> keys;
  for (const mysql::Row& row : plan.rows) keys.push_back(row.TextOr(mysql ? 6 : 5, ""));
  return keys;
}

crypto::SealingKey KeyNamed(const std::string& id) { return {id, Secret(std::string(AsBytes(Sha256(id))))}; }

std::string Request(std::string_view key, std::string_view further, std::string_view text) {
  return fmt::format(R"({{"dedupe_key": "{}", "channel": "ops-alerts", "message": {{"text": "{}"}}{}}})", key, text,
                     further);
}

Event EventOf(std::int64_t offset, std::string value, std::int32_t partition) {
  Event event;
  event.position = {std::string(kTopic), partition, offset};
  event.key = "aggregate-1";
  event.value = std::move(value);
  event.headers = {{"id", fmt::format("event-{}-{}", partition, offset)}};
  return event;
}

Event WithHeader(Event event, std::string name, std::string value) {
  event.headers.push_back({std::move(name), std::move(value)});
  return event;
}

Event WithId(Event event, std::string id) { return WithHeader(std::move(event), "id", std::move(id)); }

IngestTest::IngestTest() {
  Migrate(*connection_);
  providers::ChannelSettings channel;
  channel.code = "ops-alerts";
  channel.provider = "mock";
  sender_.SetChannels({channel});
}

std::unique_ptr<Ingest> IngestTest::MakeIngest(mysql::MysqlPool& pool) {
  return std::make_unique<Ingest>(pool, sender_, probe_, log_.log(), options_);
}

IngestCounts IngestTest::Store(const std::vector<Event>& events) {
  auto counts = ingest_->Store(events);
  if (!counts) throw std::runtime_error(counts.error().message);
  return *counts;
}

std::string IngestTest::Text(std::string_view sql, std::initializer_list<mysql::Param> params) {
  return Must(*connection_, sql, params).rows.at(0).TextOr(0, "NULL");
}

std::string IngestTest::Shard(std::string_view column, std::int32_t partition) {
  return Text(fmt::format("SELECT {} FROM consumer_shards WHERE topic = ? AND partition_no = ?", column),
              {kTopic, std::int64_t{partition}});
}

double IngestTest::Metric(const std::string& name_with_labels) const {
  const std::string scrape = "\n" + registry_.Scrape();
  const std::string line = "\noutrider_" + name_with_labels + " ";
  const std::size_t at = scrape.find(line);
  if (at == std::string::npos) throw std::runtime_error("no metric " + name_with_labels);
  return std::stod(scrape.substr(at + line.size()));
}

}  // namespace outrider::consumer
