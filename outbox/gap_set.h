// GapSet: the numbers below a reader's place that it has not seen, because their transactions hadn't committed, were
// rolled back, or never used them.
//
// A number is given out when a row is inserted, not when it is committed, so a row behind the reader's place can appear
// in a gap for as long as its transaction is open. Pure; a value; one thread. The set holds at most kMaxGaps ranges:
// then neighbours grow together, and a range may also hold numbers that were seen, but no number that wasn't seen is
// ever dropped before Forget().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace outrider::outbox {

class GapSet final {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMaxGaps = 256;

  struct Gap {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    Time since{};
    friend bool operator==(const Gap&, const Gap&) = default;
  };

  // What a read from `place` (not included) on showed, in ascending order: adds the numbers between. Where all numbers
  // keep one distance (auto_increment_increment), the numbers that distance leaves out are no gaps. `place_is_row`:
  // place is the number of a row.
  void Saw(std::uint64_t place, bool place_is_row, std::span<const std::uint64_t> seqs, Time now);
  // A number that was found missing from the set; nothing when it is in it.
  void Add(std::uint64_t seq, Time now);
  // A row with that number was read.
  void Remove(std::uint64_t seq);
  // Proven empty.
  void Forget(const Gap& gap);
  // The reader goes back: what lies above `place` is before it again.
  void CutAbove(std::uint64_t place);
  void Clear();
  bool Contains(std::uint64_t seq) const;

  // In ascending order, without overlaps.
  const std::vector<Gap>& gaps() const { return gaps_; }
  bool empty() const { return gaps_.empty(); }

 private:
  void Learn(std::uint64_t distance);
  void GrowTogether();

  std::vector<Gap> gaps_;
  std::uint64_t stride_ = 0;  // the greatest common divisor of all distances seen; 0: none seen
  std::size_t distances_ = 0;
};

}  // namespace outrider::outbox
