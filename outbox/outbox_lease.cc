#include "outbox/outbox_lease.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace outrider::outbox {
namespace {

// All by the primary key of outbox_leases (source). NOW(6) is the statement's start: a statement that waited for the
// row's lock judges by an earlier time, and so never takes a lease too early nor grants itself more than it should.
constexpr std::string_view kLook =
    "SELECT owner, epoch, TIMESTAMPDIFF(MICROSECOND, NOW(6), expires_at) FROM outbox_leases WHERE source = ?";
constexpr std::string_view kCreate =
    "INSERT INTO outbox_leases (source, owner, epoch, expires_at) VALUES (?, ?, 1, NOW(6) + INTERVAL ? MICROSECOND) "
    "ON DUPLICATE KEY UPDATE outbox_leases.source = outbox_leases.source";
constexpr std::string_view kTakeOver =
    "UPDATE outbox_leases SET owner = ?, epoch = epoch + 1, expires_at = NOW(6) + INTERVAL ? MICROSECOND "
    "WHERE source = ? AND epoch = ? AND (owner = ? OR expires_at <= NOW(6))";
constexpr std::string_view kRenew =
    "UPDATE outbox_leases SET expires_at = NOW(6) + INTERVAL ? MICROSECOND "
    "WHERE source = ? AND owner = ? AND epoch = ?";
constexpr std::string_view kRelease =
    "UPDATE outbox_leases SET expires_at = NOW(6) WHERE source = ? AND owner = ? AND epoch = ?";

// By the primary key of outbox_replicas (source, owner), or the part of it that is the source's.
constexpr std::string_view kStandBy =
    "INSERT INTO outbox_replicas (source, owner, leads, seen_at) VALUES (?, ?, ?, NOW(6)) "
    "ON DUPLICATE KEY UPDATE leads = VALUES(leads), seen_at = VALUES(seen_at)";
constexpr std::string_view kStandAside =
    "DELETE FROM outbox_replicas WHERE source = ? AND (owner = ? OR seen_at < NOW(6) - INTERVAL 1 DAY)";
constexpr std::string_view kFewest =
    "SELECT MIN(leads) FROM outbox_replicas WHERE source = ? AND owner <> ? AND seen_at > NOW(6) - INTERVAL ? "
    "MICROSECOND";

std::int64_t Microseconds(std::chrono::milliseconds duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

}  // namespace

OutboxLease::OutboxLease(std::string source, std::string owner, std::chrono::milliseconds duration)
    : source_(std::move(source)), owner_(std::move(owner)), duration_(duration) {}

Result<OutboxLease::Holder> OutboxLease::Acquire(mysql::MysqlConnection& connection) const {
  auto found = connection.Execute(kLook, {std::string_view(source_)});
  if (!found) return std::unexpected(found.error());
  if (found->rows.empty()) {
    auto created =
        connection.Execute(kCreate, {std::string_view(source_), std::string_view(owner_), Microseconds(duration_)});
    if (!created) return std::unexpected(created.error());
    if (created->affected == 1) return Holder{true, owner_, 1, duration_};
    return Holder{};
  }
  const mysql::Row& row = found->rows.front();
  Holder holder{false, row.Text(0), row.Unsigned(1), std::chrono::microseconds(row.Int(2))};
  if (holder.owner != owner_ && holder.remaining.count() > 0) return holder;

  auto taken = connection.Execute(kTakeOver, {std::string_view(owner_), Microseconds(duration_),
                                              std::string_view(source_), holder.epoch, std::string_view(owner_)});
  if (!taken) return std::unexpected(taken.error());
  if (taken->affected == 1) return Holder{true, owner_, holder.epoch + 1, duration_};
  return holder;
}

Result<void> OutboxLease::Renew(mysql::MysqlConnection& connection, std::uint64_t epoch) const {
  auto renewed =
      connection.Execute(kRenew, {Microseconds(duration_), std::string_view(source_), std::string_view(owner_), epoch});
  if (!renewed) return std::unexpected(renewed.error());
  if (renewed->affected == 0) {
    return Fail(ErrorCode::kConflict, fmt::format("the lease of source {} isn't epoch {}'s any more", source_, epoch));
  }
  return {};
}

Result<void> OutboxLease::Release(mysql::MysqlConnection& connection, std::uint64_t epoch) const {
  auto released = connection.Execute(kRelease, {std::string_view(source_), std::string_view(owner_), epoch});
  if (!released) return std::unexpected(released.error());
  return {};
}

Result<void> OutboxLease::StandBy(mysql::MysqlConnection& connection, std::uint64_t leads) const {
  auto said = connection.Execute(kStandBy, {std::string_view(source_), std::string_view(owner_), leads});
  if (!said) return std::unexpected(said.error());
  return {};
}

Result<void> OutboxLease::StandAside(mysql::MysqlConnection& connection) const {
  auto gone = connection.Execute(kStandAside, {std::string_view(source_), std::string_view(owner_)});
  if (!gone) return std::unexpected(gone.error());
  return {};
}

Result<std::optional<std::uint64_t>> OutboxLease::FewestOfStandBys(mysql::MysqlConnection& connection) const {
  auto found =
      connection.Execute(kFewest, {std::string_view(source_), std::string_view(owner_), Microseconds(duration_)});
  if (!found) return std::unexpected(found.error());
  const mysql::Row& row = found->rows.front();
  if (row.IsNull(0)) return std::optional<std::uint64_t>();
  return std::optional(row.Unsigned(0));
}

}  // namespace outrider::outbox
