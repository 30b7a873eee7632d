#include "providers/redact.h"

#include <algorithm>
#include <array>
#include <optional>

#include "model/text.h"

namespace outrider::providers {
namespace {

constexpr std::string_view kMask = "***";
constexpr std::string_view kEllipsis = "…";

// Path segments after which the rest of the path is a credential.
constexpr std::array<std::string_view, 5> kPathMarkers = {"hook", "trigger-webhook", "services", "webhooks",
                                                          "workflows"};

// Names whose value is a credential, alone or as the last part of a longer name (tenant_access_token,
// x-webhook-signature). Folded.
constexpr std::array<std::string_view, 10> kSecretNames = {"authorization", "key",  "accesskeyid", "apikey", "sig",
                                                           "sign",          "auth", "passwd",      "cookie", "ip"};
// These also where nothing separates them: accessToken, corpsecret.
constexpr std::array<std::string_view, 5> kSecretEndings = {"token", "secret", "password", "signature", "credential"};
constexpr std::size_t kLongestName = 64;  // keeps the reading linear

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
bool IsWord(char c) { return IsLetter(c) || IsDigit(c); }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

char FoldName(char c) { return c == '-' ? '_' : Lower(c); }

bool IsSecretName(std::string_view folded) {
  for (const std::string_view ending : kSecretEndings) {
    if (folded.ends_with(ending)) return true;
  }
  for (const std::string_view name : kSecretNames) {
    if (!folded.ends_with(name)) continue;
    if (folded.size() == name.size() || folded[folded.size() - name.size() - 1] == '_') return true;
  }
  return false;
}

bool StartsWithFolded(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) { return a == Lower(b); });
}

// The length of a slash in any of its written forms at the front of `text`; 0 when there is none.
std::size_t SlashLength(std::string_view text) {
  for (const std::string_view form : {std::string_view{"/"}, std::string_view{"\\/"}, std::string_view{"%2f"},
                                      std::string_view{"\\u002f"}, std::string_view{"%252f"}}) {
    if (StartsWithFolded(text, form)) return form.size();
  }
  return 0;
}

bool EndsUrl(char c) {
  return IsSpace(c) || std::string_view{"\"'<>(){}[]|,;`"}.find(c) != std::string_view::npos ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Where a URL's rest ends. A backslash ends it too, unless it escapes a slash.
std::size_t UrlRestLength(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && !EndsUrl(text[length])) {
    if (text[length] == '\\') {
      const std::size_t slash = SlashLength(text.substr(length));
      if (slash == 0) break;
      length += slash;
    } else {
      ++length;
    }
  }
  return length;
}

// A rewriting at a position: so many bytes are taken, `keep` of them stay in front of the mask.
struct Match {
  std::size_t length = 0;
  std::size_t keep = 0;
};

std::optional<Match> MatchPath(std::string_view rest) {
  const std::size_t slash = SlashLength(rest);
  if (slash == 0) return std::nullopt;
  const std::string_view segment = rest.substr(slash);
  for (const std::string_view marker : kPathMarkers) {
    if (!StartsWithFolded(segment, marker)) continue;
    const std::size_t after = SlashLength(segment.substr(marker.size()));
    if (after == 0) continue;
    const std::size_t keep = slash + marker.size() + after;
    const std::size_t secret = UrlRestLength(rest.substr(keep));
    if (secret > 0) return Match{keep + secret, keep};
  }
  // Telegram: /bot123456:token/method
  if (StartsWithFolded(segment, "bot") && segment.size() > 3 && IsDigit(segment[3])) {
    const std::size_t keep = slash + 3;
    return Match{keep + UrlRestLength(rest.substr(keep)), keep};
  }
  return std::nullopt;
}

// https://user:password@host
std::optional<Match> MatchUserInfo(std::string_view rest) {
  if (!rest.starts_with("://")) return std::nullopt;
  std::size_t end = 3;
  while (end < rest.size() && rest[end] != '/' && rest[end] != '@' && !EndsUrl(rest[end])) ++end;
  if (end == 3 || end >= rest.size() || rest[end] != '@') return std::nullopt;
  return Match{end, 3};
}

std::size_t SkipSpaces(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  return at;
}

// A quote, possibly behind backslashes (JSON inside JSON).
std::size_t QuoteLength(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && text[at] == '\\') ++at;
  return at < text.size() && (text[at] == '"' || text[at] == '\'') ? at + 1 : 0;
}

