#include "app/config_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <utility>

#include "model/text.h"
#include "model/time.h"

namespace outrider::app {
namespace {

constexpr std::size_t kMaxSecretFile = 64 * 1024;

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Suggest(std::string_view word, const std::vector<std::string>& known) {
  std::string_view best;
  std::size_t best_distance = 3;
  for (const std::string& candidate : known) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean \"{}\"?", best);
}

ConfigSection::ConfigSection(const ConfigValue* value, std::string path, ConfigReading& reading)
    : value_(value), path_(std::move(path)), reading_(reading) {
  if (value_ != nullptr && value_->kind == ConfigValue::Kind::kNull) value_ = nullptr;
  if (value_ != nullptr && value_->kind != ConfigValue::Kind::kMap) {
    FaultAt(*value_, path_, "must be a map of settings");
    value_ = nullptr;
  }
}

ConfigSection ConfigSection::Sub(std::string_view key) { return ConfigSection(Take(key), PathOf(key), reading_); }

const ConfigValue* ConfigSection::Find(std::string_view key) const {
  return value_ == nullptr ? nullptr : value_->Find(key);
}

bool ConfigSection::Knows(std::string_view key) const {
  return std::find(known_.begin(), known_.end(), key) != known_.end();
}

bool ConfigSection::Has(std::string_view key) const {
  const ConfigValue* found = Find(key);
  return found != nullptr && found->kind != ConfigValue::Kind::kNull;
}

const ConfigValue* ConfigSection::Take(std::string_view key) {
  known_.emplace_back(key);
  return Has(key) ? Find(key) : nullptr;
}

std::optional<std::string> ConfigSection::Text(std::string_view key) {
  const ConfigValue* found = Take(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind != ConfigValue::Kind::kScalar) {
    FaultAt(*found, PathOf(key), "must be one value, not a list or a map");
    return std::nullopt;
  }
  return found->scalar;
}

void ConfigSection::Text(std::string_view key, std::string& target) {
  if (auto text = Text(key)) target = *text;
  Effective(key, target);
}

void ConfigSection::Bool(std::string_view key, bool& target) {
  if (const auto text = Text(key)) {
    if (*text == "true" || *text == "yes" || *text == "on") {
      target = true;
    } else if (*text == "false" || *text == "no" || *text == "off") {
      target = false;
    } else {
      Fault(key, fmt::format("must be true or false, not \"{}\"", *text));
    }
  }
  Effective(key, target ? "true" : "false");
}

void ConfigSection::Int(std::string_view key, int& target, int low, int high) {
  if (const auto text = Text(key)) {
    int number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc{} || end != text->data() + text->size() || number < low || number > high) {
      Fault(key, fmt::format("must be a whole number from {} to {}, not \"{}\"", low, high, *text));
    } else {
      target = number;
    }
  }
  Effective(key, std::to_string(target));
}

void ConfigSection::Real(std::string_view key, double& target, double low, double high) {
  if (const auto text = Text(key)) {
    char* end = nullptr;
    const double number = std::strtod(text->c_str(), &end);
    if (text->empty() || *end != '\0' || !(number >= low && number <= high)) {
      Fault(key, fmt::format("must be a number from {} to {}, not \"{}\"", low, high, *text));
    } else {
      target = number;
    }
  }
  Effective(key, fmt::format("{}", target));
}

void ConfigSection::Time(std::string_view key, std::chrono::milliseconds& target, std::chrono::milliseconds low,
                         std::chrono::milliseconds high) {
  if (const auto text = Text(key)) {
    const auto duration = ParseDuration(*text);
    if (!duration || *duration < low || *duration > high) {
      Fault(key, fmt::format("must be a duration from {} to {}, such as \"30s\" or \"5m\", not \"{}\"",
                             FormatDuration(low), FormatDuration(high), *text));
    } else {
      target = *duration;
    }
  }
  Effective(key, FormatDuration(target));
}

