#include "outbox/publication.h"

#include <algorithm>

#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {

// Of a batch the rows before the first suspect, or a suspect by itself; and none whose number is another one's that is
// under way, which only a table made anew can bring about.
std::optional<std::uint64_t> Publication::PutAside(std::size_t count) {
  const auto begin = batch_.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  count_ = count;
  std::optional<std::uint64_t> again;
  if (!suspects_.empty()) {
    const auto suspect = std::find_if(begin, end, [this](const OutboxRow& row) { return suspects_.contains(row.seq); });
    const auto before = static_cast<std::size_t>(suspect - begin);
    const std::size_t taken = before == 0 && waiting_ == 0 ? 1 : before;
    if (before < count && taken < count) again = batch_[taken].seq;
    if (before < count) {
      count_ = taken;
      wants_quiet_ = true;
    }
  }
  if (released_.empty() && (count == 0 || batch_.front().held_id == 0)) return again;
  const auto known = std::find_if(begin, begin + static_cast<std::ptrdiff_t>(count_), [this](const OutboxRow& row) {
    return released_.contains(row.seq) || (row.held_id != 0 && under_way_.contains(row.seq));
  });
  if (known != begin + static_cast<std::ptrdiff_t>(count_)) {
    count_ = static_cast<std::size_t>(known - begin);
    again = known->seq;
    wants_quiet_ = true;
  }
  return again;
}

std::optional<std::uint64_t> Publication::Accept(std::size_t count, HeldKeys held) {
  // Those that were settled before this batch was read are among `held`.
  std::erase_if(holding_, [](const auto& holding) { return holding.second.settled; });
  held_ = std::move(held);
  next_ = 0;
  const auto again = PutAside(count);
  for (std::size_t i = 0; i < count_; ++i) {
    const OutboxRow& row = batch_[i];
    if (row.held_id != 0) {
      released_.insert_or_assign(row.seq, ReleasedUnderWay{row.held_id, row.created_at});
    } else {
      under_way_.insert_or_assign(row.seq, row.created_at);
    }
  }
  return again;
}

// Rows before the one that holds their key go on: they come before it in its order.
std::optional<KeyNumber> Publication::HeldKeyOf(const OutboxRow& row) const {
  if (held_.empty() && holding_.empty()) return std::nullopt;
  const KeyNumber key = NumberOfKey(row.aggregatetype, row.aggregateid);
  if (const auto own = holding_.find(key); own != holding_.end() && row.seq > own->second.above) return key;
  if (const auto held = held_.find(key); row.held_id == 0 && held != held_.end() && row.seq > held->second) return key;
  return std::nullopt;
}

void Publication::Submit() {
  while (next_ < count_ && !abandoned_at_) {
    const OutboxRow& row = batch_[next_];
    if (const auto key = HeldKeyOf(row)) {
      ++next_;
      suspects_.erase(row.seq);
      if (row.held_id != 0) {
        released_.erase(row.seq);
        continue;
      }
      BeginSettlement();
      settlement_.held.push_back({row.seq, *key});
      continue;
    }
    auto taken = sink_.Submit(row);
    if (!taken && taken.error().code != ErrorCode::kInvalid) return;
    ++next_;
    if (taken) {
      alone_.reset();
      if (waiting_ == 0) alone_.emplace(row.seq, row.held_id, row.aggregatetype, row.aggregateid);
      ++waiting_;
      PassFailpoint(Failpoint::kRelayAfterProduce);
    } else {
      const auto reason = static_cast<PoisonReason>(taken.error().native_code);
      Bury({row.seq, std::string(ToString(reason)), std::move(taken.error().message), row.held_id, std::nullopt,
            row.aggregatetype, row.aggregateid});
    }
  }
}

void Publication::Bury(DeadRow row) {
  probe_.PublishFailed("poison");
  if (on_poison_ == OnPoison::kBlock) {
    row.holds = NumberOfKey(row.aggregatetype, row.aggregateid);
    const auto own = holding_.try_emplace(*row.holds, Holding{row.seq, false}).first;
    own->second = {std::min(own->second.above, row.seq), false};
  }
  BeginSettlement();
  settlement_.dead.push_back(std::move(row));
}

