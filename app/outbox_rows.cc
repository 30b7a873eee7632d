#include "app/outbox_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "app/output.h"
#include "app/person.h"
#include "model/time.h"
#include "outbox/dead_letters.h"
#include "outbox/outbox_store.h"

namespace outrider::app {
namespace {

using Json = nlohmann::ordered_json;
using outbox::DeadFilter;
using outbox::DeadLetter;
using outbox::DeadLetters;
using outbox::HeldKeyView;
using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

constexpr std::size_t kPage = 50;
constexpr std::size_t kKeys = 50;
constexpr std::size_t kBatch = 200;
constexpr milliseconds kTellEvery{2'000};

DeadFilter FilterOf(const DeadRowChoice& choice) {
  return {choice.ids, choice.seqs, choice.type, choice.key, choice.cause};
}

// The chosen sources; none: there is no such source, which has been said.
std::vector<const SourceConfig*> Choose(const Config& config, const std::string& name) {
  std::vector<const SourceConfig*> chosen;
  std::vector<std::string> names;
  for (const SourceConfig& source : config.sources) {
    names.push_back(source.name);
    if (name.empty() || source.name == name) chosen.push_back(&source);
  }
  if (chosen.empty()) Say(fmt::format("there is no source \"{}\"; there are: {}", name, fmt::join(names, ", ")));
  return chosen;
}

// What a person is shown of one source.
struct SourceView {
  std::string name;
  outbox::Backlog backlog;
  std::size_t dead = 0;  // that match
  std::vector<DeadLetter> letters;
  std::vector<HeldKeyView> keys;
};

Result<SourceView> Look(const SourceConfig& source, const DeadFilter& filter, std::optional<std::uint64_t> before,
                        std::size_t limit) {
  auto connection = mysql::MysqlConnection::Open(source.database);
  if (!connection) return std::unexpected(connection.error());
  SourceView view{.name = source.name, .backlog = {}, .dead = 0, .letters = {}, .keys = {}};
  const DeadLetters letters(source.name);
  auto backlog = outbox::OutboxStore(source.name, source.table).ProbeBacklog(**connection);
  if (!backlog) return std::unexpected(backlog.error());
  auto dead = letters.Count(**connection, filter);
  if (!dead) return std::unexpected(dead.error());
  auto newest = letters.Newest(**connection, filter, before, limit);
  if (!newest) return std::unexpected(newest.error());
  auto keys = letters.HeldKeys(**connection, kKeys);
  if (!keys) return std::unexpected(keys.error());
  view.backlog = *backlog;
  view.dead = *dead;
  view.letters = std::move(*newest);
  view.keys = std::move(*keys);
  return view;
}

std::string AtMost(std::size_t count, std::size_t cap) {
  return count < cap ? std::to_string(count) : fmt::format("{} or more", cap);
}

Json ToJson(const SourceView& view) {
  Json json;
  json["source"] = view.name;
  json["waiting"] = view.backlog.rows;
  json["waiting_counted_to"] = outbox::kBacklogCap;
  json["oldest_waiting"] = view.backlog.oldest ? Json(FormatRfc3339(*view.backlog.oldest)) : Json(nullptr);
  json["dead"] = view.dead;
  json["rows"] = Json::array();
  for (const DeadLetter& letter : view.letters) {
    json["rows"].push_back({{"id", letter.id},
                            {"seq", letter.seq},
                            {"event_id", letter.event_id},
                            {"aggregatetype", letter.aggregatetype},
                            {"aggregateid", letter.aggregateid},
                            {"type", letter.type},
                            {"bytes", letter.bytes},
                            {"reason", letter.reason},
                            {"detail", letter.detail},
                            {"created_at", FormatRfc3339(letter.created_at)},
                            {"moved_at", FormatRfc3339(letter.moved_at)},
                            {"holds_key", letter.holds_key}});
  }
  json["held_keys"] = Json::array();
  for (const HeldKeyView& key : view.keys) {
    json["held_keys"].push_back({{"aggregatetype", key.aggregatetype},
                                 {"aggregateid", key.aggregateid},
                                 {"held_at", FormatRfc3339(key.held_at)},
                                 {"dead", key.dead},
                                 {"waiting", key.rows}});
  }
  return json;
}

void PrintJson(const Json& json) { fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace)); }

void PrintTables(const std::vector<SourceView>& views) {
  std::vector<std::vector<std::string>> sources, letters, keys;
  for (const SourceView& view : views) {
    sources.push_back({view.name, AtMost(view.backlog.rows, outbox::kBacklogCap),
                       view.backlog.oldest ? FormatRfc3339(*view.backlog.oldest) : "", std::to_string(view.dead),
                       AtMost(view.keys.size(), kKeys)});
    for (const DeadLetter& letter : view.letters) {
      letters.push_back({view.name, std::to_string(letter.id), std::to_string(letter.seq), letter.aggregatetype,
                         letter.aggregateid, std::to_string(letter.bytes), FormatRfc3339(letter.moved_at),
                         letter.holds_key ? "yes" : "", letter.reason, letter.detail});
    }
    for (const HeldKeyView& key : view.keys) {
      keys.push_back({view.name, key.aggregatetype, key.aggregateid, FormatRfc3339(key.held_at),
                      AtMost(key.rows, outbox::kHeldCap),
                      key.dead > 0 ? fmt::format("{} to be replayed or discarded", Counted(key.dead, "dead row"))
                                   : "released: its rows are on their way"});
    }
  }
  fmt::print("{}", Table({"SOURCE", "WAITING", "OLDEST", "DEAD", "HELD KEYS"}, sources));
  if (!letters.empty()) {
    fmt::print(
        "\nRows that can't be published\n{}",
        Table({"SOURCE", "ID", "SEQ", "TYPE", "KEY", "BYTES", "MOVED", "HOLDS KEY", "REASON", "DETAIL"}, letters));
  }
  if (!keys.empty()) {
    fmt::print("\nKeys that are held\n{}", Table({"SOURCE", "TYPE", "KEY", "SINCE", "WAITING", "BEHIND"}, keys));
  }
}

std::string_view VerbOf(DeadRowAction action) { return action == DeadRowAction::kReplay ? "replay" : "discard"; }

struct JobEnd {
  std::size_t changed = 0;
  std::size_t gone = 0;  // somebody was first
  std::optional<Error> error;
  bool interrupted = false;
};

// Oldest first, so that the rows of a key go back in their order.
JobEnd Act(mysql::MysqlConnection& connection, const DeadLetters& letters, DeadRowAction action,
           const DeadFilter& filter, std::size_t planned, std::size_t rate, const std::string& reason) {
  JobEnd end;
  const Interruption interruption;
  const outbox::Decision decision{Actor(), reason};
  const Time began = std::chrono::steady_clock::now();
  Time told = began;
  std::uint64_t place = 0;
  while (end.changed + end.gone < planned) {
    auto page = letters.Oldest(connection, filter, place, std::min(kBatch, planned - end.changed - end.gone));
    if (!page) end.error = page.error();
    if (!page || page->empty()) break;
    for (const DeadLetter& letter : *page) {
      end.interrupted = interruption.came();
      if (end.interrupted) return end;
      const auto done = action == DeadRowAction::kReplay ? letters.Replay(connection, letter.id, decision)
                                                         : letters.Discard(connection, letter.id, decision);
      if (!done && done.error().code != ErrorCode::kNotFound) {
        end.error = done.error();
        return end;
      }
      ++(done ? end.changed : end.gone);
      place = letter.id;
      const Time now = std::chrono::steady_clock::now();
      if (now - told >= kTellEvery) {
        Say(fmt::format("{} of {} done", end.changed, planned));
        told = now;
      }
      if (rate == 0) continue;
      const auto due = began + std::chrono::microseconds((end.changed + end.gone) * 1'000'000 / rate);
      interruption.Sleep(std::chrono::ceil<milliseconds>(due - now));
    }
  }
  return end;
}

void PrintEnd(const SourceConfig& source, DeadRowAction action, std::size_t matched, std::size_t changed, bool dry_run,
              OutputFormat format) {
  if (format == OutputFormat::kJson) {
    PrintJson({{"action", VerbOf(action)},
               {"source", source.name},
               {"matched", matched},
               {"changed", changed},
               {"dry_run", dry_run}});
    return;
  }
  fmt::print("{}", Table({"ACTION", "SOURCE", "MATCHED", "CHANGED"},
                         {{fmt::format("{}{}", VerbOf(action), dry_run ? " (dry run)" : ""), source.name,
                           std::to_string(matched), std::to_string(changed)}}));
}

}  // namespace

