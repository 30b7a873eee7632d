// Health: is the process alive, may it serve, and what of it delivers.
//
// Loops beat; a loop that is silent for longer than it promised makes /healthz fail. Parts say in words whether they
// deliver; that is /readyz?verbose and never makes /readyz fail, because an outage of the broker or a vendor must not
// take this process out of service. Threads: safe from several. Nothing is kept on a crash.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/time.h"

namespace outrider {

class Health final {
 public:
  explicit Health(const Clock& clock);
  ~Health();
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  // Promises a beat at least every `max_silence` until RemoveLoop().
  void AddLoop(const std::string& name, std::chrono::milliseconds max_silence);
  void Beat(const std::string& name);
  void RemoveLoop(const std::string& name);
  std::vector<std::string> SilentLoops() const;

  // Configuration and tables are valid (and, for `api`, its database usable).
  void SetReady(bool ready, std::string why_not = "");
  bool ready() const;
  std::string why_not_ready() const;

  // "relay shop" -> delivers, "leads with epoch 7" / "waits: broker away for 12 s".
  void SetPart(const std::string& part, bool delivers, std::string words);
  struct Part {
    bool delivers = false;
    std::string words;
  };
  std::map<std::string, Part> parts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider
