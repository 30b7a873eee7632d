// RecordSweep: what no scan of open channels would ever find.
//
// Expired leases of any shard are recovered, whatever the channel's state. Parked records are walked one page at a
// time, in a circle: what expired, waited too long, or whose channel or ordering key has become free goes on. Records
// of channels that are switched off are skipped; those of held channels end when they expire or have waited for
// max_age; those of channels that nobody knows are parked. Keys that a dead record holds are let go when their
// channel's policy isn't to block any more.
//
// Threads: one. Several processes may sweep at once: every change is conditional. Nothing is lost on a crash.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consumer/change_committer.h"
#include "consumer/channel_gates.h"
#include "consumer/ordering_store.h"
#include "consumer/pauses.h"
#include "consumer/record_scan.h"
#include "consumer/record_store.h"
#include "consumer/settlement_writer.h"
#include "metrics/delivery_probe.h"
#include "model/result.h"
#include "platform/crypto/sealer.h"
#include "platform/mysql/pool.h"

namespace outrider::consumer {

class RecordSweep final {
 public:
  struct Counts {
    std::size_t recovered = 0;
    std::size_t ended = 0;
  };

  RecordSweep(std::chrono::hours max_age, mysql::MysqlPool& pool, ChangeCommitter& committer, const ChannelGates& gates,
              const SettlementWriter& writer, RecordScan& scan, DeliveryProbe& probe,
              const crypto::Sealer* sealer = nullptr);
  RecordSweep(const RecordSweep&) = delete;
  RecordSweep& operator=(const RecordSweep&) = delete;

  Result<Counts> RunOnce(const std::vector<int>& shards, const ChannelTable& channels, const PausedNames& paused = {});

 private:
  Result<void> RecoverLeases(const ChannelTable& channels, Counts& counts);
  Result<void> ReleaseKnownChannels(const ChannelTable& channels, Counts& counts);
  Result<void> WalkParked(const std::vector<int>& shards, const ChannelTable& channels, Counts& counts);
  Result<bool> ReleaseTenants(const std::vector<int>& shards, const ChannelTable& channels, const PausedNames& paused,
                              Counts& counts);
  Result<void> TendHeldChannels(const std::vector<int>& shards, const ChannelTable& channels, const PausedNames& paused,
                                Counts& counts);
  Result<void> ReleaseBlockedKeys(const ChannelTable& channels);
  Result<void> ParkUnknownChannels(const std::vector<int>& shards, const ChannelTable& channels);

  Result<std::vector<Record>> Waiting(const std::vector<int>& shards, std::string_view channel,
                                      std::chrono::microseconds due_for);
  Result<std::size_t> Commit(const std::vector<Change>& changes, Counts& counts);

  const std::chrono::hours max_age_;
  mysql::MysqlPool& pool_;
  ChangeCommitter& committer_;
  const ChannelGates& gates_;
  const SettlementWriter& writer_;
  RecordScan& scan_;
  DeliveryProbe& probe_;
  const crypto::Sealer* const sealer_;
  RecordStore store_;
  OrderingStore ordering_;
  std::set<std::string, std::less<>> known_;           // channels, last time
  std::set<std::string, std::less<>> to_release_;      // newly known, with parked records perhaps
  std::set<std::string, std::less<>> paused_tenants_;  // whose records are parked, and nobody else's
  RecordStore::ParkedPlace place_;
  std::size_t turns_ = 0;
};

}  // namespace outrider::consumer
