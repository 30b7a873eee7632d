// CommitCutter: a TCP proxy in front of a database that cuts one connection at its next COMMIT, either before the
// server has it or after the server has answered and before the client knows.
//
// Threads: one for all connections; Arm() from any. Ends with the object.
#pragma once

#include <atomic>
#include <thread>

namespace outrider::outbox {

class CommitCutter final {
 public:
  enum class Cut { kNone, kBeforeServer, kAfterServer };

  explicit CommitCutter(unsigned server_port);
  ~CommitCutter();
  CommitCutter(const CommitCutter&) = delete;
  CommitCutter& operator=(const CommitCutter&) = delete;

  unsigned port() const { return port_; }
  void Arm(Cut cut) { cut_ = cut; }
  int cuts() const { return cuts_; }

 private:
  void Serve(const std::stop_token& stop);

  const unsigned server_port_;
  int listener_ = -1;
  unsigned port_ = 0;
  std::atomic<Cut> cut_ = Cut::kNone;
  std::atomic<int> cuts_ = 0;
  std::jthread thread_;
};

}  // namespace outrider::outbox
