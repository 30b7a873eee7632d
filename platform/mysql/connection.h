// MysqlConnection: one session of MySQL or MariaDB, civil.
//
// Every session runs in UTC, READ COMMITTED, strict mode and utf8mb4. Statements are prepared on the
// server and kept per connection; parameters never become SQL text. Affected rows count *changed* rows, as both servers
// do by default, so a conditional update must change something (it writes version = version + 1).
//
// Threads: one at a time. Lifetime: results don't outlive their connection's next statement only where said so (they
// are copies here, so they do). On a crash the server rolls the open transaction back.
//
// Errors: kUnavailable (server gone before the statement took effect, deadlock 1213, lock wait 1205, read-only
// 1290/1836, too many connections, disk full): nothing was changed once the transaction is rolled back, try again.
// kUnknown: the connection broke while COMMIT (or an autocommitted write) was under way. kInvalid: the statement or the
// data is at fault (syntax, missing table 1146, duplicate key 1062, refused login 1045, more than max_allowed_packet
// 1153). native_code is MySQL's errno. A server's message that quotes a value is printed without it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/options.h"
#include "platform/mysql/row.h"

namespace outrider::mysql {

using Param = std::variant<std::nullptr_t, std::int64_t, std::uint64_t, double, std::string_view, Timestamp>;

enum class Flavor { kMysql, kMariaDb };

class MysqlConnection final {
 public:
  static Result<std::unique_ptr<MysqlConnection>> Open(const MysqlOptions& options);
  ~MysqlConnection();
  MysqlConnection(const MysqlConnection&) = delete;
  MysqlConnection& operator=(const MysqlConnection&) = delete;

  // One prepared statement with `?` for each parameter, which gives at most one result set. REQUIRES: as many params as
  // question marks (else kInvalid); at most 65535.
  Result<Rows> Execute(std::string_view sql, std::span<const Param> params = {});
  Result<Rows> Execute(std::string_view sql, std::initializer_list<Param> params) {
    return Execute(sql, std::span<const Param>(params.begin(), params.size()));
  }
  // The same, row by row as they arrive: nothing is kept but what `take` keeps. REQUIRES: `take` doesn't use the
  // connection. After an error some rows may have been taken.
  Result<void> ForEach(std::string_view sql, std::initializer_list<Param> params,
                       const std::function<void(const RowView&)>& take) {
    return ForEach(sql, std::span<const Param>(params.begin(), params.size()), take);
  }
  Result<void> ForEach(std::string_view sql, std::span<const Param> params,
                       const std::function<void(const RowView&)>& take);
  // Text protocol, no parameters: for what can't be prepared (some DDL). Several statements separated by ';' are run in
  // turn, up to the first that fails; results are dropped.
  Result<void> ExecuteScript(std::string_view sql);

  // After a deadlock (1213), which ends the transaction on the server, every further statement and Commit() give that
  // error again until Rollback(): nothing can slip out of the transaction and commit by itself.
  Result<void> Begin();
  Result<void> Commit();  // kUnknown when the answer never came
  void Rollback();        // a failure makes the connection broken
  bool in_transaction() const;

  // False after an error that leaves the session in doubt (lost, timed out, failed rollback): it must not be reused.
  bool healthy() const;
  // True once the server refused something as read-only (1290, 1836): another server may be the primary now.
  bool read_only() const;
  Result<void> Ping();
  // Without a round trip: whether the server has hung up (or said something unasked) since the last call.
  bool HasNews() const;
  Flavor flavor() const;
  std::string server_version() const;  // "10.11.19-MariaDB-..." or "9.7.4"

 private:
  struct State;
  explicit MysqlConnection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// "?, ?, ?" and "(?, ?), (?, ?)": for lists whose length varies.
std::string Placeholders(std::size_t count);
std::string PlaceholderRows(std::size_t rows, std::size_t columns);
// `name` in backquotes, with backquotes doubled: for the configurable table name.
std::string QuoteIdentifier(std::string_view name);

}  // namespace outrider::mysql
