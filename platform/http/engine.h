// HttpEngine: one thread, one curl multi handle, every outgoing HTTP request.
//
// No redirects, no proxy from the environment, only http and https (http only where the policy says so), certificates
// always verified, TLS 1.2 or later, no decompression, a cap on the body, a deadline on the whole. Every address is
// checked when the socket is opened, so a name that resolves to a private address (or is rebound to one) is refused
// before a byte leaves. A request is never repeated by the engine: where libcurl would silently resend on a reused
// connection, the second try is stopped.
//
// Threads: Send() from any; callbacks run in the engine's thread and must not block. On a crash requests in flight are
// lost: the caller's record says that it was sending.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "platform/http/message.h"

namespace outrider::http {

struct TargetPolicy {
  bool allow_plain_http = false;
  bool allow_private_addresses = false;  // loopback, RFC 1918, link-local, CGNAT, ULA ...
};

// An address in text form, IPv4 or IPv6 (also v4-in-v6, NAT64, 6to4): false for everything that isn't
// reachable over the public Internet.
bool IsPublicAddress(std::string_view address);

struct HttpEngineOptions {
  TargetPolicy policy;
  std::size_t max_in_flight = 512;
  std::size_t max_response_body = 64 * 1024;
  std::size_t max_queued = 8192;  // beyond those in flight; further ones end as kNotSent ("queue_full")
  std::chrono::milliseconds connect_timeout{3000};  // name, connection and handshake together
  std::string ca_file;                              // certificates trusted beside the system's, in PEM
};

struct HttpResult {
  enum class Kind {
    kAnswered,  // a complete response; its body may be cut at the cap
    kNotSent,   // certainly no byte of the request left (DNS, connect, TLS, refused target, before_send said no)
    kNoAnswer,  // bytes left, and no complete response came
  } kind = Kind::kNotSent;
  HttpResponse response;  // kAnswered
  // Label-safe. kNotSent: "dns_failed", "connect_failed", "tls_failed", "target_refused", "request_invalid",
  // "not_mine", "timeout" (in the queue), "queue_full", "reset", "stopped". kNoAnswer: "timeout", "reset",
  // "answer_unreadable", "stopped".
  std::string reason;
  std::string detail;  // for people; never holds the URL's path or query
  std::chrono::microseconds duration{0};
};

class HttpEngine final {
 public:
  explicit HttpEngine(HttpEngineOptions options);
  ~HttpEngine();  // stops: what is queued ends as kNotSent, what is in flight as kNoAnswer; callbacks run before it
                  // returns
  HttpEngine(const HttpEngine&) = delete;
  HttpEngine& operator=(const HttpEngine&) = delete;

  // `before_send` runs in the engine's thread when the connection stands and right before the first byte: false ends
  // the request as kNotSent ("not_mine"); an empty one is yes. `deadline` covers everything from this call on, the wait
  // in the queue included. `done` is called exactly once. Neither may throw.
  void Send(HttpRequest request, std::chrono::milliseconds deadline, std::function<bool()> before_send,
            std::function<void(HttpResult)> done);
  std::size_t in_flight() const;  // sent or queued, and not yet answered

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::http
