// FakeImProcess: the fake IM server as a process of a test's own, on a port that stays its own when it comes back.
//
// Threads: one at a time. The process dies with the test program. What it accepted is lost when it is killed or
// stopped. Errors: std::runtime_error.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process/child_process.h"

namespace outrider::testing {

class FakeImProcess final {
 public:
  // Each bot as "TOKEN" or "TOKEN:SECRET". Listens when this returns.
  explicit FakeImProcess(std::vector<std::string> bots);

  unsigned port() const { return port_; }
  std::string url() const;
  std::string WebhookUrl(std::string_view token) const;

  // The texts of what this life of the process accepted, in order.
  std::vector<std::string> Accepted() const;
  // A fault in the control API's form (tests/support/fake_im/fault.h): {"kind": "accept_then_reset"}.
  void AddFault(const std::string& json) const;

  bool Running() { return process_ && process_->Running(); }
  void Stop();      // SIGTERM, to a clean end
  void Kill();      // SIGKILL
  void Pause();     // SIGSTOP; returns when it stands still
  void Continue();  // SIGCONT
  void Restart();   // stops it if it runs; same port, nothing accepted yet

 private:
  void Launch();

  const unsigned port_;
  const std::vector<std::string> bots_;
  std::optional<ChildProcess> process_;
};

}  // namespace outrider::testing
