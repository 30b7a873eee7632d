#include "app/config_keeping.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/config_channels.h"

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

}  // namespace outrider::app
