// Person: what a command needs to know of who gives it: a name for the audit, a yes, and whether they have had enough.
//
// Threads: one. What a person types is read from standard input only when it is a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace outrider::app {

// "mei@ops-1": the user who is logged in (through sudo too) and the host.
std::string Actor();

enum class Consent { kGiven, kRefused, kNotAsked };
// Asks to type the count, on a terminal; kNotAsked without one, which needs --yes. `what`: "replay 12 records".
Consent AskForCount(std::size_t count, std::string_view what);

// While it lives, SIGINT and SIGTERM don't end the program but are remembered: a batch is finished, then the job stops.
class Interruption final {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  bool came() const;
  // Waits, but not longer than until it comes.
  void Sleep(std::chrono::milliseconds wait) const;
};

}  // namespace outrider::app
