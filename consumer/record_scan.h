// RecordScan: finds what may be sent now, claims it, and starts it.
//
// Asks, for each open channel and each priority, for no more rows than the channel's limit and its share of places will
// pass: what waits for a slow, held or switched-off channel isn't looked at. Only while a recipient's or a tenant's
// rows stand in front of others it asks for more, to move them along their own limit (Admission). A channel in which
// nothing was found rests until new records come, something it waits for becomes due, or its idle time (which grows) is
// over. What can't be sent is ended, parked or postponed without a claim. A record that was in flight when a process
// died, twice, may be what it died of: of such suspects one at a time is sent, so that the next death takes no other of
// them along.
//
// Threads: RunOnce() and next_look() from one; Wake() and WakeAll() from any. On a crash nothing is lost: a claim that
// was committed is recovered when its lease expires.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/admission.h"
#include "consumer/attempt_runner.h"
#include "consumer/change_committer.h"
#include "consumer/channel_gates.h"
#include "consumer/claim.h"
#include "consumer/key_order.h"
#include "consumer/known_channels.h"
#include "consumer/ordering_store.h"
#include "consumer/pauses.h"
#include "consumer/priority_turns.h"
#include "consumer/quotas.h"
#include "consumer/record_store.h"
#include "metrics/delivery_probe.h"
#include "model/result.h"
#include "platform/crypto/sealer.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"

namespace outrider::consumer {

class RecordScan final {
 public:
  struct Options {
    std::chrono::milliseconds lease{60'000};
    std::chrono::milliseconds idle{500};
    std::chrono::hours max_age{72};
    std::size_t batch = 200;
    const crypto::Sealer* sealer = nullptr;  // opens what is sealed
    Quotas* quotas = nullptr;
  };
  struct Counts {
    std::size_t ended = 0;
    std::size_t postponed = 0;
    std::size_t claimed = 0;
    bool stale = false;  // rows were sending with an expired lease
  };

  RecordScan(Options options, mysql::MysqlPool& pool, providers::Sender& sender, RateLeases& leases,
             ChangeCommitter& committer, ChannelGates& gates, ClaimTokens& tokens, AttemptRunner& runner,
             SettlementWriter& writer, const Clock& clock, DeliveryProbe& probe);
  RecordScan(const RecordScan&) = delete;
  RecordScan& operator=(const RecordScan&) = delete;

  // One look. Errors: nothing was claimed, or what was claimed is being given back.
  Result<Counts> RunOnce(const std::vector<int>& shards, const ChannelTable& channels, const PausedNames& paused = {});
  // When a look may find something, unless something else happens before.
  std::chrono::steady_clock::time_point next_look() const { return next_look_; }

  void WakeAll();
  void Wake(std::string_view channel);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Outlook {
    Time look_at{};
    std::chrono::milliseconds idle{0};
    bool met_paused = false;         // records of a paused tenant, last time: there may be many
    bool backlog = false;            // more was there than could be taken
    std::size_t crowded_shards = 0;  // that had due rows, last time; 0: unknown
    std::size_t skim = 0;            // rows beyond those that can be sent, to get past a throttled recipient's
    PriorityTurns turns;
  };
  struct Look {
    std::string_view channel;
    ChannelGates::Opening opening;
    std::size_t want = 0;  // that can be sent
    std::size_t rows = 0;  // that are asked for
    std::size_t first_query = 0;
  };
  struct Candidate {
    Record record;
    std::shared_ptr<const providers::ChannelSettings> channel;
    bool probe = false;
    bool suspect = false;
    providers::Notification notification;
    std::optional<SendOutcome> known;
    providers::Place place;
  };

  void TakeWakes(const ChannelTable& channels, Time now);
  std::vector<Look> Choose(const ChannelTable& channels, const PausedNames& paused, Time now);
  std::vector<std::int64_t> Pick(const std::vector<Look>& looks, const std::vector<int>& shards,
                                 const std::vector<RecordStore::DueQuery>& queries,
                                 const std::vector<RecordStore::DueRow>& due, Time now);
  // Decides of each what happens without a send; nothing when it is to be sent.
  std::optional<Change> EndOrMove(Candidate& candidate, const PausedNames& paused) const;
  // Postpones suspects, but for one when none is in flight.
  void Isolate(std::vector<Candidate>& candidates, std::vector<Change>& changes) const;
  static std::vector<KeyOrder::Waiting> Keyed(const std::vector<Candidate>& candidates);
  void Leave(const KeyOrder::Left& left, std::vector<Candidate>& candidates);
  // Leaves those that have a place in all their limits, or need none.
  Result<void> Admit(const std::vector<Look>& looks, std::vector<Candidate>& candidates, Counts& counts);
  Result<void> Claim(std::vector<Candidate> candidates, Counts& counts);
  // The claim's statements, in its transaction.
  struct Claiming;
  Result<void> ClaimIn(mysql::MysqlConnection& connection, const std::vector<Candidate>& candidates,
                       std::string_view token, Claiming& claiming);
  // Those that their tenant's quota refuses are skipped.
  Result<void> EndRefused(const Claiming& claiming, std::vector<Candidate>& candidates, Counts& counts);
  void Return(const Candidate& candidate, std::string_view token);
  void Soon(const Time& at) { next_look_ = std::min(next_look_, at); }

  const Options options_;
  mysql::MysqlPool& pool_;
  providers::Sender& sender_;
  ChangeCommitter& committer_;
  KeyOrder order_;
  ChannelGates& gates_;
  ClaimTokens& tokens_;
  AttemptRunner& runner_;
  SettlementWriter& writer_;
  const Clock& clock_;
  DeliveryProbe& probe_;
  RecordStore store_;
  OrderingStore ordering_;
  Admission admission_;

  std::map<std::string, Outlook, std::less<>> outlooks_;
  std::size_t turn_ = 0;  // which channel comes first
  Time next_look_{};

  std::mutex mutex_;
  bool wake_all_ = true;
  std::set<std::string, std::less<>> woken_;
};

}  // namespace outrider::consumer
