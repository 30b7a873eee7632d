#include "tests/integration/outbox/commit_cutter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace outrider::outbox {
namespace {

using namespace std::string_view_literals;

// A packet of seven bytes, number 0: COM_QUERY and its text.
constexpr std::string_view kCommitPacket =
    "\x07\0\0\0\x03"
    "COMMIT"sv;

sockaddr_in Loopback(unsigned port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

std::string Receive(int socket) {
  std::array<char, 65536> buffer;
  const ssize_t size = recv(socket, buffer.data(), buffer.size(), 0);
  return size > 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : std::string();
}

bool SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

struct Pair {
  int client;
  int server;
};

}  // namespace

CommitCutter::CommitCutter(unsigned server_port)
    : server_port_(server_port), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener_, 16) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("the proxy can't listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this](const std::stop_token& stop) { Serve(stop); });
}

CommitCutter::~CommitCutter() {
  thread_.request_stop();
  thread_.join();
  close(listener_);
}

void CommitCutter::Serve(const std::stop_token& stop) {
  std::vector<Pair> pairs;
  while (!stop.stop_requested()) {
    std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs) {
      polled.push_back({pair.client, POLLIN, 0});
      polled.push_back({pair.server, POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), 20) <= 0) continue;
    std::vector<Pair> kept;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const Pair pair = pairs[i];
      bool open = true;
      if (polled[1 + 2 * i].revents != 0) {
        const std::string bytes = Receive(pair.client);
        const bool commit = std::string_view(bytes).ends_with(kCommitPacket);
        const Cut cut = commit ? cut_.exchange(Cut::kNone) : Cut::kNone;
        open = !bytes.empty() && cut != Cut::kBeforeServer && SendAll(pair.server, bytes);
        if (cut == Cut::kAfterServer) {
          (void)Receive(pair.server);
          open = false;
        }
        if (cut != Cut::kNone) ++cuts_;
      }
      if (open && polled[2 + 2 * i].revents != 0) {
        const std::string bytes = Receive(pair.server);
        open = !bytes.empty() && SendAll(pair.client, bytes);
      }
      if (open) {
        kept.push_back(pair);
      } else {
        close(pair.client);
        close(pair.server);
      }
    }
    pairs = std::move(kept);
    if (polled[0].revents != 0) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = Loopback(server_port_);
      if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        pairs.push_back({client, server});
      } else {
        close(client);
        close(server);
      }
    }
  }
  for (const Pair& pair : pairs) {
    close(pair.client);
    close(pair.server);
  }
}

}  // namespace outrider::outbox
