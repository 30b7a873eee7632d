#include "platform/http/message.h"

namespace outrider::http {

std::string_view FindHeader(const Headers& headers, std::string_view name) {
  for (const auto& [header, value] : headers) {
    if (header == name) return value;
  }
  return {};
}

}  // namespace outrider::http
