#include "app/rejected.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "app/output.h"
#include "app/person.h"
#include "consumer/audit_log.h"
#include "consumer/event_reader.h"
#include "consumer/rejected_events.h"
#include "model/text.h"
#include "outbox/outbox_writer.h"
#include "platform/crypto/hmac.h"
#include "platform/mysql/pool.h"

namespace outrider::app {
namespace {

using consumer::RejectedView;

constexpr std::size_t kPage = 50;
constexpr std::size_t kBatch = 200;
constexpr std::size_t kPool = 1;
constexpr std::size_t kMostAggregateId = 191;
constexpr std::string_view kOwnOutbox = "outbox";
constexpr int kDuplicateKey = 1062;

std::string FaultsOf(const std::vector<RequestFault>& faults) {
  std::vector<std::string> words;
  for (const RequestFault& fault : faults) {
    words.push_back(fmt::format("{}: {}", fault.pointer.empty() ? "/" : fault.pointer, fault.problem));
  }
  return fmt::format("{}", fmt::join(words, "; "));
}

nlohmann::ordered_json ToJson(const RejectedView& view) {
  nlohmann::ordered_json json;
  json["id"] = view.id;
  json["topic"] = view.position.topic;
  json["partition"] = view.position.partition;
  json["offset"] = view.position.offset;
  json["reason"] = view.reason;
  json["faults"] = nlohmann::ordered_json::array();
  for (const RequestFault& fault : view.faults) {
    json["faults"].push_back({{"pointer", fault.pointer}, {"problem", fault.problem}});
  }
  json["value_bytes"] = view.value_bytes ? nlohmann::ordered_json(*view.value_bytes) : nlohmann::ordered_json(nullptr);
  json["created_at"] = FormatRfc3339(view.created_at);
  json["replayed_as"] =
      view.replayed_as.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(view.replayed_as);
  return json;
}

void PrintJson(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

struct Replayed {
  bool done = false;
  std::string why_not;
};

Result<Replayed> ReplayOne(mysql::MysqlPool& pool, std::int64_t id, const consumer::AuditEntry& entry,
                           const crypto::Sealer& sealer) {
  consumer::EventReading reading;
  std::string key;
  {
    auto connection = pool.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto event = consumer::ReadRejected(**connection, id, sealer);
    if (!event) return std::unexpected(event.error());
    reading = consumer::ReadEvent(*event);
    key = event->key.value_or("");
  }
  if (!reading.request) return Replayed{false, fmt::format("{}: {}", reading.reason, FaultsOf(reading.faults))};
  const std::string aggregate(
      CutCodePoints(SanitizeUtf8(key.empty() ? reading.request->dedupe_key : key), kMostAggregateId));
  auto done = pool.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
    auto written = outbox::WriteRequest(connection, kOwnOutbox, *reading.request, aggregate);
    if (!written) return std::unexpected(written.error());
    auto audited = consumer::AuditLog::Add(connection, entry, 1);
    if (!audited) return std::unexpected(audited.error());
    return consumer::MarkReplayed(connection, id, *audited, *written);
  });
  if (done) return Replayed{true, ""};
  if (done.error().native_code == kDuplicateKey) return Replayed{false, "it was replayed before"};
  return std::unexpected(done.error());
}

// Those that were chosen and not replayed yet, oldest first.
Result<std::vector<std::int64_t>> Choose(mysql::MysqlPool& pool, const RejectedChoice& choice) {
  auto connection = pool.Acquire();
  if (!connection) return std::unexpected(connection.error());
  if (choice.id > 0) {
    auto view = consumer::FindRejectedById(**connection, choice.id);
    if (!view) return std::unexpected(view.error());
    if (!*view) return Fail(ErrorCode::kNotFound, fmt::format("there is no rejected event {}", choice.id));
    if (!(*view)->replayed_as.empty()) return std::vector<std::int64_t>{};
    return std::vector<std::int64_t>{choice.id};
  }
  consumer::RejectedFilter filter;
  filter.reason = choice.cause;
  filter.topic = choice.topic;
  filter.only_open = true;
  filter.after_id = 0;
  filter.limit = kBatch;
  std::vector<std::int64_t> ids;
  while (choice.limit == 0 || ids.size() < choice.limit) {
    auto page = consumer::ListRejected(**connection, filter);
    if (!page) return std::unexpected(page.error());
    for (const RejectedView& view : *page) ids.push_back(view.id);
    if (page->size() < kBatch) break;
    filter.after_id = page->back().id;
  }
  if (choice.limit > 0 && ids.size() > choice.limit) ids.resize(choice.limit);
  return ids;
}

}  // namespace

