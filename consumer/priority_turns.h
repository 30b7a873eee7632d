// PriorityTurns: whose turn it is among the waiting records of one channel: high before normal before low.
//
// A lower priority that was passed over kPatience times in a row while it had records waiting takes the next place, so
// nothing starves: of many places high gets at least four fifths, and each of the others its turn. A value; one thread.
#pragma once

#include <array>
#include <cstddef>

namespace outrider::consumer {

class PriorityTurns final {
 public:
  static constexpr std::size_t kPriorities = 3;
  static constexpr int kPatience = 8;
  using Counts = std::array<std::size_t, kPriorities>;  // high, normal, low

  // Shares out the places among those that wait; remembers who was passed over.
  Counts Share(Counts waiting, std::size_t places);

 private:
  std::array<int, kPriorities> passed_over_{};
};

}  // namespace outrider::consumer
