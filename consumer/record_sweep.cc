#include "consumer/record_sweep.h"

#include <algorithm>
#include <map>
#include <optional>

#include "consumer/priority_turns.h"
#include "consumer/sealed_request.h"
#include "consumer/settlement.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;

constexpr std::size_t kPage = 500;
constexpr std::size_t kRowsOfAChannel = 100;  // of each shard and priority, a turn
constexpr std::size_t kMostPages = 20;        // of one kind, a turn
// Channels that nobody knows come with a changed configuration, seldom.
constexpr std::size_t kTurnsBetweenLooksForUnknown = 30;

SettleRules RulesOf(const Record& record, const ChannelTable& channels, std::chrono::hours max_age) {
  const auto channel = channels.find(record.channel);
  if (channel != channels.end()) return SettleRules(*channel->second, max_age);
  SettleRules rules;
  rules.max_age = max_age;
  return rules;
}

bool IsParkedByKey(const Record& record) {
  return record.parked_by == kParkedByOrderingKey || record.parked_by == kParkedByBlockedKey;
}

Change EndAsHeldTooLong(const Record& record) {
  Change change = MakeChange(record, DeliveryEvent::kHeldTooLong, kRecordEnded);
  change.reason = "held_too_long";
  return change;
}

Change Release(const Record& record) {
  Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
  change.due_in = microseconds{0};
  const bool waited_for_channel = !IsParkedByKey(record) && !record.parked_by.starts_with(kParkedByPausedTenant);
  if (waited_for_channel) change.held = Change::Held::kNo;
  return change;
}

}  // namespace

RecordSweep::RecordSweep(std::chrono::hours max_age, mysql::MysqlPool& pool, ChangeCommitter& committer,
                         const ChannelGates& gates, const SettlementWriter& writer, RecordScan& scan,
                         DeliveryProbe& probe, const crypto::Sealer* sealer)
    : max_age_(max_age),
      pool_(pool),
      committer_(committer),
      gates_(gates),
      writer_(writer),
      scan_(scan),
      probe_(probe),
      sealer_(sealer) {}

Result<RecordSweep::Counts> RecordSweep::RunOnce(const std::vector<int>& shards, const ChannelTable& channels,
                                                 const PausedNames& paused) {
  Counts counts;
  if (auto done = RecoverLeases(channels, counts); !done) return std::unexpected(done.error());
  if (auto done = ReleaseKnownChannels(channels, counts); !done) return std::unexpected(done.error());
  if (shards.empty()) return counts;
  if (auto done = WalkParked(shards, channels, counts); !done) return std::unexpected(done.error());
  // At once when a pause has ended; and now and then, for what was parked by a process that hadn't heard of it.
  if (paused.tenants != paused_tenants_ || turns_ % kTurnsBetweenLooksForUnknown == 0) {
    auto all = ReleaseTenants(shards, channels, paused, counts);
    if (!all) return std::unexpected(all.error());
    if (*all) paused_tenants_ = paused.tenants;
  }
  if (auto done = TendHeldChannels(shards, channels, paused, counts); !done) return std::unexpected(done.error());
  if (turns_++ % kTurnsBetweenLooksForUnknown == 0) {
    if (auto done = ReleaseBlockedKeys(channels); !done) return std::unexpected(done.error());
    if (auto done = ParkUnknownChannels(shards, channels); !done) return std::unexpected(done.error());
  }
  return counts;
}

Result<std::size_t> RecordSweep::Commit(const std::vector<Change>& changes, Counts& counts) {
  if (changes.empty()) return 0;
  auto committed = committer_.Commit(changes);
  // After a commit whose answer was lost the next turn reads what became of them.
  if (!committed) return std::unexpected(committed.error());
  counts.ended += static_cast<std::size_t>(
      std::ranges::count_if(changes, [](const Change& change) { return change.what == kRecordEnded; }));
  for (const std::string& channel : committed->channels) scan_.Wake(channel);
  for (const Change& change : changes) {
    if (change.due_in) scan_.Wake(change.channel);
  }
  return committed->changed;
}

Result<void> RecordSweep::RecoverLeases(const ChannelTable& channels, Counts& counts) {
  for (std::size_t i = 0; i < kMostPages; ++i) {
    std::vector<Record> records;
    {
      auto connection = pool_.Acquire();
      if (!connection) return std::unexpected(connection.error());
      auto found = store_.FindExpiredLeases(**connection, kPage);
      if (!found) return std::unexpected(found.error());
      records = std::move(*found);
    }
    std::vector<Change> changes;
    for (const Record& record : records) {
      // The answer is known here and only waits for the database: better than a guess.
      if (writer_.Holds(record.id)) continue;
      changes.push_back(Recover(record, RulesOf(record, channels, max_age_), RandomShare()));
    }
    auto recovered = Commit(changes, counts);
    if (!recovered) return std::unexpected(recovered.error());
    counts.recovered += *recovered;
    probe_.LeasesExpired(*recovered);
    if (records.size() < kPage) break;
  }
  return {};
}

