#include "platform/http/server.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace outrider::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using beast::error_code;
using Message = beast::http::response<beast::http::string_body>;

constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kSpareConnections = 64;  // above the limit these are told so; the rest is only closed
constexpr std::chrono::seconds kLinger{2};     // for an answer to arrive before the connection closes
constexpr std::size_t kMaxDiscarded = 1 << 20;
constexpr std::chrono::milliseconds kAcceptPause{100};  // after an accept that failed, for example out of descriptors

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Nothing when an escape is broken or stands for NUL.
std::optional<std::string> DecodePath(std::string_view text) {
  std::string path;
  path.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      path.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    path.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return path;
}

bool HoldsControl(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

ServerResponse Plain(int status, std::string_view body) { return {.status = status, .body = std::string(body) + "\n"}; }

// "127.0.0.1:0" or "[::1]:8080".
Result<tcp::endpoint> ParseListen(const std::string& listen) {
  const auto invalid = [&listen](std::string_view why) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("listen address \"{}\": {}; it looks like 127.0.0.1:8080 or [::1]:8080", listen, why));
  };
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return invalid("there is no port");
  std::string host = listen.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error || address.is_v6() != bracketed)
    return invalid("the host isn't an IPv4 address or an IPv6 one in brackets");
  std::uint16_t port = 0;
  const char* begin = listen.data() + colon + 1;
  const char* end = listen.data() + listen.size();
  const auto parsed = std::from_chars(begin, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return invalid("the port isn't a number up to 65535");
  return tcp::endpoint(address, port);
}

}  // namespace

struct HttpServer::State {
  State(const HttpServerOptions& the_options, Handler the_handler)
      : options(the_options), handler(std::move(the_handler)) {}
  void Accept();
  ServerResponse Handle(const ServerRequest& request) const noexcept;

  const HttpServerOptions options;
  const Handler handler;
  std::size_t connections = 0;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  std::uint16_t port = 0;
  std::thread thread;
};

namespace {

// One connection, kept alive by what it waits for. Everything runs in the server's thread.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const HttpServerOptions& options,
             std::function<ServerResponse(const ServerRequest&)> handle, std::size_t& count)
      : stream_(std::move(socket)), options_(options), handle_(std::move(handle)), count_(count) {
    ++count_;
  }
  ~Connection() { --count_; }

  void WaitForRequest();
  void Refuse() { AnswerAndClose(Plain(503, "too many connections")); }

 private:
  void ReadHeader();
  void ReadBody();
  void AnswerRequest();
  void AnswerError(error_code error);
  void AnswerAndClose(const ServerResponse& response);
  void Write(const ServerResponse& response, bool is_head, bool keep_alive);
  void LingerAndClose();
  void Discard();

  beast::tcp_stream stream_;
  const HttpServerOptions& options_;
  std::function<ServerResponse(const ServerRequest&)> handle_;
  std::size_t& count_;
  beast::flat_buffer buffer_{kMaxHeaderBytes * 4};
  std::optional<beast::http::request_parser<beast::http::string_body>> parser_;
  std::optional<Message> message_;
  unsigned version_ = 11;
  std::array<char, 4096> discarded_;
  std::size_t discarded_bytes_ = 0;
};

void Connection::WaitForRequest() {
  if (buffer_.size() > 0) return ReadHeader();
  stream_.expires_after(options_.idle_timeout);
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](error_code error, std::size_t bytes) {
    if (error) return;
    self->buffer_.commit(bytes);
    self->ReadHeader();
  });
}

// From its first byte on a request has the idle timeout to be complete: bytes that trickle win no time.
void Connection::ReadHeader() {
  parser_.emplace();
  parser_->header_limit(kMaxHeaderBytes);
  parser_->body_limit(options_.max_body);
  stream_.expires_after(options_.idle_timeout);
  beast::http::async_read_header(stream_, buffer_, *parser_,
                                 [self = shared_from_this()](error_code error, std::size_t) {
                                   if (error) return self->AnswerError(error);
                                   self->ReadBody();
                                 });
}

void Connection::ReadBody() {
  version_ = parser_->get().version();
  const auto read = [self = shared_from_this()] {
    beast::http::async_read(self->stream_, self->buffer_, *self->parser_, [self](error_code error, std::size_t) {
      if (error) return self->AnswerError(error);
      self->AnswerRequest();
    });
  };
  if (!beast::iequals(parser_->get()[beast::http::field::expect], "100-continue")) return read();
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()), [read](error_code error, std::size_t) {
    if (!error) read();
  });
}

