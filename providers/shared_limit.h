// SharedLimit: the row that all processes share of one limit: who may use how much of it, and what still counts.
//
// At every moment the sum of what counts is at most the limit: the shares of holders (a dead one's until its lease, the
// longest call and the window have passed) and the debts, which are places that somebody used under a share that was
// given up, until they have left the window. Pure: the times are the database's clock; who changes a row writes it only
// if nobody else did (consumer/rate_leases.h).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/time.h"
#include "providers/channel.h"

namespace outrider::providers {

enum class Window { kSecond, kMinute };
inline constexpr std::array kWindows = {Window::kSecond, Window::kMinute};
using PerWindow = std::array<int, kWindows.size()>;

constexpr std::size_t At(Window window) { return static_cast<std::size_t>(window); }
constexpr std::chrono::microseconds Length(Window window) {
  return window == Window::kSecond ? std::chrono::seconds{1} : std::chrono::seconds{60};
}
// For two clocks that count the same window, of which one runs faster.
constexpr std::chrono::microseconds Slack(Window window) { return Length(window) / 1000; }
// 0: no limit in that window.
inline PerWindow Limits(RateLimit rate) { return {rate.per_second, rate.per_minute}; }

// From one place to the next when all are used evenly. REQUIRES: a limit in one of the windows.
std::chrono::microseconds IntervalOf(RateLimit rate);

struct SharedLimit {
  struct Holder {
    std::string owner;
    PerWindow share{};
    PerWindow want{};
    Timestamp until{};                   // its lease; it takes no place after it
    std::chrono::microseconds drain{0};  // how long a message that left in time may still be on its way
    Timestamp EndsAt() const;            // when nothing of it counts any more
  };
  struct Debt {
    Window window = Window::kSecond;
    int count = 0;
    Timestamp until{};
  };
  std::uint64_t version = 0;  // 0: there is no row
  std::vector<Holder> holders;
  std::vector<Debt> debts;
  Timestamp closed_until{};  // the vendor's "not before"
  Timestamp booked_until{};  // slots before it are given to records that wait

  // When the holder's share stops counting.
  static Timestamp DrainedAt(const Holder& holder, Window window) {
    return holder.until + holder.drain + Length(window) + Slack(window);
  }
  const Holder* Find(std::string_view owner) const;
  // What counts in that window, but for one holder's share.
  int Counted(Window window, Timestamp now, std::string_view but_for) const;
  void DropWhatEnded(Timestamp now);
  // From when on nothing of it counts.
  Timestamp EndsAt() const;
};

// Holders and debts as one JSON document; the other members are columns of their own.
std::string SharesToJson(const SharedLimit& limit);
// False when it isn't such a document: nothing may be taken then.
bool SharesFromJson(std::string_view json, SharedLimit& limit);

// `limit` places among processes that want so many: who wants less than an even part gets that, the others share
// evenly; what nobody wants is shared evenly too. Places that can't be divided go round with `turn`. The sum is `limit`
// (0 when there is nobody).
std::vector<int> FairShares(int limit, std::span<const int> wants, std::uint64_t turn);

}  // namespace outrider::providers
