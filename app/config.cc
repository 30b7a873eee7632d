#include "app/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <set>

#include "app/config_tree.h"
#include "model/request.h"
#include "model/text.h"
#include "model/time.h"
#include "providers/provider_table.h"

namespace outrider::app {
namespace {

constexpr std::size_t kMaxSecretFile = 64 * 1024;

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string Suggest(std::string_view word, const std::vector<std::string>& known) {
  std::string_view best;
  std::size_t best_distance = 3;
  for (const std::string& candidate : known) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean \"{}\"?", best);
}

// One map of the tree while it is read: every key that is asked for is known, the rest are faults when the reading
// ends.
class Section {
 public:
  Section(const ConfigValue* value, std::string path, ConfigReading& reading)
      : value_(value), path_(std::move(path)), reading_(reading) {
    if (value_ != nullptr && value_->kind == ConfigValue::Kind::kNull) value_ = nullptr;
    if (value_ != nullptr && value_->kind != ConfigValue::Kind::kMap) {
      Fault(*value_, path_, "must be a map of settings");
      value_ = nullptr;
    }
  }

  void End() {
    if (value_ == nullptr) return;
    for (const auto& [key, value] : value_->entries) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        Fault(value, PathOf(key), fmt::format("is not a setting{}", Suggest(key, known_)));
      }
    }
  }

  const ConfigValue* Take(std::string_view key) {
    known_.emplace_back(key);
    if (value_ == nullptr) return nullptr;
    const ConfigValue* found = value_->Find(key);
    return found != nullptr && found->kind == ConfigValue::Kind::kNull ? nullptr : found;
  }

  Section Sub(std::string_view key) { return Section(Take(key), PathOf(key), reading_); }

  std::optional<std::string> Text(std::string_view key) {
    const ConfigValue* found = Take(key);
    if (found == nullptr) return std::nullopt;
    if (found->kind != ConfigValue::Kind::kScalar) {
      Fault(*found, PathOf(key), "must be one value, not a list or a map");
      return std::nullopt;
    }
    return found->scalar;
  }

  void Text(std::string_view key, std::string& target) {
    if (auto text = Text(key)) target = *text;
    Effective(key, target);
  }

  // The value itself or the content of the file that `<key>_file` names.
  Secret ReadSecret(std::string_view key) {
    const std::string twin = fmt::format("{}_file", key);
    std::optional<std::string> text = Text(key);
    const std::optional<std::string> file = Text(twin);
    if (text && file) {
      Fault(*value_->Find(twin), PathOf(twin), fmt::format("stands beside \"{}\"; keep one of the two", key));
    } else if (file) {
      text = ReadSecretFile(twin, *file);
    }
    Effective(file ? twin : std::string(key), file ? *file : (text ? "***" : ""));
    return Secret(text.value_or(""));
  }

  void Bool(std::string_view key, bool& target) {
    if (const auto text = Text(key)) {
      if (*text == "true" || *text == "yes" || *text == "on") {
        target = true;
      } else if (*text == "false" || *text == "no" || *text == "off") {
        target = false;
      } else {
        Fault(key, fmt::format("must be true or false, not \"{}\"", *text));
      }
    }
    Effective(key, target ? "true" : "false");
  }

  void Int(std::string_view key, int& target, int low, int high) {
    if (const auto text = Text(key)) {
      int number = 0;
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
      if (error != std::errc{} || end != text->data() + text->size() || number < low || number > high) {
        Fault(key, fmt::format("must be a whole number from {} to {}, not \"{}\"", low, high, *text));
      } else {
        target = number;
      }
    }
    Effective(key, std::to_string(target));
  }

  void Real(std::string_view key, double& target, double low, double high) {
    if (const auto text = Text(key)) {
      char* end = nullptr;
      const double number = std::strtod(text->c_str(), &end);
      if (text->empty() || *end != '\0' || !(number >= low && number <= high)) {
        Fault(key, fmt::format("must be a number from {} to {}, not \"{}\"", low, high, *text));
      } else {
        target = number;
      }
    }
    Effective(key, fmt::format("{}", target));
  }

  void Time(std::string_view key, std::chrono::milliseconds& target, std::chrono::milliseconds low,
            std::chrono::milliseconds high) {
    if (const auto text = Text(key)) {
      const auto duration = ParseDuration(*text);
      if (!duration || *duration < low || *duration > high) {
        Fault(key, fmt::format("must be a duration from {} to {}, such as \"30s\" or \"5m\", not \"{}\"",
                               FormatDuration(low), FormatDuration(high), *text));
      } else {
        target = *duration;
      }
    }
    Effective(key, FormatDuration(target));
  }

  std::optional<std::vector<std::string>> Words(std::string_view key) {
    const ConfigValue* found = Take(key);
    if (found == nullptr) return std::nullopt;
    std::vector<std::string> words;
    if (found->kind == ConfigValue::Kind::kScalar) {  // the environment has no lists: words between commas
      std::string_view rest = found->scalar;
      while (true) {
        const std::size_t comma = rest.find(',');
        const std::string_view word = TrimSpace(rest.substr(0, comma));
        if (!word.empty()) words.emplace_back(word);
        if (comma == std::string_view::npos) break;
        rest = rest.substr(comma + 1);
      }
      return words;
    }
    if (found->kind != ConfigValue::Kind::kList) {
      Fault(*found, PathOf(key), "must be a list");
      return std::nullopt;
    }
    for (const ConfigValue& item : found->items) {
      if (item.kind == ConfigValue::Kind::kScalar) {
        words.push_back(item.scalar);
      } else {
        Fault(item, PathOf(key), "must be a list of plain values");
      }
    }
    return words;
  }

  void Fault(std::string_view key, const std::string& problem) {
    const ConfigValue* found = value_ == nullptr ? nullptr : value_->Find(key);
    if (found != nullptr) {
      Fault(*found, PathOf(key), problem);
    } else {
      reading_.faults.push_back(fmt::format("{}: {}", PathOf(key), problem));
    }
  }

  void Effective(std::string_view key, std::string value) {
    const ConfigValue* found = value_ == nullptr ? nullptr : value_->Find(key);
    reading_.effective.push_back({PathOf(key), std::move(value), found == nullptr ? "default" : found->origin});
  }

  std::string PathOf(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }
  bool present() const { return value_ != nullptr; }
  const ConfigValue* value() const { return value_; }
  ConfigReading& reading() { return reading_; }

 private:
  void Fault(const ConfigValue& at, const std::string& path, const std::string& problem) {
    reading_.faults.push_back(fmt::format("{}: {} ({})", path, problem, at.origin));
  }

  std::optional<std::string> ReadSecretFile(std::string_view key, const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      Fault(key, fmt::format("names \"{}\", which can't be read; does it exist, and may this user read it?", file));
      return std::nullopt;
    }
    std::string text(kMaxSecretFile + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > kMaxSecretFile) {
      Fault(key, fmt::format("names \"{}\", which is larger than {} bytes", file, kMaxSecretFile));
      return std::nullopt;
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  }

  const ConfigValue* value_;
  std::string path_;
  ConfigReading& reading_;
  std::vector<std::string> known_;
};

