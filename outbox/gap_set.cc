#include "outbox/gap_set.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace outrider::outbox {
namespace {

// How many distances make a rule. A wrong rule costs a second of delay (the scan finds the row), not the row.
constexpr std::size_t kEnoughDistances = 64;

auto LowerBound(std::vector<GapSet::Gap>& gaps, std::uint64_t seq) {
  return std::lower_bound(gaps.begin(), gaps.end(), seq,
                          [](const GapSet::Gap& gap, std::uint64_t number) { return gap.last < number; });
}

}  // namespace

void GapSet::Learn(std::uint64_t distance) {
  stride_ = std::gcd(stride_, distance);
  if (distances_ < kEnoughDistances) ++distances_;
}

void GapSet::Saw(std::uint64_t place, bool place_is_row, std::span<const std::uint64_t> seqs, Time now) {
  std::uint64_t before = place;
  bool is_row = place_is_row;
  for (const std::uint64_t seq : seqs) {
    if (is_row) Learn(seq - before);
    const bool by_rule = is_row && distances_ >= kEnoughDistances && seq - before == stride_;
    if (seq - before > 1 && !by_rule) gaps_.push_back({before + 1, seq - 1, now});
    before = seq;
    is_row = true;
  }
  if (gaps_.size() > kMaxGaps) GrowTogether();
}

void GapSet::Add(std::uint64_t seq, Time now) {
  const auto at = LowerBound(gaps_, seq);
  if (at != gaps_.end() && at->first <= seq) return;
  if (at != gaps_.begin() && std::prev(at)->last + 1 == seq) {
    std::prev(at)->last = seq;
    return;
  }
  gaps_.insert(at, {seq, seq, now});
  if (gaps_.size() > kMaxGaps) GrowTogether();
}

void GapSet::Remove(std::uint64_t seq) {
  const auto at = LowerBound(gaps_, seq);
  if (at == gaps_.end() || at->first > seq) return;
  if (at->first == at->last) {
    gaps_.erase(at);
  } else if (at->first == seq) {
    ++at->first;
  } else if (at->last == seq) {
    --at->last;
  } else if (gaps_.size() < kMaxGaps) {
    const Gap below{at->first, seq - 1, at->since};
    at->first = seq + 1;
    gaps_.insert(at, below);
  }
}

void GapSet::Forget(const Gap& gap) { std::erase(gaps_, gap); }

void GapSet::CutAbove(std::uint64_t place) {
  std::erase_if(gaps_, [&](const Gap& gap) { return gap.first > place; });
  if (!gaps_.empty()) gaps_.back().last = std::min(gaps_.back().last, place);
}

void GapSet::Clear() {
  gaps_.clear();
  stride_ = 0;
  distances_ = 0;
}

bool GapSet::Contains(std::uint64_t seq) const {
  const auto at = std::lower_bound(gaps_.begin(), gaps_.end(), seq,
                                   [](const Gap& gap, std::uint64_t number) { return gap.last < number; });
  return at != gaps_.end() && at->first <= seq;
}

// Down to half, the nearest neighbours first: what lies between them is read with them.
void GapSet::GrowTogether() {
  std::vector<std::uint64_t> between;
  for (std::size_t i = 1; i < gaps_.size(); ++i) between.push_back(gaps_[i].first - gaps_[i - 1].last);
  const std::size_t merges = gaps_.size() - kMaxGaps / 2;
  std::nth_element(between.begin(), between.begin() + static_cast<std::ptrdiff_t>(merges - 1), between.end());
  const std::uint64_t nearest = between[merges - 1];
  std::vector<Gap> grown;
  for (const Gap& gap : gaps_) {
    if (!grown.empty() && gap.first - grown.back().last <= nearest) {
      grown.back().last = gap.last;
      grown.back().since = std::max(grown.back().since, gap.since);
    } else {
      grown.push_back(gap);
    }
  }
  gaps_ = std::move(grown);
}

}  // namespace outrider::outbox
