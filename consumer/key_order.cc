#include "consumer/key_order.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace outrider::consumer {
namespace {

void SortUnique(std::vector<std::string>& keys) {
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

}  // namespace

void KeyOrder::Followers::Add(const Record& record, std::int64_t head, std::string_view parked_by) {
  Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
  change.parked_by = parked_by;
  changes.push_back(std::move(change));
  heads.push_back(head);
}

Result<KeyOrder::Left> KeyOrder::LookAtKeys(std::span<const Waiting> waiting) {
  std::vector<std::string> keys;
  std::vector<std::string> holdable;
  for (const Waiting& one : waiting) {
    keys.push_back(one.record->ordering_hash);
    if (one.may_be_held) holdable.push_back(one.record->ordering_hash);
  }
  if (keys.empty()) return Left{};
  SortUnique(keys);
  SortUnique(holdable);
  std::map<std::string, std::int64_t> head_of;
  std::map<std::string, std::int64_t> blockers;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto heads = ordering_.FindHeads(**connection, keys);
    if (!heads) return std::unexpected(heads.error());
    for (std::size_t i = 0; i < keys.size(); ++i) head_of[keys[i]] = (*heads)[i];
    // After the heads: who finds a dead record's follower at the head finds the dead one's block too.
    auto found = ordering_.FindBlockers(**connection, holdable);
    if (!found) return std::unexpected(found.error());
    blockers = std::move(*found);
  }
  Followers followers;
  std::set<std::int64_t> left;
  for (const Waiting& one : waiting) {
    const Record& record = *one.record;
    const std::int64_t head = head_of[record.ordering_hash];
    const auto blocker = blockers.find(record.ordering_hash);
    if (head != record.id) {
      left.insert(record.id);
      if (head != 0) followers.Add(record, head, kParkedByOrderingKey);
    } else if (blocker != blockers.end() && blocker->second < record.id) {
      left.insert(record.id);
      followers.Add(record, blocker->second, kParkedByBlockedKey);
    }
  }
  return Park(followers, std::move(left));
}

Result<KeyOrder::Left> KeyOrder::LookAtFlights(std::span<const Waiting> waiting) {
  std::vector<std::string> keys;
  for (const Waiting& one : waiting) keys.push_back(one.record->ordering_hash);
  std::map<std::string, OrderingStore::Flight> flights;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto found = ordering_.FindFlights(**connection, keys);
    if (!found) return std::unexpected(found.error());
    flights = std::move(*found);
    if (std::ranges::any_of(flights, [](const auto& flight) { return flight.second.lost; })) {
      if (auto done = ordering_.ForgetLost(**connection, keys); !done) return std::unexpected(done.error());
    }
  }
  Followers followers;
  std::set<std::int64_t> left;
  for (const Waiting& one : waiting) {
    const auto flight = flights.find(one.record->ordering_hash);
    if (flight == flights.end() || flight->second.lost) continue;
    left.insert(one.record->id);
    followers.Add(*one.record, flight->second.record_id, kParkedByOrderingKey);
  }
  return Park(followers, std::move(left));
}

Result<KeyOrder::Left> KeyOrder::Park(const Followers& followers, std::set<std::int64_t> left) {
  std::size_t parked = 0;
  if (!followers.changes.empty()) {
    auto committed = committer_.ParkBehind(followers.changes, followers.heads);
    if (!committed) return std::unexpected(committed.error());
    parked = committed->changed;
  }
  const bool undecided = parked < left.size();
  return Left{std::move(left), undecided};
}

}  // namespace outrider::consumer
