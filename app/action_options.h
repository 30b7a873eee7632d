// How a person's action on many things is done, and what is asked before it: the manners that all such commands share.
// Values, and questions on the terminal; single-threaded.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace outrider::app {

struct ActionOptions {
  std::string reason;
  std::string rate;    // "200/s" or "200"; empty: as fast as the database takes it
  std::string resume;  // a job that was interrupted; the choice is its own then
  bool dry_run = false;
  bool yes = false;  // nobody is asked
};

// How many a second; zero: no limit. Nothing when it can't be read.
std::optional<std::size_t> ReadRate(std::string_view text);

// What is wrong is said, and gives the exit code; nothing: go on.
std::optional<int> CheckOptions(const ActionOptions& options);
// Asks the person to type the count. `what`: "replay 12 records".
std::optional<int> AskWhether(const ActionOptions& options, std::size_t count, std::string_view what);

}  // namespace outrider::app
