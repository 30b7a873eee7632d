// RawSocket and RawListener: both ends of a connection in a test's hands, to see what really arrives and how it ends.
// Resources; one thread. Nothing waits longer than 10 s. Errors: std::runtime_error.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace outrider::testing {

class RawSocket final {
 public:
  enum class State { kOpen, kClosed, kReset };
  struct Received {
    std::string bytes;
    State state;
    friend bool operator==(const Received&, const Received&) = default;
  };

  // To 127.0.0.1; see refused().
  explicit RawSocket(unsigned port);
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket();

  bool refused() const { return refused_; }
  void Send(std::string_view bytes);
  // As much as fits without anybody reading, at most `limit` bytes of Pattern().
  std::size_t SendUntilFull(std::size_t limit);
  // Returns with `size` bytes, or when the connection ends.
  Received Receive(std::size_t size);
  std::string ReceiveBytes(std::size_t size) { return Receive(size).bytes; }
  Received ReceiveToTheEnd() { return Receive(std::string::npos); }
  // How the connection is right now; bytes that wait to be received make it open.
  State Now();
  // Whether something is here to be received.
  bool HasBytes(std::chrono::milliseconds within);
  void EndSending();
  void Reset();

  static std::string Pattern(std::size_t size);

 private:
  friend class RawListener;
  struct Adopt {};
  RawSocket(Adopt, int handle);
  bool WaitFor(short events, std::chrono::milliseconds timeout) const;

  int handle_ = -1;
  bool refused_ = false;
};

class RawListener final {
 public:
  explicit RawListener(unsigned port);
  ~RawListener();
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  RawSocket Accept();

 private:
  int handle_;
};

}  // namespace outrider::testing
