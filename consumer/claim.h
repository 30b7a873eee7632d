// What every claim has in common, whether it takes a record that waited (RecordScan) or one that is just being inserted
// (FreshClaims): its token, the send key, the notification, the way back. Pure, but for the tokens' counter.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "consumer/record.h"
#include "model/request.h"
#include "providers/channel.h"
#include "providers/provider.h"

namespace outrider::consumer {

// Of a record that is inserted under a claim: as if it had been recorded and then claimed.
inline constexpr std::uint32_t kVersionOfFreshClaim = 2;

// Names for the claims of one process, none twice; each fits lease_owner. Thread-safe.
class ClaimTokens final {
 public:
  explicit ClaimTokens(std::string_view owner);
  std::string Next();

 private:
  const std::string prefix_;
  std::atomic<std::uint64_t> count_ = 0;
};

// One for every repetition of the same content, so that the vendor recognises it; empty where the vendor has none.
// `record`: before the claim.
std::string SendKeyOf(const Record& record, const providers::ChannelSettings& channel);

// In the form that the record is at; notes in it whether there is a simpler one. REQUIRES: the request has a message,
// or a fallback. `record`: before the claim.
providers::Notification MakeNotification(Record& record, NotificationRequest request);

// Gives a claim back that may or may not have been committed. `record`: as the claim would have left it.
Change GiveClaimBack(const Record& record, std::string_view token);

}  // namespace outrider::consumer