std::size_t QuotedLength(std::string_view text, std::string_view quote) {
  const std::size_t end = text.find(quote);
  if (quote.size() > 1 || end == std::string_view::npos) return std::min(end, text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == quote.front()) {
      return at;
    }
  }
  return text.size();
}

// The value, where nothing quotes it, ends at `covered` or later.
std::optional<Match> MatchNamedSecret(std::string_view rest, std::size_t covered) {
  std::string name;
  while (name.size() < rest.size() && name.size() < kLongestName) {
    const char c = rest[name.size()];
    if (!IsWord(c) && c != '_' && c != '-') break;
    name.push_back(FoldName(c));
  }
  if (!IsSecretName(name)) return std::nullopt;

  std::size_t at = name.size();
  at += QuoteLength(rest.substr(at));
  at = SkipSpaces(rest, at);
  if (at < rest.size() && (rest[at] == '=' || rest[at] == ':')) {
    ++at;
  } else if (StartsWithFolded(rest.substr(at), "%3d")) {
    at += 3;
  } else {
    return std::nullopt;
  }
  at = SkipSpaces(rest, at);
  const std::size_t quote = QuoteLength(rest.substr(at));
  if (quote > 0) {
    const std::size_t begin = at + quote;
    const std::size_t value = QuotedLength(rest.substr(begin), rest.substr(at, quote));
    if (value == 0) return std::nullopt;
    return Match{begin + value, begin};
  }
  std::size_t end = std::max(at, covered);
  if (name.ends_with("authorization")) {
    // A scheme and its credentials, up to the end of the line.
    while (end < rest.size() && rest[end] != '\n' && rest[end] != '\r') ++end;
  } else {
    const bool is_list = name.ends_with("signature");  // "v1,<signature> v1,<signature>"
    const auto ends = [&](std::size_t i) {
      const char c = rest[i];
      if (is_list && (c == ',' || (c == ' ' && rest.substr(i).starts_with(" v1")))) return false;
      return c == '&' || c == '#' || c == '\\' || EndsUrl(c);
    };
    while (end < rest.size() && !ends(end)) ++end;
  }
  if (end == at) return std::nullopt;
  return Match{end, at};
}

std::optional<Match> MatchBearer(std::string_view rest) {
  constexpr std::string_view kScheme = "bearer ";
  if (!StartsWithFolded(rest, kScheme)) return std::nullopt;
  const std::size_t begin = SkipSpaces(rest, kScheme.size());
  const std::size_t length = UrlRestLength(rest.substr(begin));
  if (length == 0) return std::nullopt;
  return Match{begin + length, begin};
}

std::optional<Match> MatchOneSecret(std::string_view rest, std::size_t covered) {
  const auto named = MatchNamedSecret(rest, covered);
  return named ? named : MatchBearer(rest);
}

// What stands where a value is expected may be a name with a value of its own: `bad key: "app_secret": "x"`. Both go.
std::optional<Match> MatchSecret(std::string_view rest) {
  auto match = MatchOneSecret(rest, 0);
  if (!match) return std::nullopt;
  std::size_t begin = match->keep;
  // Nothing is read twice: what is covered already needs no other end.
  while (const auto inner = MatchOneSecret(rest.substr(begin), match->length - std::min(match->length, begin))) {
    match->length = std::max(match->length, begin + inner->length);
    begin += inner->keep;
  }
  return match;
}

