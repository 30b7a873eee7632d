#include "app/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/output.h"
#include "consumer/record_query.h"
#include "consumer/reseal.h"
#include "consumer/schema.h"
#include "model/request.h"
#include "model/text.h"
#include "model/time.h"
#include "outbox/outbox_query.h"
#include "outbox/outbox_writer.h"
#include "outbox/schema.h"
#include "platform/crypto/hmac.h"
#include "platform/failpoint/failpoint.h"
#include "platform/mysql/migrator.h"

namespace outrider::app {
namespace {

constexpr std::chrono::milliseconds kWaitPoll{50};

constexpr std::string_view kMaybeRejected = ", or its request was wrong: table rejected_events has some";

constexpr int kNoSuchTable = 1146;  // MySQL's and MariaDB's errno

// One database with one set of migrations.
struct MigrationTarget {
  std::string what;
  std::string title;  // with the place
  mysql::MysqlOptions options;
  mysql::Migrator migrator;
};

std::vector<MigrationTarget> Targets(const Config& config) {
  std::vector<MigrationTarget> targets;
  targets.push_back({"records", "records in " + Describe(config.database), config.migrate.value_or(config.database),
                     mysql::Migrator("outrider", consumer::RecordMigrations())});
  for (const SourceConfig& source : config.sources) {
    const std::string what = fmt::format("outbox \"{}\"", source.name);
    targets.push_back(
        {what, fmt::format("{} in {}", what, Describe(source.database)), source.migrate.value_or(source.database),
         mysql::Migrator(outbox::OutboxMigrationSet(source.table), outbox::OutboxMigrations(source.table))});
  }
  return targets;
}

std::string ReadAll(const std::string& file, bool& readable) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream stream(file, std::ios::binary);
  readable = static_cast<bool>(stream);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

std::string BuildPayload(const SendOptions& options) {
  nlohmann::json json;
  json["channel"] = options.channel;
  json["dedupe_key"] = options.dedupe_key.empty() ? "send-" + crypto::RandomUuid() : options.dedupe_key;
  nlohmann::json message = nlohmann::json::object();
  if (!options.title.empty()) message["title"] = options.title;
  if (!options.markdown.empty()) {
    message["markdown"] = options.markdown;
    if (options.title.empty()) message["title"] = "";
  } else {
    message["text"] = options.text;
  }
  json["message"] = message;
  const auto set = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  set("recipient", options.recipient);
  set("ordering_key", options.ordering_key);
  set("tenant", options.tenant);
  set("fallback_text", options.fallback_text);
  set("priority", options.priority);
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The record of that key once it has ended, or as it stands when the time is over.
Result<std::optional<consumer::RecordView>> WaitForEnd(mysql::MysqlConnection& connection,
                                                       const NotificationRequest& request,
                                                       std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  std::optional<consumer::RecordView> last;
  while (true) {
    const auto records = consumer::FindByKey(connection, request.dedupe_key);
    if (!records) return std::unexpected(records.error());
    for (const consumer::RecordView& record : *records) {
      if (record.tenant == request.tenant && record.channel == request.channel) last = record;
    }
    if ((last && IsTerminal(last->status)) || std::chrono::steady_clock::now() >= deadline) return last;
    std::this_thread::sleep_for(kWaitPoll);
  }
}

void WarnOfUnknownChannel(const Config& config, const NotificationRequest& request) {
  const bool known = std::any_of(config.channels.begin(), config.channels.end(),
                                 [&](const auto& channel) { return channel.code == request.channel; });
  if (!known) {
    Say(fmt::format("this configuration has no channel \"{}\": the notification will wait until it has one",
                    request.channel));
  }
}

std::string Tell(const outbox::OutboxSighting& sighting, const SourceConfig& source) {
  if (sighting.moved_aside) {
    return fmt::format(
        "event {} was committed into source \"{}\" at {}, but can't be published: {} (table outbox_dead)",
        sighting.event_id, source.name, FormatRfc3339(sighting.created_at), sighting.reason);
  }
  return fmt::format(
      "event {} waits in the outbox of source \"{}\" since {}: the relay hasn't come to it; is \"outrider run\" at "
      "work? "
      "See /readyz?verbose",
      sighting.event_id, source.name, FormatRfc3339(sighting.created_at));
}

// Why a dedupe key has no record: its row waits, was moved aside or rejected, or there never was a committed one.
void ExplainAbsence(const Config& config, mysql::MysqlConnection& database, const std::string& dedupe_key) {
  bool seen = false;
  std::string not_searched;
  for (const SourceConfig& source : config.sources) {
    auto connection = mysql::MysqlConnection::Open(source.database);
    const auto sightings = connection ? outbox::FindInOutbox(**connection, source.name, source.table, dedupe_key)
                                      : std::unexpected(connection.error());
    if (!sightings) {
      not_searched += fmt::format(". Source \"{}\" could not be searched: {}", source.name, sightings.error().message);
      continue;
    }
    for (const outbox::OutboxSighting& sighting : *sightings) Say(Tell(sighting, source));
    seen = seen || !sightings->empty();
  }
  if (seen) return;
  const auto rejected = database.Execute("SELECT 1 FROM rejected_events LIMIT 1");
  const bool any_rejected = rejected && !rejected->rows.empty();
  if (config.transport == Transport::kKafka) {
    Say(
        fmt::format("there is neither a record nor a row in an outbox with the dedupe key \"{}\": its transaction was "
                    "rolled back or "
                    "isn't committed yet, or it is in Kafka and \"outrider run\" hasn't read it yet{}{}",
                    EscapeUnprintable(dedupe_key), any_rejected ? kMaybeRejected : "", not_searched));
    return;
  }
  Say(fmt::format(
      "nothing committed has the dedupe key \"{}\": neither a record nor a row in an outbox. Its transaction "
      "was rolled back or isn't committed yet{}{}",
      EscapeUnprintable(dedupe_key), any_rejected ? kMaybeRejected : "", not_searched));
}

}  // namespace

bool ColourWanted() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

int Failed(const std::string& what, const Error& error) {
  Say(fmt::format("{}: {}", what, error.message));
  if (error.native_code == kNoSuchTable) {
    Say("create the tables with \"outrider migrate up\", or give a DBA the output of \"outrider migrate sql\"");
  }
  return kExitFailed;
}

int MigrateStatus(const Config& config, OutputFormat format) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  bool complete = true;
  for (const MigrationTarget& target : Targets(config)) {
    auto connection = mysql::MysqlConnection::Open(target.options);
    if (!connection) return Failed(target.what, connection.error());
    const auto status = target.migrator.Status(**connection);
    if (!status) return Failed(target.what, status.error());
    for (const mysql::MigrationStatus& one : *status) {
      const std::string state = one.changed ? "changed" : one.applied ? "applied" : "missing";
      complete = complete && one.applied && !one.changed;
      rows.push_back({target.title, one.name, state});
      json.push_back({{"target", target.title}, {"migration", one.name}, {"state", state}});
    }
  }
  if (format == OutputFormat::kJson) {
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}", Table({"WHERE", "MIGRATION", "STATE"}, rows));
  }
  if (!complete)
    Say("not everything is there; \"outrider migrate up\" creates what is missing, \"outrider migrate sql\" prints it");
  return complete ? kExitOk : kExitUnhealthy;
}

