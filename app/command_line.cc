#include "app/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/bench.h"
#include "app/commands.h"
#include "app/config.h"
#include "app/dead_letters.h"
#include "app/outbox_rows.h"
#include "app/output.h"
#include "app/pause.h"
#include "app/rejected.h"
#include "app/run.h"
#include "app/verify.h"
#include "app/version.h"
#include "model/time.h"

namespace outrider::app {
namespace {

std::string CheckWait(const std::string& text) {
  return ParseDuration(text) ? "" : fmt::format("\"{}\" is not a duration such as 45s", text);
}

// So that --config and its like may stand behind the command too.
void LetFallThrough(CLI::App& command) {
  command.fallthrough();
  for (CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; })) LetFallThrough(*below);
}

// What was said on the command line, and which command it was.
struct CommandLine {
  CLI::App app{"Outrider: a transactional-outbox sidecar for Feishu and other IM notifications", "outrider"};
  ConfigInput input;
  std::string output = "table";

  CLI::App* run = app.add_subcommand("run", "Run the sidecar until SIGTERM; SIGHUP reloads its configuration");
  std::vector<std::string> roles{"relay", "consumer", "api"};
  bool migrate_first = false;

  CLI::App* migrate = app.add_subcommand("migrate", "The tables of Outrider and of its sources");
  CLI::App* migrate_status = migrate->add_subcommand("status", "Which migrations are applied");
  CLI::App* migrate_up = migrate->add_subcommand("up", "Apply the missing ones");
  CLI::App* migrate_sql = migrate->add_subcommand("sql", "Print the statements for a DBA instead");

  CLI::App* config = app.add_subcommand("config", "The configuration");
  CLI::App* config_check = config->add_subcommand("check", "Name every fault");
  CLI::App* config_show = config->add_subcommand("show", "Effective values with their origin, secrets redacted");

  CLI::App* send = app.add_subcommand("send", "Put a request into Outrider's own outbox, and wait for its end");
  SendOptions send_options;
  std::string wait;

  CLI::App* show = app.add_subcommand("show", "The whole story of one notification");
  std::string key;

  CLI::App* list = app.add_subcommand("ls", "List notifications, newest first");
  ListOptions list_options;

  CLI::App* dlq = app.add_subcommand("dlq", "Records that ended without having been sent: dead and skipped ones");
  CLI::App* dlq_list = dlq->add_subcommand("ls", "List them, newest first");
  CLI::App* dlq_show = dlq->add_subcommand("show", "The whole story of one, by its id");
  CLI::App* dlq_replay = dlq->add_subcommand("replay", "Send them as if they were new");
  CLI::App* dlq_discard = dlq->add_subcommand("discard", "Give dead ones up: skipped, and no longer in the way");
  CLI::App* cancel = app.add_subcommand("cancel", "Stop a notification that waits");
  RecordChoice choice;
  ActionOptions action;
  std::int64_t record_id = 0;
  std::int64_t before_id = 0;

  CLI::App* rejected = app.add_subcommand("rejected", "Events that could not become a record");
  CLI::App* rejected_list = rejected->add_subcommand("ls", "List them, newest first");
  CLI::App* rejected_show = rejected->add_subcommand("show", "Every fault of one, by its id");
  CLI::App* rejected_replay =
      rejected->add_subcommand("replay", "Read them again, and put what can be read into Outrider's own outbox");
  RejectedChoice rejected_choice;

  CLI::App* outbox = app.add_subcommand("outbox", "What waits in the outboxes, and rows that can't be published");
  CLI::App* outbox_list = outbox->add_subcommand("ls", "Waiting rows, dead rows and held keys of each source");
  CLI::App* outbox_replay = outbox->add_subcommand("replay", "Publish dead rows after all, before those of their key");
  CLI::App* outbox_discard = outbox->add_subcommand("discard", "Give dead rows up: they are deleted");
  DeadRowChoice dead_rows;
  std::uint64_t before_row = 0;

  CLI::App* pause = app.add_subcommand("pause", "Take up nothing of a channel or a tenant until it is resumed");
  CLI::App* pause_list = pause->add_subcommand("ls", "What is paused");
  CLI::App* resume = app.add_subcommand("resume", "Go on with it");
  std::string paused_name;

  CLI::App* bench = app.add_subcommand("bench", "Measure this installation beside its floor");
  CLI::App* bench_relay = bench->add_subcommand("relay", "Drain, latency and idle cost of the relay");
  RelayBenchOptions bench_options;
  CLI::App* bench_delivery = bench->add_subcommand("delivery", "Drain, latency and restart of the consumer");
  DeliveryBenchOptions delivery_bench;
  std::string bench_source;

