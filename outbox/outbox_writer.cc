#include "outbox/outbox_writer.h"

#include <fmt/format.h>

#include "platform/crypto/hmac.h"

namespace outrider::outbox {
namespace {

// An append at the end of the primary key. {0}: the outbox table, quoted.
constexpr std::string_view kInsert = "INSERT INTO {0} (id, aggregateid, payload) VALUES (?, ?, ?)";

}  // namespace

Result<std::string> WriteRequest(mysql::MysqlConnection& connection, std::string_view table,
                                 const NotificationRequest& request, std::string_view aggregate_id) {
  std::string id = crypto::RandomUuid();
  const std::string payload = ToJson(request);
  auto written = connection.Execute(fmt::format(kInsert, mysql::QuoteIdentifier(table)),
                                    {std::string_view(id), aggregate_id, std::string_view(payload)});
  if (!written) return std::unexpected(written.error());
  return id;
}

}  // namespace outrider::outbox
