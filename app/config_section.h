// ConfigSection: one map of the configuration while it is read.
//
// Every key that is asked for is known; End() makes a fault of the rest, with the nearest known key as a suggestion.
// Values are checked where they are read, faults go to the reading with the place the value was written at, and each
// setting's effective value is noted for `config show`. Secrets never reach a fault or an effective value. Used by one
// thread while the configuration is read; refers to the tree and the reading it was made with.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/config_tree.h"
#include "model/secret.h"

namespace outrider::app {

// `; did you mean "..."?` with the nearest of `known`, or nothing when none is near.
std::string Suggest(std::string_view word, const std::vector<std::string>& known);

class ConfigSection final {
 public:
  // `value` may be nothing: every setting of the section has its default then.
  ConfigSection(const ConfigValue* value, std::string path, ConfigReading& reading);

  // The sub-section under `key`, absent ones included.
  ConfigSection Sub(std::string_view key);
  // The value under `key` as it stands; nothing when it is absent or null.
  const ConfigValue* Take(std::string_view key);
  // Whether somebody asked for `key`.
  bool Knows(std::string_view key) const;
  // Whether a value stands under `key`, absent and null alike being none.
  bool Has(std::string_view key) const;

  std::optional<std::string> Text(std::string_view key);
  void Text(std::string_view key, std::string& target);
  void Bool(std::string_view key, bool& target);
  void Int(std::string_view key, int& target, int low, int high);
  void Real(std::string_view key, double& target, double low, double high);
  void Time(std::string_view key, std::chrono::milliseconds& target, std::chrono::milliseconds low,
            std::chrono::milliseconds high);
  // As Time(), for what is kept in whole hours.
  void Hours(std::string_view key, std::chrono::hours& target, std::chrono::hours low, std::chrono::hours high);
  // A list of words; from the environment, which has no lists, words between commas.
  std::optional<std::vector<std::string>> Words(std::string_view key);
  // The value itself or the content of the file that `<key>_file` names, without the line's end. `shown` makes
  // of the value what `config show` may print; "***" by default.
  Secret ReadSecret(std::string_view key, std::string (*shown)(const std::string&) = nullptr);

  // At the place of `key`, or of its `_file` twin where only that is given, or of the section.
  void Fault(std::string_view key, const std::string& problem);
  void FaultHere(const std::string& problem);
  void Effective(std::string_view key, std::string value);
  // Every key that nobody asked for becomes a fault. REQUIRES: called last.
  void End();

  std::string PathOf(std::string_view key) const;
  bool present() const { return value_ != nullptr; }
  const ConfigValue* value() const { return value_; }
  ConfigReading& reading() { return reading_; }

 private:
  const ConfigValue* Find(std::string_view key) const;
  void FaultAt(const ConfigValue& at, const std::string& path, const std::string& problem);
  std::optional<std::string> ReadSecretFile(std::string_view key, const std::string& file);

  const ConfigValue* value_;
  std::string path_;
  ConfigReading& reading_;
  std::vector<std::string> known_;
};

}  // namespace outrider::app
