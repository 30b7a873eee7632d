// Sidecar: `outrider run`: builds every component of the chosen roles, starts their threads, and stops them along the
// data.
//
// The HTTP server answers first; what needs a database or a broker waits for it by itself and says so in /readyz,
// /readyz?verbose and the log. Start() and Stop() are called by one thread. On a crash see ARCHITECTURE.md's table:
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

  // kUnavailable: the address of api.listen is taken. Other troubles are waited out.
  Result<void> Start();
  // Relays, then ingest, then delivery (which drains for at most `grace`), then the HTTP engine, pools and server.
  void Stop();
  // Of the HTTP server; 0 before Start().
  std::uint16_t port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::app
