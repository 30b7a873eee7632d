// Where a database is and how long to wait for it. Plain values.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "model/result.h"
#include "model/secret.h"

namespace outrider::mysql {

struct MysqlOptions {
  std::string host = "127.0.0.1";
  unsigned port = 3306;
  std::string user;
  Secret password;
  std::string database;
  std::chrono::seconds connect_timeout{5};
  // For one read or write of the socket. Half of it is how long a statement waits for a lock: who gives up first is the
  // statement (1205), so that no session is left behind on the server, waiting with locks of its own.
  std::chrono::seconds io_timeout{30};
  // After how much silence the server hangs up, which ends the transaction of a client that stands still or has
  // vanished, and frees its locks. 0: the server's own setting (hours).
  std::chrono::seconds hang_up_after{0};
  friend bool operator==(const MysqlOptions&, const MysqlOptions&) = default;
};

// "mysql://user:password@host:port/db"; user, password and port may be missing. The message never shows the password.
Result<MysqlOptions> ParseMysqlUrl(std::string_view url);
// "user@host:port/db": safe to print.
std::string Describe(const MysqlOptions& options);

}  // namespace outrider::mysql