Result<std::vector<std::string>> ApplyMigrations(const Config& config) {
  std::vector<std::string> lines;
  for (const MigrationTarget& target : Targets(config)) {
    auto connection = mysql::MysqlConnection::Open(target.options);
    auto applied = connection ? target.migrator.Up(**connection) : std::unexpected(connection.error());
    if (!applied) {
      Error error = applied.error();
      error.message = fmt::format("{}: {}", target.what, error.message);
      return std::unexpected(std::move(error));
    }
    lines.push_back(
        fmt::format("{}: {}", target.title,
                    applied->empty() ? "up to date" : fmt::format("applied {}", fmt::join(*applied, ", "))));
  }
  return lines;
}

int MigrateUp(const Config& config, OutputFormat format) {
  const auto lines = ApplyMigrations(config);
  if (!lines) return Failed("the tables can't be created", lines.error());
  if (format == OutputFormat::kJson) {
    fmt::print("{}\n", nlohmann::json(*lines).dump(2));
  } else {
    for (const std::string& line : *lines) fmt::print("{}\n", line);
  }
  return kExitOk;
}

int MigrateSql(const Config& config) {
  for (const MigrationTarget& target : Targets(config)) fmt::print("-- {}\n{}\n", target.title, target.migrator.Sql());
  return kExitOk;
}

int ConfigCheck(const ConfigReading& reading) {
  if (reading.faults.empty()) return kExitOk;
  Say(fmt::format("the configuration has {} fault{}:", reading.faults.size(), reading.faults.size() == 1 ? "" : "s"));
  for (const std::string& fault : reading.faults) fmt::print(stderr, "  - {}\n", fault);
  return kExitUsage;
}

int ConfigShow(const ConfigReading& reading, OutputFormat format) {
  if (format == OutputFormat::kJson) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const EffectiveSetting& setting : reading.effective) {
      json.push_back({{"path", setting.path}, {"value", setting.value}, {"origin", setting.origin}});
    }
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const EffectiveSetting& setting : reading.effective)
      rows.push_back({setting.path, setting.value, setting.origin});
    fmt::print("{}", Table({"SETTING", "VALUE", "FROM"}, rows));
  }
  return ConfigCheck(reading);
}

