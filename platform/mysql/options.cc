#include "platform/mysql/options.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace outrider::mysql {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

}  // namespace

Result<MysqlOptions> ParseMysqlUrl(std::string_view url) {
  constexpr std::string_view kScheme = "mysql://";
  const auto refuse = [](std::string_view what) {
    return Fail(
        ErrorCode::kInvalid,
        fmt::format("the database URL {}; write mysql://user:password@host:port/database, with special characters "
                    "as %XX",
                    what));
  };
  if (!url.starts_with(kScheme)) return refuse("doesn't begin with mysql://");
  url.remove_prefix(kScheme.size());
  if (url.find_first_of("?#") != std::string_view::npos)
    return refuse("has a part after ? or #, which means nothing here");

  // A password may hold an unescaped '/': the last '@' ends it.
  std::string_view login;
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    login = url.substr(0, at);
    url.remove_prefix(at + 1);
  }
  const std::size_t slash = url.find('/');
  if (slash == std::string_view::npos || slash + 1 == url.size()) return refuse("names no database");
  std::string_view host = url.substr(0, slash);
  const std::string_view database = url.substr(slash + 1);

  MysqlOptions options;
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t bracket = host.find(']');
    if (bracket == std::string_view::npos) return refuse("has a [ without its ]");
    port = host.substr(bracket + 1);
    host = host.substr(1, bracket - 1);
    if (!port.empty() && !port.starts_with(':')) return refuse("has something else than a port after ]");
  } else if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (host.empty()) return refuse("names no host");
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), options.port);
    if (error != std::errc{} || end != port.data() + port.size() || options.port == 0 || options.port > 65535) {
      return refuse("has a port that isn't a number from 1 to 65535");
    }
  }

  const std::size_t colon = login.find(':');
  const auto user = PercentDecode(login.substr(0, colon));
  const auto password = PercentDecode(colon == std::string_view::npos ? std::string_view{} : login.substr(colon + 1));
  const auto name = PercentDecode(database);
  if (!user || !password || !name) return refuse("has a % that isn't followed by two hexadecimal digits");
  if (name->find('/') != std::string::npos) return refuse("has more than one part after the host");
  options.host = host;
  options.user = *user;
  options.password = Secret(*password);
  options.database = *name;
  return options;
}

std::string Describe(const MysqlOptions& options) {
  const bool v6 = options.host.find(':') != std::string::npos;
  return fmt::format("{}@{}{}{}:{}/{}", options.user, v6 ? "[" : "", options.host, v6 ? "]" : "", options.port,
                     options.database);
}

}  // namespace outrider::mysql