Result<void> RecordSweep::ReleaseKnownChannels(const ChannelTable& channels, Counts& counts) {
  std::set<std::string, std::less<>> known;
  for (const auto& [code, channel] : channels) {
    known.insert(code);
    if (!known_.contains(code)) to_release_.insert(code);
  }
  known_ = std::move(known);
  for (std::size_t i = 0; i < kMostPages && !to_release_.empty(); ++i) {
    const std::string channel = *to_release_.begin();
    std::vector<Record> records;
    if (known_.contains(channel)) {
      auto connection = pool_.Acquire();
      if (!connection) return std::unexpected(connection.error());
      auto found = store_.FindParkedForChannel(**connection, channel, kPage);
      if (!found) return std::unexpected(found.error());
      records = std::move(*found);
    }
    std::vector<Change> changes;
    for (const Record& record : records) {
      changes.push_back(EndUnsent(record, RulesOf(record, channels, max_age_)).value_or(Release(record)));
    }
    if (auto done = Commit(changes, counts); !done) return std::unexpected(done.error());
    if (records.size() < kPage) to_release_.erase(channel);
  }
  return {};
}

Result<void> RecordSweep::WalkParked(const std::vector<int>& shards, const ChannelTable& channels, Counts& counts) {
  std::vector<Record> records;
  std::vector<std::string> keys;
  std::vector<std::int64_t> heads;
  std::map<std::string, std::int64_t> blockers;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto found = store_.FindParked(**connection, place_, kPage);
    if (!found) return std::unexpected(found.error());
    records = std::move(*found);
    if (records.empty()) {
      place_ = {};
      return {};
    }
    place_ = {records.back().parked_by, records.back().channel, records.back().id};
    std::erase_if(records,
                  [&](const Record& record) { return std::ranges::find(shards, record.shard) == shards.end(); });
    for (const Record& record : records) {
      if (IsParkedByKey(record)) keys.push_back(record.ordering_hash);
    }
    std::ranges::sort(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    auto looked_up = ordering_.FindHeads(**connection, keys);
    if (!looked_up) return std::unexpected(looked_up.error());
    heads = std::move(*looked_up);
    auto held = ordering_.FindBlockers(**connection, keys);
    if (!held) return std::unexpected(held.error());
    blockers = std::move(*held);
  }
  std::vector<Change> changes;
  for (const Record& record : records) {
    if (auto end = EndUnsent(record, RulesOf(record, channels, max_age_))) {
      changes.push_back(std::move(*end));
    } else if (IsParkedByKey(record)) {
      const auto key = std::ranges::lower_bound(keys, record.ordering_hash);
      const auto channel = channels.find(record.channel);
      const auto blocker = blockers.find(record.ordering_hash);
      const bool held = channel != channels.end() && channel->second->ordering == providers::OnDeadHead::kBlock &&
                        blocker != blockers.end() && blocker->second < record.id;
      if (heads[static_cast<std::size_t>(key - keys.begin())] == record.id && !held) changes.push_back(Release(record));
    } else if (record.parked_by.starts_with(kParkedByPausedTenant)) {
      continue;
    } else if ((record.parked_by == kParkedByUnknownChannel && channels.contains(record.channel)) ||
               IsKeyThere(record.parked_by, sealer_)) {
      changes.push_back(Release(record));
    } else if (record.held_for.value_or(record.unchanged_for) >= max_age_) {
      changes.push_back(EndAsHeldTooLong(record));
    }
  }
  auto done = Commit(changes, counts);
  if (!done) return std::unexpected(done.error());
  return {};
}

// What was parked because its tenant was paused goes on once it isn't; others' shards are theirs to release. False:
// there is more.
Result<bool> RecordSweep::ReleaseTenants(const std::vector<int>& shards, const ChannelTable& channels,
                                         const PausedNames& paused, Counts& counts) {
  std::set<std::string> still_paused;
  for (const std::string& tenant : paused.tenants) still_paused.insert(ParkedByPause(tenant));
  std::string parked_by(kParkedByPausedTenant);
  while (true) {
    RecordStore::ParkedPlace place;
    {
      auto connection = pool_.Acquire();
      if (!connection) return std::unexpected(connection.error());
      auto next = store_.NextParkedBy(**connection, parked_by);
      if (!next) return std::unexpected(next.error());
      parked_by = std::move(*next);
    }
    if (!parked_by.starts_with(kParkedByPausedTenant)) return true;
    if (still_paused.contains(parked_by)) continue;
    place.parked_by = parked_by;
    for (std::size_t i = 0; i < kMostPages; ++i) {
      std::vector<Record> records;
      {
        auto connection = pool_.Acquire();
        if (!connection) return std::unexpected(connection.error());
        auto found = store_.FindParked(**connection, place, kPage);
        if (!found) return std::unexpected(found.error());
        records = std::move(*found);
      }
      std::vector<Change> changes;
      bool full = records.size() == kPage;
      for (const Record& record : records) {
        if (record.parked_by != parked_by) {
          full = false;
          break;
        }
        place = {record.parked_by, record.channel, record.id};
        if (std::ranges::find(shards, record.shard) == shards.end()) continue;
        changes.push_back(EndUnsent(record, RulesOf(record, channels, max_age_)).value_or(Release(record)));
      }
      if (auto done = Commit(changes, counts); !done) return std::unexpected(done.error());
      if (!full) break;
      if (i + 1 == kMostPages) return false;
    }
  }
}

