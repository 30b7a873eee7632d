// Delivery: claims what is due, sends it, settles what came of it. The scanner, the executor and the settlement writer
// behind one door.
//
// A record is claimed by a conditional update (status, version, due, no earlier unfinished record of its ordering key),
// which writes `sending`, the attempt number and a lease; it is sent through the Sender after one more look at the
// lease right before the bytes leave; the outcome is settled by a conditional update on the same version, in batches
// that wait at most 10 ms for company. A settlement that finds another version changes nothing and is counted. Expired
// leases are recovered: failed, and uncertain.
//
// Threads: Run() is the scanner's; a settlement writer of its own; the engine's for callbacks. Assigned(), Revoked(),
// Stored() and LookAgain() from any, without waiting for the database; fresh_claims() for ingests that end before this
// object. The destructor waits for what is in flight, which the HTTP engine's end ends at once, and writes what came of
// it if the database takes it. On a crash claimed records stay `sending` until their lease ends; then any process
// recovers them as uncertain.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "consumer/kafka_ingest.h"
#include "consumer/quotas.h"
#include "metrics/delivery_probe.h"
#include "metrics/health.h"
#include "metrics/log.h"
#include "platform/crypto/sealer.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"

namespace outrider::consumer {

class FreshClaims;

struct DeliveryOptions {
  std::string owner;                             // unique per process
  std::chrono::milliseconds lease{60'000};       // of a claimed record; longer than call_deadline
  std::chrono::milliseconds shard_lease{3'000};  // how long a dead process keeps its shards from others
  std::chrono::milliseconds rate_lease{5'000};   // how long a dead process's shares of limits last, before they drain
  std::chrono::milliseconds call_deadline{15'000};
  std::chrono::milliseconds scan_idle{500};  // between scans that found nothing (Stored() wakes it at once)
  std::chrono::milliseconds sweep{1'000};    // between looks for expired leases, parked records, shards
  std::chrono::hours max_age{72};            // of a held or parked record, then dead: held_too_long
  std::size_t max_in_flight = 1024;
  std::size_t scan_batch = 512;
  const crypto::Sealer* sealer = nullptr;  // opens private requests; it outlives the Delivery; so the next
  Quotas* quotas = nullptr;
};

class Delivery final : public ShardOwner {
 public:
  Delivery(DeliveryOptions options, mysql::MysqlPool& pool, providers::Sender& sender, const Clock& clock,
           DeliveryProbe& probe, Health& health, Log& log);
  ~Delivery() override;
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  void Assigned(const std::vector<kafka::TopicPartition>& partitions) override;
  void Revoked(const std::vector<kafka::TopicPartition>& partitions) override;
  void Stored(const std::set<std::string>& channels) override;

  // Something may have become due anywhere: the next scan looks everywhere.
  void LookAgain();
  // For ingests in this process; nothing is claimed until a scan has found out what may be.
  FreshClaims& fresh_claims();

  struct Round {
    std::size_t recovered = 0;  // expired leases
    std::size_t ended = 0;      // expired, skipped, dead without a send
    std::size_t postponed = 0;  // by a limit
    std::size_t claimed = 0;
  };
  // One scan; sends are started, not awaited.
  Result<Round> ScanOnce();
  // Scans until stopped, then drains: no new claims, waits up to `grace` for sends in flight, settles them, returns
  // claims that never left, gives the shards back.
  void Run(std::stop_token stop, std::chrono::milliseconds grace);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::consumer
