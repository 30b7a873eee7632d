#include "outbox/outbox_reader.h"

#include <algorithm>
#include <utility>

namespace outrider::outbox {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Below the first row that a new leader sees, this many numbers count as a gap; the scan covers the rest. Those further
// away than the numbers that inserts may have been given and not yet written count only if somebody holds one.
constexpr std::uint64_t kBelowFirst = 10'000;
constexpr std::uint64_t kJustBelowFirst = 500;
// Gaps are looked at again this often when the tail brings nothing; a young one, whose transaction is about to commit,
// with each read.
constexpr milliseconds kGapPause{100};
constexpr milliseconds kYoung{500};
constexpr seconds kOld{10};
constexpr seconds kCloseInterval{1};
constexpr std::size_t kClosedAtOnce = 64;
constexpr seconds kScanInterval{1};
constexpr int kScanShare = 20;  // a scan's round rests this many times as long as it took
constexpr milliseconds kDearPiece{10};
constexpr milliseconds kCheapPiece{2};
constexpr int kPieceShare = 4;  // and a piece that isn't cheap this many times
constexpr std::uint64_t kSmallestSpan = 1'000;
constexpr std::uint64_t kLargestSpan = std::uint64_t{1} << 40;
constexpr std::size_t kScanRows = 1'000;  // beyond those under way

std::vector<OutboxStore::Range> RangesOf(const GapSet& gaps) {
  std::vector<OutboxStore::Range> ranges;
  for (const GapSet::Gap& gap : gaps.gaps()) ranges.push_back({gap.first, gap.last});
  return ranges;
}

}  // namespace

static_assert(GapSet::kMaxGaps <= OutboxStore::kMaxRanges);

void OutboxReader::Restart() {
  place_ = highest_ = 0;
  place_is_row_ = false;
  ended_ = false;
  gaps_.Clear();
  scan_at_ = 0;
  scan_due_ = clock_.SteadyNow() + kScanInterval;
}

void OutboxReader::GoBackTo(std::uint64_t seq) {
  if (seq > place_) return;
  place_ = seq - 1;
  place_is_row_ = false;
  ended_ = false;
  gaps_.CutAbove(place_);
}

// Order. Let A have committed before B was inserted, in the same key. A's number is lower. If B comes with the tail, A
// was committed before the tail's snapshot, so A is in that tail too, or its number is behind the place: then it was
// read before, or it is in a gap, and the gaps are read after the tail's snapshot. If B comes out of a gap, A had
// committed before the one statement that reads the gaps: it was read before, is in that tail, or is in a gap too.
// What one read finds goes in the order of seq: a gap may lie between two rows of the tail, and A may be the first of
// them. tests/spin/relay.pml tries every interleaving of a small case.
Result<OutboxReader::Batch> OutboxReader::Read(mysql::MysqlConnection& connection, std::size_t max_rows,
                                               std::size_t max_bytes, const RowsUnderWay& under_way,
                                               std::vector<OutboxRow>& rows) {
  if (limit_ == 0) limit_ = max_rows;
  const std::size_t limit = std::min(limit_, max_rows);
  auto tail = store_.ReadAfter(connection, place_, limit, max_bytes, tail_);
  if (!tail) return std::unexpected(tail.error());
  // The next read asks for no more than about what fits.
  limit_ = tail->cut ? std::max<std::size_t>(1, tail->rows * 2 + 2) : std::min(limit * 2, max_rows);

  const GapSet::Time now = clock_.SteadyNow();
  const bool young = !gaps_.empty() && now - gaps_.gaps().back().since < kYoung;
  if (tail->rows > 0) {
    std::vector<std::uint64_t> seqs;
    seqs.reserve(tail->rows);
    for (std::size_t i = 0; i < tail->rows; ++i) seqs.push_back(tail_[i].seq);
    std::uint64_t from = place_;
    if (place_ == 0) {
      auto floor = FindFloor(connection, seqs.front());
      if (!floor) return std::unexpected(floor.error());
      from = *floor;
    }
    gaps_.Saw(from, place_is_row_, seqs, now);
  }
  std::size_t late = 0;
  bool any_held = tail->any_held;
  if (!gaps_.empty() && (tail->rows > 0 || young || now - gaps_read_at_ >= kGapPause)) {
    gaps_read_at_ = now;
    auto found = ReadGaps(connection, max_rows, max_bytes, under_way, rows);
    if (!found || found->full) {
      // Without all that is in the gaps the tail can't go: it is read again, with the gaps between its rows.
      gaps_.CutAbove(place_);
      if (!found) return found;
      const auto end = rows.begin() + static_cast<std::ptrdiff_t>(found->rows);
      const auto beyond = std::ranges::upper_bound(rows.begin(), end, place_, {}, &OutboxRow::seq);
      return Batch{static_cast<std::size_t>(beyond - rows.begin()), true};
    }
    late = found->rows;
    any_held = any_held || found->any_held;
  }
  const bool full = tail->cut || tail->rows == limit;
  ended_ = ended_ || !full;
  if (tail->rows == 0) return Batch{late, false, any_held};
  const bool again = place_ < highest_;
  place_ = tail_[tail->rows - 1].seq;
  highest_ = std::max(highest_, place_);
  place_is_row_ = true;
  if (again) {
    std::size_t taken = 0;
    for (std::size_t i = 0; i < tail->rows; ++i) {
      if (under_way.contains(tail_[i].seq)) continue;
      if (i != taken) std::swap(tail_[taken], tail_[i]);
      ++taken;
    }
    tail->rows = taken;
  }
  if (late == 0) {
    std::swap(rows, tail_);
  } else {
    rows.resize(std::max(rows.size(), late + tail->rows));
    const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(late);
    const auto end = middle + static_cast<std::ptrdiff_t>(tail->rows);
    std::swap_ranges(tail_.begin(), tail_.begin() + static_cast<std::ptrdiff_t>(tail->rows), middle);
    std::ranges::sort(rows.begin(), end, {}, &OutboxRow::seq);
  }
  return Batch{late + tail->rows, full, any_held};
}

