#include "tests/fault/runner/fault_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/process/wait_until.h"

namespace outrider::fault {
namespace {

using nlohmann::json;
using testing::ChildProcess;

constexpr std::chrono::seconds kDrainTimeout{120};
constexpr std::chrono::minutes kProgramTimeout{5};
const std::string kPrograms = FAULT_PROGRAMS;

std::vector<std::string> SourceArguments(const Installation& installation) {
  std::vector<std::string> arguments;
  for (const auto& [source, database] : installation.source_databases) {
    arguments.insert(arguments.end(), {"--source", fmt::format("{}={}", source, installation.Url(database))});
  }
  return arguments;
}

std::unique_ptr<ChildProcess> StartWorkload(const RunOptions& options, const Installation& installation) {
  std::vector<std::string> command = {"/usr/bin/python3", kPrograms + "/workload.py",
                                      "--seed",           std::to_string(options.seed),
                                      "--seconds",        "3600",
                                      "--writers",        "6",
                                      "--rate",           fmt::format("{}", options.rate),
                                      "--channel",        "ops=3",
                                      "--channel",        "team=2",
                                      "--channel",        "nobody-knows=0.05",
                                      "--history",        (options.folder / "history" / "load.jsonl").string()};
  const auto sources = SourceArguments(installation);
  command.insert(command.end(), sources.begin(), sources.end());
  std::filesystem::create_directories(options.folder / "history");
  return std::make_unique<ChildProcess>(testing::ChildOptions{.command = command});
}

void WriteManifest(const RunOptions& options, const Installation& installation, const RowFaults& faults) {
  json manifest = {{"seed", options.seed},
                   {"transport", "kafka"},
                   {"foreign_events", faults.foreign_events()},
                   {"actions", faults.actions()},
                   {"private_sealed", false}};
  for (const auto& [source, database] : installation.source_databases)
    manifest["sources"].push_back({{"name", source}});
  for (const Bot& bot : installation.bots) {
    manifest["channels"].push_back({{"code", bot.channel},
                                    {"bot", bot.token},
                                    {"per_second", 0},
                                    {"per_minute", 0},
                                    {"max_attempts", 200},
                                    {"on_uncertain", "retry"},
                                    {"idempotent", false},
                                    {"max_delay_seconds", 900}});
    manifest["secrets"].push_back({{"name", "webhook token of " + bot.channel}, {"value", bot.token}});
    if (!bot.secret.empty()) {
      manifest["secrets"].push_back({{"name", "signing secret of " + bot.channel}, {"value", bot.secret}});
    }
  }
  manifest["secrets"].push_back({{"name", "the sealing key"}, {"value", installation.sealing_key}});
  manifest["secrets"].push_back(
      {{"name", "the database account's password"}, {"value", installation.product_password}});
  for (const Life& life : installation.ended) {
    json process = {{"name", life.name}, {"end", life.end}, {"exit_code", life.exit_code}};
    if (life.end == "terminated") {
      process["stop_seconds"] = life.stop_seconds;
      // Draining may take the grace; leaving the group and closing connections come after it.
      process["grace_seconds"] = kGrace.count() + 5;
    }
    manifest["processes"].push_back(std::move(process));
  }
  for (const FaultCount& count : faults.counts()) {
    manifest["faults"].push_back({{"row", count.row},
                                  {"kind", count.kind.starts_with("pause") ? "pause" : count.kind},
                                  {"target", count.target},
                                  {"planned", count.planned},
                                  {"fired", count.fired}});
  }
  testing::WriteTextFile(options.folder / "run.json", manifest.dump(1));
}

std::string Python(const std::string& program, std::vector<std::string> arguments, bool may_fail) {
  std::vector<std::string> command = {"/usr/bin/python3", kPrograms + "/" + program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  ChildProcess process({.command = command});
  const auto status = process.Wait(kProgramTimeout);
  if (!status || (!status->ok() && !may_fail) || status->code > 1) {
    throw std::runtime_error(fmt::format("{} failed:\n{}{}", program, process.Stdout(), process.Stderr()));
  }
  return process.Stdout();
}

RunResult Judge(const RunOptions& options, const Installation& installation) {
  std::vector<std::string> collect = {options.folder.string(), "--records",
                                      installation.Url(installation.records_database), "--vendor",
                                      installation.vendor->url()};
  const auto sources = SourceArguments(installation);
  collect.insert(collect.end(), sources.begin(), sources.end());
  Python("collect.py", collect, false);
  const json verdict = json::parse(Python("check.py", {options.folder.string(), "--json"}, true));
  RunResult result;
  result.held = verdict.at("held");
  result.lost = verdict.at("summary").at("lost");
  result.stuck = verdict.at("summary").at("stuck");
  result.doubled = verdict.at("summary").at("doubled").get<std::map<std::string, int>>();
  result.words = Python("check.py", {options.folder.string()}, true);
  return result;
}

}  // namespace

RunResult RunOnce(const RunOptions& options) {
  std::vector<RowFaults::Row> rows;
  for (const RowFaults::Row& row : RowFaults::Rows()) {
    if (std::ranges::find(options.rows, row.number) != options.rows.end()) rows.push_back(row);
  }
  Installation installation(options.database, options.folder);
  installation.StartAll();
  RowFaults faults(installation, options.seed);
  std::mt19937_64 order(options.seed);
  const auto workload = StartWorkload(options, installation);

  const auto end = std::chrono::steady_clock::now() + options.duration;
  for (bool first_cycle = true; first_cycle || std::chrono::steady_clock::now() < end; first_cycle = false) {
    std::ranges::shuffle(rows, order);
    for (const RowFaults::Row& row : rows) {
      if (!first_cycle && std::chrono::steady_clock::now() >= end) break;
      if (!workload->Running()) throw std::runtime_error("the workload ended: " + workload->Stderr());
      faults.Inject(row);
    }
  }
  workload->Signal(SIGTERM);
  const auto ended = workload->Wait(kProgramTimeout);
  if (!ended || !ended->ok()) throw std::runtime_error("the workload failed: " + workload->Stderr());
  fmt::print(stderr, "workload: {}", workload->Stdout());

  installation.proxy->Heal();
  installation.StartAll();
  // Twice in a row: what a late retry or a rebalance still moves would show in between.
  int quiet = 0;
  const bool drained =
      testing::WaitUntil([&] { return (quiet = installation.Drained() ? quiet + 1 : 0) >= 50; }, kDrainTimeout);
  installation.Collect();
  WriteManifest(options, installation, faults);
  RunResult result = Judge(options, installation);
  result.drained = drained;
  result.faults = faults.counts();
  return result;
}

}  // namespace outrider::fault
