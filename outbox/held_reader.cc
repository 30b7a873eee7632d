#include "outbox/held_reader.h"

#include <algorithm>
#include <utility>

namespace outrider::outbox {
namespace {

using std::chrono::milliseconds;

// Between rounds through all held keys, and between the pieces of one.
constexpr milliseconds kLookInterval{500};
constexpr milliseconds kPiecePause{20};

}  // namespace

void HeldReader::Restart() {
  keys_.clear();
  next_ = 0;
  looked_to_ = 0;
  look_at_ = {};
}

void HeldReader::GoBack() {
  next_ = 0;
  for (Reader& reader : keys_) reader.place = {};
}

void HeldReader::Drop(KeyNumber key) {
  const auto found = std::ranges::find(keys_, key, [](const Reader& reader) { return reader.key.number; });
  if (found == keys_.end()) return;
  if (static_cast<std::size_t>(found - keys_.begin()) < next_) --next_;
  keys_.erase(found);
}

Result<void> HeldReader::Look(mysql::MysqlConnection& connection) {
  const Time now = clock_.SteadyNow();
  if (busy() || now < look_at_) return {};
  auto look = store_.LookForReleased(connection, looked_to_);
  if (!look) return std::unexpected(look.error());
  looked_to_ = look->end ? 0 : look->seen_to;
  look_at_ = now + (look->end ? kLookInterval : kPiecePause);
  for (HeldStore::Key& key : look->released) keys_.push_back({std::move(key), {}});
  next_ = 0;
  return {};
}

Result<std::size_t> HeldReader::Read(mysql::MysqlConnection& connection, std::uint64_t up_to, std::size_t max_rows,
                                     std::size_t max_bytes, const ReleasedRowsUnderWay& under_way,
                                     std::vector<OutboxRow>& rows) {
  std::size_t taken = 0;
  while (next_ < keys_.size() && taken < max_rows && max_bytes > 0) {
    Reader& reader = keys_[next_];
    const std::size_t limit = max_rows - taken;
    auto read = store_.ReadKey(connection, reader.key.number, reader.place, limit, max_bytes, piece_);
    if (!read) return std::unexpected(read.error());
    for (std::size_t i = 0; i < read->rows; ++i) {
      OutboxRow& row = piece_[i];
      if (row.seq > up_to) return taken;
      reader.place = {row.seq, row.held_id};
      max_bytes -= std::min(max_bytes, row.payload.size());
      if (under_way.contains(row.seq)) continue;
      if (taken == rows.size()) rows.emplace_back();
      std::swap(rows[taken++], row);
    }
    if (read->cut) break;
    if (read->rows < limit) ++next_;
  }
  return taken;
}

Result<std::vector<HeldStore::Key>> HeldReader::Free(mysql::MysqlConnection& connection, const OutboxLease& lease,
                                                     std::uint64_t epoch) {
  std::vector<KeyNumber> numbers;
  for (const Reader& reader : keys_) numbers.push_back(reader.key.number);
  auto left = store_.Free(connection, lease, epoch, numbers);
  if (!left) return std::unexpected(left.error());
  std::vector<HeldStore::Key> freed;
  for (Reader& reader : keys_) {
    if (std::ranges::find(*left, reader.key.number) == left->end()) freed.push_back(std::move(reader.key));
  }
  // What is left was put there meanwhile, or is held again: the next look tells.
  keys_.clear();
  next_ = 0;
  look_at_ = {};
  if (!left->empty()) looked_to_ = std::min(looked_to_, *std::ranges::min_element(*left) - 1);
  return freed;
}

}  // namespace outrider::outbox
