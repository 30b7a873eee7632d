#include "tests/support/process/free_port.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <stdexcept>

namespace outrider::testing {
namespace {

constexpr unsigned kLowest = 10000;
constexpr int kTries = 200;

unsigned FirstOutgoingPort() {
  unsigned first = 32768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first;
  return std::max(first, kLowest + 2000);
}

bool IsFree(unsigned port) {
  const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = bind(handle, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(handle);
  return free;
}

// Kept open on purpose: the name is ours until the program ends.
bool Reserve(unsigned port) {
  const int handle = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("outrider-test-port-{}", port);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(handle, reinterpret_cast<const sockaddr*>(&address), length) == 0) return true;
  close(handle);
  return false;
}

}  // namespace

unsigned FreePort() {
  std::random_device seed;
  std::uniform_int_distribution<unsigned> any(kLowest, FirstOutgoingPort() - 1);
  for (int i = 0; i < kTries; ++i) {
    const unsigned port = any(seed);
    if (IsFree(port) && Reserve(port)) return port;
  }
  throw std::runtime_error("no free TCP port found");
}

}  // namespace outrider::testing
