// FakeResolver: what names under .test stand for in this program.
//
// The test program defines getaddrinfo itself, so libcurl's resolver threads ask here; all other names go to the
// system. State is the program's; Clear() between tests. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace outrider::testing {

class FakeResolver final {
 public:
  static void Set(const std::string& name, std::vector<std::string> addresses);
  // Looking the name up doesn't return until Clear().
  static void Block(const std::string& name);
  static bool WaitForLookups(const std::string& name, std::size_t count);  // false after 30 seconds
  static void Clear();
};

}  // namespace outrider::testing
