#include "metrics/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>

#include "model/text.h"
#include "model/time.h"

namespace outrider {
namespace {

constexpr std::size_t kMaxValue = 2000;  // bytes of one field
constexpr std::size_t kMaxLine = 8000;   // fields that would make the line longer are left out

std::string_view ToString(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// Always three fraction digits, so that lines stand in columns and sort as text.
std::string TimeOfLine() {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(SystemClock().Now());
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  const std::string whole = FormatRfc3339(Timestamp(second.time_since_epoch()));
  return fmt::format("{}.{:03}Z", std::string_view(whole).substr(0, whole.size() - 1), (now - second).count());
}

std::string Clean(std::string_view text) {
  const bool cut = text.size() > kMaxValue;
  std::string clean = EscapeUnprintable(cut ? CutBytes(text, kMaxValue) : text);
  if (cut) clean += "...";
  return clean;
}

bool NeedsQuotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"=") != std::string_view::npos;
}

std::string TextLine(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string line = fmt::format("{} {:<5} {}", TimeOfLine(), ToString(level), Clean(event));
  for (const LogField& field : fields) {
    std::string value = Clean(field.value);
    if (NeedsQuotes(value)) {
      std::string quoted = "\"";
      for (const char c : value) {
        if (c == '"') quoted += '\\';
        quoted += c;
      }
      value = quoted + '"';
    }
    if (line.size() + field.name.size() + value.size() > kMaxLine) {
      line += " cut=true";
      break;
    }
    line += fmt::format(" {}={}", Clean(field.name), value);
  }
  return line + '\n';
}

std::string JsonLine(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  nlohmann::ordered_json line = {{"time", TimeOfLine()}, {"level", ToString(level)}, {"event", Clean(event)}};
  std::size_t size = 0;
  for (const LogField& field : fields) {
    const std::string value = Clean(field.value);
    size += field.name.size() + value.size() + 6;
    if (size > kMaxLine) {
      line["cut"] = true;
      break;
    }
    if (field.is_number) {
      line[Clean(field.name)] = nlohmann::ordered_json::parse(value);
    } else {
      line[Clean(field.name)] = value;
    }
  }
  return line.dump() + '\n';
}

bool WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == ToString(level)) return level;
  }
  return std::nullopt;
}

struct Log::State {
  explicit State(LogOptions log_options) : options(log_options), level(log_options.level) {}

  std::string Line(LogLevel line_level, std::string_view event, std::initializer_list<LogField> fields) const {
    return options.json ? JsonLine(line_level, event, fields) : TextLine(line_level, event, fields);
  }

  const LogOptions options;
  std::atomic<LogLevel> level;
  std::mutex mutex;
  std::uint64_t dropped = 0;  // lines that could not be written since the last one that could
};

Log::Log(LogOptions options) : state_(std::make_unique<State>(options)) {}
Log::~Log() = default;

void Log::Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level < state_->level.load(std::memory_order_relaxed)) return;
  const std::string line = state_->Line(level, event, fields);
  const std::lock_guard lock(state_->mutex);
  if (state_->dropped > 0) {
    if (!WriteAll(state_->options.descriptor,
                  state_->Line(LogLevel::kWarn, "log.lines_dropped", {{"lines", state_->dropped}}))) {
      ++state_->dropped;
      return;
    }
    state_->dropped = 0;
  }
  if (!WriteAll(state_->options.descriptor, line)) ++state_->dropped;
}

void Log::SetLevel(LogLevel level) { state_->level.store(level, std::memory_order_relaxed); }

}  // namespace outrider
