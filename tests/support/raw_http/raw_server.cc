#include "tests/support/raw_http/raw_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

namespace outrider::testing {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The length of the first request in `bytes`; 0 when it isn't complete.
std::size_t RequestLength(const std::string& bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  const std::string head = Lower(bytes.substr(0, end + 2));
  const std::string name = "\r\ncontent-length: ";
  const std::size_t at = head.find(name);
  const std::size_t body =
      at == std::string::npos ? 0 : static_cast<std::size_t>(std::atoll(head.c_str() + at + name.size()));
  return bytes.size() >= end + 4 + body ? end + 4 + body : 0;
}

}  // namespace

bool RawConnection::Answer(int status, std::string_view body, std::string_view more_headers) {
  return Write(fmt::format("HTTP/1.1 {} X\r\n{}Content-Length: {}\r\n\r\n{}", status, more_headers, body.size(), body));
}

struct RawServer::State {
  Script script;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> tls{nullptr, &SSL_CTX_free};
  int listener = -1;
  std::uint16_t port = 0;

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  bool stopping = false;
  std::size_t connections = 0;
  std::size_t ended = 0;
  std::vector<std::string> requests;
  std::string received;
  std::vector<int> open;
  std::vector<std::thread> threads;

  void Accept();
  void Serve(int socket, std::size_t number);
  bool WaitFor(const std::function<bool()>& condition) const {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds{30}, condition);
  }
};

namespace {

class Connection final : public RawConnection {
 public:
  Connection(RawServer::State& state, int socket, std::size_t number)
      : state_(state), socket_(socket), number_(number) {}

  bool Handshake() {
    if (!state_.tls) return true;
    ssl_.reset(SSL_new(state_.tls.get()));
    SSL_set_fd(ssl_.get(), socket_);
    return SSL_accept(ssl_.get()) == 1;
  }
  std::size_t number() const override { return number_; }

  std::string ReadRequest() override {
    for (;;) {
      if (const std::size_t length = RequestLength(unread_); length > 0) {
        std::string request = unread_.substr(0, length);
        unread_.erase(0, length);
        const std::lock_guard lock(state_.mutex);
        state_.requests.push_back(request);
        state_.changed.notify_all();
        return request;
      }
      if (!ReadSome()) return {};
    }
  }

  bool ReadSome() override {
    std::array<char, 16 * 1024> buffer;
    const auto count = ssl_ ? SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()))
                            : static_cast<int>(::recv(socket_, buffer.data(), buffer.size(), 0));
    if (count <= 0) return false;
    unread_.append(buffer.data(), static_cast<std::size_t>(count));
    const std::lock_guard lock(state_.mutex);
    state_.received.append(buffer.data(), static_cast<std::size_t>(count));
    return true;
  }

  void ReadToEnd() override {
    while (ReadSome()) {
    }
  }

  bool Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto count = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                              : static_cast<int>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  void Reset() override {
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

  void Close() {
    if (ssl_) SSL_shutdown(ssl_.get());
  }

 private:
  RawServer::State& state_;
  const int socket_;
  const std::size_t number_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, &SSL_free};
  std::string unread_;
};

}  // namespace

void RawServer::State::Accept() {
  for (;;) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const std::lock_guard lock(mutex);
    if (stopping) {
      ::close(socket);
      return;
    }
    open.push_back(socket);
    threads.emplace_back([this, socket, number = connections] { Serve(socket, number); });
    ++connections;
    changed.notify_all();
  }
}

void RawServer::State::Serve(int socket, std::size_t number) {
  {
    Connection connection(*this, socket, number);
    if (connection.Handshake()) {
      script(connection);
      connection.Close();
    }
  }
  const std::lock_guard lock(mutex);
  std::erase(open, socket);
  ::close(socket);
  ++ended;
  changed.notify_all();
}

RawServer::RawServer(Script script, RawServerOptions options) : state_(std::make_unique<State>()) {
  state_->script = std::move(script);
  if (!options.certificate.empty()) {
    state_->tls.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* tls = state_->tls.get();
    SSL_CTX_set_cipher_list(tls, "ALL:@SECLEVEL=0");  // TLS 1.1 needs the old ones
    if (options.min_tls != 0) SSL_CTX_set_min_proto_version(tls, options.min_tls);
    if (options.max_tls != 0) SSL_CTX_set_max_proto_version(tls, options.max_tls);
    if (SSL_CTX_use_certificate_chain_file(tls, options.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error("the server's certificate can't be read");
    }
  }
  state_->listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(state_->listener, generic, length) != 0 || ::listen(state_->listener, 128) != 0 ||
      ::getsockname(state_->listener, generic, &length) != 0) {
    throw std::runtime_error("the server can't listen");
  }
  state_->port = ntohs(address.sin_port);
  // OpenSSL writes without MSG_NOSIGNAL; the threads inherit the mask.
  sigset_t pipe;
  sigset_t before;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const std::lock_guard lock(state_->mutex);
  state_->threads.emplace_back([state = state_.get()] { state->Accept(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

RawServer::~RawServer() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    ::shutdown(state_->listener, SHUT_RDWR);
    for (const int socket : state_->open) ::shutdown(socket, SHUT_RDWR);
    threads.swap(state_->threads);
  }
  for (std::thread& thread : threads) thread.join();
  ::close(state_->listener);
}

std::uint16_t RawServer::port() const { return state_->port; }

std::string RawServer::Url(std::string_view path) const {
  return fmt::format("{}://127.0.0.1:{}{}", state_->tls ? "https" : "http", state_->port, path);
}

std::size_t RawServer::connections() const {
  const std::lock_guard lock(state_->mutex);
  return state_->connections;
}

std::vector<std::string> RawServer::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->requests;
}

std::string RawServer::received() const {
  const std::lock_guard lock(state_->mutex);
  return state_->received;
}

bool RawServer::WaitForConnections(std::size_t count) const {
  return state_->WaitFor([this, count] { return state_->connections >= count; });
}

bool RawServer::WaitForRequests(std::size_t count) const {
  return state_->WaitFor([this, count] { return state_->requests.size() >= count; });
}

bool RawServer::WaitForEnded(std::size_t count) const {
  return state_->WaitFor([this, count] { return state_->ended >= count; });
}

RawServer::Script AnswerAlways(std::string body) {
  return [body = std::move(body)](RawConnection& connection) {
    while (!connection.ReadRequest().empty()) connection.Answer(200, body);
  };
}

}  // namespace outrider::testing
