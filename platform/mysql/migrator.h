// Migrator: numbered, never edited, embedded SQL files, applied once each and checked by hash.
//
// Files are named NNNN_what.sql. What was applied stands in the table `<prefix>_migrations` with the SHA-256 of the
// text; an applied file whose text has changed since is a fault, never repaired silently. A named lock (GET_LOCK) keeps
// two runs apart. DDL isn't transactional on either server: a run that dies in the middle of a file leaves it
// unrecorded and the next run repeats it, so every statement must be repeatable (CREATE TABLE IF NOT EXISTS).
//
// Thread-safe: holds only its list. The connection's io_timeout must cover the longest single statement.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::mysql {

struct Migration {
  int number = 0;
  std::string name;  // "0001_outbox"
  std::string sql;   // placeholders such as {{outbox}} are replaced by the caller; the hash is of the text before that
  std::string hash_text;
};

struct MigrationStatus {
  int number = 0;
  std::string name;
  bool applied = false;
  bool changed = false;  // applied with another text
};

class Migrator final {
 public:
  // `set` names the lock and the table `<set>_migrations` ("outrider", "outbox").
  Migrator(std::string set, std::vector<Migration> migrations);

  // What stands in the database. A database without the table: nothing applied.
  Result<std::vector<MigrationStatus>> Status(MysqlConnection& connection) const;
  // Applies what is missing, in order; gives the names it applied. kInvalid when an applied text has changed;
  // kUnavailable when another run kept the lock for a minute. REQUIRES: no open transaction.
  Result<std::vector<std::string>> Up(MysqlConnection& connection) const;
  // The statements for a DBA, those that record the migrations included.
  std::string Sql() const;

 private:
  std::string set_;
  std::vector<Migration> migrations_;
};

}  // namespace outrider::mysql
