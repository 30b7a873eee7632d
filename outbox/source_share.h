// SourceShare: how many sources this process leads, over all its relays, so that replicas share them evenly.
//
// Threads: safe from several. Nothing is kept: a process begins with none.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace outrider::outbox {

class SourceShare final {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void Gained();
  void Lost();
  std::uint64_t leads() const;
  // Whether the caller, who leads one, should hand it to a replica that leads `others`: then the caller has lost it, as
  // far as this counts. Once in `pause`, because what others lead is known late.
  bool GiveOne(std::uint64_t others, Time now, std::chrono::milliseconds pause);

 private:
  mutable std::mutex mutex_;
  std::uint64_t leads_ = 0;
  Time not_before_{};
};

}  // namespace outrider::outbox
