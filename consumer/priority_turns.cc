#include "consumer/priority_turns.h"

namespace outrider::consumer {

PriorityTurns::Counts PriorityTurns::Share(Counts waiting, std::size_t places) {
  Counts taken{};
  for (; places > 0; --places) {
    std::size_t turn = kPriorities;
    for (std::size_t i = kPriorities; i-- > 0;) {
      if (waiting[i] == 0) {
        passed_over_[i] = 0;
      } else if (turn == kPriorities || passed_over_[turn] < kPatience) {
        turn = i;
      }
    }
    if (turn == kPriorities) break;
    --waiting[turn];
    ++taken[turn];
    passed_over_[turn] = 0;
    for (std::size_t i = turn + 1; i < kPriorities; ++i) {
      if (waiting[i] > 0) ++passed_over_[i];
    }
  }
  return taken;
}

}  // namespace outrider::consumer
