#include "outbox/source_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace outrider::outbox {
namespace {

constexpr std::chrono::seconds kShortestPatience{5};

std::int64_t WholeSeconds(std::chrono::milliseconds duration) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(duration).count());
}

}  // namespace

Result<std::unique_ptr<mysql::MysqlConnection>> OpenSourceSession(const mysql::MysqlOptions& database,
                                                                  std::chrono::milliseconds lease) {
  mysql::MysqlOptions options = database;
  options.io_timeout =
      std::min(options.io_timeout, std::max(kShortestPatience, std::chrono::ceil<std::chrono::seconds>(lease)));
  auto opened = mysql::MysqlConnection::Open(options);
  if (!opened) return opened;
  const std::string settings = fmt::format("SET SESSION wait_timeout = {}, innodb_lock_wait_timeout = {}",
                                           WholeSeconds(lease), WholeSeconds(lease / 3));
  if (auto set = (*opened)->ExecuteScript(settings); !set) return std::unexpected(set.error());
  return opened;
}

bool IsUsable(const mysql::MysqlConnection* connection) {
  return connection != nullptr && connection->healthy() && !connection->read_only() && !connection->HasNews();
}

}  // namespace outrider::outbox
