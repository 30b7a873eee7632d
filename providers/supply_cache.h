// SupplyCache: what requests need and other requests brought: access tokens, the ids behind addresses.
//
// However many ask for a thing at the same time, one is told to fetch it and the others wait for what comes. Before a
// thing ends it is fetched anew while those who ask still get the old one; should that fail, the old one serves until
// its end. The end is counted by the steady clock. Thread-safe; waiters run in the thread of Settle(), outside the
// lock. Bounded: of what nobody waits for, what ends first goes. On a crash it is fetched again.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "model/secret.h"
#include "model/time.h"
#include "providers/provider.h"

namespace outrider::providers {

class SupplyCache final {
 public:
  using Waiter = std::function<void(const SupplyReading&)>;
  static constexpr std::size_t kMost = 10'000;
  // A renewal that brought nothing is tried again after this, while the old thing lives.
  static constexpr std::chrono::seconds kRenewAgain{30};

  explicit SupplyCache(const Clock& clock, std::size_t most = kMost) : clock_(clock), most_(most) {}
  SupplyCache(const SupplyCache&) = delete;
  SupplyCache& operator=(const SupplyCache&) = delete;

  struct Look {
    std::optional<Secret> value;  // without one, `waiter` is called once with what comes
    bool fetch = false;           // the caller must fetch it and call Settle(), whatever comes of it
  };
  Look Get(const std::string& key, Waiter waiter);
  void Settle(const std::string& key, const SupplyReading& reading);
  // Drops it if it is still this one: who is late with an old one doesn't take the new one away from the others.
  void Drop(const std::string& key, const Secret& value);
  std::size_t size() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Entry {
    std::optional<Secret> value;
    Time ends{};
    Time renews{};
    bool fetching = false;
    std::vector<Waiter> waiters;
  };
  void MakeRoom();  // REQUIRES: mutex_

  const Clock& clock_;
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace outrider::providers
