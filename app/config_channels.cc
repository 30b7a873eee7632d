#include "app/config_channels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "model/request.h"
#include "model/time.h"
#include "providers/provider_table.h"

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

void ReadChannel(const std::string& code, ConfigSection section, Config& config) {
  providers::ChannelSettings channel;
  channel.code = code;
  channel.retry = config.retry;
  channel.allow_insecure_targets = config.allow_insecure_targets;
  if (!IsCode(code)) {
    section.FaultHere(fmt::format("a channel's code is 1 to {} of the characters A-Z a-z 0-9 . _ -", kMaxChannel));
  }
  const providers::ProviderInfo* provider = ReadProvider(section, channel);
  section.Bool("enabled", channel.enabled);
  if (provider != nullptr) {
    channel.rate = provider->default_rate;
    channel.on_uncertain = provider->default_on_uncertain;
    ReadSettings(section, *provider, channel);
  }
  ConfigSection rate = section.Sub("rate");
  rate.Int("per_second", channel.rate.per_second, 0, 100'000);
  rate.Int("per_minute", channel.rate.per_minute, 0, 6'000'000);
  rate.End();
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

void ReadChannels(ConfigSection section, Config& config) {
  if (!section.present()) return;
  for (const auto& [code, value] : section.value()->entries) {
    ReadChannel(code, ConfigSection(&value, section.PathOf(code), section.reading()), config);
  }
}

}  // namespace outrider::app
