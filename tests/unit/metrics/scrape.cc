#include "tests/unit/metrics/scrape.h"

#include <regex>
#include <sstream>

namespace outrider {
namespace {

std::string FamilyOf(const std::string& series_name, const Scrape& scrape) {
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    const std::string end = suffix;
    if (!series_name.ends_with(end)) continue;
    const std::string family = series_name.substr(0, series_name.size() - end.size());
    if (scrape.types.contains(family)) return family;
  }
  return series_name;
}

}  // namespace

Scrape ReadScrape(const std::string& text) {
  static const std::regex kType(R"(# TYPE (\S+) (\S+))");
  static const std::regex kSeries(R"(([a-z_:]+)(\{.*\})? (\S+))");
  static const std::regex kLabel(R"re(([a-z_]+)="[^"]*")re");
  Scrape scrape;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kType)) {
      scrape.types[match[1]] = match[2];
      scrape.label_names[match[1]];
    } else if (!line.starts_with('#') && std::regex_match(line, match, kSeries)) {
      const std::string labels = match[2];
      scrape.values[match[1].str() + labels] = std::stod(match[3]);
      for (std::sregex_iterator label(labels.begin(), labels.end(), kLabel), end; label != end; ++label) {
        if ((*label)[1] != "le") scrape.label_names[FamilyOf(match[1], scrape)].insert((*label)[1]);
      }
    }
  }
  return scrape;
}

}  // namespace outrider
