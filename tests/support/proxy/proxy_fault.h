// ProxyFault: what a FaultProxy does to the connections that run through it, for how long, and how often it has done
// it.
//
// A fault lasts until it is healed; some are used up before (`times`). `fired` counts what really happened, because a
// run whose planned fault never fired proves nothing. Values; made by the functions below.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace outrider::testing {

enum class Direction { kToServer, kToClient, kBoth };

enum class ProxyFaultKind {
  kLatency,       // fires for each piece of bytes that it holds back
  kSlice,         // fires for each piece it makes
  kStall,         // fires for each connection and direction whose bytes it stops
  kRefuse,        // fires when the port refuses; the kernel does the rest unseen
  kReset,         // fires for each connection it ends
  kHalfOpen,      // fires for each connection whose server is gone
  kCutAfter,      // fires for each connection it cuts
  kCutStatement,  // fires for each connection it cuts
};
std::string_view ToString(ProxyFaultKind kind);

enum class CutMoment {
  kBeforeServer,  // the server never gets the statement, or not whole
  kAfterServer,   // the server got it and has answered; the client never learns
};

struct ProxyFault {
  ProxyFaultKind kind = ProxyFaultKind::kStall;
  Direction direction = Direction::kBoth;
  std::chrono::milliseconds pause{0};
  std::size_t bytes = 0;
  CutMoment moment = CutMoment::kAfterServer;
  std::string statement;  // how it begins
  std::size_t nth = 1;    // the first to be cut, of all that match from now on
  std::size_t times = 0;  // how often it strikes; 0: until it is healed

  // Kept by the proxy.
  int id = 0;
  std::size_t seen = 0;  // matching statements
  std::size_t fired = 0;
  bool healed = false;
};

// "cut_statement after_server 'COMMIT' nth 3: fired 1": for the table of a run.
std::string Describe(const ProxyFault& fault);

// Every byte arrives `pause` later than it would.
ProxyFault Latency(Direction direction, std::chrono::milliseconds pause);
// Bytes travel in pieces of `bytes`, `pause` apart.
ProxyFault Slice(Direction direction, std::size_t bytes, std::chrono::milliseconds pause);
// Bytes and ends of connections get stuck, nothing is closed; new connections are accepted and stall too. What was
// stuck goes on its way when healed.
ProxyFault Stall(Direction direction = Direction::kBoth);
// The listener is closed: new connections are refused. Those that are there stay. Healed: same port again.
ProxyFault Refuse();
// RST to both sides of every connection that is there now.
ProxyFault ResetOnce();
// The same, and to every further connection as soon as it is accepted.
ProxyFault ResetAlways();
// The server's side of every connection that is there now ends with RST; the client's stays open, takes what the client
// sends and never answers. Healed: those get RST, as from a host that came back and knows nothing of them.
ProxyFault HalfOpen();
// The next `times` connections that carry `bytes` bytes in `direction` from now on carry no more: then RST to both
// sides. 0 bytes: the first one never arrives.
ProxyFault CutAfter(Direction direction, std::size_t bytes, std::size_t times = 1);
// RST to both sides of the connection that carries the nth statement from now on, and of the `times` - 1 after it.
// MySQL's protocol, without TLS or compression: COM_QUERY, and COM_STMT_EXECUTE of what was prepared through the proxy.
// A statement matches when it begins so, whatever its case; "COMMIT" isn't "COMMITTED".
ProxyFault CutStatement(CutMoment moment, std::string_view statement, std::size_t nth = 1, std::size_t times = 1);
ProxyFault CutCommit(CutMoment moment, std::size_t nth = 1, std::size_t times = 1);

}  // namespace outrider::testing
