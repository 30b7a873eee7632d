#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "metrics/delivery_probe.h"
#include "metrics/ingest_probe.h"
#include "metrics/quota_probe.h"
#include "metrics/relay_probe.h"
#include "metrics/retention_probe.h"
#include "tests/unit/metrics/scrape.h"

namespace outrider {
namespace {

struct Listed {
  std::string type;
  std::set<std::string> labels;
  friend bool operator==(const Listed&, const Listed&) = default;
  friend void PrintTo(const Listed& listed, std::ostream* out) {
    *out << listed.type << "{" << ::testing::PrintToString(listed.labels) << "}";
  }
};

std::map<std::string, Listed> ReadmeTable() {
  static const std::regex kRow(R"(\| `(outrider_[a-z_]+)` \| ([a-z]+) \| ([a-z, ]*)\|.*)");
  static const std::regex kWord("[a-z]+");
  std::map<std::string, Listed> table;
  std::ifstream readme(METRICS_README);
  for (std::string line; std::getline(readme, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, kRow)) continue;
    Listed& listed = table[match[1]];
    listed.type = match[2];
    const std::string labels = match[3];
    for (std::sregex_iterator word(labels.begin(), labels.end(), kWord), end; word != end; ++word) {
      listed.labels.insert(word->str());
    }
  }
  return table;
}

TEST(MetricListTest, TheReadmeListsExactlyWhatAScrapeShowsFromTheStart) {
  MetricsRegistry registry;
  const RelayProbe relay(registry, "shop");
  const IngestProbe ingest(registry);
  const DeliveryProbe delivery(registry);
  const RetentionProbe retention(registry);
  const QuotaProbe quota(registry);

  const Scrape scrape = ReadScrape(registry.Scrape());
  std::map<std::string, Listed> shown;
  for (const auto& [family, type] : scrape.types) shown[family] = {type, scrape.label_names.at(family)};
  EXPECT_EQ(shown, ReadmeTable());
}

TEST(MetricListTest, EverySeriesStartsAtZero) {
  MetricsRegistry registry;
  const RelayProbe relay(registry, "shop");
  const IngestProbe ingest(registry);
  const DeliveryProbe delivery(registry);

  const Scrape scrape = ReadScrape(registry.Scrape());
  EXPECT_GT(scrape.values.size(), 100u);
  for (const auto& [series, value] : scrape.values) EXPECT_EQ(value, 0) << series;
}

}  // namespace
}  // namespace outrider
