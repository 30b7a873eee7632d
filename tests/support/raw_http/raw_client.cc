#include "tests/support/raw_http/raw_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

namespace outrider::testing {
namespace {

// The value of a header, or empty.
std::string HeaderOf(const std::string& head, const std::string& name) {
  const std::size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

// Reads what there is of an answer; its length when it is complete.
std::optional<std::size_t> Parse(const std::string& bytes, bool to_head, RawAnswer& answer) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  answer.status = std::atoi(bytes.c_str() + std::string_view("HTTP/1.1 ").size());
  const std::string head = bytes.substr(0, end + 2);
  const std::size_t length =
      to_head ? 0 : static_cast<std::size_t>(std::atoll(HeaderOf(head, "Content-Length").c_str()));
  answer.body = bytes.substr(end + 4, length);
  if (answer.body.size() < length) return std::nullopt;
  return end + 4 + length;
}

}  // namespace

RawClient::RawClient(std::uint16_t port, bool ipv6)
    : socket_(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (ipv6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
}

RawClient::~RawClient() {
  if (socket_ >= 0) ::close(socket_);
}

bool RawClient::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

RawAnswer RawClient::Read(std::chrono::milliseconds deadline, bool to_head) {
  RawAnswer answer;
  const auto until = std::chrono::steady_clock::now() + deadline;
  for (;;) {
    if (const auto length = Parse(unread_, to_head, answer)) {
      answer.bytes = unread_.substr(0, *length);
      unread_.erase(0, *length);
      return answer;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd ready{socket_, POLLIN, 0};
    if (::poll(&ready, 1, std::max(0, static_cast<int>(left.count()))) == 0) {
      answer.end = RawAnswer::End::kTimeout;
      break;
    }
    std::array<char, 64 * 1024> buffer{};
    const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (count <= 0) {
      answer.end = count == 0 ? RawAnswer::End::kClosed : RawAnswer::End::kReset;
      break;
    }
    unread_.append(buffer.data(), static_cast<std::size_t>(count));
  }
  answer.bytes = std::exchange(unread_, {});
  return answer;
}

RawAnswer RawClient::Request(const std::string& method, const std::string& path, const std::string& body,
                             std::chrono::milliseconds deadline) {
  // The server may have said what it had to say before it read everything.
  Write(fmt::format("{} {} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                    method, path, body.size(), body));
  return Read(deadline, method == "HEAD");
}

}  // namespace outrider::testing
