#include "tests/integration/providers/raw_client.h"

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
#include <string_view>

namespace outrider::testing {
namespace {

// The value of a header, or empty.
std::string HeaderOf(const std::string& bytes, const std::string& name) {
  const std::size_t at = bytes.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return bytes.substr(begin, bytes.find("\r\n", begin) - begin);
}

bool IsComplete(RawAnswer& answer) {
  const std::size_t end = answer.bytes.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  answer.status = std::atoi(answer.bytes.c_str() + std::string_view("HTTP/1.1 ").size());
  answer.body = answer.bytes.substr(end + 4);
  return answer.body.size() >= static_cast<std::size_t>(std::atoll(HeaderOf(answer.bytes, "Content-Length").c_str()));
}

}  // namespace

RawClient::RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

RawClient::~RawClient() {
  if (socket_ >= 0) ::close(socket_);
}

RawAnswer RawClient::Request(const std::string& method, const std::string& path, const std::string& body,
                             std::chrono::milliseconds deadline) {
  const std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                  method, path, body.size(), body);
  RawAnswer answer;
  std::size_t sent = 0;
  while (sent < request.size()) {
    const ssize_t count = ::send(socket_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) break;  // the server may have said what it had to say already
    sent += static_cast<std::size_t>(count);
  }
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (!IsComplete(answer)) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd ready{socket_, POLLIN, 0};
    if (::poll(&ready, 1, std::max(0, static_cast<int>(left.count()))) == 0) {
      answer.end = RawAnswer::End::kTimeout;
      return answer;
    }
    std::array<char, 64 * 1024> buffer{};
    const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (count <= 0) {
      answer.end = count == 0 ? RawAnswer::End::kClosed : RawAnswer::End::kReset;
      return answer;
    }
    answer.bytes.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return answer;
}

}  // namespace outrider::testing
