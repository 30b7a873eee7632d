#include "outbox/row_feed.h"

#include <algorithm>
#include <utility>

#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {

Result<RowFeed::Piece> RowFeed::Read(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                                     std::size_t max_rows, std::size_t max_bytes) {
  if (std::exchange(restart_, false)) {
    reader_.Restart();
    held_reader_.Restart();
  }
  if (auto looked = held_reader_.Look(connection); !looked) return std::unexpected(looked.error());
  Piece piece;
  // In turns, so that neither waits for the other's end.
  if (held_reader_.busy() && (held_reader_.at_end() || !after_held_)) {
    auto came = ReadHeld(connection, lease, epoch, max_rows, max_bytes, piece);
    if (!came) return std::unexpected(came.error());
    after_held_ = *came;
    if (after_held_ || held_reader_.at_end()) return piece;
  }
  after_held_ = false;
  if (auto read = ReadOutbox(connection, max_rows, max_bytes, piece); !read) return std::unexpected(read.error());
  return piece;
}

// Whether rows came. Rows that were read to the end are deleted before anything else is read: what is still held then
// came meanwhile, and a key of which nothing is left has no row under way.
//
// Order. Before a held row goes, the outbox has been read past its number: of its key's earlier rows some may have been
// given up with the failure that came with it, and are there still. That this holds of the rows in hand is known only
// if nobody else has led until they were read, hence the look at the lease after it.
Result<bool> RowFeed::ReadHeld(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                               std::size_t max_rows, std::size_t max_bytes, Piece& piece) {
  if (held_reader_.at_end()) {
    auto freed = held_reader_.Free(connection, lease, epoch);
    if (!freed) return std::unexpected(freed.error());
    piece.freed = std::move(*freed);
    return false;
  }
  auto rows = held_reader_.Read(connection, reader_.passed_to(), max_rows, max_bytes, publication_.released_under_way(),
                                publication_.batch());
  if (!rows) return std::unexpected(rows.error());
  if (auto led = *rows > 0 ? lease.Renew(connection, epoch) : Result<void>(); !led) {
    held_reader_.GoBack();
    return std::unexpected(led.error());
  }
  piece.rows = *rows;
  piece.full = true;
  if (*rows == 0) return false;
  if (publication_.Accept(*rows)) held_reader_.GoBack();
  return true;
}

Result<void> RowFeed::ReadOutbox(mysql::MysqlConnection& connection, std::size_t max_rows, std::size_t max_bytes,
                                 Piece& piece) {
  auto batch = reader_.Read(connection, max_rows, max_bytes, publication_.under_way(), publication_.batch());
  if (!batch) return std::unexpected(batch.error());
  auto held = FindHeld(connection, *batch);
  if (!held) {
    for (std::size_t i = 0; i < batch->rows; ++i) reader_.GoBackTo(publication_.batch()[i].seq);
    return std::unexpected(held.error());
  }
  piece.rows = batch->rows;
  piece.full = batch->full || held_reader_.busy();
  piece.dry = batch->rows == 0 && !held_reader_.busy();
  if (const auto again = publication_.Accept(batch->rows, std::move(*held))) reader_.GoBackTo(*again);
  return {};
}

// Asked after the rows were read: a stale leader that reads behind a row which was moved aside finds its key held, or
// those rows are published.
Result<HeldKeys> RowFeed::FindHeld(mysql::MysqlConnection& connection, const OutboxReader::Batch& batch) {
  if (batch.rows == 0) return HeldKeys{};
  if (auto failed = PassFailpoint(Failpoint::kRelayAfterRead)) return std::unexpected(*failed);
  if (!batch.any_held) return HeldKeys{};
  std::vector<KeyNumber> keys;
  for (std::size_t i = 0; i < batch.rows; ++i) {
    const OutboxRow& row = publication_.batch()[i];
    keys.push_back(NumberOfKey(row.aggregatetype, row.aggregateid));
  }
  std::ranges::sort(keys);
  keys.erase(std::ranges::unique(keys).begin(), keys.end());
  return store_.held().FindHeld(connection, keys);
}

Result<void> RowFeed::Search(mysql::MysqlConnection& connection) {
  return reader_.Search(connection, publication_.under_way());
}

void RowFeed::Settled(const Settlement& settlement) {
  for (const DeadRow& row : settlement.dead) {
    if (row.holds) held_reader_.Drop(*row.holds);
  }
}

void RowFeed::TakeBackLost() {
  if (const auto lost = publication_.TakeLost()) reader_.GoBackTo(*lost);
  if (publication_.TakeLostReleased()) held_reader_.GoBack();
}

void RowFeed::TakeBack(const Settlement& settlement) {
  if (const auto lowest = settlement.lowest_seq()) reader_.GoBackTo(*lowest);
  held_reader_.GoBack();
}

std::uint64_t RowFeed::nothing_below() const {
  std::uint64_t below = reader_.place();
  for (const auto& [seq, created_at] : publication_.under_way()) below = std::min(below, seq - 1);
  return below;
}

}  // namespace outrider::outbox