  CLI::App* verify = app.add_subcommand("verify", "Compare what was relayed, ingested and recorded");

  CLI::App* reseal = app.add_subcommand("reseal", "Seal private bodies anew, under the first of sealing.keys");

  CLI::App* failpoints = app.add_subcommand("failpoints", "Where tests can break this program on purpose");

  CLI::App* version = app.add_subcommand("version", "The version");

  CommandLine() {
    app.require_subcommand(1);
    LetFallThrough(app);
    app.add_option("-c,--config", input.files, "Configuration file (YAML); may be given several times, later ones win");
    app.add_option("--set", input.assignments, "section.key=value: wins over files and environment; repeatable");
    app.add_option("-o,--output", output, "How data is printed")->check(CLI::IsMember({"table", "json"}));
    run->add_option("--roles", roles, "Roles of this process, between commas (all by default)")
        ->delimiter(',')
        ->check(CLI::IsMember({"relay", "consumer", "api"}));
    run->add_flag("--migrate", migrate_first, "Create missing tables first");
    migrate->require_subcommand(1);
    config->require_subcommand(1);
    AddSend();
    bench->require_subcommand(1);
    AddBenchRelay();
    AddBenchDelivery();
    AddActions();
    show->add_option("key", key, "Its dedupe key")->required();
    list->add_option("--status", list_options.status, "Only this status");
    list->add_option("--limit", list_options.limit, "How many")->check(CLI::Range(1, 1000));
    list->add_option("--before", list_options.before_id, "Only records with a lower id: the next page");
  }

  void AddSend() {
    send->add_option("--channel", send_options.channel, "The channel's code");
    send->add_option("--text", send_options.text, "The text");
    send->add_option("--title", send_options.title, "A title");
    send->add_option("--markdown", send_options.markdown, "Markdown instead of a text")->excludes("--text");
    send->add_option("--recipient", send_options.recipient, "Who, in the provider's terms");
    send->add_option("--dedupe-key", send_options.dedupe_key, "What makes it one notification (random by default)");
    send->add_option("--ordering-key", send_options.ordering_key, "At most one of these in flight, in order");
    send->add_option("--aggregate-id", send_options.aggregate_id,
                     "The row's aggregateid (the ordering key or the dedupe key by default)");
    send->add_option("--tenant", send_options.tenant, "The tenant (\"default\" by default)");
    send->add_option("--fallback-text", send_options.fallback_text, "Used when the message can't be carried");
    send->add_option("--priority", send_options.priority, "high, normal or low");
    CLI::Option* file =
        send->add_option("--file", send_options.request_file, "A whole request as JSON, - for standard input");
    for (const char* name : {"--channel", "--text", "--title", "--markdown", "--recipient", "--dedupe-key",
                             "--ordering-key", "--tenant", "--fallback-text", "--priority"}) {
      file->excludes(name);
    }
    send->add_option("--wait", wait, "Wait for its end, at most this long, for example 45s")->check(CheckWait);
  }

  void AddChoice(CLI::App& command) {
    command.add_option("--status", choice.status, "dead (the default) or skipped")
        ->check(CLI::IsMember({"dead", "skipped"}));
    command.add_option("--channel", choice.channel, "Only this channel");
    command.add_option("--tenant", choice.tenant, "Only this tenant");
    command.add_option("--cause", choice.cause, "Only what ended for this reason, for example feishu_19024");
    command.add_option("--key", choice.key, "Only this dedupe key");
    command.add_option("--after", choice.after, "Ended after this time, or less than this long ago (2h)");
    command.add_option("--before", choice.before, "Ended before this time, or longer ago than this");
    command.add_option("--limit", choice.limit, "At most so many")->check(CLI::PositiveNumber);
  }

  void AddManners(CLI::App& command) {
    command.add_option("--reason", action.reason, "Why: stands in the audit log");
    command.add_flag("--dry-run", action.dry_run, "Only count");
  }

