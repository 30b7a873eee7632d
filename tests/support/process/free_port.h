// FreePort: a TCP port of 127.0.0.1 that nobody listens on and no other test program gets.
//
// Below the range the kernel takes for outgoing connections, so that it's still free when a stopped server comes back
// on it. Test programs that run side by side keep apart through a name in the kernel (an abstract socket) for each port
// handed out, freed when the program ends. Thread-safe. Throws std::runtime_error when no port is found.
#pragma once

namespace outrider::testing {

unsigned FreePort();

}  // namespace outrider::testing
