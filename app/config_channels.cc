#include "app/config_channels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "app/config_keeping.h"
#include "model/request.h"
#include "model/text.h"
#include "model/time.h"
#include "providers/provider_table.h"
#include "providers/smartflow_profile.h"

namespace outrider::app {
namespace {

constexpr std::chrono::hours kLongestWait{24 * 7};

std::vector<std::string> ProviderNames() {
  std::vector<std::string> names;
  for (const providers::ProviderInfo& info : providers::AllProviders()) names.emplace_back(info.name);
  return names;
}

const providers::ProviderInfo* ReadProvider(ConfigSection& section, providers::ChannelSettings& channel) {
  section.Text("provider", channel.provider);
  const std::vector<std::string> names = ProviderNames();
  const providers::ProviderInfo* provider = providers::FindProvider(channel.provider);
  if (channel.provider.empty()) {
    section.Fault("provider", fmt::format("is missing; one of {}", fmt::join(names, ", ")));
  } else if (provider == nullptr) {
    section.Fault("provider", fmt::format("\"{}\" is not known; one of {}{}", channel.provider, fmt::join(names, ", "),
                                          Suggest(channel.provider, names)));
  }
  if (provider == nullptr) {
    // Which settings it may have is open then; a fault for each would only hide the one that counts.
    for (const providers::ProviderInfo& info : providers::AllProviders()) {
      for (const providers::SettingInfo& setting : info.settings) {
        section.Take(setting.key);
        section.Take(fmt::format("{}_file", setting.key));
      }
    }
  }
  return provider;
}

void ReadSettings(ConfigSection& section, const providers::ProviderInfo& provider,
                  providers::ChannelSettings& channel) {
  bool missing = false;
  for (const providers::SettingInfo& setting : provider.settings) {
    const std::size_t faults = section.reading().faults.size();
    if (setting.secret) {
      const Secret secret = section.ReadSecret(setting.key);
      if (!secret.empty()) channel.settings.emplace(setting.key, secret);
    } else {
      std::string text;
      section.Text(setting.key, text);
      if (!text.empty()) channel.settings.emplace(setting.key, Secret(text));
    }
    if (!setting.required || channel.settings.contains(std::string(setting.key))) continue;
    missing = true;
    if (section.reading().faults.size() == faults)
      section.Fault(setting.key, fmt::format("is missing; provider {} needs it", provider.name));
  }
  if (missing) return;
  for (const std::string& fault : provider.check(channel)) {
    const std::size_t colon = fault.find(": ");
    if (colon != std::string::npos && section.Knows(fault.substr(0, colon))) {
      section.Fault(fault.substr(0, colon), fault.substr(colon + 2));
    } else {
      section.FaultHere(fault);
    }
  }
}

void ReadOnUncertain(ConfigSection& section, providers::OnUncertain& on_uncertain) {
  std::string word = on_uncertain == providers::OnUncertain::kHold ? "hold" : "retry";
  section.Text("on_uncertain", word);
  if (word == "hold") {
    on_uncertain = providers::OnUncertain::kHold;
  } else if (word == "retry") {
    on_uncertain = providers::OnUncertain::kRetry;
  } else {
    section.Fault("on_uncertain", fmt::format("must be retry or hold, not \"{}\"", word));
  }
}

void ReadOrdering(ConfigSection& section, providers::OnDeadHead& ordering) {
  std::string word = "skip_on_dead";
  section.Text("ordering", word);
  if (word == "block") {
    ordering = providers::OnDeadHead::kBlock;
  } else if (word != "skip_on_dead") {
    section.Fault("ordering", fmt::format("must be skip_on_dead or block, not \"{}\"", word));
  }
}

void ReadDedupe(ConfigSection section, std::set<DeliveryStatus>& reopen) {
  std::vector<std::string> names;
  for (const std::string& word : section.Words("reopen").value_or(std::vector<std::string>{})) {
    const auto status = ParseDeliveryStatus(word);
    if (status == DeliveryStatus::kDead || status == DeliveryStatus::kSkipped) {
      reopen.insert(*status);
      names.push_back(word);
    } else {
      section.Fault("reopen", fmt::format("may list dead and skipped, not \"{}\"", word));
    }
  }
  section.Effective("reopen", fmt::format("[{}]", fmt::join(names, ", ")));
  section.End();
}

using RateGroups = std::map<std::string, providers::RateLimit>;

std::string Shown(providers::RateLimit rate) {
  return fmt::format("{} a second, {} a minute", rate.per_second, rate.per_minute);
}

// Whether `narrow` allows in some window what `wide` never lets through.
bool Exceeds(providers::RateLimit narrow, providers::RateLimit wide) {
  const auto exceeds = [](int a, int b) { return b > 0 && a > b; };
  return exceeds(narrow.per_second, wide.per_second) || exceeds(narrow.per_minute, wide.per_minute);
}

// A default never allows what a smaller rate beside it doesn't.
providers::RateLimit Within(providers::RateLimit narrow, providers::RateLimit wide) {
  const auto within = [](int a, int b) { return a > 0 && b > 0 ? std::min(a, b) : a; };
  return {within(narrow.per_second, wide.per_second), within(narrow.per_minute, wide.per_minute)};
}

// The recipient's limit is beside the channel's, and the channel's beside its group's: a larger one never counts.
void CheckRates(ConfigSection& section, const providers::ChannelSettings& channel) {
  if (Exceeds(channel.recipient_rate, channel.rate)) {
    section.Fault("recipient_rate",
                  fmt::format("allows one recipient more than the channel's rate does ({})", Shown(channel.rate)));
  }
}

void ReadRateGroup(ConfigSection& section, providers::ChannelSettings& channel, const RateGroups& groups,
                   std::set<std::string>& used) {
  section.Text("rate_group", channel.rate_group);
  if (channel.rate_group.empty()) return;
  const auto group = groups.find(channel.rate_group);
  if (group != groups.end()) {
    channel.group_rate = group->second;
    used.insert(group->first);
    return;
  }
  std::vector<std::string> names;
  for (const auto& [name, rate] : groups) names.push_back(name);
  section.Fault("rate_group", fmt::format("\"{}\" stands under rate_groups nowhere{}", channel.rate_group,
                                          Suggest(channel.rate_group, names)));
}

// What a profile says holds where the channel says nothing else.
void ReadProfile(ConfigSection& section, providers::ChannelSettings& channel) {
  std::string profile;
  section.Text("profile", profile);
  if (profile == "smartflow") {
    providers::ApplySmartFlowProfile(channel);
  } else if (!profile.empty()) {
    section.Fault("profile", fmt::format("may be smartflow, not \"{}\"", profile));
  }
}

void ReadChannel(const std::string& code, ConfigSection section, const RateGroups& groups, std::set<std::string>& used,
                 Config& config) {
  providers::ChannelSettings channel;
  channel.code = code;
  channel.retry = config.retry;
  channel.allow_insecure_targets = config.allow_insecure_targets;
  if (!IsCode(code)) {
    section.FaultHere(fmt::format("a channel's code is 1 to {} of the characters A-Z a-z 0-9 . _ -", kMaxChannel));
  }
  ReadProfile(section, channel);
  const providers::ProviderInfo* provider = ReadProvider(section, channel);
  section.Bool("enabled", channel.enabled);
  if (provider != nullptr) {
    channel.rate = provider->default_rate;
    channel.on_uncertain = provider->default_on_uncertain;
    channel.quiet_minutes = provider->avoids_full_hours;
    ReadSettings(section, *provider, channel);
  }
  ReadRate(section.Sub("rate"), channel.rate);
  if (provider != nullptr) channel.recipient_rate = Within(provider->default_recipient_rate, channel.rate);
  ReadRate(section.Sub("recipient_rate"), channel.recipient_rate);
  ReadRateGroup(section, channel, groups, used);
  CheckRates(section, channel);
  section.Bool("quiet_minutes", channel.quiet_minutes);
  ReadRetry(section.Sub("retry"), channel.retry);
  ReadOnUncertain(section, channel.on_uncertain);
  ReadOrdering(section, channel.ordering);
  ReadDedupe(section.Sub("dedupe"), channel.reopen);
  section.End();
  config.channels.push_back(std::move(channel));
}

}  // namespace

bool IsCode(std::string_view text) {
  return !text.empty() && text.size() <= kMaxChannel && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

void ReadRetry(ConfigSection section, RetryPolicy& policy) {
  section.Int("max_attempts", policy.max_attempts, 1, 1000);
  section.Time("base", policy.base, std::chrono::milliseconds{1}, kLongestWait);
  section.Time("max", policy.max, std::chrono::milliseconds{1}, kLongestWait);
  section.Real("jitter", policy.jitter, 0.0, 1.0);
  const auto words = section.Words("schedule");
  const bool back_off = section.Has("base") || section.Has("max");
  if (words && !words->empty() && back_off)
    section.Fault("schedule", "stands beside base or max; keep the list or the back-off");
  // A channel that asks for a back-off of its own doesn't get the list of the section above.
  if (words || back_off) policy.schedule.clear();
  if (words) {
    for (const std::string& word : *words) {
      const auto wait = ParseDuration(word);
      if (!wait) {
        section.Fault("schedule", fmt::format("holds \"{}\", which is not a duration such as 30s", word));
      } else {
        policy.schedule.push_back(*wait);
      }
    }
  }
  std::vector<std::string> schedule;
  for (const auto wait : policy.schedule) schedule.push_back(FormatDuration(wait));
  section.Effective("schedule", fmt::format("[{}]", fmt::join(schedule, ", ")));
  // An absent section repeats what the one above it said; its faults stand there.
  if (section.present()) {
    for (const std::string& fault : Validate(policy)) section.FaultHere(fault);
  }
  section.End();
}

void ReadRate(ConfigSection section, providers::RateLimit& rate) {
  section.Int("per_second", rate.per_second, 0, 100'000);
  section.Int("per_minute", rate.per_minute, 0, 6'000'000);
  // One of the two that is written and the vendor's own other one are no contradiction.
  if (section.Has("per_second") && section.Has("per_minute") && rate.per_minute > 0) {
    if (rate.per_minute < rate.per_second) {
      section.Fault("per_second",
                    fmt::format("is more than per_minute ({}); no second ever gets so many", rate.per_minute));
    } else if (rate.per_second > 0 && rate.per_minute > 60 * static_cast<std::int64_t>(rate.per_second)) {
      section.Fault("per_minute",
                    fmt::format("is more than 60 times per_second ({}); no minute ever gets so many", rate.per_second));
    }
  }
  section.End();
}

void ReadTenants(ConfigSection& root, Config& config) {
  ReadRate(root.Sub("tenant_rate"), config.tenant_rates.each);
  ConfigSection tenants = root.Sub("tenants");
  if (!tenants.present()) return;
  for (const auto& [name, value] : tenants.value()->entries) {
    ConfigSection tenant(&value, tenants.PathOf(name), tenants.reading());
    if (name.empty() || CountCodePoints(name) > kMaxTenant) {
      tenant.FaultHere(fmt::format("a tenant's name has 1 to {} characters", kMaxTenant));
    }
    providers::RateLimit rate = config.tenant_rates.each;
    ReadRate(tenant.Sub("rate"), rate);
    ReadQuota(tenant.Sub("quota"), config.quotas[name]);
    const bool has_rate = tenant.Has("rate");
    if (!has_rate && !tenant.Has("quota")) tenant.FaultHere("says nothing; a tenant may have a rate and a quota");
    tenant.End();
    if (has_rate) config.tenant_rates.special[name] = rate;
    if (config.quotas[name].empty()) config.quotas.erase(name);
  }
}

void ReadChannels(ConfigSection& root, Config& config) {
  RateGroups groups;
  ConfigSection group_section = root.Sub("rate_groups");
  if (group_section.present()) {
    for (const auto& [name, value] : group_section.value()->entries) {
      ConfigSection group(&value, group_section.PathOf(name), group_section.reading());
      if (!IsCode(name)) group.FaultHere("a group's name is 1 to 64 of the characters A-Z a-z 0-9 . _ -");
      const bool limits = group.Has("per_second") || group.Has("per_minute");
      if (!limits) group.FaultHere("has neither per_second nor per_minute, so it limits nothing");
      ReadRate(std::move(group), groups[name]);
    }
  }
  std::set<std::string> used;
  ConfigSection section = root.Sub("channels");
  if (section.present()) {
    for (const auto& [code, value] : section.value()->entries) {
      ReadChannel(code, ConfigSection(&value, section.PathOf(code), section.reading()), groups, used, config);
    }
  }
  for (const auto& [name, rate] : groups) {
    if (!used.contains(name)) group_section.Fault(name, "no channel names it as its rate_group");
  }
}

}  // namespace outrider::app