  void AddActions() {
    dlq->require_subcommand(1);
    AddChoice(*dlq_list);
    dlq_list->add_option("--before-id", before_id, "Only records with a lower id: the next page");
    dlq_show->add_option("id", record_id, "Its id, as ls shows it")->required();
    for (CLI::App* command : {dlq_replay, dlq_discard}) {
      AddChoice(*command);
      AddManners(*command);
      command->add_flag("--yes", action.yes, "Don't ask");
      command->add_option("--rate", action.rate, "At most so many a second, for example 200/s");
      command->add_option("--resume", action.resume, "Go on with a job that was interrupted");
    }
    cancel->add_option("key", choice.key, "Its dedupe key")->required();
    cancel->add_option("--channel", choice.channel, "Only this channel's");
    cancel->add_option("--tenant", choice.tenant, "Only this tenant's");
    AddManners(*cancel);

    rejected->require_subcommand(1);
    for (CLI::App* command : {rejected_list, rejected_replay}) {
      command->add_option("--cause", rejected_choice.cause, "Only what was rejected for this reason");
      command->add_option("--topic", rejected_choice.topic, "Only this topic");
      command->add_option("--limit", rejected_choice.limit, "At most so many")->check(CLI::PositiveNumber);
    }
    rejected_list->add_option("--before-id", before_id, "Only events with a lower id: the next page");
    rejected_show->add_option("id", rejected_choice.id, "Its id, as ls shows it")->required();
    rejected_replay->add_option("--id", rejected_choice.id, "Only this one");
    AddManners(*rejected_replay);
    rejected_replay->add_flag("--yes", action.yes, "Don't ask");

    AddOutbox();

    pause->require_subcommand(1);
    resume->require_subcommand(1);
    for (CLI::App* command : {pause, resume}) {
      for (const char* kind : {"channel", "tenant"}) {
        CLI::App* below = command->add_subcommand(kind, fmt::format("A {}", kind));
        below->add_option("name", paused_name, "Its name")->required();
        below->add_option("--reason", action.reason, "Why: stands in the audit log");
      }
    }
  }

  void AddOutbox() {
    outbox->require_subcommand(1);
    for (CLI::App* command : {outbox_list, outbox_replay, outbox_discard}) {
      command->add_option("--source", dead_rows.source, "Only this source");
      command->add_option("--id", dead_rows.ids, "Only these dead rows, between commas")->delimiter(',');
      command->add_option("--seq", dead_rows.seqs, "Only rows with these numbers, between commas")->delimiter(',');
      command->add_option("--type", dead_rows.type, "Only this aggregatetype");
      command->add_option("--key", dead_rows.key, "Only this aggregateid");
      command->add_option("--cause", dead_rows.cause, "Only what was moved aside for this reason");
      command->add_option("--limit", dead_rows.limit, "At most so many")->check(CLI::PositiveNumber);
    }
    outbox_list->add_option("--before-id", before_row, "Only dead rows with a lower id: the next page");
    for (CLI::App* command : {outbox_replay, outbox_discard}) {
      AddManners(*command);
      command->add_flag("--yes", action.yes, "Don't ask");
      command->add_option("--rate", action.rate, "At most so many a second, for example 200/s");
    }
  }

