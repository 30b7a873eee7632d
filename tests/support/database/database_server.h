// DatabaseServer: a real MariaDB or MySQL of a test's own, on a free port, with its own data.
//
// MariaDB is Debian's; MySQL comes through fetch-mysql. Durable settings, no binary log, the server's own defaults
// otherwise (REPEATABLE READ, default character set). The user `outrider` with the password `outrider` may do
// everything.
//
// Threads: one at a time, but for Url(), Options(), CreateDatabase(). The server dies with the test program. Its data
// lives in a folder under /tmp, copied from a template that the first use ever makes in the user's cache. Errors:
// std::runtime_error with the end of the server's log.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/mysql/connection.h"
#include "tests/support/process/child_process.h"
#include "tests/support/process/temp_dir.h"

namespace outrider::testing {

class DatabaseServer final {
 public:
  enum class Kind { kMariaDb, kMysql };

  // OUTRIDER_TEST_DB=mariadb|mysql; MariaDB when it isn't set.
  static Kind KindFromEnvironment();
  // `server_options` such as "--read-only=1" come last, so they win.
  static std::unique_ptr<DatabaseServer> Start(Kind kind, std::vector<std::string> server_options = {});
  // The test program's one server: started on first use, stopped at exit. Tests that stop or pause a server start their
  // own.
  static DatabaseServer& Shared();

  ~DatabaseServer();
  DatabaseServer(const DatabaseServer&) = delete;
  DatabaseServer& operator=(const DatabaseServer&) = delete;

  Kind kind() const { return kind_; }
  unsigned port() const { return port_; }
  pid_t pid() const { return process_->pid(); }      // REQUIRES: it runs
  std::string Url(std::string_view database) const;  // mysql://outrider:outrider@127.0.0.1:port/database
  mysql::MysqlOptions Options(std::string_view database) const;
  // A new, empty database with a random name; gives its URL.
  std::string CreateDatabase() const;

  void Stop();      // SIGTERM, to a clean end
  void Kill();      // SIGKILL
  void Pause();     // SIGSTOP; returns when it stands still
  void Continue();  // SIGCONT
  void Restart();   // stops it if it runs; same port, same data; returns when it answers
  // Restarts with other options in place of those given to Start.
  void Restart(std::vector<std::string> server_options);

 private:
  DatabaseServer(Kind kind, std::vector<std::string> server_options);
  void Launch();

  Kind kind_;
  std::vector<std::string> server_options_;
  TempDir folder_;
  std::vector<std::string> command_;
  unsigned port_ = 0;
  std::optional<ChildProcess> process_;
};

}  // namespace outrider::testing
