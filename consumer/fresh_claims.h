// FreshClaims: claims new records in the statement that inserts them, and starts them right after its commit.
//
// Most records may leave the moment they are recorded; a look and a claim of their own would cost them two more
// transactions' worth of the database. Claimed is what is due, has no ordering key and no quota, and finds a place in
// its channel and in all of its limits, while nothing older of the channel waits for one. Everything else is left to
// the scan. The claim is one like any other: attempt, token and lease (by the database's clock, from before the
// transaction's first statement by ours) are durable before the first byte; nothing is started but by the answer to the
// commit.
//
// Threads: Open() and Close() from the scanner's, Changed() from any, the others from any number of ingests. On a crash
// between commit and send the records are `sending` until their leases end, as after any other claim.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/attempt_runner.h"
#include "consumer/channel_gates.h"
#include "consumer/claim.h"
#include "consumer/ingest_store.h"
#include "consumer/known_channels.h"
#include "consumer/quotas.h"
#include "consumer/settlement_writer.h"
#include "metrics/delivery_probe.h"
#include "model/time.h"
#include "providers/sender.h"

namespace outrider::consumer {

class FreshClaims final {
 public:
  struct Options {
    std::chrono::milliseconds lease{60'000};
    std::size_t max_in_flight = 0;
    std::size_t max_unsettled = 0;  // no claims beyond it
    const Quotas* quotas = nullptr;
  };
  FreshClaims(Options options, providers::Sender& sender, ChannelGates& gates, ClaimTokens& tokens,
              AttemptRunner& runner, SettlementWriter& writer, const Clock& clock, DeliveryProbe& probe)
      : options_(options),
        sender_(sender),
        gates_(gates),
        tokens_(tokens),
        runner_(runner),
        writer_(writer),
        clock_(clock),
        probe_(probe) {}
  FreshClaims(const FreshClaims&) = delete;
  FreshClaims& operator=(const FreshClaims&) = delete;

  void Open(std::shared_ptr<const KnownChannels> known);
  // From now on nothing is claimed. What was chosen before may still be started.
  void Close();

  // A batch so large means that more waits in the log: gives places a moment to come free, so that it needn't be
  // claimed by a scan. Not for long, whatever holds the places.
  void Pace(std::size_t events);
  // Places may have come free.
  void Changed();

  // The claims of one transaction, which is tried once with it.
  class Batch final {
   public:
    explicit Batch(FreshClaims& claims);  // REQUIRES: the transaction's first statement hasn't left yet
    ~Batch();                             // what wasn't started leaves its places
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    // Claims some of the rows, in their order: writes token, send key and the lease's end into them. REQUIRES: once.
    void Choose(std::span<RecordRow> rows);
    bool empty() const { return claimed_.empty(); }
    std::size_t size() const { return claimed_.size(); }
    std::string_view token() const { return token_; }
    // Of the claimed rows, in their order. REQUIRES: as many.
    void SetIds(std::span<const std::int64_t> ids);
    void Start();   // REQUIRES: the ids; the transaction was committed
    void Return();  // the transaction may have been committed: given back once the database tells

   private:
    FreshClaims& claims_;
    const std::chrono::steady_clock::time_point begun_;
    const std::string token_;
    std::deque<Claimed> claimed_;
  };

 private:
  bool HasRoom(std::size_t events) const;

  const Options options_;
  providers::Sender& sender_;
  ChannelGates& gates_;
  ClaimTokens& tokens_;
  AttemptRunner& runner_;
  SettlementWriter& writer_;
  const Clock& clock_;
  DeliveryProbe& probe_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const KnownChannels> known_;  // none: closed
  std::atomic<std::size_t> awaited_ = 0;
};

}  // namespace outrider::consumer
