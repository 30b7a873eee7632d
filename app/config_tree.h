// ConfigTree: YAML files and environment variables merged into one tree in which every value knows where it came from.
//
// Later files win over earlier ones key by key, the environment over files. Faults are collected, never thrown.
// Bounded: 1 MiB a file, 32 levels; aliases are refused (they can blow a small file up), duplicate keys are faults
// (yaml-cpp would let the first win).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace outrider::app {

struct ConfigEntry;

struct ConfigValue {
  enum class Kind { kNull, kScalar, kList, kMap } kind = Kind::kNull;
  std::string scalar;
  std::vector<ConfigValue> items;
  std::vector<ConfigEntry> entries;
  std::string origin;  // "outrider.yaml:12", "environment OUTRIDER_DATABASE__URL"

  const ConfigValue* Find(std::string_view key) const;
};

struct ConfigEntry {
  std::string key;
  ConfigValue value;
};

struct ConfigTree {
  ConfigValue root;
  std::vector<std::string> faults;
};

// Reads and merges the files, then applies every OUTRIDER_SECTION__KEY of `environment` ("NAME=value" entries). In
// names `__` separates levels, letters are compared without case, and `_` in a level also matches `-` (a channel's
// code). Variables with a single level that no section has (OUTRIDER_FAILPOINT, OUTRIDER_TEST_...) are left alone: only
// names with `__` are settings.
ConfigTree LoadConfigTree(const std::vector<std::string>& files, const std::vector<std::string>& environment);

}  // namespace outrider::app
