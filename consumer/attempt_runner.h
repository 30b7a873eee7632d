// AttemptRunner: from a claimed record to its settlement: sends it, and hands what came of it to the writer.
//
// Looks at the lease twice by the steady clock: before it asks the sender at all, and right before the first byte
// leaves. What never left is given back with its attempt.
//
// Threads: Start() from the scanner's; answers come in the engine's thread (or in Start() itself when the provider
// needs no request). REQUIRES: WaitUntilIdle() before the end. On a crash records stay `sending`.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "consumer/channel_gates.h"
#include "consumer/record.h"
#include "consumer/settlement_writer.h"
#include "metrics/delivery_probe.h"
#include "model/outcome.h"
#include "model/time.h"
#include "providers/sender.h"

namespace outrider::consumer {

struct Claimed {
  Record record;  // as the claim left it
  std::shared_ptr<const providers::ChannelSettings> channel;
  providers::Notification notification;
  std::optional<SendOutcome> known;  // nothing is to be sent: this is the outcome
  providers::Place place;            // in all its limits; empty when nothing is to be sent
  bool probe = false;
  bool suspect = false;                                // may be what ends the process
  std::chrono::steady_clock::time_point claimed_at{};  // taken before the statement left
};

struct AttemptOptions {
  std::string owner;
  std::chrono::milliseconds lease{60'000};
  std::chrono::milliseconds call_deadline{15'000};
  std::chrono::hours max_age{72};
};

class AttemptRunner final {
 public:
  AttemptRunner(AttemptOptions options, providers::Sender& sender, ChannelGates& gates, const Clock& clock,
                DeliveryProbe& probe, std::function<void()> answered);
  AttemptRunner(const AttemptRunner&) = delete;
  AttemptRunner& operator=(const AttemptRunner&) = delete;

  void Start(Claimed claimed, SettlementWriter& writer);
  // From now on nothing that hasn't left yet leaves.
  void Close() { closed_ = true; }
  // Whether a record is in flight that may be what ends the process.
  bool HasSuspect() const { return suspects_ > 0; }
  // Waits for every answer, which the sender promises by its deadline, or at the HTTP engine's end.
  void WaitUntilIdle();

 private:
  struct Flight;
  bool StillMine(const Flight& flight) const;
  void Finish(const std::shared_ptr<const Flight>& flight, SendOutcome outcome);

  const AttemptOptions options_;
  const std::chrono::milliseconds margin_;
  providers::Sender& sender_;
  ChannelGates& gates_;
  const Clock& clock_;
  DeliveryProbe& probe_;
  const std::function<void()> answered_;
  std::atomic<bool> closed_ = false;
  std::atomic<int> suspects_ = 0;
  std::mutex mutex_;
  std::condition_variable landed_;
  std::size_t flights_ = 0;
};

}  // namespace outrider::consumer
