#include "outbox/settlement.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace outrider::outbox {
namespace {

template <class T>
void MoveTo(std::vector<T>& all, std::vector<T>& more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

void Settlement::Append(Settlement more) {
  MoveTo(stored, more.stored);
  MoveTo(released, more.released);
  MoveTo(ledger, more.ledger);
  MoveTo(dead, more.dead);
  MoveTo(held, more.held);
}

std::optional<std::uint64_t> Settlement::lowest_seq() const {
  std::optional<std::uint64_t> lowest;
  const auto look = [&](std::uint64_t seq) { lowest = std::min(lowest.value_or(seq), seq); };
  for (const std::uint64_t seq : stored) look(seq);
  for (const DeadRow& row : dead) {
    if (row.held_id == 0) look(row.seq);
  }
  for (const HeldRow& row : held) look(row.seq);
  return lowest;
}

}  // namespace outrider::outbox