void Publication::BeginSettlement() {
  if (settlement_.empty()) settles_since_ = clock_.SteadyNow();
}

bool Publication::Poll(std::chrono::milliseconds wait) {
  reports_.clear();
  sink_.Poll(wait, reports_);
  for (PublishReport& report : reports_) Take(report);
  if (waiting_ == 0 && all_submitted()) wants_quiet_ = false;
  return !reports_.empty();
}

void Publication::Abandon(std::string problem) {
  if (problem_.empty()) problem_ = std::move(problem);
  if (abandoned_at_) return;
  abandoned_at_ = clock_.SteadyNow();
  DropUnsubmitted();
  sink_.Abandon();
}

void Publication::DropUnsubmitted() {
  for (; next_ < count_; ++next_) Lose(batch_[next_].seq);
}

void Publication::Lose(std::uint64_t seq) {
  if (released_.erase(seq) > 0) {
    lost_released_ = true;
    return;
  }
  under_way_.erase(seq);
  lost_ = std::min(lost_.value_or(seq), seq);
}

void Publication::Take(PublishReport& report) {
  if (!released_.contains(report.seq) && !under_way_.contains(report.seq)) return;
  --waiting_;
  switch (report.kind) {
    case PublishReport::Kind::kStored:
      Store(report);
      return;
    case PublishReport::Kind::kPoison:
      if (alone_ && alone_->seq == report.seq) {
        suspects_.erase(report.seq);
        Bury({alone_->seq, std::string(ToString(PoisonReason::kRefusedByBroker)), std::move(report.problem),
              alone_->held_id, std::nullopt, alone_->aggregatetype, alone_->aggregateid});
        return;
      }
      suspects_.insert(report.seq);
      Lose(report.seq);
      Abandon("a row was refused in the company of others, so it goes again alone: " + report.problem);
      return;
    case PublishReport::Kind::kNotStored:
      probe_.PublishFailed(abandoned_at_ ? "abandoned" : "unavailable");
      Lose(report.seq);
      Abandon(report.problem.empty() ? "a row was not stored" : report.problem);
      return;
  }
}

void Publication::Store(const PublishReport& report) {
  BeginSettlement();
  if (!suspects_.empty()) suspects_.erase(report.seq);
  ++stored_;
  Timestamp created_at{};
  if (const auto released = released_.find(report.seq); released != released_.end()) {
    settlement_.released.push_back({released->second.id, report.seq});
    created_at = released->second.created_at;
  } else {
    settlement_.stored.push_back(report.seq);
    created_at = under_way_.at(report.seq);
  }
  probe_.InsertToPublish(clock_.Now() - created_at);
  LedgerEntry& entry = ledger_[{report.topic, report.partition}];
  entry.highest_offset = entry.rows == 0 ? report.offset : std::max(entry.highest_offset, report.offset);
  ++entry.rows;
}

Settlement Publication::TakeSettlement() {
  for (auto& [place, entry] : ledger_) {
    entry.topic = place.first;
    entry.partition = place.second;
    probe_.Published(entry.topic, entry.rows);
    settlement_.ledger.push_back(std::move(entry));
  }
  ledger_.clear();
  return std::exchange(settlement_, {});
}

void Publication::Settled(const Settlement& settlement) {
  for (const std::uint64_t seq : settlement.stored) under_way_.erase(seq);
  for (const ReleasedRow& row : settlement.released) released_.erase(row.seq);
  for (const HeldRow& row : settlement.held) under_way_.erase(row.seq);
  for (const DeadRow& row : settlement.dead) {
    if (row.held_id != 0) {
      released_.erase(row.seq);
    } else {
      under_way_.erase(row.seq);
    }
    if (const auto own = row.holds ? holding_.find(*row.holds) : holding_.end(); own != holding_.end()) {
      own->second.settled = true;
    }
  }
}

void Publication::Begin() {
  stored_ = 0;
  waiting_ = 0;
  wants_quiet_ = false;
  abandoned_at_.reset();
  problem_.clear();
}

void Publication::Clear() {
  DropUnsubmitted();
  (void)TakeSettlement();
  under_way_.clear();
  released_.clear();
  suspects_.clear();
  held_.clear();
  holding_.clear();
  lost_.reset();
  lost_released_ = false;
}

}  // namespace outrider::outbox
