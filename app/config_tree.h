// ConfigTree: YAML files, environment variables and flags merged into one tree whose values know where they came from.
//
// Later files win over earlier ones key by key, the environment over files, flags over all. Lists are replaced as a
// whole; null takes back what an earlier file said. Faults are collected, never thrown.
// Bounded: 1 MiB a file, 32 levels; aliases are refused (they can blow a small file up), duplicate keys are faults
// (yaml-cpp would let the first win).
#pragma once

#include <span>
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
  bool whole = true;  // false: a file could not be read, so what is missing may stand there
};

// Where a configuration comes from, the weakest first.
struct ConfigInput {
  std::vector<std::string> files;
  std::vector<std::string> environment;  // "NAME=value"
  std::vector<std::string> assignments;  // "section.key=value", from --set
};

// Reads and merges the files, then applies every OUTRIDER_SECTION__KEY of the environment, then the assignments.
// In names of variables `__` separates levels (`.` does in assignments), letters are compared without case, `_` also
// stands for the `-` or `.` of a key that is there (a channel's code), and a number names an entry of a list
// (OUTRIDER_SOURCES__0__PASSWORD_FILE). A variable without `__` is a setting only if it is one of RootSettings():
// OUTRIDER_FAILPOINT and its like are left alone.
ConfigTree LoadConfigTree(const ConfigInput& input);

// The settings that stand outside every section.
std::span<const std::string_view> RootSettings();

}  // namespace outrider::app
