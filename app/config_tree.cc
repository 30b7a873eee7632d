#include "app/config_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fstream>
#include <sstream>

namespace outrider::app {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr int kMaxDepth = 32;
constexpr std::string_view kPrefix = "OUTRIDER_";
constexpr std::array<std::string_view, 3> kRootSettings = {"transport", "allow_insecure_targets", "grace"};

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

// False when nothing of the file could be read.
bool ReadFile(const std::string& file, ConfigTree& tree) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad()) {
    tree.faults.push_back(fmt::format("{}: can't be read; does the file exist, and may this user read it?", file));
    return false;
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) {
    tree.faults.push_back(fmt::format("{}: larger than {} bytes", file, kMaxFileBytes));
    return false;
  }
  try {
    std::istringstream events(text);
    AliasFinder finder;
    YAML::Parser parser(events);
    int documents = 0;
    // Of what it can't read at its place the parser makes empty documents for ever.
    while (documents <= 1 && parser.HandleNextDocument(finder)) ++documents;
    if (finder.found()) {
      tree.faults.push_back(fmt::format("{}: YAML aliases (*name) are not accepted; write the value out", file));
      return false;
    }
    if (documents > 1) {
      tree.faults.push_back(fmt::format("{}: holds more than one YAML document; give each its own file", file));
      return false;
    }
    const YAML::Node node = YAML::Load(text);
    if (node.IsNull()) return true;
    if (!node.IsMap()) {
      tree.faults.push_back(fmt::format("{}: must be a map of sections", file));
      return false;
    }
    Merge(tree.root, Convert(node, file, 0, tree.faults));
  } catch (const YAML::Exception& error) {
    tree.faults.push_back(fmt::format("{}:{}: not YAML: {}", file, error.mark.line + 1, error.msg));
    return false;
  }
  return true;
}

// `level` is in lower case; in names of variables `_` stands for every mark that they can't hold.
bool SameLevel(std::string_view key, std::string_view level) {
  if (key.size() != level.size()) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char a = static_cast<char>(std::tolower(static_cast<unsigned char>(key[i])));
    if (a != level[i] && !((a == '-' || a == '.') && level[i] == '_')) return false;
  }
  return true;
}

void TurnInto(ConfigValue& place, ConfigValue::Kind kind, const std::string& origin) {
  place = ConfigValue{};
  place.kind = kind;
  place.origin = origin;
}

// The value under `level`, made when it isn't there.
ConfigValue& Descend(ConfigValue& place, const std::string& level, const std::string& origin) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(level.data(), level.data() + level.size(), index);
  const bool is_index = error == std::errc{} && end == level.data() + level.size();
  if (place.kind == ConfigValue::Kind::kList && is_index && index <= place.items.size()) {
    if (index == place.items.size()) TurnInto(place.items.emplace_back(), ConfigValue::Kind::kNull, origin);
    return place.items[index];
  }
  if (place.kind != ConfigValue::Kind::kMap) TurnInto(place, ConfigValue::Kind::kMap, origin);
  const auto found = std::find_if(place.entries.begin(), place.entries.end(),
                                  [&](const auto& entry) { return SameLevel(entry.key, level); });
  if (found != place.entries.end()) return found->value;
  ConfigValue& made = place.entries.emplace_back(level, ConfigValue{}).value;
  made.origin = origin;
  return made;
}

void Assign(std::string_view path, std::string_view separator, std::string value, const std::string& origin,
            ConfigTree& tree) {
  ConfigValue* place = &tree.root;
  while (true) {
    const std::size_t end = path.find(separator);
    place = &Descend(*place, Lower(path.substr(0, end)), origin);
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + separator.size());
  }
  TurnInto(*place, ConfigValue::Kind::kScalar, origin);
  place->scalar = std::move(value);
}

void ApplyVariable(const std::string& variable, ConfigTree& tree) {
  const std::size_t equals = variable.find('=');
  if (equals == std::string::npos || !variable.starts_with(kPrefix)) return;
  const std::string name = variable.substr(0, equals);
  const std::string path = Lower(std::string_view(name).substr(kPrefix.size()));
  const bool is_setting = path.find("__") != std::string::npos ||
                          std::find(kRootSettings.begin(), kRootSettings.end(), path) != kRootSettings.end();
  if (is_setting) Assign(path, "__", variable.substr(equals + 1), "environment " + name, tree);
}

void ApplyAssignment(const std::string& assignment, ConfigTree& tree) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    // Not repeated: what stands there may be a secret.
    tree.faults.push_back("--set: must be section.key=value");
    return;
  }
  const std::string path = assignment.substr(0, equals);
  Assign(path, ".", assignment.substr(equals + 1), "flag --set " + path, tree);
}

}  // namespace

const ConfigValue* ConfigValue::Find(std::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::span<const std::string_view> RootSettings() { return kRootSettings; }

ConfigTree LoadConfigTree(const ConfigInput& input) {
  ConfigTree tree;
  tree.root.kind = ConfigValue::Kind::kMap;
  for (const std::string& file : input.files) tree.whole = ReadFile(file, tree) && tree.whole;
  for (const std::string& variable : input.environment) ApplyVariable(variable, tree);
  for (const std::string& assignment : input.assignments) ApplyAssignment(assignment, tree);
  return tree;
}

}  // namespace outrider::app
