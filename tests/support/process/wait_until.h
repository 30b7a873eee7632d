// WaitUntil: asks again and again until a condition holds, for what gives no better signal (a foreign server's start, a
// row that another process writes).
#pragma once

#include <chrono>
#include <functional>

namespace outrider::testing {

// False when the condition doesn't hold by the end of `timeout`. Asks at once, then each 1 to 20 ms.
bool WaitUntil(const std::function<bool()>& condition, std::chrono::milliseconds timeout = std::chrono::seconds{30});

}  // namespace outrider::testing
