// The floor of sending: libcurl's multi interface with nothing around it. For benches only.
//
// Threads: the caller's. Nothing is kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "model/result.h"

namespace outrider::http {

// POSTs the same body so many times over so many connections; from the first to the last answer, the connections being
// open before. kUnavailable: a request wasn't answered with status 200.
Result<std::chrono::nanoseconds> TimeBareRequests(const std::string& url, const std::string& body, std::size_t requests,
                                                  std::size_t connections);

}  // namespace outrider::http
