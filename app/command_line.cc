#include "app/command_line.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <set>
#include <thread>

#include "app/commands.h"
#include "app/config.h"
#include "app/sidecar.h"
#include "app/version.h"
#include "model/time.h"

namespace outrider::app {
namespace {

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int RunSidecar(const Config& config, const std::set<Role>& roles, bool migrate) {
  // Blocked before the first thread, so that every thread inherits it and only sigwait below takes them.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const rlimit no_core{0, 0};  // a core would hold secrets and message bodies
  setrlimit(RLIMIT_CORE, &no_core);

  if (migrate) {
    if (const int code = MigrateUp(config); code != kExitOk) return code;
  }
  Log log(config.log);
  log.Info("run.starts", {{"version", kVersion}});
  Sidecar sidecar(config, roles, log);
  if (Result<void> started = sidecar.Start(); !started) {
    log.Error("run.failed", {{"why", started.error().message}});
    return kExitFailed;
  }
  int signal = 0;
  sigwait(&signals, &signal);
  log.Info("run.stops", {{"signal", signal}, {"grace", FormatDuration(config.grace)}});
  std::thread impatient([&signals, &log] {
    int second = 0;
    sigwait(&signals, &second);
    log.Warn("run.aborted", {{"why", "a second signal came; claims in flight are left to their leases"}});
    _exit(kExitFailed);
  });
  impatient.detach();
  sidecar.Stop();
  log.Info("run.stopped");
  return kExitOk;
}

std::set<Role> ParseRoles(const std::vector<std::string>& names) {
  std::set<Role> roles;
  for (const std::string& name : names) {
    if (name == "relay") roles.insert(Role::kRelay);
    if (name == "consumer") roles.insert(Role::kConsumer);
    if (name == "api") roles.insert(Role::kApi);
  }
  return roles;
}

std::string CheckWait(const std::string& text) {
  return ParseDuration(text) ? "" : fmt::format("\"{}\" is not a duration such as 45s", text);
}

}  // namespace

int RunCommandLine(int argc, char** argv, char** environment) {
  CLI::App app{"Outrider: a transactional-outbox sidecar for Feishu and other IM notifications", "outrider"};
  app.require_subcommand(1);
  app.fallthrough();
  std::vector<std::string> files;
  std::string output = "table";
  app.add_option("-c,--config", files, "Configuration file (YAML); may be given several times, later ones win");
  app.add_option("-o,--output", output, "How data is printed")->check(CLI::IsMember({"table", "json"}));

  auto* run = app.add_subcommand("run", "Run the sidecar until SIGTERM");
  std::vector<std::string> role_names{"relay", "consumer", "api"};
  bool migrate_first = false;
  run->add_option("--roles", role_names, "Roles of this process, between commas (all by default)")
      ->delimiter(',')
      ->check(CLI::IsMember({"relay", "consumer", "api"}));
  run->add_flag("--migrate", migrate_first, "Create missing tables first");

  auto* migrate = app.add_subcommand("migrate", "The tables of Outrider and of its sources");
  migrate->require_subcommand(1);
  auto* migrate_status = migrate->add_subcommand("status", "Which migrations are applied");
  auto* migrate_up = migrate->add_subcommand("up", "Apply the missing ones");
  auto* migrate_sql = migrate->add_subcommand("sql", "Print the statements for a DBA instead");

  auto* config_command = app.add_subcommand("config", "The configuration");
  config_command->require_subcommand(1);
  auto* config_check = config_command->add_subcommand("check", "Name every fault");
  auto* config_show = config_command->add_subcommand("show", "Effective values with their origin, secrets redacted");

  auto* send = app.add_subcommand("send", "Put a request into Outrider's own outbox, and wait for its end");
  SendOptions send_options;
  std::string wait;
  send->add_option("--channel", send_options.channel, "The channel's code");
  send->add_option("--text", send_options.text, "The text");
  send->add_option("--title", send_options.title, "A title");
  send->add_option("--markdown", send_options.markdown, "Markdown instead of a text");
  send->add_option("--recipient", send_options.recipient, "Who, in the provider's terms");
  send->add_option("--dedupe-key", send_options.dedupe_key, "What makes it one notification (random by default)");
  send->add_option("--ordering-key", send_options.ordering_key, "At most one of these in flight, in order");
  send->add_option("--aggregate-id", send_options.aggregate_id,
                   "The row's aggregateid (the ordering key or the dedupe key by default)");
  send->add_option("--tenant", send_options.tenant, "The tenant (\"default\" by default)");
  send->add_option("--fallback-text", send_options.fallback_text, "Used when the message can't be carried");
  send->add_option("--priority", send_options.priority, "high, normal or low");
  send->add_option("--file", send_options.request_file, "A whole request as JSON, - for standard input")
      ->excludes("--channel")
      ->excludes("--text");
  send->add_option("--wait", wait, "Wait for its end, at most this long, for example 45s")->check(CheckWait);

  auto* show = app.add_subcommand("show", "The whole story of one notification");
  std::string key;
  show->add_option("key", key, "Its dedupe key")->required();

  auto* list = app.add_subcommand("ls", "List notifications, newest first");
  ListOptions list_options;
  list->add_option("--status", list_options.status, "Only this status");
  list->add_option("--limit", list_options.limit, "How many")->check(CLI::Range(1, 1000));
  list->add_option("--before", list_options.before_id, "Only records with a lower id: the next page");

  auto* version = app.add_subcommand("version", "The version");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (*version) {
    fmt::print("outrider {}\n", kVersion);
    return kExitOk;
  }

  if (files.empty()) {
    fmt::print(stderr, "outrider: no configuration; give one with --config FILE (repeatable)\n");
    return kExitUsage;
  }
  std::vector<std::string> variables;
  for (char** variable = environment; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  const ConfigReading reading = ReadConfig(files, variables);
  const OutputFormat format = output == "json" ? OutputFormat::kJson : OutputFormat::kTable;
  if (*config_show) return ConfigShow(reading, format);
  if (const int code = ConfigCheck(reading); code != kExitOk) return code;
  const Config& config = reading.config;
  if (*config_check) {
    fmt::print(stderr, "outrider: the configuration is valid: {} source(s), {} channel(s)\n", config.sources.size(),
               config.channels.size());
    return kExitOk;
  }
  if (*migrate_status) return MigrateStatus(config, format);
  if (*migrate_up) return MigrateUp(config);
  if (*migrate_sql) return MigrateSql(config);
  if (*send) {
    if (!wait.empty()) send_options.wait = ParseDuration(wait);
    return Send(config, send_options, format);
  }
  if (*show) return Show(config, key, format);
  if (*list) return List(config, list_options, format);
  const std::set<Role> roles = ParseRoles(role_names);
  if (config.transport == Transport::kDirect && roles.contains(Role::kRelay) != roles.contains(Role::kConsumer)) {
    fmt::print(
        stderr,
        "outrider: transport direct needs relay and consumer in one process: give both in --roles, or neither\n");
    return kExitUsage;
  }
  return RunSidecar(config, roles, migrate_first);
}

}  // namespace outrider::app