  void AddBenchRelay() {
    bench_relay->add_option("--source", bench_source, "Whose database (the first source by default)");
    bench_relay->add_option("--repeats", bench_options.repeats, "Of each measurement; medians are told")
        ->check(CLI::Range(1, 100));
    bench_relay->add_option("--rows", bench_options.rows, "Rows of a drain")->check(CLI::Range(1'000, 10'000'000));
    bench_relay->add_option("--payload", bench_options.payload_bytes, "Bytes of a payload")
        ->check(CLI::Range(20, 1'000'000));
    bench_relay->add_option("--sources", bench_options.sources, "Drained at once in this process, between commas")
        ->delimiter(',')
        ->check(CLI::Range(1, 64));
    bench_relay->add_flag("!--no-purge-held", bench_options.hold_purge,
                          "Without the drains while an open snapshot holds purge back");
    bench_relay
        ->add_option("--waiting", bench_options.waiting,
                     "Also drain a backlog of that many rows (of which 10 million take some 25 GB of disk)")
        ->check(CLI::Range(1'000, 100'000'000));
    AddSeconds(*bench_relay, "--waiting-time", bench_options.waiting_time, "How long, at most");
    bench_relay->add_option("--rates", bench_options.rates, "Rows per second at which latency is measured")
        ->delimiter(',')
        ->check(CLI::Range(1, 100'000));
    AddSeconds(*bench_relay, "--latency-time", bench_options.latency_time, "For each rate");
    bench_relay->add_option("--idle-samples", bench_options.idle_samples, "Single rows after idleness")
        ->check(CLI::Range(0, 10'000));
    AddSeconds(*bench_relay, "--idle-time", bench_options.idle_time, "Before each of them");
    bench_relay->add_option("--partitions", bench_options.partitions, "Of the topics that are made")
        ->check(CLI::Range(1, 1'000));
    bench_relay->add_flag("--beside-traffic", bench_options.beside_traffic,
                          "Go on although rows wait in the source's outbox");
  }

  void AddBenchDelivery() {
    bench_delivery->add_option("--fake-im", delivery_bench.fake_im, "A fake IM server, such as http://127.0.0.1:9000")
        ->required();
    bench_delivery->add_option("--repeats", delivery_bench.repeats, "Of each measurement; medians are told")
        ->check(CLI::Range(1, 100));
    bench_delivery->add_option("--notifications", delivery_bench.notifications, "Of a drain")
        ->check(CLI::Range(100, 10'000'000));
    bench_delivery->add_option("--payload", delivery_bench.payload_bytes, "Bytes of a request")
        ->check(CLI::Range(20, 15'000));
    bench_delivery->add_option("--channels", delivery_bench.channels, "Among which the notifications are spread")
        ->check(CLI::Range(1, 1'000));
    bench_delivery->add_option("--partitions", delivery_bench.partitions, "Of the topics that are made")
        ->check(CLI::Range(1, 1'000));
    bench_delivery->add_option("--replicas", delivery_bench.replicas, "Processes that drain at once, between commas")
        ->delimiter(',')
        ->check(CLI::Range(1, 64));
    bench_delivery
        ->add_option("--finished", delivery_bench.finished,
                     "Finished records that are there already (10 million take some 8 GB of disk)")
        ->check(CLI::Range(1'000, 100'000'000));
    bench_delivery->add_option("--rates", delivery_bench.rates, "Notifications per second at which latency is measured")
        ->delimiter(',')
        ->check(CLI::Range(1, 100'000));
    AddSeconds(*bench_delivery, "--latency-time", delivery_bench.latency_time, "For each rate");
    bench_delivery
        ->add_option("--crowd", delivery_bench.crowd,
                     "Also beside so many records each that are delayed, wait for a slow bot, or for a dead channel")
        ->check(CLI::Range(1'000, 10'000'000));
    bench_delivery->add_option("--crowd-rate", delivery_bench.crowd_rate, "Notifications per second meanwhile")
        ->check(CLI::Range(1, 100'000));
    bench_delivery->add_flag("!--no-restart", delivery_bench.restart, "Without the kill -9");
  }

  static void AddSeconds(CLI::App& command, const std::string& name, std::chrono::seconds& seconds,
                         const std::string& what) {
    command
        .add_option_function<std::string>(
            name,
            [&seconds](const std::string& text) {
              seconds = std::chrono::ceil<std::chrono::seconds>(*ParseDuration(text));
            },
            what)
        ->check(CheckWait);
  }

  OutputFormat format() const { return output == "json" ? OutputFormat::kJson : OutputFormat::kTable; }
};

std::set<Role> ParseRoles(const std::vector<std::string>& names) {
  std::set<Role> roles;
  for (const std::string& name : names) {
    if (name == "relay") roles.insert(Role::kRelay);
    if (name == "consumer") roles.insert(Role::kConsumer);
    if (name == "api") roles.insert(Role::kApi);
  }
  return roles;
}

int Run(const CommandLine& line, const ConfigReading& reading) {
  const std::set<Role> roles = ParseRoles(line.roles);
  if (reading.config.transport == Transport::kDirect &&
      roles.contains(Role::kRelay) != roles.contains(Role::kConsumer)) {
    fmt::print(
        stderr,
        "outrider: transport direct needs relay and consumer in one process: give both in --roles, or neither\n");
    return kExitUsage;
  }
  return RunSidecar(line.input, reading, roles, line.migrate_first);
}

// What is wrong with the command line, and whose help tells more.
std::string WrongUsage(const CLI::App& app, const CLI::ParseError& error) {
  std::string help = "outrider";
  for (auto below = app.get_subcommands(); !below.empty(); below = below.front()->get_subcommands()) {
    help += " " + below.front()->get_name();
  }
  std::string what = error.what();
  const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
  const std::vector<std::string> unknown = app.remaining(true);
  if (code == CLI::ExitCodes::ExtrasError) {
    what = fmt::format("not expected: {}", fmt::join(unknown, " "));
  } else if (code == CLI::ExitCodes::RequiredError && !unknown.empty()) {
    what =
        fmt::format("\"{}\" is not a{}", unknown.front(), unknown.front().starts_with('-') ? "n option" : " command");
  } else if (code == CLI::ExitCodes::RequiredError && app.get_subcommands().empty()) {
    what = "a command is needed";
  }
  return fmt::format("{}; see {} --help", what, help);
}

// A command with which a person acts; nothing: it is another one.
std::optional<int> DispatchAction(const CommandLine& line, const Config& config) {
  const OutputFormat format = line.format();
  if (*line.dlq_list) return ListDead(config, line.choice, line.before_id, format);
  if (*line.dlq_show) return ShowRecord(config, line.record_id, format);
  if (*line.dlq_replay) return ActOnDead(config, DeliveryEvent::kReplayed, line.choice, line.action, format);
  if (*line.dlq_discard) return ActOnDead(config, DeliveryEvent::kDiscarded, line.choice, line.action, format);
  if (*line.cancel) return Cancel(config, line.choice, line.action, format);
  if (*line.rejected_list) return ListRejectedEvents(config, line.rejected_choice, line.before_id, format);
  if (*line.rejected_show) return ShowRejected(config, line.rejected_choice.id, format);
  if (*line.rejected_replay) return ReplayRejected(config, line.rejected_choice, line.action, format);
  if (*line.outbox_list) return ListOutbox(config, line.dead_rows, line.before_row, format);
  if (*line.outbox_replay) return ActOnDeadRows(config, DeadRowAction::kReplay, line.dead_rows, line.action, format);
  if (*line.outbox_discard) return ActOnDeadRows(config, DeadRowAction::kDiscard, line.dead_rows, line.action, format);
  if (*line.pause_list) return ListPauses(config, format);
  for (const CLI::App* command : {line.pause, line.resume}) {
    for (const auto kind : {consumer::PauseKind::kChannel, consumer::PauseKind::kTenant}) {
      if (!*command || !*command->get_subcommand(std::string(ToString(kind)))) continue;
      return PauseOrResume(config, command == line.pause, kind, line.paused_name, line.action.reason, format);
    }
  }
  return std::nullopt;
}

int Dispatch(CommandLine& line) {
  const ConfigReading reading = ReadConfig(line.input);
  if (*line.config_show) return ConfigShow(reading, line.format());
  if (const int code = ConfigCheck(reading); code != kExitOk) return code;
  const Config& config = reading.config;
  if (*line.config_check) {
    fmt::print(stderr, "outrider: the configuration is valid: {} (the database's own among them), {}\n",
               Counted(config.sources.size(), "source"), Counted(config.channels.size(), "channel"));
    return kExitOk;
  }
  if (*line.migrate_status) return MigrateStatus(config, line.format());
  if (*line.migrate_up) return MigrateUp(config, line.format());
  if (*line.migrate_sql) return MigrateSql(config);
  if (*line.send) {
    if (!line.wait.empty()) line.send_options.wait = ParseDuration(line.wait);
    return Send(config, line.send_options, line.format());
  }
  if (const auto code = DispatchAction(line, config)) return *code;
  if (*line.show) return Show(config, line.key, line.format());
  if (*line.bench_delivery) return BenchDelivery(config, line.delivery_bench, line.format());
  if (*line.bench_relay) return BenchRelay(config, line.bench_source, line.bench_options, line.format());
  if (*line.verify) return Verify(config, line.format());
  if (*line.reseal) return Reseal(config, line.format());
  if (*line.list) return List(config, line.list_options, line.format());
  return Run(line, reading);
}

}  // namespace

int RunCommandLine(int argc, char** argv, char** environment) {
  CommandLine line;
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return line.app.exit(error);  // help
    fmt::print(stderr, "outrider: {}\n", WrongUsage(line.app, error));
    return kExitUsage;
  }
  if (*line.version) {
    if (line.format() == OutputFormat::kJson) {
      fmt::print("{{\"version\": \"{}\"}}\n", kVersion);
    } else {
      fmt::print("outrider {}\n", kVersion);
    }
    return kExitOk;
  }
  if (*line.failpoints) return ListFailpoints(line.format());
  for (char** variable = environment; *variable != nullptr; ++variable) {
    line.input.environment.emplace_back(*variable);
  }
  if (line.input.files.empty()) {
    fmt::print(stderr, "outrider: no configuration; give one with --config FILE (repeatable)\n");
    return kExitUsage;
  }
  return Dispatch(line);
}

}  // namespace outrider::app
