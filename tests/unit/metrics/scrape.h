// A scrape of the registry, read back: families with their type, series with their value.
#pragma once

#include <map>
#include <set>
#include <string>

namespace outrider {

struct Scrape {
  std::map<std::string, std::string> types;                  // family -> "counter"
  std::map<std::string, std::set<std::string>> label_names;  // family -> names over all its series, without "le"
  std::map<std::string, double> values;                      // series as written -> value
};

Scrape ReadScrape(const std::string& text);

}  // namespace outrider
