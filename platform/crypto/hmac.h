// HMAC, base64 and random ids, over OpenSSL. Pure functions but for RandomBytes and what is made of it, which draw from
// the system's generator.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace outrider::crypto {

// Raw 32 bytes.
std::string HmacSha256(std::string_view key, std::string_view message);
std::string Base64(std::string_view bytes);  // standard alphabet, padded
std::optional<std::string> DecodeBase64(std::string_view text);
std::string RandomBytes(std::size_t count);
// `bytes` random bytes as lower-case hexadecimal digits.
std::string RandomHex(std::size_t bytes);
// A random UUID (version 4) in its text form.
std::string RandomUuid();

}  // namespace outrider::crypto
