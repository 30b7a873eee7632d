#include "consumer/change_committer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "platform/failpoint/failpoint.h"

namespace outrider::consumer {
namespace {

// Compare, write, and find somebody else in between: more often than this isn't believable.
constexpr int kTries = 4;

Error SomebodyElse() { return {ErrorCode::kConflict, "a record was changed by somebody else meanwhile"}; }

std::vector<std::int64_t> Found(std::vector<std::int64_t> heads) {
  std::erase(heads, 0);
  std::ranges::sort(heads);
  heads.erase(std::unique(heads.begin(), heads.end()), heads.end());
  return heads;
}

}  // namespace

Result<ChangeCommitter::Committed> ChangeCommitter::Commit(std::span<const Change> changes, bool doubtful) {
  Committed committed;
  std::vector<Change> rest;
  std::vector<const Change*> done;
  std::vector<const Change*> too_late;
  std::span<const Change> todo = changes;
  for (int i = 0;; ++i) {
    if (doubtful || i > 0) {
      auto connection = pool_.Acquire();
      if (!connection) return std::unexpected(connection.error());
      auto standings = store_.Compare(**connection, changes);
      if (!standings) return std::unexpected(standings.error());
      rest.clear();
      done.clear();
      too_late.clear();
      for (std::size_t place = 0; place < changes.size(); ++place) {
        const RecordStore::Standing standing = (*standings)[place];
        if (standing == RecordStore::Standing::kAsRead) {
          rest.push_back(changes[place]);
        } else if (standing == RecordStore::Standing::kWritten && doubtful) {
          done.push_back(&changes[place]);
        } else {
          too_late.push_back(&changes[place]);
        }
      }
      todo = rest;
    }
    if (todo.empty()) break;
    auto written = Write(todo, {});
    if (written) {
      committed = std::move(*written);
      break;
    }
    if (written.error().code != ErrorCode::kConflict) return written;
    if (i == kTries) return Fail(ErrorCode::kUnavailable, written.error().message);
  }
  for (const Change& change : todo) Tell(change);
  for (const Change* change : done) Tell(*change);
  for (const Change* change : too_late) TellTooLate(*change);
  committed.changed = todo.size() + done.size();
  committed.too_late = too_late.size();
  return committed;
}

Result<ChangeCommitter::Committed> ChangeCommitter::ParkBehind(std::span<const Change> followers,
                                                               std::span<const std::int64_t> heads) {
  auto parked = Write(followers, heads);
  if (!parked && parked.error().code == ErrorCode::kConflict) return Committed{};
  return parked;
}

Result<ChangeCommitter::Committed> ChangeCommitter::Write(std::span<const Change> changes,
                                                          std::span<const std::int64_t> heads) {
  Committed committed;
  std::vector<Change> behind;
  auto done = pool_.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
    committed = {};
    behind.clear();
    std::span<const Change> todo = changes;
    if (!heads.empty()) {
      // While what holds the followers is locked nobody ends or frees it, so none of them is parked after it should
      // have been woken.
      std::vector<std::int64_t> unfinished;
      std::vector<std::int64_t> dead;
      for (std::size_t i = 0; i < changes.size(); ++i) {
        (changes[i].parked_by == kParkedByBlockedKey ? dead : unfinished).push_back(heads[i]);
      }
      std::set<std::int64_t> holding;
      if (!unfinished.empty()) {
        auto locked = ordering_.LockUnfinished(connection, Found(std::move(unfinished)));
        if (!locked) return std::unexpected(locked.error());
        holding.insert(locked->begin(), locked->end());
      }
      if (!dead.empty()) {
        auto locked = ordering_.LockBlockers(connection, Found(std::move(dead)));
        if (!locked) return std::unexpected(locked.error());
        holding.insert(locked->begin(), locked->end());
      }
      for (std::size_t i = 0; i < changes.size(); ++i) {
        if (holding.contains(heads[i])) behind.push_back(changes[i]);
      }
      todo = behind;
      if (todo.empty()) return {};
    }
    auto written = store_.Write(connection, todo);
    if (!written) return std::unexpected(written.error());
    if (*written != todo.size()) return std::unexpected(SomebodyElse());
    committed.changed = todo.size();

    auto channels = ordering_.Follow(connection, todo, blocks_);
    if (!channels) return std::unexpected(channels.error());
    committed.channels.assign(channels->begin(), channels->end());
    const bool outcomes = std::ranges::any_of(todo, [](const Change& change) { return change.attempt.has_value(); });
    if (outcomes) {
      if (auto failure = PassFailpoint(Failpoint::kSettleBeforeCommit)) return std::unexpected(*failure);
    }
    return {};
  });
  if (!done) return std::unexpected(done.error());
  (void)PassFailpoint(Failpoint::kSettleAfterCommit);
  for (const Change& change : behind) Tell(change);
  return committed;
}

void ChangeCommitter::Tell(const Change& change) {
  probe_.Transitioned(change.from, change.to, 1);
  if (change.attempt && change.attempt->verdict == kReconciledVerdict) probe_.Reconciled(change.attempt->reason);
  if (change.attempt) probe_.Attempted(change.attempt->provider, change.attempt->verdict, change.attempt->duration);
  if (change.to == DeliveryStatus::kDead) probe_.Died(change.reason);
  if (change.uncertain && !change.was_uncertain) probe_.BecameUncertain(1);
  if (!change.parked_by.empty()) probe_.Parked(1);
  if (change.to == DeliveryStatus::kSent && change.committed_at) {
    probe_.Delivered(change.provider, clock_.Now() - *change.committed_at);
  }
  const LogLevel level = change.to == DeliveryStatus::kDead || change.uncertain ? LogLevel::kWarn : LogLevel::kInfo;
  log_.Write(level, change.what,
             {{"channel", change.channel},
              {"dedupe_key", change.dedupe_key},
              {"status", ToString(change.to)},
              {"reason", change.reason},
              {"parked_by", change.parked_by},
              {"due_in_ms", change.due_in ? change.due_in->count() / 1000 : -1},
              {"uncertain", change.uncertain ? 1 : 0}});
}

void ChangeCommitter::TellTooLate(const Change& change) {
  if (change.from == DeliveryStatus::kSending && change.what == kRecordSettled) probe_.SettleConflicts(1);
  log_.Warn("record.too_late", {{"channel", change.channel},
                                {"dedupe_key", change.dedupe_key},
                                {"what", change.what},
                                {"status", ToString(change.to)},
                                {"reason", change.reason}});
}

}  // namespace outrider::consumer