int ListRejectedEvents(const Config& config, const RejectedChoice& choice, std::int64_t before_id,
                       OutputFormat format) {
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  consumer::RejectedFilter filter;
  filter.reason = choice.cause;
  filter.topic = choice.topic;
  filter.limit = choice.limit > 0 ? choice.limit : kPage;
  if (before_id > 0) filter.before_id = before_id;
  const auto views = consumer::ListRejected(**connection, filter);
  if (!views) return Failed("the rejected events can't be read", views.error());
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  for (const RejectedView& view : *views) {
    json.push_back(ToJson(view));
    rows.push_back({std::to_string(view.id), FormatRfc3339(view.created_at),
                    fmt::format("{} [{}] @ {}", view.position.topic, view.position.partition, view.position.offset),
                    view.reason, view.replayed_as.empty() ? "" : "replayed", FaultsOf(view.faults)});
  }
  if (format == OutputFormat::kJson) {
    PrintJson(json);
  } else {
    fmt::print("{}", Table({"ID", "AT", "POSITION", "REASON", "STATE", "FAULTS"}, rows));
  }
  if (views->size() == filter.limit) Say(fmt::format("more may follow: --before-id {}", views->back().id));
  return kExitOk;
}

int ShowRejected(const Config& config, std::int64_t id, OutputFormat format) {
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const auto view = consumer::FindRejectedById(**connection, id);
  if (!view) return Failed("the rejected event can't be read", view.error());
  if (!*view) {
    Say(fmt::format("there is no rejected event {}", id));
    return kExitFailed;
  }
  const crypto::Sealer sealer(config.sealing_keys);
  const auto event = consumer::ReadRejected(**connection, id, sealer);
  if (!event) return Failed("the rejected event can't be read", event.error());
  const consumer::EventReading now = consumer::ReadEvent(*event);
  const bool readable = now.request.has_value();
  if (format == OutputFormat::kJson) {
    nlohmann::ordered_json json = ToJson(**view);
    json["readable_now"] = readable;
    PrintJson(json);
    return kExitOk;
  }
  const RejectedView& shown = **view;
  std::vector<std::vector<std::string>> rows = {
      {"id", std::to_string(shown.id)},
      {"at", FormatRfc3339(shown.created_at)},
      {"position", fmt::format("{} [{}] @ {}", shown.position.topic, shown.position.partition, shown.position.offset)},
      {"value", shown.value_bytes ? fmt::format("{} bytes, not shown", *shown.value_bytes) : "none was kept"},
      {"reason", shown.reason}};
  for (const RequestFault& fault : shown.faults) {
    rows.push_back({"fault", fmt::format("{}: {}", fault.pointer.empty() ? "/" : fault.pointer, fault.problem)});
  }
  rows.push_back({"now", !shown.replayed_as.empty() ? fmt::format("replayed as event {}", shown.replayed_as)
                         : readable ? fmt::format("can be read: outrider rejected replay --id {}", shown.id)
                                    : "still can't be read"});
  fmt::print("{}", Table({"FIELD", "VALUE"}, rows));
  return kExitOk;
}

int ReplayRejected(const Config& config, const RejectedChoice& choice, const ActionOptions& options,
                   OutputFormat format) {
  if (const auto code = CheckOptions(options)) return *code;
  mysql::MysqlPool pool(config.database, kPool);
  auto ids = Choose(pool, choice);
  if (!ids) return Failed("the rejected events can't be read", ids.error());
  if (!options.dry_run && !ids->empty()) {
    if (const auto code =
            AskWhether(options, ids->size(), fmt::format("replay {}", Counted(ids->size(), "rejected event"))))
      return *code;
  }
  const std::string job = crypto::RandomUuid();
  const crypto::Sealer sealer(config.sealing_keys);
  const Interruption interruption;
  std::size_t changed = 0;
  for (const std::int64_t id : *ids) {
    if (options.dry_run || interruption.came()) break;
    const consumer::AuditEntry entry{.actor = Actor(),
                                     .action = "replay_rejected",
                                     .target = fmt::format("rejected event {}", id),
                                     .reason = options.reason,
                                     .job = job};
    const auto replayed = ReplayOne(pool, id, entry, sealer);
    if (!replayed) {
      Failed(fmt::format("stopped at rejected event {}", id), replayed.error());
      break;
    }
    changed += replayed->done ? 1 : 0;
    if (!replayed->done) Say(fmt::format("rejected event {} stays: {}", id, EscapeUnprintable(replayed->why_not)));
  }
  if (format == OutputFormat::kJson) {
    PrintJson({{"action", "replay"}, {"matched", ids->size()}, {"changed", changed}, {"dry_run", options.dry_run}});
  } else {
    fmt::print("{}", Table({"ACTION", "MATCHED", "CHANGED"}, {{options.dry_run ? "replay (dry run)" : "replay",
                                                               std::to_string(ids->size()), std::to_string(changed)}}));
  }
  if (options.dry_run || changed == ids->size()) return kExitOk;
  return changed == 0 ? kExitFailed : kExitPartly;
}

}  // namespace outrider::app
