// SHA-256 and hexadecimal text, for keys and content hashes. Pure functions; never for passwords or signatures
// (platform/crypto has HMAC).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outrider {

using Digest = std::array<std::uint8_t, 32>;

Digest Sha256(std::string_view bytes);
std::string ToHex(std::string_view bytes);
// The digest's 32 raw bytes, as BINARY(32) columns take them.
std::string_view AsBytes(const Digest& digest);
std::optional<Digest> DigestFromBytes(std::string_view bytes);

}  // namespace outrider
