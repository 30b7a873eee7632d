// HttpServer: the small HTTP/1.1 server behind health, metrics and the API, on Boost.Beast with one thread of its own.
//
// Bounded: header and body sizes, idle and request time, number of connections (further ones get 503). The handler runs
// in the server's thread and must not block for long. Nothing is kept on a crash.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/result.h"
#include "platform/http/message.h"

namespace outrider::http {

struct ServerRequest {
  std::string method;  // HEAD too: its answer goes out without the body
  std::string path;    // decoded, without the query
  std::string query;   // as sent
  Headers headers;     // names in lower case
  std::string body;
};

struct ServerResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  Headers headers;
};

struct HttpServerOptions {
  std::string listen = "127.0.0.1:0";  // "[::1]:8080" too; port 0 picks a free one
  std::size_t max_body = 1 << 20;
  std::size_t max_connections = 256;
  std::chrono::seconds idle_timeout{30};
};

class HttpServer final {
 public:
  using Handler = std::function<ServerResponse(const ServerRequest&)>;
  // Listens when this returns; kInvalid when the address is malformed, kUnavailable when it is taken.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options, Handler handler);
  ~HttpServer();  // stops accepting, closes connections, joins the thread
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace outrider::http
