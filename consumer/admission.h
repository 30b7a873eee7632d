// Admission: which of the records that could be claimed now have a place in all of their limits.
//
// What the channel's or its app's limit refuses stays where it is: the channel isn't asked for rows again before its
// limit opens. What a recipient's or a tenant's limit refuses would stand in front of the others' rows in the same
// channel, so it is moved: to the next free slot along that limit's rate, in the order in which the records were due,
// all of a round in one transaction. A record that has had a slot and finds the limit taken nevertheless waits nearby,
// and one that could go on in a moment stays. No attempt is spent.
//
// Threads: one. On a crash a slot may stay unused; nothing is lost.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "consumer/change_committer.h"
#include "consumer/rate_leases.h"
#include "consumer/record.h"
#include "metrics/delivery_probe.h"
#include "model/result.h"
#include "providers/sender.h"

namespace outrider::consumer {

// A record's reason while it waits for a slot.
inline constexpr std::string_view kRateLimited = "rate_limited";

class Admission final {
 public:
  struct Applicant {
    const Record* record = nullptr;
    const providers::Notification* notification = nullptr;
    std::string_view provider;
    providers::Place place;  // admitted: one in all its limits
    bool moved = false;      // to its slot
  };
  // Of a channel in one round.
  struct Channel {
    std::size_t places = 0;  // most that may be admitted
    std::size_t moved = 0;
    std::size_t left = 0;  // for want of places
    // Of those that were moved or stay for a limit's sake: how soon one of them could go on; zero: there is none.
    std::chrono::milliseconds wait{0};
  };
  using Channels = std::map<std::string_view, Channel>;

  Admission(providers::Sender& sender, RateLeases& leases, ChangeCommitter& committer, const Clock& clock,
            DeliveryProbe& probe)
      : sender_(sender), leases_(leases), committer_(committer), clock_(clock), probe_(probe) {}

  // REQUIRES: each applicant's channel is in `channels`. Errors: the database's; places that were taken are the
  // applicants' nevertheless.
  Result<void> Admit(std::span<Applicant> applicants, Channels& channels);

 private:
  struct Refused;
  Result<void> Move(std::span<Refused> refused, Channels& channels);

  providers::Sender& sender_;
  RateLeases& leases_;
  ChangeCommitter& committer_;
  const Clock& clock_;
  DeliveryProbe& probe_;
};

}  // namespace outrider::consumer
