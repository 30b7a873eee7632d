#include "providers/webhook_address.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <regex>

#include "model/text.h"
#include "platform/http/engine.h"

namespace outrider::providers {
namespace {

constexpr std::size_t kMaxUrl = 2048;
constexpr int kFirstFreePort = 1024;

bool IsAllowedPort(std::string_view port, bool of_a_vendor) {
  if (port.empty() || port == "443") return true;
  int number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  return !of_a_vendor && number >= kFirstFreePort && number <= 65535;
}

// An address that is written out; a name is looked up, and its addresses checked, when it is connected to.
bool IsPrivateLiteral(std::string_view host) {
  const bool v6 = host.starts_with('[');
  const bool v4 = host.find_first_not_of("0123456789.") == std::string_view::npos;
  if (!v6 && !v4) return host == "localhost" || host.ends_with(".localhost");
  return !http::IsPublicAddress(v6 ? host.substr(1, host.size() - 2) : host);
}

}  // namespace

AddressReading ReadWebhookAddress(const std::string& url, const AddressRule& rule, bool insecure) {
  AddressReading reading;
  const auto fault = [&](std::string text) { reading.faults.push_back(fmt::format("{}: {}", rule.key, text)); };
  if (url.empty()) {
    fault("is missing");
    return reading;
  }
  if (url.size() > kMaxUrl) {
    fault(fmt::format("is longer than {} characters", kMaxUrl));
    return reading;
  }
  // So few characters that no two readers of URLs can disagree about the parts.
  static const std::regex kForm(
      R"((https?)://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?(/[A-Za-z0-9._~!$&'()*+,;=:@%/\-]*)?)"
      R"((\?([A-Za-z0-9._~!$&'()*+,;=:@%/?\-]*))?(#.*)?)",
      std::regex::icase);
  std::smatch part;
  if (!std::regex_match(url, part, kForm)) {
    const std::string_view authority = std::string_view(url).substr(0, url.find('/', url.find("://") + 3));
    fault(authority.find('@') != std::string_view::npos ? "must not hold a user name or password"
                                                        : fmt::format("isn't an address of the form {}", rule.example));
    return reading;
  }
  WebhookAddress& address = reading.address;
  address.scheme = LowerAscii(part[1].str());
  address.host = LowerAscii(part[2].str());
  address.port = part[4].str();
  address.path = part[5].str();
  address.query = part[7].str();
  address.has_query = part[6].matched;
  address.has_fragment = part[8].matched;
  if (insecure) return reading;
  const bool of_a_vendor = !rule.hosts.empty();
  if (address.scheme != "https") fault("must begin with https://");
  if (of_a_vendor && std::ranges::find(rule.hosts, address.host) == rule.hosts.end()) {
    fault(fmt::format("its host must be {}", fmt::join(rule.hosts, " or ")));
  }
  if (!of_a_vendor && IsPrivateLiteral(address.host)) fault("its host isn't a public one");
  if (!IsAllowedPort(address.port, of_a_vendor)) {
    fault(of_a_vendor ? "its port must be 443" : fmt::format("its port must be 443, or {} and above", kFirstFreePort));
  }
  return reading;
}

bool IsPlainToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace outrider::providers
