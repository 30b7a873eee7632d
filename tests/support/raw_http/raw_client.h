// RawClient: HTTP by hand over one blocking socket, to see what a server really does with a connection.
// A resource; one thread. Nothing waits longer than the deadline of a call.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace outrider::testing {

struct RawAnswer {
  enum class End { kComplete, kClosed, kReset, kTimeout } end = End::kComplete;
  std::string bytes;  // headers and body as they came
  std::string body;
  int status = 0;  // 0: no status line came
};

class RawClient final {
 public:
  // 127.0.0.1 or ::1.
  explicit RawClient(std::uint16_t port, bool ipv6 = false);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  // Sends a request and reads one answer, by its Content-Length.
  RawAnswer Request(const std::string& method, const std::string& path, const std::string& body = "",
                    std::chrono::milliseconds deadline = std::chrono::seconds{10});
  RawAnswer Post(const std::string& path, const std::string& body) { return Request("POST", path, body); }
  RawAnswer Get(const std::string& path) { return Request("GET", path); }

  // False when the other side takes no more.
  bool Write(std::string_view bytes);
  // One answer, by its Content-Length; the answer to a HEAD has no body, whatever its length says. Bytes of a further
  // answer stay for the next call.
  RawAnswer Read(std::chrono::milliseconds deadline = std::chrono::seconds{10}, bool to_head = false);

 private:
  int socket_ = -1;
  bool connected_ = false;
  std::string unread_;
};

}  // namespace outrider::testing
