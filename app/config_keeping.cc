#include "app/config_keeping.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/config_channels.h"
#include "providers/provider_table.h"

namespace outrider::app {
namespace {

constexpr std::size_t kMaxKeyId = 32;

void ReadSealingKey(ConfigSection section, std::vector<crypto::SealingKey>& keys) {
  crypto::SealingKey key;
  section.Text("id", key.id);
  if (!IsCode(key.id) || key.id.size() > kMaxKeyId) {
    section.Fault("id", fmt::format("is missing or malformed: 1 to {} of the characters A-Z a-z 0-9 . _ -", kMaxKeyId));
  } else if (std::ranges::find(keys, key.id, &crypto::SealingKey::id) != keys.end()) {
    section.Fault("id", fmt::format("\"{}\" stands twice; a new key needs a name of its own", key.id));
  }
  const std::size_t faults = section.reading().faults.size();
  const Secret text = section.ReadSecret("key");
  const auto bytes = crypto::ParseSealingKey(text.Reveal());
  if (bytes) {
    key.key = *bytes;
  } else if (section.reading().faults.size() == faults) {
    section.Fault("key", text.empty() ? "is missing; make one with \"openssl rand -base64 32\""
                                      : "must be 32 bytes in base64 or hexadecimal digits, as \"openssl rand -base64 "
                                        "32\" prints them");
  }
  section.End();
  keys.push_back(std::move(key));
}

}  // namespace

void ReadSealing(ConfigSection section, std::vector<crypto::SealingKey>& keys) {
  const ConfigValue* list = section.Take("keys");
  if (list != nullptr && list->kind != ConfigValue::Kind::kList) {
    section.Fault("keys", "must be a list of keys, the one that seals first");
    list = nullptr;
  }
  for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    ReadSealingKey(ConfigSection(&list->items[i], fmt::format("sealing.keys[{}]", i), section.reading()), keys);
  }
  section.End();
}

void ReadQuota(ConfigSection section, std::vector<consumer::QuotaRule>& rules) {
  const auto read = [&](std::string_view key, consumer::QuotaRule::Kind kind) {
    ConfigSection part = section.Sub(key);
    if (!part.present()) return;
    for (const auto& [name, value] : part.value()->entries) {
      if (kind == consumer::QuotaRule::Kind::kProvider && providers::FindProvider(name) == nullptr) {
        part.Fault(name, "is no provider");
      }
      int per_day = 0;
      part.Int(name, per_day, 0, 1'000'000'000);
      rules.push_back({kind, name, per_day});
    }
    part.End();
  };
  read("channels", consumer::QuotaRule::Kind::kChannel);
  read("providers", consumer::QuotaRule::Kind::kProvider);
  if (section.present() && rules.empty()) section.FaultHere("limits nothing: give channels or providers");
  section.End();
}

void ReadRetention(ConfigSection section, Config::Retention& retention) {
  constexpr std::chrono::milliseconds kShortest = std::chrono::seconds{1};
  constexpr std::chrono::milliseconds kLongest = std::chrono::days{3650};
  section.Time("sent", retention.sent, kShortest, kLongest);
  section.Time("skipped", retention.skipped, kShortest, kLongest);
  section.Time("dead", retention.dead, kShortest, kLongest);
  section.Time("rejected", retention.rejected, kShortest, kLongest);
  section.End();
}

}  // namespace outrider::app
