#include "outbox/publication.h"

#include <algorithm>

#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {

std::optional<std::uint64_t> Publication::Accept(std::size_t count) {
  next_ = 0;
  count_ = count;
  std::optional<std::uint64_t> again;
  if (!suspects_.empty()) {
    const auto begin = batch_.begin();
    const auto suspect = std::find_if(begin, begin + static_cast<std::ptrdiff_t>(count),
                                      [this](const OutboxRow& row) { return suspects_.contains(row.seq); });
    const auto before = static_cast<std::size_t>(suspect - begin);
    const std::size_t taken = before == 0 && waiting_ == 0 ? 1 : before;
    if (before < count && taken < count) again = batch_[taken].seq;
    if (before < count) {
      count_ = taken;
      wants_quiet_ = true;
    }
  }
  for (std::size_t i = 0; i < count_; ++i) under_way_.insert_or_assign(batch_[i].seq, batch_[i].created_at);
  return again;
}

void Publication::Submit() {
  while (next_ < count_ && !abandoned_at_) {
    const OutboxRow& row = batch_[next_];
    auto taken = sink_.Submit(row);
    if (!taken && taken.error().code != ErrorCode::kInvalid) return;
    ++next_;
    if (taken) {
      alone_ = waiting_ == 0 ? std::optional(row.seq) : std::nullopt;
      ++waiting_;
      PassFailpoint(Failpoint::kRelayAfterProduce);
    } else {
      probe_.PublishFailed("poison");
      if (settlement_.empty()) settles_since_ = clock_.SteadyNow();
      settlement_.dead.push_back({row.seq, "cannot_be_published", taken.error().message});
    }
  }
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
  under_way_.erase(seq);
  lost_ = std::min(lost_.value_or(seq), seq);
}

void Publication::Take(PublishReport& report) {
  const auto row = under_way_.find(report.seq);
  if (row == under_way_.end()) return;
  --waiting_;
  switch (report.kind) {
    case PublishReport::Kind::kStored:
      Store(report, row->second);
      return;
    case PublishReport::Kind::kPoison:
      if (alone_ == report.seq) {
        probe_.PublishFailed("poison");
        suspects_.erase(report.seq);
        if (settlement_.empty()) settles_since_ = clock_.SteadyNow();
        settlement_.dead.push_back({report.seq, "refused_by_broker", std::move(report.problem)});
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

void Publication::Store(const PublishReport& report, Timestamp created_at) {
  if (settlement_.empty()) settles_since_ = clock_.SteadyNow();
  if (!suspects_.empty()) suspects_.erase(report.seq);
  ++stored_;
  settlement_.stored.push_back(report.seq);
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
  for (const DeadRow& dead : settlement.dead) under_way_.erase(dead.seq);
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
  suspects_.clear();
  lost_.reset();
}

}  // namespace outrider::outbox
