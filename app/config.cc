#include "app/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "app/config_channels.h"
#include "app/config_keeping.h"
#include "app/config_section.h"
#include "model/time.h"

namespace outrider::app {
namespace {

constexpr std::string_view kOwnSource = "outrider";
constexpr std::string_view kOwnTable = "outbox";
constexpr std::string_view kFileSuffix = "_file";
constexpr std::size_t kMaxTableName = 64;

std::string ShownUrl(const std::string& url) {
  const Result<mysql::MysqlOptions> options = mysql::ParseMysqlUrl(url);
  if (!options) return "***";
  std::string shown = "mysql://" + Describe(*options);
  if (!options->password.empty()) shown.insert(shown.find('@'), ":***");
  return shown;
}

std::optional<mysql::MysqlOptions> ReadUrl(ConfigSection& section, std::string_view key, bool required) {
  const std::size_t faults = section.reading().faults.size();
  const Secret url = section.ReadSecret(key, &ShownUrl);
  if (url.empty()) {
    if (required && section.reading().faults.size() == faults)
      section.Fault(key, "is missing; for example \"mysql://outrider@127.0.0.1:3306/outrider\"");
    return std::nullopt;
  }
  Result<mysql::MysqlOptions> options = mysql::ParseMysqlUrl(url.Reveal());
  if (!options) {
    section.Fault(key, options.error().message);
    return std::nullopt;
  }
  return *options;
}

// A database by `url`, its password (in the URL or beside it), and the account that may create tables.
void ReadDatabase(ConfigSection& section, mysql::MysqlOptions& database, std::optional<mysql::MysqlOptions>& migrate) {
  const std::optional<mysql::MysqlOptions> options = ReadUrl(section, "url", true);
  const Secret password = section.ReadSecret("password");
  if (options) {
    database = *options;
    if (!password.empty() && !database.password.empty()) {
      section.Fault("password", "is given here and in the URL; keep one of the two");
    } else if (!password.empty()) {
      database.password = password;
    }
    if (database.database.empty())
      section.Fault("url", "names no database; add it after the slash: mysql://user@host:3306/name");
  }
  migrate = ReadUrl(section, "migrate_url", false);
}

bool SameDatabase(const mysql::MysqlOptions& a, const mysql::MysqlOptions& b) {
  return a.host == b.host && a.port == b.port && a.database == b.database;
}

void ReadRoutes(ConfigSection& section, outbox::Routes& routes) {
  ConfigSection table = section.Sub("routes");
  if (table.present() && table.value()->kind != ConfigValue::Kind::kMap) {
    section.Fault("routes", "must be a map, aggregatetype: topic");
    return;
  }
  for (std::size_t i = 0; table.present() && i < table.value()->entries.size(); ++i) {
    const std::string& type = table.value()->entries[i].key;
    std::string topic;
    table.Text(type, topic);
    if (const std::string fault = outbox::TopicFault(topic); !fault.empty()) {
      table.Fault(type, fmt::format("is no topic: it {}", fault));
    }
    routes.topics[type] = topic;
  }
  table.End();
  section.Bool("routes_only", routes.only);
  if (routes.only && routes.topics.empty()) {
    section.Fault("routes_only", "without routes nothing could ever be published");
  }
}

SourceConfig ReadSource(ConfigSection section, const std::vector<SourceConfig>& others) {
  SourceConfig source;
  section.Text("name", source.name);
  const auto same_name = [&](const SourceConfig& other) { return other.name == source.name; };
  if (!IsCode(source.name)) {
    section.Fault("name", "is missing or malformed: 1 to 64 of the characters A-Z a-z 0-9 . _ -");
  } else if (source.name == kOwnSource) {
    section.Fault("name", fmt::format("\"{}\" is the database's own outbox; choose another name", kOwnSource));
  } else if (std::any_of(others.begin(), others.end(), same_name)) {
    section.Fault("name", fmt::format("\"{}\" stands twice; each source needs its own", source.name));
  }
  ReadDatabase(section, source.database, source.migrate);
  section.Text("table", source.table);
  if (source.table.empty() || source.table.size() > kMaxTableName)
    section.Fault("table", fmt::format("must be the name of a table, 1 to {} characters", kMaxTableName));
  std::string on_poison = "skip";
  section.Text("on_poison", on_poison);
  if (on_poison == "block") {
    source.on_poison = outbox::OnPoison::kBlock;
  } else if (on_poison != "skip") {
    section.Fault("on_poison", fmt::format("must be skip or block, not \"{}\"", on_poison));
  }
  ReadRoutes(section, source.routes);
  for (const SourceConfig& other : others) {
    if (!source.database.database.empty() && SameDatabase(other.database, source.database) &&
        other.table == source.table) {
      section.Fault(
          "url",
          fmt::format("is the same table as source \"{}\"; two relays on one outbox would publish twice", other.name));
    }
  }
  section.End();
  return source;
}

void ReadSources(ConfigSection& root, Config& config) {
  const ConfigValue* list = root.Take("sources");
  if (list != nullptr && list->kind != ConfigValue::Kind::kList) {
    root.Fault("sources", "must be a list, one entry per outbox table");
    list = nullptr;
  }
  for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    ConfigSection section(&list->items[i], fmt::format("sources[{}]", i), root.reading());
    config.sources.push_back(ReadSource(std::move(section), config.sources));
  }
  const bool own_is_listed = std::any_of(config.sources.begin(), config.sources.end(), [&](const SourceConfig& source) {
    return source.table == kOwnTable && SameDatabase(source.database, config.database);
  });
  if (!own_is_listed) {
    config.sources.push_back({std::string(kOwnSource), config.database, config.migrate, std::string(kOwnTable)});
  }
}

bool IsSecretProperty(std::string_view name) {
  return name.find("password") != std::string_view::npos || name.find("secret") != std::string_view::npos ||
         name == "ssl.key.pem" || name == "sasl.jaas.config" || name == "sasl.oauthbearer.config";
}

// librdkafka's names hold dots, which names of variables can't.
std::string PropertyName(const std::string& key, const ConfigValue& value) {
  std::string name = key;
  if (!value.origin.starts_with("environment")) return name;
  const bool file = name.ends_with(kFileSuffix);
  std::replace(name.begin(), name.end(), '_', '.');
  if (file) name.replace(name.size() - kFileSuffix.size(), kFileSuffix.size(), kFileSuffix);
  return name;
}

void ReadProperties(ConfigSection section, std::map<std::string, std::string>& properties) {
  if (!section.present()) return;
  for (const auto& [key, value] : section.value()->entries) {
    const std::string name = PropertyName(key, value);
    const std::string base = name.ends_with(kFileSuffix) ? name.substr(0, name.size() - kFileSuffix.size()) : name;
    if (IsSecretProperty(base)) {
      const std::string secret_key = name == base ? key : key.substr(0, key.size() - kFileSuffix.size());
      // Where both twins stand the reading of the first names that, once.
      if (properties.contains(base)) continue;
      properties[base] = section.ReadSecret(secret_key).Reveal();
    } else {
      section.Text(key, properties[name]);
    }
  }
  for (const std::string& fault : kafka::CheckProperties(properties)) section.FaultHere(fault);
}

void ReadKafka(ConfigSection section, Config& config) {
  section.Text("brokers", config.kafka.brokers);
  if (const auto topics = section.Words("topics")) config.topics = *topics;
  section.Effective("topics", fmt::format("[{}]", fmt::join(config.topics, ", ")));
  section.Text("group", config.group);
  ReadProperties(section.Sub("properties"), config.kafka.properties);
  if (config.transport == Transport::kKafka) {
    if (config.kafka.brokers.empty())
      section.Fault("brokers", "is missing; for example \"127.0.0.1:9092\" (or set transport: direct)");
    if (config.topics.empty())
      section.Fault("topics", "is empty; the relay publishes to outbox.event.notification by default");
    if (config.group.empty()) section.Fault("group", "is empty");
  }
  section.End();
}

void ReadTimes(ConfigSection& root, Config& config) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::minutes;
  ConfigSection relay = root.Sub("relay");
  relay.Time("lease", config.relay.lease, milliseconds{500}, minutes{10});
  relay.Int("batch_rows", config.relay.batch_rows, 1, 10'000);
  relay.End();

  ConfigSection delivery = root.Sub("delivery");
  delivery.Time("lease", config.delivery.lease, milliseconds{500}, hours{1});
  delivery.Time("call_deadline", config.delivery.call_deadline, milliseconds{100}, minutes{30});
  delivery.Hours("max_age", config.delivery.max_age, hours{1}, hours{24 * 365});
  delivery.Hours("dedupe_memory", config.delivery.dedupe_memory, hours{1}, hours{24 * 3650});
  delivery.Int("max_in_flight", config.delivery.max_in_flight, 1, 10'000);
  // The claim's own commit, and a margin, are inside the lease too: without room for them nothing would ever be sent.
  if (config.delivery.call_deadline > config.delivery.lease * 3 / 4) {
    delivery.Fault("call_deadline",
                   fmt::format("({}) must be at most three quarters of delivery.lease ({}): a call may not outlive its "
                               "claim",
                               FormatDuration(config.delivery.call_deadline), FormatDuration(config.delivery.lease)));
  }
  delivery.End();
  root.Time("grace", config.grace, milliseconds{0}, hours{1});
}

Transport ReadTransport(ConfigSection& root) {
  std::string transport = "kafka";
  root.Text("transport", transport);
  if (transport != "kafka" && transport != "direct")
    root.Fault("transport", fmt::format("must be kafka or direct, not \"{}\"", transport));
  return transport == "direct" ? Transport::kDirect : Transport::kKafka;
}

void ReadLog(ConfigSection section, LogOptions& options) {
  std::string level = "info";
  section.Text("level", level);
  if (const auto parsed = ParseLogLevel(level)) {
    options.level = *parsed;
  } else {
    section.Fault("level", fmt::format("must be debug, info, warn or error, not \"{}\"", level));
  }
  std::string format = "text";
  section.Text("format", format);
  if (format != "text" && format != "json")
    section.Fault("format", fmt::format("must be text or json, not \"{}\"", format));
  options.json = format == "json";
  section.End();
}

bool SameSource(const SourceConfig& a, const SourceConfig& b) {
  return a.name == b.name && a.database == b.database && a.migrate == b.migrate && a.table == b.table &&
         a.on_poison == b.on_poison && a.routes == b.routes;
}

}  // namespace

ConfigReading ReadConfig(const ConfigInput& input) {
  const ConfigTree tree = LoadConfigTree(input);
  ConfigReading reading;
  reading.faults = tree.faults;
  reading.files = input.files;
  if (!tree.whole) return reading;  // what can't be read would be called missing
  Config config;

  ConfigSection root(&tree.root, "", reading);
  ConfigSection database = root.Sub("database");
  ReadDatabase(database, config.database, config.migrate);
  database.End();
  ReadSources(root, config);
  config.transport = ReadTransport(root);
  for (std::size_t i = 0; i < config.sources.size(); ++i) {
    if (config.transport == Transport::kDirect && config.sources[i].routes != outbox::Routes{}) {
      root.FaultHere(fmt::format("sources[{}].routes has no meaning with transport: direct, which has no topics", i));
    }
  }
  ReadKafka(root.Sub("kafka"), config);
  root.Bool("allow_insecure_targets", config.allow_insecure_targets);
  ReadRetry(root.Sub("retry"), config.retry);
  ReadTenants(root, config);
  ReadChannels(root, config);
  ConfigSection api = root.Sub("api");
  api.Text("listen", config.api_listen);
  config.api_token = api.ReadSecret("token");
  api.End();
  ReadSealing(root.Sub("sealing"), config.sealing_keys);
  ReadRetention(root.Sub("retention"), config.retention);
  ReadLog(root.Sub("log"), config.log);
  ReadTimes(root, config);
  root.End();
  reading.config = std::move(config);
  return reading;
}

std::vector<std::string> NeedRestart(const Config& running, const Config& next) {
  std::vector<std::string> differing;
  const auto compare = [&](bool same, const char* name) {
    if (!same) differing.emplace_back(name);
  };
  compare(running.database == next.database && running.migrate == next.migrate, "database");
  compare(
      std::equal(running.sources.begin(), running.sources.end(), next.sources.begin(), next.sources.end(), &SameSource),
      "sources");
  compare(running.transport == next.transport, "transport");
  compare(running.kafka == next.kafka && running.topics == next.topics && running.group == next.group, "kafka");
  compare(running.allow_insecure_targets == next.allow_insecure_targets, "allow_insecure_targets");
  compare(running.api_listen == next.api_listen && running.api_token == next.api_token, "api");
  compare(running.relay == next.relay, "relay");
  compare(running.delivery == next.delivery, "delivery");
  compare(running.retention == next.retention, "retention");
  compare(running.log.json == next.log.json, "log.format");
  compare(running.grace == next.grace, "grace");
  return differing;
}

}  // namespace outrider::app