void ConfigSection::Hours(std::string_view key, std::chrono::hours& target, std::chrono::hours low,
                          std::chrono::hours high) {
  if (const auto text = Text(key)) {
    const auto duration = ParseDuration(*text);
    const auto hours = std::chrono::duration_cast<std::chrono::hours>(duration.value_or(std::chrono::milliseconds{0}));
    if (!duration || *duration != hours || hours < low || hours > high) {
      Fault(key, fmt::format("must be whole hours from {} to {}, such as \"72h\" or \"3d\", not \"{}\"",
                             FormatDuration(low), FormatDuration(high), *text));
    } else {
      target = hours;
    }
  }
  Effective(key, FormatDuration(target));
}

std::optional<std::vector<std::string>> ConfigSection::Words(std::string_view key) {
  const ConfigValue* found = Take(key);
  if (found == nullptr) return std::nullopt;
  std::vector<std::string> words;
  if (found->kind == ConfigValue::Kind::kScalar) {
    std::string_view rest = found->scalar;
    while (true) {
      const std::size_t comma = rest.find(',');
      const std::string_view word = TrimSpace(rest.substr(0, comma));
      if (!word.empty()) words.emplace_back(word);
      if (comma == std::string_view::npos) return words;
      rest = rest.substr(comma + 1);
    }
  }
  if (found->kind != ConfigValue::Kind::kList) {
    FaultAt(*found, PathOf(key), "must be a list");
    return std::nullopt;
  }
  for (const ConfigValue& item : found->items) {
    if (item.kind == ConfigValue::Kind::kScalar) {
      words.push_back(item.scalar);
    } else {
      FaultAt(item, PathOf(key), "must be a list of plain values");
    }
  }
  return words;
}

Secret ConfigSection::ReadSecret(std::string_view key, std::string (*shown)(const std::string&)) {
  const std::string twin = fmt::format("{}_file", key);
  std::optional<std::string> text = Text(key);
  const std::optional<std::string> file = Text(twin);
  if (text && file) {
    Fault(twin, fmt::format("stands beside \"{}\"; keep one of the two (null takes a value back)", key));
  } else if (file) {
    text = ReadSecretFile(twin, *file);
  }
  if (file) {
    Effective(twin, *file);
  } else {
    Effective(key, !text ? "" : shown == nullptr ? "***" : shown(*text));
  }
  return Secret(text.value_or(""));
}

std::optional<std::string> ConfigSection::ReadSecretFile(std::string_view key, const std::string& file) {
  reading_.files.push_back(file);
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMaxSecretFile + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad()) {
    Fault(key, fmt::format("names \"{}\", which can't be read; does it exist, and may this user read it?", file));
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMaxSecretFile) {
    Fault(key, fmt::format("names \"{}\", which is larger than {} bytes", file, kMaxSecretFile));
    return std::nullopt;
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) {
    Fault(key, fmt::format("names \"{}\", which is empty", file));
    return std::nullopt;
  }
  return text;
}

void ConfigSection::Fault(std::string_view key, const std::string& problem) {
  const std::string twin = fmt::format("{}_file", key);
  if (const ConfigValue* found = Find(key)) {
    FaultAt(*found, PathOf(key), problem);
  } else if (const ConfigValue* file = Find(twin)) {
    FaultAt(*file, PathOf(twin), problem);
  } else if (value_ != nullptr && !path_.empty()) {
    FaultAt(*value_, PathOf(key), problem);
  } else {
    reading_.faults.push_back(fmt::format("{}: {}", PathOf(key), problem));
  }
}

void ConfigSection::FaultHere(const std::string& problem) {
  if (value_ != nullptr) {
    FaultAt(*value_, path_, problem);
  } else {
    reading_.faults.push_back(fmt::format("{}: {}", path_, problem));
  }
}

void ConfigSection::FaultAt(const ConfigValue& at, const std::string& path, const std::string& problem) {
  reading_.faults.push_back(fmt::format("{}: {} ({})", path, problem, at.origin));
}

void ConfigSection::Effective(std::string_view key, std::string value) {
  const ConfigValue* found = Find(key);
  reading_.effective.push_back({PathOf(key), std::move(value), found == nullptr ? "default" : found->origin});
}

void ConfigSection::End() {
  if (value_ == nullptr) return;
  for (const auto& [key, value] : value_->entries) {
    if (!Knows(key)) {
      FaultAt(value, PathOf(key), fmt::format("is not a setting{}", Suggest(key, known_)));
    }
  }
}

std::string ConfigSection::PathOf(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

}  // namespace outrider::app
