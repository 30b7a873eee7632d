// Reloader: reads the configuration again while the program runs, and applies it as a whole or not at all.
//
// Asked for by SIGHUP, or by a changed file (secrets' files included) once it has stood still for one look, so that a
// half-written one isn't taken. A configuration with faults changes nothing; nor does one that needs a restart. Both
// are said in the log once. One thread, the one that waits for signals; nothing is kept on a crash.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/config.h"
#include "metrics/log.h"

namespace outrider::app {

class Reloader final {
 public:
  // `running` came from `input`; `files` are the ones that were read for it. `apply` is given what may change.
  Reloader(ConfigInput input, Config running, std::vector<std::string> files, Log& log,
           std::function<void(const Config&)> apply);

  // Reads now.
  void Reload();
  // Reads if a file has changed since the last reading and stands still since the last look.
  void Look();

 private:
  std::string Stamp() const;

  ConfigInput input_;
  Config running_;
  std::vector<std::string> files_;
  Log& log_;
  std::function<void(const Config&)> apply_;
  std::string read_;    // the files' stamp at the last reading
  std::string looked_;  // and at the last look
};

}  // namespace outrider::app
