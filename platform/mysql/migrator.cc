#include "platform/mysql/migrator.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/digest.h"

namespace outrider::mysql {
namespace {

constexpr int kNoSuchTable = 1146;
// Short waits, so that one stays below the connection's io_timeout.
constexpr std::int64_t kLockWaitSeconds = 2;
constexpr int kLockWaits = 30;

// Locks are the server's, not the database's, and their names end at 64 characters.
constexpr std::string_view kTakeLock =
    "SELECT GET_LOCK(CONCAT('outrider-migrate-', LEFT(SHA2(CONCAT(?, '/', DATABASE()), 256), 40)), ?)";
constexpr std::string_view kFreeLock =
    "SELECT RELEASE_LOCK(CONCAT('outrider-migrate-', LEFT(SHA2(CONCAT(?, '/', DATABASE()), 256), 40)))";

std::string TableOf(std::string_view set) { return QuoteIdentifier(fmt::format("{}_migrations", set)); }

std::string CreateTable(std::string_view set) {
  return fmt::format(
      "CREATE TABLE IF NOT EXISTS {} (\n"
      "  `number`   INT UNSIGNED NOT NULL PRIMARY KEY,\n"
      "  name       VARCHAR(128) NOT NULL,\n"
      "  sha256     CHAR(64)     NOT NULL,\n"
      "  applied_at DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6)\n"
      ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
      TableOf(set));
}

std::string HashOf(const Migration& migration) { return ToHex(AsBytes(Sha256(migration.hash_text))); }

std::string QuoteText(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

// The statements' text without what stands around it; at least one character, else the server calls the query empty.
std::string_view TrimScript(std::string_view sql) {
  const std::size_t end = sql.find_last_not_of(" \t\r\n;");
  return end == std::string_view::npos ? std::string_view{} : sql.substr(0, end + 1);
}

class NamedLock {
 public:
  NamedLock(MysqlConnection& connection, std::string_view set) : connection_(connection), set_(set) {}
  NamedLock(const NamedLock&) = delete;
  NamedLock& operator=(const NamedLock&) = delete;
  ~NamedLock() {
    if (taken_ && connection_.healthy()) (void)connection_.Execute(kFreeLock, {set_});
  }

  Result<void> Take() {
    for (int i = 0; i < kLockWaits; ++i) {
      auto answer = connection_.Execute(kTakeLock, {set_, kLockWaitSeconds});
      if (!answer) return std::unexpected(answer.error());
      const Row& row = answer->rows.front();
      taken_ = !row.IsNull(0) && row.Bool(0);
      if (taken_) return {};
    }
    return Fail(
        ErrorCode::kUnavailable,
        fmt::format("another run has been applying the migrations of \"{}\" for {} s; wait for it to end, or see "
                    "SHOW PROCESSLIST for who keeps the lock",
                    set_, kLockWaits * kLockWaitSeconds));
  }

 private:
  MysqlConnection& connection_;
  std::string_view set_;
  bool taken_ = false;
};

}  // namespace

Migrator::Migrator(std::string set, std::vector<Migration> migrations)
    : set_(std::move(set)), migrations_(std::move(migrations)) {
  std::sort(migrations_.begin(), migrations_.end(),
            [](const Migration& left, const Migration& right) { return left.number < right.number; });
}

Result<std::vector<MigrationStatus>> Migrator::Status(MysqlConnection& connection) const {
  auto found = connection.Execute(fmt::format("SELECT `number`, sha256 FROM {}", TableOf(set_)));
  if (!found && found.error().native_code != kNoSuchTable) return std::unexpected(found.error());

  std::map<std::int64_t, std::string> applied;
  if (found) {
    for (Row& row : found->rows) applied.emplace(row.Int(0), row.TakeText(1));
  }
  std::vector<MigrationStatus> statuses;
  for (const Migration& migration : migrations_) {
    const auto entry = applied.find(migration.number);
    MigrationStatus status{migration.number, migration.name};
    status.applied = entry != applied.end();
    status.changed = status.applied && entry->second != HashOf(migration);
    statuses.push_back(std::move(status));
  }
  return statuses;
}

Result<std::vector<std::string>> Migrator::Up(MysqlConnection& connection) const {
  NamedLock lock(connection, set_);
  if (auto taken = lock.Take(); !taken) return std::unexpected(taken.error());
  if (auto created = connection.Execute(CreateTable(set_)); !created) return std::unexpected(created.error());
  const auto statuses = Status(connection);
  if (!statuses) return std::unexpected(statuses.error());
  for (const MigrationStatus& status : *statuses) {
    if (!status.changed) continue;
    return Fail(ErrorCode::kInvalid,
                fmt::format("migration {} of \"{}\" was applied with another text than this program's; nothing was "
                            "changed. Use the program version that fits this database",
                            status.name, set_));
  }

  std::vector<std::string> names;
  for (std::size_t i = 0; i < migrations_.size(); ++i) {
    if ((*statuses)[i].applied) continue;
    const Migration& migration = migrations_[i];
    if (auto run = connection.ExecuteScript(TrimScript(migration.sql)); !run) {
      Error error = run.error();
      error.message = fmt::format("migration {}: {}", migration.name, error.message);
      return std::unexpected(std::move(error));
    }
    const std::string hash = HashOf(migration);
    auto recorded =
        connection.Execute(fmt::format("INSERT INTO {} (`number`, name, sha256) VALUES (?, ?, ?)", TableOf(set_)),
                           {std::int64_t{migration.number}, std::string_view(migration.name), std::string_view(hash)});
    if (!recorded) return std::unexpected(recorded.error());
    names.push_back(migration.name);
  }
  return names;
}

std::string Migrator::Sql() const {
  std::string sql = CreateTable(set_) + ";\n";
  for (const Migration& migration : migrations_) {
    // A repeated run leaves the first record alone, so a changed text is still noticed later.
    sql += fmt::format(
        "\n-- {0}\n{1};\nINSERT INTO {2} (`number`, name, sha256) VALUES ({3}, {4}, '{5}') ON DUPLICATE KEY UPDATE "
        "`number` = {3};\n",
        migration.name, TrimScript(migration.sql), TableOf(set_), migration.number, QuoteText(migration.name),
        HashOf(migration));
  }
  return sql;
}

}  // namespace outrider::mysql
