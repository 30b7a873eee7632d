// ChannelGates: how many records of a channel may be taken up now, as far as this process knows.
//
// A channel may use half of the places that the others leave free (all when it is alone), so that a slow or silent
// vendor never takes the last ones. A channel whose answers say that the channel itself is at fault, or throttled, is
// held: it is left alone for a back-off that doubles, then one record at a time probes it; the first answer that shows
// the channel working opens it. The rate is another affair (providers/rate_limits.h).
//
// Threads: safe from several; the clock is a parameter. Lost on a crash: a new process finds out again, with one wave
// of records that costs them no attempt.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace outrider::consumer {

class ChannelGates final {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kFirstHold{5'000};
  static constexpr std::chrono::milliseconds kFirstThrottledHold{1'000};
  static constexpr std::chrono::milliseconds kLongestHold{300'000};

  explicit ChannelGates(std::size_t max_in_flight) : max_in_flight_(max_in_flight) {}
  ChannelGates(const ChannelGates&) = delete;
  ChannelGates& operator=(const ChannelGates&) = delete;

  void SetChannels(std::size_t count);

  struct Opening {
    std::size_t places = 0;
    std::size_t share = 0;         // how many the channel may have in flight
    bool probe = false;            // held: the one record is a probe
    std::optional<Time> opens_at;  // without places: when to ask again; none: when something in flight has ended
  };
  Opening Look(std::string_view channel, Time now) const;

  void Started(std::string_view channel, bool probe);
  // Started, if there is a place without a probe and nothing waits for it.
  bool TryStart(std::string_view channel);
  // Records wait for places: new ones don't go past them.
  void SetCrowded(std::string_view channel, bool crowded);
  void Ended(std::string_view channel, bool probe);  // without an answer
  enum class Sign {
    kWorks,      // the channel answered as a working one does
    kDown,       // every message on it would fare the same
    kThrottled,  // the channel's limit
    kUnclear,    // says nothing about the channel
  };
  // An answer came. Gives for how long the channel is left alone now. `hint`: the vendor's own "not before".
  std::chrono::milliseconds Answered(std::string_view channel, bool probe, Sign sign, std::string_view reason,
                                     std::optional<std::chrono::milliseconds> hint, Time now, double random);

  std::size_t in_flight() const;
  bool IsHeld(std::string_view channel) const;
  // Of each held channel, why.
  std::map<std::string, std::string> Held() const;

 private:
  struct Gate {
    std::size_t in_flight = 0;
    bool crowded = false;
    bool held = false;
    bool probing = false;
    int holds = 0;  // in a row
    Time until{};
    std::string reason;
  };
  Gate& At(std::string_view channel);
  std::size_t ShareOf(const Gate& gate) const;

  const std::size_t max_in_flight_;
  mutable std::mutex mutex_;
  std::size_t channels_ = 1;
  std::size_t in_flight_ = 0;
  std::map<std::string, Gate, std::less<>> gates_;
};

}  // namespace outrider::consumer
