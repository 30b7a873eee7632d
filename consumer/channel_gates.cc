#include "consumer/channel_gates.h"

#include <algorithm>

namespace outrider::consumer {
namespace {

using std::chrono::milliseconds;

// However many channels hang, each of the others has as many.
constexpr std::size_t kLeastShare = 4;
constexpr double kJitter = 0.2;

milliseconds BackOff(milliseconds first, int holds, double random) {
  milliseconds delay = first;
  for (int i = 1; i < holds && delay < ChannelGates::kLongestHold; ++i) delay *= 2;
  delay = std::min(delay, ChannelGates::kLongestHold);
  return milliseconds{
      static_cast<milliseconds::rep>(static_cast<double>(delay.count()) * (1 + kJitter * (2 * random - 1)))};
}

}  // namespace

ChannelGates::Gate& ChannelGates::At(std::string_view channel) {
  const auto found = gates_.find(channel);
  return found != gates_.end() ? found->second : gates_[std::string(channel)];
}

void ChannelGates::SetChannels(std::size_t count) {
  const std::lock_guard lock(mutex_);
  channels_ = count;
}

ChannelGates::Opening ChannelGates::Look(std::string_view channel, Time now) const {
  const std::lock_guard lock(mutex_);
  static const Gate kUntouched;
  const auto found = gates_.find(channel);
  const Gate& gate = found != gates_.end() ? found->second : kUntouched;
  if (gate.held) {
    if (gate.probing) return {};
    if (gate.until > now) return {.opens_at = gate.until};
    if (in_flight_ >= max_in_flight_) return {};
    return {.places = 1, .share = 1, .probe = true};
  }
  const std::size_t share = ShareOf(gate);
  return {.places = share - std::min(share, gate.in_flight), .share = share};
}

// The last few places may be exceeded by the least shares; the bound is then max_in_flight plus four a channel.
std::size_t ChannelGates::ShareOf(const Gate& gate) const {
  const std::size_t others = in_flight_ - gate.in_flight;
  const std::size_t left = max_in_flight_ - std::min(max_in_flight_, others);
  return channels_ <= 1 ? left : std::max(kLeastShare, left / 2);
}

bool ChannelGates::TryStart(std::string_view channel) {
  const std::lock_guard lock(mutex_);
  Gate& gate = At(channel);
  if (gate.held || gate.crowded || gate.in_flight >= ShareOf(gate)) return false;
  ++gate.in_flight;
  ++in_flight_;
  return true;
}

void ChannelGates::SetCrowded(std::string_view channel, bool crowded) {
  const std::lock_guard lock(mutex_);
  At(channel).crowded = crowded;
}

void ChannelGates::Started(std::string_view channel, bool probe) {
  const std::lock_guard lock(mutex_);
  Gate& gate = At(channel);
  ++gate.in_flight;
  ++in_flight_;
  if (probe) gate.probing = true;
}

void ChannelGates::Ended(std::string_view channel, bool probe) {
  const std::lock_guard lock(mutex_);
  Gate& gate = At(channel);
  if (gate.in_flight > 0) {
    --gate.in_flight;
    --in_flight_;
  }
  if (probe) gate.probing = false;
}

milliseconds ChannelGates::Answered(std::string_view channel, bool probe, Sign sign, std::string_view reason,
                                    std::optional<milliseconds> hint, Time now, double random) {
  Ended(channel, probe);
  const std::lock_guard lock(mutex_);
  Gate& gate = At(channel);
  if (sign == Sign::kWorks) {
    gate.held = false;
    gate.holds = 0;
    return milliseconds{0};
  }
  const bool fault = sign == Sign::kDown || sign == Sign::kThrottled;
  // Of a whole wave of records that come back, the first one counts.
  if ((fault && !gate.held) || (gate.held && probe)) {
    gate.held = true;
    ++gate.holds;
    if (fault) gate.reason = reason;
    gate.until = now + BackOff(sign == Sign::kThrottled ? kFirstThrottledHold : kFirstHold, gate.holds, random);
  }
  if (!gate.held) return milliseconds{0};
  if (hint) gate.until = std::max(gate.until, now + *hint);
  return std::max(std::chrono::ceil<milliseconds>(gate.until - now), milliseconds{0});
}

std::size_t ChannelGates::in_flight() const {
  const std::lock_guard lock(mutex_);
  return in_flight_;
}

bool ChannelGates::IsHeld(std::string_view channel) const {
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find(channel);
  return found != gates_.end() && found->second.held;
}

std::map<std::string, std::string> ChannelGates::Held() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> held;
  for (const auto& [channel, gate] : gates_) {
    if (gate.held) held.emplace(channel, gate.reason);
  }
  return held;
}

}  // namespace outrider::consumer
