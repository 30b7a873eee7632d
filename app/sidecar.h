// Sidecar: `outrider run`: builds every component of the chosen roles, starts their threads, and stops them along the
// data.
//
// The HTTP server answers first; what needs a database or a broker waits for it by itself and says so in /readyz,
// /readyz?verbose and the log. All methods are called by one thread. On a crash see ARCHITECTURE.md's table:
// nothing committed is lost.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "app/config.h"
#include "metrics/log.h"
#include "model/result.h"

namespace outrider::app {

enum class Role { kRelay, kConsumer, kApi };

class Sidecar final {
 public:
  Sidecar(Config config, std::set<Role> roles, Log& log);
  ~Sidecar();
  Sidecar(const Sidecar&) = delete;
  Sidecar& operator=(const Sidecar&) = delete;

  // Opens the HTTP server, whose pages answer from now on. kUnavailable: the address of api.listen is taken; kInvalid:
  // it is malformed.
  Result<void> Listen();
  // Not ready yet, and why, as /readyz says it.
  void Wait(const std::string& why);
  // Starts the roles. kInvalid: a setting that a library refuses. Databases and brokers that are away are waited for.
  // REQUIRES: Listen() went well.
  Result<void> Start();
  // Channels and their retries, from now on. REQUIRES: NeedRestart() found nothing.
  void Apply(const Config& next);
  // Relays, then ingest, then delivery (which drains for at most `grace`), then the HTTP engine, pools and server.
  void Stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::app
