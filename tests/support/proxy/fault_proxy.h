// FaultProxy: a TCP proxy on 127.0.0.1 between a client and a server on 127.0.0.1, which breaks connections on demand
// (proxy_fault.h) and tells how often it did.
//
//   FaultProxy proxy(server.port());
//   const int cut = proxy.Inject(CutCommit(CutMoment::kAfterServer));
//   ... the client works through proxy.port() ...
//   EXPECT_EQ(proxy.fired(cut), 1u);
//
// Any number of connections; each opens one to the server when it is accepted, so the server may stop and come back on
// its port meanwhile (a client is reset while nobody listens there). Ends of connections pass through as they are, half
// closes too. One thread of its own; the methods are safe from any other. Faults work side by side; what they hold back
// is bounded and gone with the object, which closes every connection. Errors: std::runtime_error where the port can't
// be had.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "tests/support/proxy/proxy_fault.h"

namespace outrider::testing {

class FaultProxy final {
 public:
  explicit FaultProxy(unsigned server_port);
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  unsigned port() const;
  std::size_t connections() const;  // open ones

  // Gives the fault's id. It is in force on return, and a healed one isn't any more.
  int Inject(ProxyFault fault);
  void Heal(int id);
  void Heal();  // all

  // Every fault there ever was, with its counts.
  std::vector<ProxyFault> faults() const;
  std::size_t fired(int id) const;
  // False when it hasn't by the end of `timeout`.
  bool WaitUntilFired(int id, std::size_t times = 1,
                      std::chrono::milliseconds timeout = std::chrono::seconds{30}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::testing
