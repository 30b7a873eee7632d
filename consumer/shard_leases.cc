#include "consumer/shard_leases.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;

// The whole table: a row for each partition there ever was.
constexpr std::string_view kRead =
    "SELECT shard, topic, partition_no, owner, epoch, TIMESTAMPDIFF(MICROSECOND, NOW(6), lease_until) "
    "FROM consumer_shards";
// shards_by_partition (topic, partition_no). The row may be there by now; that is no news.
constexpr std::string_view kCreate =
    "INSERT INTO consumer_shards (topic, partition_no) VALUES (?, ?) "
    "ON DUPLICATE KEY UPDATE consumer_shards.topic = consumer_shards.topic";
// By primary key. Ingest locks these rows too, and a paused process may keep its lock: nobody is waited for. {0}:
// placeholders.
constexpr std::string_view kLock =
    "SELECT shard FROM consumer_shards FORCE INDEX (PRIMARY) WHERE shard IN ({0}) FOR UPDATE SKIP LOCKED";
// By primary key, like the two below.
constexpr std::string_view kTake =
    "UPDATE consumer_shards SET owner = ?, epoch = epoch + 1, lease_until = NOW(6) + INTERVAL ? MICROSECOND, "
    "updated_at = NOW(6) WHERE shard = ? AND epoch = ? AND (owner = ? OR owner = '' OR lease_until <= NOW(6))";
constexpr std::string_view kRenew =
    "UPDATE consumer_shards SET lease_until = NOW(6) + INTERVAL ? MICROSECOND WHERE shard = ? AND owner = ? AND "
    "epoch = ?";
constexpr std::string_view kRelease =
    "UPDATE consumer_shards SET owner = '', lease_until = NOW(6) WHERE shard = ? AND owner = ? AND epoch = ?";

constexpr std::size_t kMaxOwner = 128;

}  // namespace

ShardLeases::ShardLeases(std::string owner, std::chrono::milliseconds lease, mysql::MysqlPool& pool, const Clock& clock,
                         Log& log)
    : owner_(owner.substr(0, kMaxOwner)), lease_(lease), pool_(pool), clock_(clock), log_(log) {}

void ShardLeases::Assign(const std::vector<kafka::TopicPartition>& partitions) {
  const std::lock_guard lock(mutex_);
  wanted_.insert(partitions.begin(), partitions.end());
}

void ShardLeases::Revoke(const std::vector<kafka::TopicPartition>& partitions) {
  const std::lock_guard lock(mutex_);
  for (const kafka::TopicPartition& partition : partitions) wanted_.erase(partition);
}

std::set<kafka::TopicPartition> ShardLeases::wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_;
}

std::size_t ShardLeases::assigned() const {
  const std::lock_guard lock(mutex_);
  return wanted_.size();
}

std::vector<int> ShardLeases::Held() {
  const auto now = clock_.SteadyNow();
  std::erase_if(held_, [&](const auto& entry) { return entry.second.until <= now; });
  std::vector<int> shards;
  for (const auto& [shard, holding] : held_) shards.push_back(shard);
  return shards;
}

Result<std::vector<ShardLeases::Row>> ShardLeases::ReadRows(mysql::MysqlConnection& connection) const {
  auto found = connection.Execute(kRead);
  if (!found) return std::unexpected(found.error());
  std::vector<Row> rows;
  for (mysql::Row& row : found->rows) {
    rows.push_back({static_cast<int>(row.Int(0)),
                    {row.TakeText(1), static_cast<std::int32_t>(row.Int(2))},
                    row.TakeText(3),
                    row.Unsigned(4),
                    microseconds(row.Int(5))});
  }
  return rows;
}

Result<void> ShardLeases::CreateMissing(mysql::MysqlConnection& connection,
                                        const std::set<kafka::TopicPartition>& wanted, std::vector<Row>& rows) const {
  std::set<kafka::TopicPartition> missing = wanted;
  for (const Row& row : rows) missing.erase(row.partition);
  if (missing.empty()) return {};
  for (const kafka::TopicPartition& partition : missing) {
    auto created = connection.Execute(kCreate, {std::string_view(partition.topic), std::int64_t{partition.partition}});
    if (!created) return std::unexpected(created.error());
  }
  auto again = ReadRows(connection);
  if (!again) return std::unexpected(again.error());
  rows = std::move(*again);
  return {};
}

