// FaultList: the faults of one proxy, asked by its connections and told what they did.
//
// Thread-safe: the proxy's thread asks and counts, tests add, heal and look.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "tests/support/proxy/proxy_fault.h"

namespace outrider::testing {

class FaultList final {
 public:
  struct ByteCut {
    int id;
    std::size_t bytes;
  };
  struct StatementCut {
    int id;
    CutMoment moment;
  };

  int Add(ProxyFault fault);
  void Heal(int id);
  void HealAll();
  std::vector<ProxyFault> All() const;
  ProxyFault Get(int id) const;  // throws std::out_of_range
  bool WaitUntilFired(int id, std::size_t times, std::chrono::milliseconds timeout) const;

  void Fire(int id);
  // The faults of this kind that strike in this direction now. Reset and half-open are here only while they strike
  // anew.
  std::vector<int> Active(ProxyFaultKind kind, Direction direction = Direction::kBoth) const;
  std::chrono::milliseconds Delay(Direction direction) const;  // all latencies together
  std::optional<ProxyFault> Slicing(Direction direction) const;
  std::vector<ByteCut> ByteCuts(Direction direction) const;
  // One of its strikes is taken; false when there is none left.
  bool Strike(int id);
  // The strike at this statement, if it is one's turn.
  std::optional<StatementCut> StrikeAt(std::string_view statement);

 private:
  struct Entry {
    ProxyFault fault;
    std::size_t strikes = 0;  // taken; each fires, unless the connection ends before
  };
  static bool Strikes(const Entry& entry, ProxyFaultKind kind, Direction direction);
  Entry& At(int id);
  const Entry& At(int id) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable fired_;
  std::vector<Entry> entries_;  // the id is the place, counted from 1
};

}  // namespace outrider::testing