void Connection::AnswerRequest() {
  auto message = parser_->release();
  const bool is_head = message.method() == beast::http::verb::head;
  const std::string_view target(message.target().data(), message.target().size());
  const std::size_t mark = target.find('?');
  const auto path = DecodePath(target.substr(0, mark));
  if (!target.starts_with('/') || !path) return AnswerAndClose(Plain(400, "the path can't be read"));

  ServerRequest request;
  request.method = std::string(message.method_string());
  request.path = *path;
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    request.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  request.body = std::move(message.body());
  Write(handle_(request), is_head, message.keep_alive());
}

void Connection::AnswerError(error_code error) {
  if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow) {
    return AnswerAndClose(Plain(431, "the request's headers are too large"));
  }
  if (error == beast::http::error::body_limit) return AnswerAndClose(Plain(413, "the request's body is too large"));
  if (error == beast::http::error::end_of_stream || error == beast::http::error::partial_message) return;
  if (error.category() == beast::http::make_error_code(beast::http::error::bad_version).category()) {
    return AnswerAndClose(Plain(400, "the request can't be read"));
  }
  // Timed out or gone: there is nobody to talk to.
}

void Connection::AnswerAndClose(const ServerResponse& response) { Write(response, false, false); }

void Connection::Write(const ServerResponse& response, bool is_head, bool keep_alive) {
  message_.emplace(static_cast<beast::http::status>(response.status), version_);
  message_->keep_alive(keep_alive);
  message_->set(beast::http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message_->insert(name, value);
  if (response.status != 204 && response.status != 304) message_->content_length(response.body.size());
  if (!is_head) message_->body() = response.body;
  stream_.expires_after(options_.idle_timeout);
  beast::http::async_write(stream_, *message_, [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
    if (error) return;
    self->message_.reset();
    self->parser_.reset();
    if (!keep_alive) return self->LingerAndClose();
    self->WaitForRequest();
  });
}

// Closing with unread bytes resets the connection, and the reset may overtake the answer.
void Connection::LingerAndClose() {
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(kLinger);
  Discard();
}

void Connection::Discard() {
  stream_.async_read_some(asio::buffer(discarded_), [self = shared_from_this()](error_code error, std::size_t bytes) {
    self->discarded_bytes_ += bytes;
    if (!error && self->discarded_bytes_ <= kMaxDiscarded) self->Discard();
  });
}

}  // namespace

ServerResponse HttpServer::State::Handle(const ServerRequest& request) const noexcept {
  try {
    ServerResponse response = handler(request);
    bool sound = response.status >= 200 && response.status <= 599 && !HoldsControl(response.content_type);
    for (const auto& [name, value] : response.headers) sound = sound && !HoldsControl(name) && !HoldsControl(value);
    if (sound) return response;
  } catch (const std::exception&) {
  } catch (...) {
  }
  return Plain(500, "internal error");
}

void HttpServer::State::Accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) {
      pause.expires_after(kAcceptPause);
      pause.async_wait([this](error_code stopped) {
        if (!stopped) Accept();
      });
      return;
    }
    if (connections < options.max_connections + kSpareConnections) {
      const bool refused = connections >= options.max_connections;
      const auto connection = std::make_shared<Connection>(
          std::move(socket), options, [this](const ServerRequest& request) { return Handle(request); }, connections);
      refused ? connection->Refuse() : connection->WaitForRequest();
    }
    Accept();
  });
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options, Handler handler) {
  const auto endpoint = ParseListen(options.listen);
  if (!endpoint) return std::unexpected(endpoint.error());
  auto state = std::make_unique<State>(options, std::move(handler));
  error_code error;
  const auto step = [&error](auto&& act) {
    if (!error) act();
  };
  step([&] { state->acceptor.open(endpoint->protocol(), error); });
  step([&] { state->acceptor.set_option(tcp::acceptor::reuse_address(true), error); });
  step([&] { state->acceptor.bind(*endpoint, error); });
  step([&] { state->acceptor.listen(asio::socket_base::max_listen_connections, error); });
  if (error) {
    return Fail(ErrorCode::kUnavailable, fmt::format("can't listen on {}: {}", options.listen, error.message()),
                error.value());
  }
  state->port = state->acceptor.local_endpoint(error).port();
  state->Accept();
  state->thread = std::thread([io = &state->io] { io->run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  state_->io.stop();
  state_->thread.join();
}

std::uint16_t HttpServer::port() const { return state_->port; }

}  // namespace outrider::http
