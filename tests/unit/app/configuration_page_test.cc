#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "providers/provider_table.h"
#include "tests/unit/app/config_files.h"

namespace outrider::app {
namespace {

using ::testing::IsEmpty;

// key -> default, as the page's table has them.
std::map<std::string, std::string> KeysOfPage(const std::string& name) {
  static const std::regex kRow(R"(\| `([A-Za-z_.\[\]]+)` \| ?([^|]*?) ?\|[^\n]*)");
  const std::string page = testing::ReadTextFile(std::string(DOCS_FOLDER "/") + name);
  std::map<std::string, std::string> keys;
  for (std::sregex_iterator row(page.begin(), page.end(), kRow), end; row != end; ++row) keys[(*row)[1]] = (*row)[2];
  return keys;
}

// A configuration in which every section stands, one channel for each provider.
ConfigReading EverySection(const ConfigFiles& files) {
  std::string channels;
  for (const providers::ProviderInfo& info : providers::AllProviders()) {
    channels += fmt::format("  {0}: {{provider: {0}, rate_group: NAME}}\n", info.name);
  }
  return files.ReadMore(
      "sources: [{name: shop, url: \"mysql://r@h/shop\", routes: {order: orders}}]\nkafka: {properties: {client.id: "
      "x}}\n"
      "rate_groups: {NAME: {per_second: 1}}\nsealing: {keys: [{id: k}]}\ntenants: {NAME: {rate: {per_second: "
      "1}, quota: {channels: {CODE: 1}, providers: {mock: 1}}}}\nchannels:\n" +
      channels);
}

std::string General(std::string path) {
  for (const providers::ProviderInfo& info : providers::AllProviders()) {
    path = std::regex_replace(path, std::regex("^channels\\." + std::string(info.name) + "\\."), "channels.CODE.");
  }
  path = std::regex_replace(path, std::regex("quota.providers.mock$"), "quota.providers.PROVIDER");
  path = std::regex_replace(path, std::regex(R"(\[\d+\])"), "[]");
  if (path == "sources[].routes.order") return "sources[].routes.TYPE";
  return path == "kafka.properties.client.id" ? "kafka.properties.NAME" : path;
}

TEST(ConfigurationPageTest, TellsEverySettingThereIsAndNoOther) {
  const ConfigFiles files;
  std::set<std::string> read;
  for (const EffectiveSetting& setting : EverySection(files).effective) read.insert(General(setting.path));
  for (const char* page : {"configuration.md", "configuration.zh-CN.md"}) {
    std::set<std::string> told;
    for (const auto& [key, value] : KeysOfPage(page)) told.insert(key);
    EXPECT_EQ(told, read) << page;
  }
}

TEST(ConfigurationPageTest, TellsTheDefaultsThatHold) {
  const ConfigFiles files;
  std::map<std::string, std::string> values;
  for (const EffectiveSetting& setting : files.ReadMore("").effective) {
    if (setting.origin == "default") values[setting.path] = setting.value;
  }
  for (const char* page : {"configuration.md", "configuration.zh-CN.md"}) {
    std::size_t compared = 0;
    for (const auto& [key, told] : KeysOfPage(page)) {
      if (!told.starts_with('`') || !values.contains(key)) continue;
      ++compared;
      const std::string value = told.substr(1, told.size() - 2);
      EXPECT_TRUE(value == values[key] || ParseDuration(value) == ParseDuration(values[key])) << key << " " << told;
    }
    EXPECT_GT(compared, 15u);
  }
}

}  // namespace
}  // namespace outrider::app
