// Sender: from a claimed notification to an outcome, through the channel's limit and the HTTP engine.
//
// Holds the channels (replaced as a whole), one limiter a channel, and nothing about records. A refusal is an outcome,
// never an Error. Threads: safe from several; `done` runs in the engine's thread, or in the caller's when no request
// was needed. A vendor's "not before" closes the channel for everybody. Of a private notification neither the answer
// nor the vendor's words are kept. On a crash what was in flight is in doubt: the record says `sending`; the limiters
// start with empty windows.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/delivery_probe.h"
#include "metrics/log.h"
#include "model/outcome.h"
#include "model/time.h"
#include "platform/http/engine.h"
#include "providers/channel.h"
#include "providers/channel_limiter.h"
#include "providers/provider.h"

namespace outrider::providers {

class Sender final {
 public:
  Sender(http::HttpEngine& engine, const Clock& clock, DeliveryProbe& probe, Log& log);
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // REQUIRES: every channel passed its ProviderInfo's check. Limiters of channels that stay keep their memory.
  void SetChannels(std::vector<ChannelSettings> channels);
  // Nothing for an unknown code; a disabled channel is returned with enabled = false.
  std::optional<ChannelSettings> FindChannel(std::string_view code) const;
  std::vector<std::string> ChannelCodes() const;

  // Takes one place in the channel's limit: zero, or how long to wait before asking again. In any window of one second
  // and of one minute no more places are given than the limit says. Each place ends with one Send() or one
  // GivePlaceBack().
  std::chrono::milliseconds TakePlace(std::string_view channel);
  void GivePlaceBack(std::string_view channel);
  // What TakePlace() would give now; takes nothing.
  ChannelLimiter::Outlook LookForPlaces(std::string_view channel) const;

  // `still_mine` runs right before the first byte leaves; false ends it as kNotNow, reason "not_mine". `deadline`
  // bounds the whole call and must be shorter than the record's lease. `done` is called exactly once. A request that
  // certainly didn't leave is kNotNow; one that may have been taken is kNoAnswer. An unknown or disabled channel is
  // kUnreachable, "recipient_missing". Uses up the place that was taken for it, or gives it back when nothing left.
  void Send(const Notification& notification, const std::string& send_key, std::chrono::milliseconds deadline,
            std::function<bool()> still_mine, std::function<void(SendOutcome)> done);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the callbacks of requests in flight
};

}  // namespace outrider::providers
