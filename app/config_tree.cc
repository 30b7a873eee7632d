#include "app/config_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace outrider::app {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr int kMaxDepth = 32;
constexpr std::string_view kPrefix = "OUTRIDER_";

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

ConfigValue Convert(const YAML::Node& node, const std::string& file, int depth, std::vector<std::string>& faults) {
  ConfigValue value;
  value.origin = fmt::format("{}:{}", file, node.Mark().line + 1);
  if (depth > kMaxDepth) {
    faults.push_back(fmt::format("{}: nested deeper than {} levels", value.origin, kMaxDepth));
    return value;
  }
  if (node.IsScalar()) {
    value.kind = ConfigValue::Kind::kScalar;
    value.scalar = node.Scalar();
  } else if (node.IsSequence()) {
    value.kind = ConfigValue::Kind::kList;
    for (const YAML::Node& item : node) value.items.push_back(Convert(item, file, depth + 1, faults));
  } else if (node.IsMap()) {
    value.kind = ConfigValue::Kind::kMap;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        faults.push_back(fmt::format("{}:{}: a key must be a plain word", file, entry.first.Mark().line + 1));
        continue;
      }
      const std::string& key = entry.first.Scalar();
      if (value.Find(key) != nullptr) {
        faults.push_back(fmt::format("{}:{}: the key \"{}\" stands twice; keep one of them", file,
                                     entry.first.Mark().line + 1, key));
        continue;
      }
      value.entries.emplace_back(key, Convert(entry.second, file, depth + 1, faults));
    }
  }
  return value;
}

// yaml-cpp expands aliases while it parses, so they are looked for in the text's event stream, which costs nothing to
// refuse.
class AliasFinder final : public YAML::EventHandler {
 public:
  bool found() const { return found_; }
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { found_ = true; }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  bool found_ = false;
};

void Merge(ConfigValue& base, ConfigValue&& over) {
  if (base.kind != ConfigValue::Kind::kMap || over.kind != ConfigValue::Kind::kMap) {
    base = std::move(over);
    return;
  }
  for (auto& [key, value] : over.entries) {
    auto found =
        std::find_if(base.entries.begin(), base.entries.end(), [&](const auto& entry) { return entry.key == key; });
    if (found == base.entries.end()) {
      base.entries.emplace_back(key, std::move(value));
    } else {
      Merge(found->value, std::move(value));
    }
  }
}

void ReadFile(const std::string& file, ConfigTree& tree) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    tree.faults.push_back(fmt::format("{}: can't be read; does the file exist, and may this user read it?", file));
    return;
  }
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) {
    tree.faults.push_back(fmt::format("{}: larger than {} bytes", file, kMaxFileBytes));
    return;
  }
  try {
    std::istringstream events(text);
    AliasFinder finder;
    YAML::Parser parser(events);
    parser.HandleNextDocument(finder);
    if (finder.found()) {
      tree.faults.push_back(fmt::format("{}: YAML aliases (*name) are not accepted; write the value out", file));
      return;
    }
    const YAML::Node node = YAML::Load(text);
    if (node.IsNull()) return;
    if (!node.IsMap()) {
      tree.faults.push_back(fmt::format("{}: must be a map of sections", file));
      return;
    }
    Merge(tree.root, Convert(node, file, 0, tree.faults));
  } catch (const YAML::Exception& error) {
    tree.faults.push_back(fmt::format("{}:{}: not YAML: {}", file, error.mark.line + 1, error.msg));
  }
}

bool SameLevel(std::string_view key, std::string_view level) {
  if (key.size() != level.size()) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char a = static_cast<char>(std::tolower(static_cast<unsigned char>(key[i])));
    if (a != level[i] && !(a == '-' && level[i] == '_')) return false;
  }
  return true;
}

void ApplyVariable(const std::string& variable, ConfigTree& tree) {
  const std::size_t equals = variable.find('=');
  if (equals == std::string::npos || !variable.starts_with(kPrefix)) return;
  const std::string name = variable.substr(0, equals);
  std::string_view rest = std::string_view(name).substr(kPrefix.size());
  if (rest.find("__") == std::string_view::npos) return;

  ConfigValue* place = &tree.root;
  while (true) {
    const std::size_t separator = rest.find("__");
    const std::string level = Lower(rest.substr(0, separator));
    if (place->kind != ConfigValue::Kind::kMap) {
      *place = ConfigValue{};
      place->kind = ConfigValue::Kind::kMap;
      place->origin = "environment " + name;
    }
    auto found = std::find_if(place->entries.begin(), place->entries.end(),
                              [&](const auto& entry) { return SameLevel(entry.key, level); });
    if (found == place->entries.end()) {
      place->entries.emplace_back(level, ConfigValue{});
      found = std::prev(place->entries.end());
      found->value.origin = "environment " + name;
    }
    place = &found->value;
    if (separator == std::string_view::npos) break;
    rest = rest.substr(separator + 2);
  }
  *place = ConfigValue{};
  place->kind = ConfigValue::Kind::kScalar;
  place->scalar = variable.substr(equals + 1);
  place->origin = "environment " + name;
}

}  // namespace

const ConfigValue* ConfigValue::Find(std::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name == key) return &value;
  }
  return nullptr;
}

ConfigTree LoadConfigTree(const std::vector<std::string>& files, const std::vector<std::string>& environment) {
  ConfigTree tree;
  tree.root.kind = ConfigValue::Kind::kMap;
  for (const std::string& file : files) ReadFile(file, tree);
  for (const std::string& variable : environment) ApplyVariable(variable, tree);
  return tree;
}

}  // namespace outrider::app
