// Sender: from a claimed notification to an outcome, through its limits and the HTTP engine.
//
// Every call to a vendor passes here, with a place in each limit that it falls under: the channel's, its app's, the
// tenant's, the recipient's (RateLimits). Holds the channels (replaced as a whole) and nothing about records. A refusal
// is an outcome, never an Error. Threads: safe from several; `done` runs in the engine's thread, or in the caller's
// when no request was needed. A vendor's "not before" closes the channel for everybody. Of a private notification
// neither the answer nor the vendor's words are kept. On a crash what was in flight is in doubt: the record says
// `sending`.
//
// What a provider needs first is fetched once for all that wait for it (SupplyCache); what comes of that costs no
// message an attempt unless it is about the recipient. A token that the vendor doesn't take any more is renewed and the
// request sent once again, with the same send key and with a place of its own.
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
#include "providers/provider.h"
#include "providers/rate_limits.h"

namespace outrider::providers {

class Sender final {
 public:
  Sender(http::HttpEngine& engine, const Clock& clock, DeliveryProbe& probe, Log& log);
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // REQUIRES: every channel passed its ProviderInfo's check. Limits of channels that stay keep their memory.
  void SetChannels(std::vector<ChannelSettings> channels);
  void SetTenantRates(TenantRates rates);
  // Nothing for an unknown code; a disabled channel is returned with enabled = false.
  std::optional<ChannelSettings> FindChannel(std::string_view code) const;
  std::vector<std::string> ChannelCodes() const;

  // The limits that it falls under; for an unknown channel none.
  std::vector<LimitRule> RulesOf(const Notification& notification) const;
  // Those that all of the channel's notifications fall under.
  std::vector<LimitRule> RulesOf(std::string_view channel) const;
  RateLimits& limits();

  // `place`: in all of its limits, used up when bytes left, else given back; an empty one is taken here, and where none
  // is to be had the outcome is kNotNow, "rate_limited". `still_mine` runs right before the first byte leaves; when it
  // says no, or the place doesn't hold any more, the outcome is kNotNow, "not_mine". `deadline` bounds the whole call
  // and must be shorter than the record's lease. `done` is called exactly once. A request that certainly didn't leave
  // is kNotNow; one that may have been taken is kNoAnswer. An unknown or disabled channel is kUnreachable,
  // "recipient_missing".
  void Send(const Notification& notification, const std::string& send_key, Place place,
            std::chrono::milliseconds deadline, std::function<bool()> still_mine,
            std::function<void(SendOutcome)> done);

 private:
  struct State;
  struct Call;
  std::shared_ptr<State> state_;  // shared with the callbacks of requests in flight
};

}  // namespace outrider::providers