bool IsLocalPart(char c) {
  return IsWord(c) || std::string_view{".!#$&'*+-/=?^_~"}.find(c) != std::string_view::npos ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The length of an address's "@host.tld" at the front; 0 when it is something else.
std::size_t DomainLength(std::string_view text) {
  std::size_t at = 0;
  if (text.starts_with("@")) {
    at = 1;
  } else if (StartsWithFolded(text, "%40")) {
    at = 3;
  } else {
    return 0;
  }
  const std::size_t begin = at;
  bool dot = false;
  while (at < text.size() &&
         (IsWord(text[at]) || text[at] == '-' || text[at] == '.' || static_cast<unsigned char>(text[at]) >= 0x80)) {
    dot = dot || (text[at] == '.' && at > begin && at + 1 < text.size() && IsWord(text[at + 1]));
    ++at;
  }
  return dot ? at : 0;
}

// A telephone number at the front of `rest`; `before` is the byte in front of it. A number of 16 or more digits is an
// id.
std::size_t PhoneLength(std::string_view rest, char before) {
  const bool international = rest.front() == '+';
  if (!international && (!IsDigit(rest.front()) || IsWord(before) || before == '-' || before == '_' || before == '.'))
    return 0;
  std::size_t at = international ? 1 : 0;
  std::size_t digits = 0;
  std::size_t groups = 0;
  std::size_t first_group = 0;
  std::size_t second_group = 0;
  std::size_t end = 0;
  while (at < rest.size() && IsDigit(rest[at])) {
    const std::size_t begin = at;
    while (at < rest.size() && IsDigit(rest[at])) ++at;
    digits += at - begin;
    ++groups;
    if (groups == 1) first_group = at - begin;
    if (groups == 2) second_group = at - begin;
    end = at;
    std::size_t next = at;
    while (next < rest.size() && next < at + 2 && std::string_view{" -()"}.find(rest[next]) != std::string_view::npos)
      ++next;
    if (digits > 15 || next == at || next >= rest.size() || !IsDigit(rest[next])) break;
    at = next;
  }
  if (end < rest.size() && (IsLetter(rest[end]) || rest[end] == '_')) return 0;
  if (digits > 15 || digits < (international ? 7U : 10U)) return 0;
  if (!international && first_group == 4 && second_group == 2) return 0;  // a date
  return end;
}

std::string RemoveKnown(std::string text, std::span<const std::string_view> known_secrets) {
  constexpr std::size_t kShortest = 6;  // shorter ones would hit ordinary words
  for (const std::string_view secret : known_secrets) {
    if (secret.size() < kShortest) continue;
    for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + kMask.size())) {
      text.replace(at, secret.size(), kMask);
    }
  }
  return text;
}

// Masks everything that is recognised from its beginning; addresses, which are recognised at their @, come after.
std::string MaskForward(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    const char before = at > 0 ? text[at - 1] : ' ';
    std::optional<Match> match;
    if (const char c = rest.front(); c == '/' || c == '\\' || c == '%') {
      match = MatchPath(rest);
    } else if (c == ':') {
      match = MatchUserInfo(rest);
    } else if (IsLetter(c) && !IsWord(before) && before != '_') {
      match = MatchSecret(rest);
    } else if (IsDigit(c) || c == '+') {
      if (const std::size_t length = PhoneLength(rest, before); length > 0) match = Match{length, 0};
    }
    if (match) {
      out.append(rest.substr(0, match->keep)).append(kMask);
      at += match->length;
      continue;
    }
    // A run of digits is looked at once, from its beginning; the same for a word.
    std::size_t step = 1;
    if (IsWord(rest.front())) {
      while (step < rest.size() && IsWord(rest[step]) && IsDigit(rest[step]) == IsDigit(rest.front())) ++step;
    }
    out.append(rest.substr(0, step));
    at += step;
  }
  return out;
}

std::string MaskAddresses(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t domain = DomainLength(text.substr(at));
    if (domain > 0) {
      std::size_t local = 0;
      while (local < out.size() && IsLocalPart(out[out.size() - 1 - local])) ++local;
      if (local > 0) {
        out.resize(out.size() - local);
        out.append(kMask).append("@").append(kMask);
        at += domain;
        continue;
      }
    }
    out.push_back(text[at++]);
  }
  return out;
}

}  // namespace

std::string Redact(std::string_view text, std::size_t max_characters, std::span<const std::string_view> known_secrets) {
  std::string clean = SanitizeUtf8(MaskAddresses(MaskForward(RemoveKnown(std::string(text), known_secrets))));
  std::replace(clean.begin(), clean.end(), '\0', ' ');
  if (CountCodePoints(clean) <= max_characters) return clean;
  if (max_characters == 0) return {};
  std::string cut(CutCodePoints(clean, max_characters - 1));
  return cut.append(kEllipsis);
}

std::string RedactId(std::string_view id, std::span<const std::string_view> known_secrets) {
  constexpr std::size_t kMaxId = 128;
  std::string kept;
  for (const char c : Redact(id.substr(0, 4 * kMaxId), 4 * kMaxId, known_secrets)) {
    if (kept.size() == kMaxId) break;
    if (IsWord(c) || c == '.' || c == '_' || c == '-') kept.push_back(c);
  }
  return kept;
}

}  // namespace outrider::providers