// The first records of a channel that have been due for `due_for`, or longer.
Result<std::vector<Record>> RecordSweep::Waiting(const std::vector<int>& shards, std::string_view channel,
                                                 microseconds due_for) {
  std::vector<RecordStore::DueQuery> queries;
  for (const int shard : shards) {
    for (int priority = 0; priority < static_cast<int>(PriorityTurns::kPriorities); ++priority) {
      queries.push_back({shard, channel, priority, kRowsOfAChannel});
    }
  }
  auto connection = pool_.Acquire();
  if (!connection) return std::unexpected(connection.error());
  auto due = store_.FindDue(**connection, queries, -due_for);
  if (!due) return std::unexpected(due.error());
  std::vector<std::int64_t> ids;
  for (const RecordStore::DueRow& row : *due) ids.push_back(row.id);
  if (ids.empty()) return std::vector<Record>{};
  return store_.ReadWaiting(**connection, ids);
}

Result<void> RecordSweep::TendHeldChannels(const std::vector<int>& shards, const ChannelTable& channels,
                                           const PausedNames& paused, Counts& counts) {
  for (const auto& [code, channel] : channels) {
    // A pause is a person's wish: it makes nothing too old but what expires by itself.
    const bool is_paused = paused.channels.contains(code);
    if (!is_paused && !gates_.IsHeld(code)) continue;
    std::set<std::int64_t> too_long;
    if (!is_paused) {
      auto old = Waiting(shards, code, max_age_);
      if (!old) return std::unexpected(old.error());
      for (const Record& record : *old) too_long.insert(record.id);
    }
    auto records = Waiting(shards, code, microseconds{0});
    if (!records) return std::unexpected(records.error());
    std::vector<Change> changes;
    for (const Record& record : *records) {
      if (auto end = EndUnsent(record, SettleRules(*channel, max_age_))) {
        changes.push_back(std::move(*end));
      } else if (!is_paused && (too_long.contains(record.id) || (record.held_for && *record.held_for >= max_age_))) {
        changes.push_back(EndAsHeldTooLong(record));
      }
    }
    if (auto done = Commit(changes, counts); !done) return std::unexpected(done.error());
  }
  return {};
}

// Tells how many keys are held; those of channels whose policy isn't to block (any more) aren't.
Result<void> RecordSweep::ReleaseBlockedKeys(const ChannelTable& channels) {
  std::vector<std::string> blocked;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto found = ordering_.BlockedChannels(**connection);
    if (!found) return std::unexpected(found.error());
    blocked = std::move(*found);
    if (!blocked.empty()) {
      if (auto done = ordering_.ForgetRisen(**connection, kPage); !done) return done;
    }
    auto counted = ordering_.CountBlocked(**connection);
    if (!counted) return std::unexpected(counted.error());
    probe_.KeysBlocked(counted->records, counted->oldest);
  }
  for (const std::string& code : blocked) {
    const auto channel = channels.find(code);
    if (channel == channels.end() || channel->second->ordering == providers::OnDeadHead::kBlock) continue;
    for (std::size_t i = 0; i < kMostPages; ++i) {
      std::size_t released = 0;
      auto done = pool_.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
        auto keys = ordering_.UnblockChannel(connection, code, kPage);
        if (!keys) return std::unexpected(keys.error());
        released = keys->size();
        return ordering_.WakeNext(connection, *keys, false);
      });
      if (!done) return done;
      if (released == 0) break;
      scan_.Wake(code);
    }
  }
  return {};
}

Result<void> RecordSweep::ParkUnknownChannels(const std::vector<int>& shards, const ChannelTable& channels) {
  std::set<std::string> unknown;
  for (const int shard : shards) {
    std::string channel;
    while (true) {
      auto connection = pool_.Acquire();
      if (!connection) return std::unexpected(connection.error());
      auto next = store_.NextChannel(**connection, shard, channel);
      if (!next) return std::unexpected(next.error());
      if (next->empty()) break;
      channel = std::move(*next);
      if (!channels.contains(channel)) unknown.insert(channel);
    }
  }
  for (const std::string& channel : unknown) {
    for (std::size_t i = 0; i < kMostPages; ++i) {
      auto records = Waiting(shards, channel, microseconds{0});
      if (!records) return std::unexpected(records.error());
      if (records->empty()) break;
      std::vector<Change> changes;
      for (const Record& record : *records) {
        Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
        change.parked_by = kParkedByUnknownChannel;
        change.held = Change::Held::kYes;
        changes.push_back(std::move(change));
      }
      Counts counts;
      if (auto done = Commit(changes, counts); !done) return std::unexpected(done.error());
    }
  }
  return {};
}

}  // namespace outrider::consumer
