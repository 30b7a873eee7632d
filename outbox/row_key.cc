#include "outbox/row_key.h"

#include <fmt/format.h>

#include "model/digest.h"

namespace outrider::outbox {

KeyNumber NumberOfKey(std::string_view aggregatetype, std::string_view aggregateid) {
  const Digest digest = Sha256(fmt::format("{}:{}{}", aggregatetype.size(), aggregatetype, aggregateid));
  KeyNumber number = 0;
  for (std::size_t i = 0; i < sizeof(number); ++i) number = number << 8 | digest[i];
  return (number >> 2) + 1;
}

}  // namespace outrider::outbox