std::optional<mysql::MysqlOptions> ReadUrl(Section& section, std::string_view key, bool required) {
  const Secret url = section.ReadSecret(key);
  if (url.empty()) {
    if (required) section.Fault(key, "is missing; for example \"mysql://outrider@127.0.0.1:3306/outrider\"");
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
void ReadDatabase(Section& section, mysql::MysqlOptions& database, std::optional<mysql::MysqlOptions>& migrate) {
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

void ReadRetry(Section section, RetryPolicy& policy) {
  section.Int("max_attempts", policy.max_attempts, 1, 1000);
  section.Time("base", policy.base, std::chrono::milliseconds{1}, std::chrono::hours{24 * 7});
  section.Time("max", policy.max, std::chrono::milliseconds{1}, std::chrono::hours{24 * 7});
  section.Real("jitter", policy.jitter, 0.0, 1.0);
  if (const auto words = section.Words("schedule")) {
    policy.schedule.clear();
    for (const std::string& word : *words) {
      const auto wait = ParseDuration(word);
      if (!wait) {
        section.Fault("schedule", fmt::format("holds \"{}\", which is not a duration", word));
      } else {
        policy.schedule.push_back(*wait);
      }
    }
  }
  std::vector<std::string> schedule;
  for (const auto wait : policy.schedule) schedule.push_back(FormatDuration(wait));
  section.Effective("schedule", fmt::format("[{}]", fmt::join(schedule, ", ")));
  for (const std::string& fault : Validate(policy))
    section.reading().faults.push_back(fmt::format("{}: {}", section.PathOf(""), fault));
  section.End();
}

bool IsChannelCode(std::string_view code) {
  return !code.empty() && code.size() <= kMaxChannel && std::all_of(code.begin(), code.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

void ReadChannel(const std::string& code, Section section, Config& config) {
  providers::ChannelSettings channel;
  channel.code = code;
  channel.retry = config.retry;
  channel.allow_insecure_targets = config.allow_insecure_targets;
  if (!IsChannelCode(code)) {
    section.reading().faults.push_back(
        fmt::format("channels.{}: a channel's code is 1 to {} of the characters A-Z a-z 0-9 . _ -", code, kMaxChannel));
  }
  section.Text("provider", channel.provider);
  section.Bool("enabled", channel.enabled);

  std::vector<std::string> names;
  for (const providers::ProviderInfo& info : providers::AllProviders()) names.emplace_back(info.name);
  const providers::ProviderInfo* provider = providers::FindProvider(channel.provider);
  if (channel.provider.empty()) {
    section.Fault("provider", fmt::format("is missing; one of {}", fmt::join(names, ", ")));
  } else if (provider == nullptr) {
    section.Fault("provider", fmt::format("\"{}\" is not known; one of {}{}", channel.provider, fmt::join(names, ", "),
                                          Suggest(channel.provider, names)));
  } else {
    channel.rate = provider->default_rate;
    channel.on_uncertain = provider->default_on_uncertain;
    bool missing = false;
    for (const providers::SettingInfo& setting : provider->settings) {
      if (setting.secret) {
        const Secret secret = section.ReadSecret(setting.key);
        if (!secret.empty()) channel.settings.emplace(setting.key, secret);
      } else {
        std::string text;
        section.Text(setting.key, text);
        if (!text.empty()) channel.settings.emplace(setting.key, Secret(text));
      }
      if (setting.required && !channel.settings.contains(std::string(setting.key))) {
        section.Fault(setting.key, fmt::format("is missing; provider {} needs it", provider->name));
        missing = true;
      }
    }
    if (!missing) {
      for (const std::string& fault : provider->check(channel)) {
        section.reading().faults.push_back(fmt::format("channels.{}: {}", code, fault));
      }
    }
  }

  Section rate = section.Sub("rate");
  rate.Int("per_second", channel.rate.per_second, 0, 100'000);
  rate.Int("per_minute", channel.rate.per_minute, 0, 6'000'000);
  rate.End();
  ReadRetry(section.Sub("retry"), channel.retry);

  std::string on_uncertain = channel.on_uncertain == providers::OnUncertain::kHold ? "hold" : "retry";
  section.Text("on_uncertain", on_uncertain);
  if (on_uncertain == "hold") {
    channel.on_uncertain = providers::OnUncertain::kHold;
  } else if (on_uncertain == "retry") {
    channel.on_uncertain = providers::OnUncertain::kRetry;
  } else {
    section.Fault("on_uncertain", fmt::format("must be retry or hold, not \"{}\"", on_uncertain));
  }

  Section dedupe = section.Sub("dedupe");
  std::vector<std::string> reopen;
  if (const auto words = dedupe.Words("reopen")) {
    for (const std::string& word : *words) {
      const auto status = ParseDeliveryStatus(word);
      if (status != DeliveryStatus::kDead && status != DeliveryStatus::kSkipped) {
        dedupe.Fault("reopen", fmt::format("may list dead and skipped, not \"{}\"", word));
      } else {
        channel.reopen.insert(*status);
        reopen.push_back(word);
      }
    }
  }
  dedupe.Effective("reopen", fmt::format("[{}]", fmt::join(reopen, ", ")));
  dedupe.End();
  section.End();
  config.channels.push_back(std::move(channel));
}

bool SameTable(const mysql::MysqlOptions& a, const mysql::MysqlOptions& b) {
  return a.host == b.host && a.port == b.port && a.database == b.database;
}

void ReadSources(Section& root, Config& config) {
  std::set<std::string> names;
  const ConfigValue* list = root.Take("sources");
  if (list != nullptr && list->kind != ConfigValue::Kind::kList) {
    root.Fault("sources", "must be a list, one entry per outbox table");
    list = nullptr;
  }
  for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    Section section(&list->items[i], fmt::format("sources[{}]", i), root.reading());
    SourceConfig source;
    section.Text("name", source.name);
    if (!IsChannelCode(source.name)) {
      section.Fault("name", "is missing or malformed: 1 to 64 of the characters A-Z a-z 0-9 . _ -");
    } else if (source.name == "outrider") {
      section.Fault("name", "\"outrider\" is the source of the database's own outbox; choose another name");
    } else if (!names.insert(source.name).second) {
      section.Fault("name", fmt::format("\"{}\" stands twice; each source needs its own", source.name));
    }
    ReadDatabase(section, source.database, source.migrate);
    section.Text("table", source.table);
    if (source.table.empty() || source.table.size() > 64)
      section.Fault("table", "must be the name of a table, 1 to 64 characters");
    section.End();
    for (const SourceConfig& other : config.sources) {
      if (SameTable(other.database, source.database) && other.table == source.table &&
          !source.database.database.empty()) {
        section.Fault("url",
                      fmt::format("is the same table as source \"{}\"; two relays on one outbox would publish twice",
                                  other.name));
      }
    }
    config.sources.push_back(std::move(source));
  }
  const bool own_is_listed = std::any_of(config.sources.begin(), config.sources.end(), [&](const SourceConfig& source) {
    return source.table == "outbox" && SameTable(source.database, config.database);
  });
  if (!own_is_listed) config.sources.push_back({"outrider", config.database, config.migrate, "outbox"});
}

void ReadKafka(Section section, Config& config) {
  section.Text("brokers", config.kafka.brokers);
  if (const auto topics = section.Words("topics")) config.topics = *topics;
  section.Effective("topics", fmt::format("[{}]", fmt::join(config.topics, ", ")));
  section.Text("group", config.group);
  Section properties = section.Sub("properties");
  if (properties.present()) {
    for (const auto& [key, value] : properties.value()->entries) {
      if (const auto text = properties.Text(key)) config.kafka.properties[key] = *text;
      const bool secret = key.find("password") != std::string::npos || key.find("secret") != std::string::npos;
      properties.Effective(key, secret ? "***" : config.kafka.properties[key]);
    }
  }
  for (const std::string& fault : kafka::CheckProperties(config.kafka.properties)) {
    section.reading().faults.push_back("kafka.properties: " + fault);
  }
  if (config.transport == Transport::kKafka) {
    if (config.kafka.brokers.empty())
      section.Fault("brokers", "is missing; for example \"127.0.0.1:9092\" (or set transport: direct)");
    if (config.topics.empty())
      section.Fault("topics", "is empty; the relay publishes to outbox.event.notification by default");
    if (config.group.empty()) section.Fault("group", "is empty");
  }
  section.End();
}

void ReadTimes(Section& root, Config& config) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::minutes;
  Section relay = root.Sub("relay");
  relay.Time("lease", config.relay.lease, milliseconds{500}, minutes{10});
  relay.Int("batch_rows", config.relay.batch_rows, 1, 10'000);
  relay.End();

  Section delivery = root.Sub("delivery");
  delivery.Time("lease", config.delivery.lease, milliseconds{500}, hours{1});
  delivery.Time("call_deadline", config.delivery.call_deadline, milliseconds{100}, minutes{30});
  delivery.Time("max_age", config.delivery.max_age, minutes{1}, hours{24 * 365});
  delivery.Time("dedupe_memory", config.delivery.dedupe_memory, hours{1}, hours{24 * 3650});
  delivery.Int("max_in_flight", config.delivery.max_in_flight, 1, 10'000);
  if (config.delivery.call_deadline >= config.delivery.lease) {
    delivery.Fault("call_deadline",
                   fmt::format("({}) must be shorter than delivery.lease ({}): a call may not outlive its claim",
                               FormatDuration(config.delivery.call_deadline), FormatDuration(config.delivery.lease)));
  }
  delivery.End();
  root.Time("grace", config.grace, milliseconds{0}, hours{1});
}

}  // namespace

ConfigReading ReadConfig(const std::vector<std::string>& files, const std::vector<std::string>& environment) {
  const ConfigTree tree = LoadConfigTree(files, environment);
  ConfigReading reading;
  reading.faults = tree.faults;
  Config config;

  Section root(&tree.root, "", reading);
  Section database = root.Sub("database");
  ReadDatabase(database, config.database, config.migrate);
  database.End();
  ReadSources(root, config);

  std::string transport = "kafka";
  root.Text("transport", transport);
  if (transport == "direct") {
    config.transport = Transport::kDirect;
  } else if (transport != "kafka") {
    root.Fault("transport", fmt::format("must be kafka or direct, not \"{}\"", transport));
  }
  ReadKafka(root.Sub("kafka"), config);

  root.Bool("allow_insecure_targets", config.allow_insecure_targets);
  ReadRetry(root.Sub("retry"), config.retry);
  Section channels = root.Sub("channels");
  if (channels.present()) {
    for (const auto& [code, value] : channels.value()->entries) {
      ReadChannel(code, Section(&value, fmt::format("channels.{}", code), reading), config);
    }
  }

  Section api = root.Sub("api");
  api.Text("listen", config.api_listen);
  config.api_token = api.ReadSecret("token");
  api.End();

  Section log = root.Sub("log");
  std::string level = "info";
  std::string format = "text";
  log.Text("level", level);
  log.Text("format", format);
  if (const auto parsed = ParseLogLevel(level)) {
    config.log.level = *parsed;
  } else {
    log.Fault("level", fmt::format("must be debug, info, warn or error, not \"{}\"", level));
  }
  if (format != "text" && format != "json")
    log.Fault("format", fmt::format("must be text or json, not \"{}\"", format));
  config.log.json = format == "json";
  log.End();

  ReadTimes(root, config);
  root.End();
  reading.config = std::move(config);
  return reading;
}

}  // namespace outrider::app