int ListOutbox(const Config& config, const DeadRowChoice& choice, std::uint64_t before_id, OutputFormat format) {
  const auto sources = Choose(config, choice.source);
  if (sources.empty()) return kExitUsage;
  const std::size_t limit = choice.limit == 0 ? kPage : choice.limit;
  std::vector<SourceView> views;
  bool failed = false;
  for (const SourceConfig* source : sources) {
    auto view = Look(*source, FilterOf(choice), before_id > 0 ? std::optional(before_id) : std::nullopt, limit);
    if (!view) {
      failed = true;
      Failed(fmt::format("source {}: its outbox can't be read", source->name), view.error());
      continue;
    }
    if (view->letters.size() == limit && view->letters.size() < view->dead) {
      Say(fmt::format("source {}: more may follow: --source {} --before-id {}", source->name, source->name,
                      view->letters.back().id));
    }
    views.push_back(std::move(*view));
  }
  if (format == OutputFormat::kJson) {
    Json json = Json::array();
    for (const SourceView& view : views) json.push_back(ToJson(view));
    PrintJson(json);
  } else if (!views.empty()) {
    PrintTables(views);
  }
  if (!failed) return kExitOk;
  return views.empty() ? kExitFailed : kExitPartly;
}

int ActOnDeadRows(const Config& config, DeadRowAction action, const DeadRowChoice& choice, const ActionOptions& options,
                  OutputFormat format) {
  if (const auto code = CheckOptions(options)) return *code;
  const auto sources = Choose(config, choice.source);
  if (sources.empty()) return kExitUsage;
  if (sources.size() > 1) {
    std::vector<std::string> names;
    for (const SourceConfig* source : sources) names.push_back(source->name);
    Say(fmt::format("say which source: --source is one of {}", fmt::join(names, ", ")));
    return kExitUsage;
  }
  const SourceConfig& source = *sources.front();
  auto connection = mysql::MysqlConnection::Open(source.database);
  if (!connection) return Failed(fmt::format("source {} can't be reached", source.name), connection.error());
  const DeadLetters letters(source.name);
  const DeadFilter filter = FilterOf(choice);
  const auto counted = letters.Count(**connection, filter);
  if (!counted) return Failed("the dead rows can't be counted", counted.error());
  const std::size_t planned = choice.limit == 0 ? *counted : std::min(*counted, choice.limit);
  if (options.dry_run || planned == 0) {
    PrintEnd(source, action, planned, 0, options.dry_run, format);
    return kExitOk;
  }
  const std::string what = fmt::format("{} {} of source {}", VerbOf(action), Counted(planned, "dead row"), source.name);
  if (const auto code = AskWhether(options, planned, what)) return *code;
  const JobEnd end = Act(**connection, letters, action, filter, planned, *ReadRate(options.rate), options.reason);
  PrintEnd(source, action, planned, end.changed, false, format);
  if (end.error) Failed(fmt::format("the job stopped after {}", Counted(end.changed, "dead row")), *end.error);
  if (end.gone > 0) Say(fmt::format("somebody else was first with {}", Counted(end.gone, "dead row")));
  if (end.interrupted) Say(fmt::format("{} of {} done; give the command again to go on", end.changed, planned));
  if (end.changed == planned) return kExitOk;
  return end.changed == 0 ? kExitFailed : kExitPartly;
}

}  // namespace outrider::app
