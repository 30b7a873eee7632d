#include "app/pause.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/output.h"
#include "app/person.h"
#include "model/time.h"

namespace outrider::app {
namespace {

constexpr std::size_t kPool = 1;

bool IsConfigured(const Config& config, const std::string& channel) {
  return std::ranges::any_of(config.channels, [&](const auto& one) { return one.code == channel; });
}

}  // namespace

int PauseOrResume(const Config& config, bool pause, consumer::PauseKind kind, const std::string& name,
                  const std::string& reason, OutputFormat format) {
  if (reason.empty()) {
    Say("say why: --reason \"...\" stands in the audit log");
    return kExitUsage;
  }
  if (pause && kind == consumer::PauseKind::kChannel && !IsConfigured(config, name)) {
    Say(fmt::format("this configuration has no channel \"{}\"", name));
    return kExitUsage;
  }
  mysql::MysqlPool pool(config.database, kPool);
  const auto changed = pause ? consumer::AddPause(pool, kind, name, Actor(), reason)
                             : consumer::EndPause(pool, kind, name, Actor(), reason);
  if (!changed) return Failed("the pause can't be written", changed.error());
  const std::string what = fmt::format("{} {}", ToString(kind), name);
  if (!*changed) Say(fmt::format("{} {} paused before; nothing was changed", what, pause ? "was" : "wasn't"));
  if (format == OutputFormat::kJson) {
    nlohmann::ordered_json json;
    json["kind"] = ToString(kind);
    json["name"] = name;
    json["paused"] = pause;
    json["changed"] = *changed;
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{} {}\n", what, pause ? "is paused" : "goes on");
  }
  return kExitOk;
}

int ListPauses(const Config& config, OutputFormat format) {
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const auto pauses = consumer::ReadPauses(**connection);
  if (!pauses) return Failed("the pauses can't be read", pauses.error());
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  for (const consumer::Pause& pause : *pauses) {
    rows.push_back(
        {std::string(ToString(pause.kind)), pause.name, FormatRfc3339(pause.since), pause.actor, pause.reason});
    json.push_back({{"kind", ToString(pause.kind)},
                    {"name", pause.name},
                    {"since", FormatRfc3339(pause.since)},
                    {"actor", pause.actor},
                    {"reason", pause.reason}});
  }
  if (format == OutputFormat::kJson) {
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}", Table({"KIND", "NAME", "SINCE", "BY", "REASON"}, rows));
  }
  return kExitOk;
}

}  // namespace outrider::app
