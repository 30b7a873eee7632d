#include "consumer/reseal.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "consumer/sealed_request.h"
#include "platform/crypto/hmac.h"

namespace outrider::consumer {
namespace {

// Index records_by_status (status, id): the unfinished records, which are the only ones that keep a private body.
constexpr std::string_view kFindRecords =
    "SELECT id, version, tenant, channel, dedupe_key, sealed_by, request FROM notification_records FORCE INDEX "
    "(records_by_status) WHERE status = ? AND id > ? AND sealed_by <> ? ORDER BY id LIMIT 100";
// Primary key.
constexpr std::string_view kWriteRecord =
    "UPDATE notification_records SET request = ?, sealed_by = ? WHERE id = ? AND version = ? AND sealed_by = ?";
// Primary key, from a place on.
constexpr std::string_view kFindRejected =
    "SELECT id, topic, partition_no, offset_no, sealed_by, value FROM rejected_events WHERE id > ? AND sealed_by <> ? "
    "ORDER BY id LIMIT 100";
// Primary key.
constexpr std::string_view kWriteRejected =
    "UPDATE rejected_events SET value = ?, sealed_by = ? WHERE id = ? AND sealed_by = ?";

constexpr std::array<std::string_view, 3> kUnfinished = {"pending", "failed", "sending"};
// Records change their state while they are walked, and may be passed over.
constexpr int kPasses = 5;

class Walk {
 public:
  Walk(mysql::MysqlConnection& connection, const crypto::Sealer& sealer)
      : connection_(connection), sealer_(sealer), first_key_(sealer.first_key()) {}

  Result<void> Records(std::string_view status, Resealed& resealed) {
    for (std::int64_t last = 0;;) {
      auto found = connection_.Execute(kFindRecords, {status, last, std::string_view(first_key_)});
      if (!found) return std::unexpected(found.error());
      if (found->rows.empty()) return {};
      for (mysql::Row& row : found->rows) {
        Record record;
        record.id = last = row.Int(0);
        record.version = static_cast<std::uint32_t>(row.Unsigned(1));
        record.tenant = row.TakeText(2);
        record.channel = row.TakeText(3);
        record.dedupe_key = row.TakeText(4);
        record.sealed_by = row.TakeText(5);
        record.request = row.TextOr(6, "");
        const auto text = SealAnew(record, sealer_);
        if (!text) {
          ++resealed.left;
          continue;
        }
        auto written =
            connection_.Execute(kWriteRecord, {std::string_view(*text), std::string_view(first_key_), record.id,
                                               std::int64_t{record.version}, std::string_view(record.sealed_by)});
        if (!written) return std::unexpected(written.error());
        ++(written->affected == 1 ? resealed.records : resealed.left);
      }
    }
  }

  Result<void> Rejected(Resealed& resealed) {
    for (std::int64_t last = 0;;) {
      auto found = connection_.Execute(kFindRejected, {last, std::string_view(first_key_)});
      if (!found) return std::unexpected(found.error());
      if (found->rows.empty()) return {};
      for (mysql::Row& row : found->rows) {
        last = row.Int(0);
        const EventPosition at{row.TakeText(1), static_cast<std::int32_t>(row.Int(2)), row.Int(3)};
        const std::string key = row.TakeText(4);
        const auto clear = sealer_.Open(key, row.TextOr(5, ""), RejectedContext(at));
        const auto sealed = clear ? sealer_.Seal(*clear, RejectedContext(at)) : std::nullopt;
        if (!sealed) {
          ++resealed.left;
          continue;
        }
        auto written = connection_.Execute(
            kWriteRejected,
            {std::string_view(sealed->bytes), std::string_view(sealed->key_id), last, std::string_view(key)});
        if (!written) return std::unexpected(written.error());
        resealed.rejected += written->affected;
      }
    }
  }

 private:
  mysql::MysqlConnection& connection_;
  const crypto::Sealer& sealer_;
  const std::string first_key_;
};

}  // namespace

Result<Resealed> Reseal(mysql::MysqlConnection& connection, const crypto::Sealer& sealer) {
  Resealed resealed;
  Walk walk(connection, sealer);
  if (auto done = walk.Rejected(resealed); !done) return std::unexpected(done.error());
  const std::size_t left_of_rejected = resealed.left;
  for (int pass = 0; pass < kPasses; ++pass) {
    const std::size_t before = resealed.records;
    resealed.left = left_of_rejected;
    for (const std::string_view status : kUnfinished) {
      if (auto done = walk.Records(status, resealed); !done) return std::unexpected(done.error());
    }
    if (resealed.records == before && resealed.left == left_of_rejected) break;
  }
  return resealed;
}

}  // namespace outrider::consumer