Result<void> ShardLeases::Tend() {
  const auto now = clock_.SteadyNow();
  const std::set<kafka::TopicPartition> wanted = this->wanted();
  std::vector<Row> rows;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto read = ReadRows(**connection);
    if (!read) return std::unexpected(read.error());
    rows = std::move(*read);
    if (auto created = CreateMissing(**connection, wanted, rows); !created) return created;
  }

  enum class Step { kNone, kTake, kAdopt, kRenew, kRelease };
  std::map<int, std::pair<Step, Row>> plan;
  for (Row& row : rows) {
    const auto holding = held_.find(row.shard);
    const bool mine = holding != held_.end() && row.owner == owner_ && row.epoch == holding->second.epoch;
    const bool assigned = wanted.contains(row.partition);
    Step step = Step::kNone;
    if (mine) {
      if (assigned) {
        const bool soon = holding->second.until - now < lease_ * 2 / 3;
        step = soon || holding->second.adopted ? Step::kRenew : Step::kNone;
      } else if (!holding->second.adopted) {
        step = Step::kRelease;
      }
    } else {
      if (holding != held_.end()) {
        log_.Warn("shard.lost",
                  {{"topic", row.partition.topic}, {"partition", row.partition.partition}, {"to", row.owner}});
        held_.erase(holding);
      }
      const bool free = row.owner.empty() || row.owner == owner_ || row.left.count() <= 0;
      if (assigned && free) {
        step = Step::kTake;
      } else if (!assigned && row.left <= -microseconds(lease_)) {
        step = Step::kAdopt;
      }
    }
    if (step == Step::kNone) continue;
    const int shard = row.shard;
    plan.emplace(shard, std::pair(step, std::move(row)));
  }
  if (plan.empty()) return {};

  std::map<int, Holding> held;
  std::set<int> tended;
  auto done = pool_.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
    held.clear();
    tended.clear();
    std::vector<mysql::Param> shards;
    for (const auto& [shard, step] : plan) shards.emplace_back(std::int64_t{shard});
    shards.resize(std::bit_ceil(shards.size()), std::int64_t{0});
    auto locked = connection.Execute(fmt::format(kLock, mysql::Placeholders(shards.size())), shards);
    if (!locked) return std::unexpected(locked.error());
    for (const mysql::Row& row : locked->rows) {
      const int shard = static_cast<int>(row.Int(0));
      const auto& [step, was] = plan.at(shard);
      const std::int64_t id = shard;
      const std::int64_t lease = microseconds(lease_).count();
      const std::string_view owner = owner_;
      Result<mysql::Rows> changed;
      if (step == Step::kRenew) {
        changed = connection.Execute(kRenew, {lease, id, owner, was.epoch});
      } else if (step == Step::kRelease) {
        changed = connection.Execute(kRelease, {id, owner, was.epoch});
      } else {
        changed = connection.Execute(kTake, {owner, lease, id, was.epoch, owner});
      }
      if (!changed) return std::unexpected(changed.error());
      tended.insert(shard);
      if (changed->affected == 0 || step == Step::kRelease) continue;
      held[shard] = {step == Step::kRenew ? was.epoch : was.epoch + 1, now + lease_, step == Step::kAdopt};
    }
    return {};
  });
  if (!done) return done;
  for (const int shard : tended) {
    const auto& [step, row] = plan.at(shard);
    const auto taken = held.find(shard);
    if (taken == held.end()) {
      held_.erase(shard);
      continue;
    }
    held_[shard] = taken->second;
    if (step == Step::kRenew) continue;
    log_.Info(step == Step::kAdopt ? "shard.adopted" : "shard.taken",
              {{"topic", row.partition.topic}, {"partition", row.partition.partition}, {"epoch", taken->second.epoch}});
  }
  return {};
}

Result<void> ShardLeases::GiveBack() {
  auto connection = pool_.Acquire();
  if (!connection) return std::unexpected(connection.error());
  for (const auto& [shard, holding] : std::exchange(held_, {})) {
    auto released = (*connection)->Execute(kRelease, {std::int64_t{shard}, std::string_view(owner_), holding.epoch});
    if (!released) return std::unexpected(released.error());
  }
  return {};
}

}  // namespace outrider::consumer
