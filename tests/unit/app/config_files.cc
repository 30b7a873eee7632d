#include "tests/unit/app/config_files.h"

#include <algorithm>

namespace outrider::app {
namespace {

const EffectiveSetting* Find(const ConfigReading& reading, std::string_view path) {
  const auto found = std::find_if(reading.effective.begin(), reading.effective.end(),
                                  [&](const EffectiveSetting& setting) { return setting.path == path; });
  return found == reading.effective.end() ? nullptr : &*found;
}

}  // namespace

const std::string kLeast =
    "database: {url: \"mysql://outrider@127.0.0.1:3306/outrider\"}\n"
    "transport: direct\n";

std::string ConfigFiles::Write(std::string_view name, std::string_view text) const {
  const auto file = folder_.path() / name;
  testing::WriteTextFile(file, text);
  return file.string();
}

ConfigReading ConfigFiles::Read(std::string_view yaml, std::vector<std::string> environment,
                                std::vector<std::string> assignments) const {
  return ReadConfig({{Write("outrider.yaml", yaml)}, std::move(environment), std::move(assignments)});
}

ConfigReading ConfigFiles::ReadMore(std::string_view yaml, std::vector<std::string> environment,
                                    std::vector<std::string> assignments) const {
  return Read(kLeast + std::string(yaml), std::move(environment), std::move(assignments));
}

std::string Shown(const ConfigReading& reading, std::string_view path) {
  const EffectiveSetting* setting = Find(reading, path);
  return setting == nullptr ? "(absent)" : setting->value;
}

std::string OriginOf(const ConfigReading& reading, std::string_view path) {
  const EffectiveSetting* setting = Find(reading, path);
  return setting == nullptr ? "(absent)" : setting->origin;
}

}  // namespace outrider::app
