#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "platform/http/engine.h"

namespace outrider::http {
namespace {

struct V4Block {
  std::uint32_t network;
  int bits;
};

constexpr std::uint32_t V4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr std::array kClosedV4 = {
    V4Block{V4(0, 0, 0, 0), 8},        // "this" network
    V4Block{V4(10, 0, 0, 0), 8},       // private
    V4Block{V4(100, 64, 0, 0), 10},    // carrier-grade NAT; a cloud's metadata service lives here
    V4Block{V4(127, 0, 0, 0), 8},      // loopback
    V4Block{V4(169, 254, 0, 0), 16},   // link-local; the other clouds' metadata services
    V4Block{V4(172, 16, 0, 0), 12},    // private
    V4Block{V4(192, 0, 0, 0), 24},     // protocol assignments
    V4Block{V4(192, 0, 2, 0), 24},     // documentation
    V4Block{V4(192, 88, 99, 0), 24},   // 6to4 relays
    V4Block{V4(192, 168, 0, 0), 16},   // private
    V4Block{V4(198, 18, 0, 0), 15},    // benchmarking
    V4Block{V4(198, 51, 100, 0), 24},  // documentation
    V4Block{V4(203, 0, 113, 0), 24},   // documentation
    V4Block{V4(224, 0, 0, 0), 4},      // multicast
    V4Block{V4(240, 0, 0, 0), 4},      // reserved, and broadcast
};

struct V6Block {
  std::array<std::uint8_t, 4> network;
  int bits;
};

// Only global unicast is let through. That leaves out ::, ::1, v4-in-v6, NAT64, link-local, unique local, multicast and
// SRv6 alike.
constexpr V6Block kOpenV6{{0x20, 0, 0, 0}, 3};
constexpr std::array kClosedV6 = {
    V6Block{{0x20, 0x01, 0x00, 0x00}, 23},  // protocol assignments: Teredo, benchmarking, ORCHID
    V6Block{{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    V6Block{{0x20, 0x02, 0x00, 0x00}, 16},  // 6to4
    V6Block{{0x3f, 0xff, 0x00, 0x00}, 20},  // documentation
};

std::uint32_t FirstBits(std::uint32_t address, int bits) { return address >> (32 - bits); }

bool IsPublicV4(std::uint32_t address) {
  return std::none_of(kClosedV4.begin(), kClosedV4.end(), [address](const V4Block& block) {
    return FirstBits(address, block.bits) == FirstBits(block.network, block.bits);
  });
}

// No block of ours is longer than 32 bits.
bool IsPublicV6(const in6_addr& address) {
  const auto* bytes = address.s6_addr;
  const std::uint32_t head = V4(bytes[0], bytes[1], bytes[2], bytes[3]);
  const auto holds = [head](const V6Block& block) {
    const auto& n = block.network;
    return FirstBits(head, block.bits) == FirstBits(V4(n[0], n[1], n[2], n[3]), block.bits);
  };
  return holds(kOpenV6) && std::none_of(kClosedV6.begin(), kClosedV6.end(), holds);
}

}  // namespace

bool IsPublicAddress(std::string_view address) {
  const std::string text(address);
  if (text.find('\0') != std::string::npos) return false;
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return IsPublicV4(ntohl(v4.s_addr));
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return IsPublicV6(v6);
  return false;  // no address at all, or one with a zone
}

}  // namespace outrider::http
