#include "tests/support/proxy/test/raw_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace outrider::testing {
namespace {

constexpr std::chrono::seconds kDeadline{10};

sockaddr_in Loopback(unsigned port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

[[noreturn]] void Fail(std::string_view what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

RawSocket::RawSocket(unsigned port) : handle_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_in address = Loopback(port);
  if (connect(handle_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
  if (errno != ECONNREFUSED) Fail("connect");
  refused_ = true;
}

RawSocket::RawSocket(Adopt, int handle) : handle_(handle) {}
RawSocket::RawSocket(RawSocket&& other) noexcept
    : handle_(std::exchange(other.handle_, -1)), refused_(other.refused_) {}

RawSocket::~RawSocket() {
  if (handle_ >= 0) close(handle_);
}

bool RawSocket::WaitFor(short events, std::chrono::milliseconds timeout) const {
  pollfd polled{handle_, events, 0};
  return poll(&polled, 1, static_cast<int>(timeout.count())) > 0;
}

void RawSocket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(handle_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) Fail("send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::size_t RawSocket::SendUntilFull(std::size_t limit) {
  const std::string bytes = Pattern(limit);
  std::size_t total = 0;
  while (total < limit && WaitFor(POLLOUT, std::chrono::milliseconds{200})) {
    const ssize_t sent = send(handle_, bytes.data() + total, limit - total, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) Fail("send");
    if (sent > 0) total += static_cast<std::size_t>(sent);
  }
  return total;
}

RawSocket::Received RawSocket::Receive(std::size_t size) {
  Received received{{}, State::kOpen};
  std::array<char, 65536> buffer;
  while (received.bytes.size() < size) {
    if (!WaitFor(POLLIN, kDeadline)) throw std::runtime_error("nothing more arrives");
    const ssize_t got = recv(handle_, buffer.data(), std::min(buffer.size(), size - received.bytes.size()), 0);
    if (got <= 0) {
      received.state = got == 0 ? State::kClosed : State::kReset;
      break;
    }
    received.bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return received;
}

RawSocket::State RawSocket::Now() {
  char byte = 0;
  const ssize_t got = recv(handle_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got == 0) return State::kClosed;
  return got > 0 || errno == EAGAIN ? State::kOpen : State::kReset;
}

bool RawSocket::HasBytes(std::chrono::milliseconds within) { return WaitFor(POLLIN, within); }
void RawSocket::EndSending() { shutdown(handle_, SHUT_WR); }

void RawSocket::Reset() {
  const linger none{1, 0};
  setsockopt(handle_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(std::exchange(handle_, -1));
}

std::string RawSocket::Pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
  return bytes;
}

RawListener::RawListener(unsigned port) : handle_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_in address = Loopback(port);
  const int yes = 1;
  setsockopt(handle_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(handle_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(handle_, 64) != 0) {
    Fail("listen");
  }
}

RawListener::~RawListener() { close(handle_); }

RawSocket RawListener::Accept() {
  pollfd polled{handle_, POLLIN, 0};
  if (poll(&polled, 1, static_cast<int>(std::chrono::milliseconds(kDeadline).count())) <= 0) Fail("nobody connects");
  return {RawSocket::Adopt{}, accept4(handle_, nullptr, nullptr, SOCK_CLOEXEC)};
}

}  // namespace outrider::testing