int Send(const Config& config, const SendOptions& options, OutputFormat format) {
  bool readable = true;
  const std::string payload =
      options.request_file.empty() ? BuildPayload(options) : ReadAll(options.request_file, readable);
  if (!readable) {
    Say(fmt::format("{} can't be read", options.request_file));
    return kExitUsage;
  }
  const RequestReading reading = ParseRequest(payload);
  if (!reading.request) {
    Say("the request is not valid:");
    for (const RequestFault& fault : reading.faults) {
      fmt::print(stderr, "  - {}: {}\n", fault.pointer.empty() ? "/" : fault.pointer, fault.problem);
    }
    return kExitUsage;
  }
  const NotificationRequest& request = *reading.request;
  WarnOfUnknownChannel(config, request);
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const std::string aggregate = !options.aggregate_id.empty()   ? options.aggregate_id
                                : !request.ordering_key.empty() ? request.ordering_key
                                                                : request.dedupe_key;
  const auto event = outbox::WriteRequest(**connection, "outbox", request, aggregate);
  if (!event) return Failed("the request could not be written into the outbox", event.error());
  Say(fmt::format("in the outbox: event {}, dedupe key {}", *event, request.dedupe_key));
  if (!options.wait) {
    fmt::print("{}\n", request.dedupe_key);
    return kExitOk;
  }
  const auto record = WaitForEnd(**connection, request, *options.wait);
  if (!record) return Failed("the record can't be read", record.error());
  if (!*record) {
    Say("nothing recorded yet; is \"outrider run\" at work? See /readyz?verbose");
    return kExitFailed;
  }
  fmt::print("{}", format == OutputFormat::kJson ? StoryJson({**record}) : Story(**record, ColourWanted()));
  return (*record)->status == DeliveryStatus::kSent ? kExitOk : kExitFailed;
}

int Show(const Config& config, const std::string& dedupe_key, OutputFormat format) {
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const auto records = consumer::FindByKey(**connection, dedupe_key);
  if (!records) return Failed("the records can't be read", records.error());
  if (format == OutputFormat::kJson) {
    fmt::print("{}", StoryJson(*records));
  } else {
    for (const consumer::RecordView& record : *records) fmt::print("{}", Story(record, ColourWanted()));
  }
  if (!records->empty()) return kExitOk;
  ExplainAbsence(config, **connection, dedupe_key);
  return kExitFailed;
}

int List(const Config& config, const ListOptions& options, OutputFormat format) {
  consumer::ListFilter filter;
  filter.limit = options.limit;
  if (options.before_id > 0) filter.before_id = options.before_id;
  if (!options.status.empty()) {
    filter.status = ParseDeliveryStatus(options.status);
    if (!filter.status) {
      Say(fmt::format("\"{}\" is not a status; there are pending, sending, sent, failed, dead, skipped",
                      options.status));
      return kExitUsage;
    }
  }
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const auto records = consumer::ListRecords(**connection, filter);
  if (!records) return Failed("the records can't be read", records.error());
  fmt::print("{}", format == OutputFormat::kJson ? StoryJson(*records) : RecordTable(*records));
  if (records->size() == options.limit) Say(fmt::format("more may follow: --before {}", records->back().id));
  return kExitOk;
}

int Reseal(const Config& config, OutputFormat format) {
  if (config.sealing_keys.empty()) {
    Say("no key is configured: sealing.keys is empty");
    return kExitUsage;
  }
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const crypto::Sealer sealer(config.sealing_keys);
  const auto done = consumer::Reseal(**connection, sealer);
  if (!done) return Failed("re-sealing ended early; run it again", done.error());
  if (format == OutputFormat::kJson) {
    const nlohmann::ordered_json json = {
        {"key", sealer.first_key()}, {"records", done->records}, {"rejected", done->rejected}, {"left", done->left}};
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{} records and {} rejected events are sealed anew, under key \"{}\"; {} are left under others\n",
               done->records, done->rejected, sealer.first_key(), done->left);
  }
  if (done->left == 0) return kExitOk;
  Say("what is left needs a key that isn't configured, was changed, or was just being sent; run it again");
  return kExitFailed;
}

int ListFailpoints(OutputFormat format) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  for (const FailpointInfo& info : kFailpoints) {
    const std::string actions = info.can_fail ? "crash, sleep, error" : "crash, sleep";
    rows.push_back({std::string(info.name), actions, std::string(info.where)});
    json.push_back({{"name", info.name}, {"actions", actions}, {"where", info.where}});
  }
  if (format == OutputFormat::kJson) {
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}", Table({"FAILPOINT", "ACTIONS", "WHERE"}, rows));
  }
  return kExitOk;
}

}  // namespace outrider::app
