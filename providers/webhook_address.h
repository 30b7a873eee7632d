// WebhookAddress: the address of a webhook as a channel's setting gives it, in parts, and what may be wrong with it.
// Pure. The address is a credential: no fault shows any of it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace outrider::providers {

struct WebhookAddress {
  std::string scheme;  // lower case
  std::string host;    // lower case; an IPv6 address in its brackets
  std::string port;    // empty: the scheme's own
  std::string path;
  std::string query;  // without its question mark
  bool has_query = false;
  bool has_fragment = false;
};

struct AddressRule {
  std::string_view key;                     // the setting's; begins each fault
  std::string_view example;                 // of a good address
  std::span<const std::string_view> hosts;  // empty: any host that isn't a private address
};

struct AddressReading {
  WebhookAddress address;
  std::vector<std::string> faults;
};

// Faults of the form, of the scheme (https), the host, the port (443 of a vendor's host; of any other also 1024 and
// above) and of a user or password in it. With `insecure` only the form counts. Path and query are the caller's.
AddressReading ReadWebhookAddress(const std::string& url, const AddressRule& rule, bool insecure);

// Not empty, and letters, digits, - and _ only.
bool IsPlainToken(std::string_view text);

}  // namespace outrider::providers