// The leader before has just deleted what was there, and the rows may be unpurged: reading them again with each tail
// costs more than the tail. After the tail's snapshot, so a row that committed meanwhile is seen here.
Result<std::uint64_t> OutboxReader::FindFloor(mysql::MysqlConnection& connection, std::uint64_t first_row) const {
  const std::uint64_t below = first_row - 1;
  const std::uint64_t far = below - std::min(below, kBelowFirst);
  const std::uint64_t near = below - std::min(below, kJustBelowFirst);
  if (far == near) return far;
  auto empty = store_.IsEmpty(connection, {far + 1, near});
  if (!empty) return std::unexpected(empty.error());
  return *empty ? near : far;
}

Result<OutboxReader::Batch> OutboxReader::ReadGaps(mysql::MysqlConnection& connection, std::size_t max_rows,
                                                   std::size_t max_bytes, const RowsUnderWay& under_way,
                                                   std::vector<OutboxRow>& rows) {
  const std::vector<OutboxStore::Range> ranges = RangesOf(gaps_);
  // Gaps that have grown together hold rows that are under way.
  const std::size_t limit = max_rows + under_way.size();
  auto found = store_.ReadRanges(connection, ranges, limit, max_bytes, rows);
  if (!found) return std::unexpected(found.error());
  std::size_t late = 0;
  for (std::size_t i = 0; i < found->rows; ++i) {
    if (under_way.contains(rows[i].seq)) continue;
    gaps_.Remove(rows[i].seq);
    if (i != late) std::swap(rows[late], rows[i]);
    ++late;
  }
  return Batch{late, found->cut || found->rows == limit, found->any_held};
}

Result<void> OutboxReader::Search(mysql::MysqlConnection& connection, const RowsUnderWay& under_way) {
  const GapSet::Time now = clock_.SteadyNow();
  if (now >= scan_due_) {
    if (auto scanned = ScanPiece(connection, under_way); !scanned) return scanned;
  }
  if (now < close_at_) return {};
  close_at_ = now + kCloseInterval;
  return CloseOldGaps(connection);
}

Result<void> OutboxReader::ScanPiece(mysql::MysqlConnection& connection, const RowsUnderWay& under_way) {
  const GapSet::Time start = clock_.SteadyNow();
  const std::uint64_t last = place_ - scan_at_ > scan_span_ ? scan_at_ + scan_span_ : place_;
  std::uint64_t next = last + 1;
  if (place_ > scan_at_) {
    const std::size_t limit = under_way.size() + kScanRows;
    auto found = store_.FindRows(connection, {scan_at_, last}, limit);
    if (!found) return std::unexpected(found.error());
    if (found->size() == limit) next = found->back() + 1;
    for (const std::uint64_t seq : *found) {
      if (!under_way.contains(seq)) gaps_.Add(seq, start);
    }
  }
  const auto cost = std::chrono::duration_cast<microseconds>(clock_.SteadyNow() - start);
  scan_cost_ += cost;
  if (cost > kDearPiece) scan_span_ = std::max(scan_span_ / 2, kSmallestSpan);
  if (cost < kCheapPiece) scan_span_ = std::min(scan_span_ * 2, kLargestSpan);
  scan_at_ = next;
  if (next <= place_) {
    if (cost >= kCheapPiece) scan_due_ = clock_.SteadyNow() + cost * kPieceShare;
    return {};
  }
  scan_due_ = clock_.SteadyNow() + std::max<microseconds>(kScanInterval, scan_cost_ * kScanShare);
  scan_at_ = 0;
  scan_cost_ = microseconds{0};
  return {};
}

// A number whose transaction is still open is held by it, so a gap that holds no row at all, committed or not, stays
// empty: its numbers were rolled back or never used. Only a statement that was given numbers and has yet to write them
// is overlooked, and that isn't going on for kOld; should it, the scan finds its rows.
Result<void> OutboxReader::CloseOldGaps(mysql::MysqlConnection& connection) {
  const GapSet::Time now = clock_.SteadyNow();
  std::vector<GapSet::Gap> old;
  for (const GapSet::Gap& gap : gaps_.gaps()) {
    if (now - gap.since >= kOld && old.size() < kClosedAtOnce) old.push_back(gap);
  }
  for (const GapSet::Gap& gap : old) {
    auto empty = store_.IsEmpty(connection, {gap.first, gap.last});
    if (!empty) return std::unexpected(empty.error());
    if (*empty) gaps_.Forget(gap);
  }
  return {};
}

}  // namespace outrider::outbox
