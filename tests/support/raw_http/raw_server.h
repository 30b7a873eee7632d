// RawServer: a TCP or TLS server on 127.0.0.1 whose connections do what a script says, and which keeps every byte that
// came.
//
// Each connection runs the script in a thread of its own; when the script returns, the connection is closed. The
// destructor ends all connections, whereupon reads end, and waits for the scripts. Threads: the methods of RawServer
// are safe from any; a connection belongs to its script.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace outrider::testing {

class RawConnection {
 public:
  virtual ~RawConnection() = default;
  virtual std::size_t number() const = 0;  // 0 for the server's first
  // One request, by its Content-Length; empty when the connection ended first.
  virtual std::string ReadRequest() = 0;
  // Whatever comes next; false when the connection ended.
  virtual bool ReadSome() = 0;
  // Waits until the client is gone, or the server ends.
  virtual void ReadToEnd() = 0;
  // False when the client is gone.
  virtual bool Write(std::string_view bytes) = 0;
  // "HTTP/1.1 <status> X" with a Content-Length.
  bool Answer(int status, std::string_view body, std::string_view more_headers = "");
  virtual void Reset() = 0;  // the client sees "connection reset"
};

struct RawServerOptions {
  // With both, the server speaks TLS; a connection whose handshake fails never gets to the script.
  std::filesystem::path certificate = {};
  std::filesystem::path key = {};
  int min_tls = 0;  // TLS1_1_VERSION ...; 0: the library's choice
  int max_tls = 0;
};

class RawServer final {
 public:
  using Script = std::function<void(RawConnection&)>;
  explicit RawServer(Script script, RawServerOptions options = {});
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::uint16_t port() const;
  std::string Url(std::string_view path = "/") const;  // http(s)://127.0.0.1:PORT/...
  std::size_t connections() const;                     // accepted so far
  std::vector<std::string> requests() const;           // that were read whole, in order
  std::string received() const;                        // every byte after the handshake, of all connections
  // False when it hasn't come to that within 30 seconds.
  bool WaitForConnections(std::size_t count) const;
  bool WaitForRequests(std::size_t count) const;
  bool WaitForEnded(std::size_t count) const;  // connections closed, by either side

  struct State;

 private:
  std::unique_ptr<State> state_;
};

// Answers every request with 200 and `body`, connection after connection.
RawServer::Script AnswerAlways(std::string body);

}  // namespace outrider::testing
