// Log: one line per decision, for people (text) or machines (JSON), on stderr.
//
// A line is an event name and fields ("record.settled channel=ops-alerts dedupe_key=order-1 status=sent"). The dedupe
// key always, the message's text never; secrets have no way in, because a field is made of plain values only. Control
// characters are escaped, so data can't forge a line. Threads: safe from several. On a crash at most the lines being
// written are lost.
#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace outrider {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
std::optional<LogLevel> ParseLogLevel(std::string_view text);

struct LogField {
  LogField(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  LogField(std::string_view field_name, const std::string& text) : name(field_name), value(text) {}
  LogField(std::string_view field_name, const char* text) : name(field_name), value(text) {}
  template <std::integral T>
  LogField(std::string_view field_name, T number) : name(field_name), value(std::to_string(number)), is_number(true) {}
  std::string_view name;
  std::string value;
  bool is_number = false;
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = false;
  int descriptor = 2;  // where lines go
};

class Log final {
 public:
  explicit Log(LogOptions options = {});
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void Debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kDebug, event, fields);
  }
  void Info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kInfo, event, fields);
  }
  void Warn(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kWarn, event, fields);
  }
  void Error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kError, event, fields);
  }
  void Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
  void SetLevel(LogLevel level);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider
