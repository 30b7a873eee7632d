// Redact: the one place that takes secrets and personal data out of what a vendor, a proxy or a library wrote.
//
// Everything that ends in an attempt row, a last error or a log line and was not written by us passes through here. The
// text is recognised by shape, because an answer may echo a request in any quoting:
//   * what follows /hook/, /trigger-webhook/, /services/, /webhooks/, /workflows/ and /bot<digits>: in a path, with
//   plain, JSON-escaped
//     or percent-encoded slashes
//   * the value after access_token, sign, key, sig, secret, password, Authorization, ip (vendors tell a caller its own
//   address) and their kin, in a query, a header or JSON
//   * user and password in front of a host, a bearer token anywhere
//   * e-mail addresses, and telephone numbers (+ and digits, or ten to fifteen digits in a row or in groups)
// and secrets that the caller knows are removed wherever they stand. Numbers of fewer than ten digits stay: vendors'
// codes are among them. Better too much than too little: a Unix time goes the way of a telephone number.
//
// Pure, total and linear in the text's length. Source of the list: the vendors' documentation of what is a credential.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace outrider::providers {

inline constexpr std::size_t kMaxDetailCharacters = 2000;  // as notification_attempts.detail holds it
inline constexpr std::size_t kMaxAnswerCharacters = 4000;

// At most `max_characters` code points of valid UTF-8; what is left out at the end is replaced by an ellipsis.
std::string Redact(std::string_view text, std::size_t max_characters,
                   std::span<const std::string_view> known_secrets = {});

// An id that a vendor gave in a header: letters, digits and . _ - only, at most 128 of them, never a telephone number
// or an address.
std::string RedactId(std::string_view id, std::span<const std::string_view> known_secrets = {});

}  // namespace outrider::providers
