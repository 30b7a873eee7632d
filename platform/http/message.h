// HTTP requests and responses as values: what providers build and read without touching a socket.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/secret.h"

namespace outrider::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "POST";
  Secret url;  // webhook URLs are credentials
  Headers headers;
  std::string body;
};

struct HttpResponse {
  int status = 0;
  Headers headers;  // names in lower case
  std::string body;
  bool body_cut = false;  // longer than the cap; the rest was not read
};

// The first header of that name (lower case), or empty.
std::string_view FindHeader(const Headers& headers, std::string_view name);

}  // namespace outrider::http
