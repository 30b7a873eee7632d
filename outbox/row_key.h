// RowKey: what rows keep their order within, and what is held as a whole behind a row that can't be published:
// aggregateid within aggregatetype. Never the topic: routes change, and then a key's rows must still find each other.
// Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace outrider::outbox {

// 62 bits of a SHA-256, so that lists of keys are lists of numbers; never 0. Two keys of one number would be held
// together.
using KeyNumber = std::uint64_t;
KeyNumber NumberOfKey(std::string_view aggregatetype, std::string_view aggregateid);

}  // namespace outrider::outbox
