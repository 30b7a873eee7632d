// The second half of RecordScan: from what may be sent now to what is on its way.
#include <algorithm>
#include <utility>

#include "consumer/record_scan.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;

constexpr int kTriesOfAClaim = 4;

}  // namespace

// The claim's commit may or may not have happened: given back either way, once the database tells.
void RecordScan::Return(const Candidate& candidate, std::string_view token) {
  Record record = candidate.record;
  record.status = DeliveryStatus::kSending;
  ++record.version;
  writer_.Add(GiveClaimBack(record, token));
}

struct RecordScan::Claiming {
  Quotas::Decision quotas;
  std::vector<RecordStore::ClaimKey> keys;
  std::size_t won = 0;
};

Result<void> RecordScan::ClaimIn(mysql::MysqlConnection& connection, const std::vector<Candidate>& candidates,
                                 std::string_view token, Claiming& claiming) {
  claiming = {};
  if (options_.quotas != nullptr) {
    std::vector<Quotas::Applicant> applicants;
    for (const Candidate& candidate : candidates) {
      if (!candidate.known) applicants.push_back({&candidate.record, candidate.channel->provider});
    }
    auto decided = options_.quotas->Admit(connection, applicants);
    if (!decided) return std::unexpected(decided.error());
    claiming.quotas = std::move(*decided);
  }
  std::vector<std::int64_t> ordered;
  for (const Candidate& candidate : candidates) {
    if (claiming.quotas.refused.contains(candidate.record.id)) continue;
    claiming.keys.push_back({candidate.record.id, candidate.record.version, candidate.record.send_key});
    if (!candidate.record.ordering_hash.empty()) ordered.push_back(candidate.record.id);
  }
  if (claiming.keys.empty()) return {};
  auto changed = store_.Claim(connection, claiming.keys, token, options_.lease);
  if (!changed) return std::unexpected(changed.error());
  claiming.won = *changed;
  if (!ordered.empty()) {
    if (auto off = ordering_.TakeOff(connection, ordered, token); !off) return off;
  }
  if (!claiming.quotas.counts.empty()) {
    auto claimed = store_.FindClaimed(connection, claiming.keys, token);
    if (!claimed) return std::unexpected(claimed.error());
    if (auto done = Quotas::Count(connection, claiming.quotas, {claimed->begin(), claimed->end()}); !done) return done;
  }
  if (auto failure = PassFailpoint(Failpoint::kClaimBeforeCommit)) return std::unexpected(*failure);
  return {};
}

Result<void> RecordScan::EndRefused(const Claiming& claiming, std::vector<Candidate>& candidates, Counts& counts) {
  if (options_.quotas != nullptr) options_.quotas->Tell(claiming.quotas);
  std::vector<Change> changes;
  std::erase_if(candidates, [&](const Candidate& candidate) {
    if (!claiming.quotas.refused.contains(candidate.record.id)) return false;
    Change& change = changes.emplace_back(MakeChange(candidate.record, DeliveryEvent::kQuotaUsedUp, kRecordEnded));
    change.reason = kQuotaReason;
    return true;
  });
  if (changes.empty()) return {};
  auto committed = committer_.Commit(changes);
  if (!committed) return std::unexpected(committed.error());
  counts.ended += committed->changed;
  for (const std::string& channel : committed->channels) Wake(channel);
  return {};
}

Result<void> RecordScan::Claim(std::vector<Candidate> candidates, Counts& counts) {
  const std::string token = tokens_.Next();
  std::ranges::sort(candidates, {}, [](const Candidate& candidate) { return candidate.record.id; });
  Claiming claiming;
  Time claimed_at{};
  Result<void> done;
  for (int i = 0; i < kTriesOfAClaim; ++i) {
    if (candidates.empty()) return {};
    claimed_at = clock_.SteadyNow();
    done = pool_.InTransaction(
        [&](mysql::MysqlConnection& connection) { return ClaimIn(connection, candidates, token, claiming); });
    if (done || done.error().native_code != OrderingStore::kKeyInFlight) break;
    auto left = order_.LookAtFlights(Keyed(candidates));
    if (!left) return std::unexpected(left.error());
    Leave(*left, candidates);
  }
  const std::vector<RecordStore::ClaimKey>& keys = claiming.keys;
  std::set<std::int64_t> mine;
  if (done && claiming.won == keys.size()) {
    for (const RecordStore::ClaimKey& key : keys) mine.insert(key.id);
  } else if ((done && claiming.won > 0) || (!done && done.error().code == ErrorCode::kUnknown)) {
    auto connection = pool_.Acquire();
    auto found = connection ? store_.FindClaimed(**connection, keys, token)
                            : Result<std::vector<std::int64_t>>(std::unexpected(connection.error()));
    if (!found) {
      for (const Candidate& candidate : candidates) Return(candidate, token);
      return std::unexpected(found.error());
    }
    mine.insert(found->begin(), found->end());
  } else if (!done) {
    return std::unexpected(done.error());
  }
  (void)PassFailpoint(Failpoint::kClaimAfterCommit);
  // What was claimed is sent before an error in ending the others is told.
  const Result<void> ended = EndRefused(claiming, candidates, counts);

  std::vector<Claimed> started;
  for (Candidate& candidate : candidates) {
    if (!mine.contains(candidate.record.id)) {
      probe_.ClaimConflicts(1);
      continue;
    }
    Record& record = candidate.record;
    probe_.Transitioned(record.status, DeliveryStatus::kSending, 1);
    record.status = DeliveryStatus::kSending;
    ++record.version;
    ++record.attempt_no;
    ++record.attempts_spent;
    if (!record.send_key.empty() && !record.send_key_age) record.send_key_age = microseconds{0};
    gates_.Started(record.channel, candidate.probe);
    started.push_back({std::move(record), std::move(candidate.channel), std::move(candidate.notification),
                       std::move(candidate.known), std::move(candidate.place), candidate.probe, candidate.suspect,
                       claimed_at});
  }
  counts.claimed += started.size();
  for (Claimed& claimed : started) runner_.Start(std::move(claimed), writer_);
  return ended;
}

}  // namespace outrider::consumer
