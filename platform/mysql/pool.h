// MysqlPool: a bounded set of connections to one database, and the transaction that rolls back by itself.
//
// Threads: safe from several. A connection that saw an error which leaves its session in doubt never returns to the
// pool; a read-only error (1290, 1836) empties it, because the server behind the name may have changed. On a crash the
// server rolls open transactions back; nothing else is kept here.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::mysql {

class MysqlPool final {
 public:
  // A borrowed connection; goes back, or is closed when it isn't healthy, on destruction (open transactions are rolled
  // back).
  class Lease final {
   public:
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();
    MysqlConnection& operator*() const { return *connection_; }
    MysqlConnection* operator->() const { return connection_.get(); }

   private:
    friend class MysqlPool;
    Lease(MysqlPool* pool, std::unique_ptr<MysqlConnection> connection, std::uint64_t generation)
        : pool_(pool), connection_(std::move(connection)), generation_(generation) {}
    MysqlPool* pool_;
    std::unique_ptr<MysqlConnection> connection_;
    std::uint64_t generation_;  // the pool's when the connection was opened; older ones aren't kept
  };

  // Opens nothing yet.
  MysqlPool(MysqlOptions options, std::size_t max_connections);
  ~MysqlPool();  // REQUIRES: every lease has been returned
  MysqlPool(const MysqlPool&) = delete;
  MysqlPool& operator=(const MysqlPool&) = delete;

  // Waits up to `wait` for a free one; kUnavailable when none came free or the server can't be reached.
  Result<Lease> Acquire(std::chrono::milliseconds wait = std::chrono::seconds{5});

  // Runs `work` in one transaction and commits. Rolls back on every error. A deadlock or lock wait (1213, 1205) runs
  // the whole again, at most 5 times with jitter, so `work` must not have effects outside the database. A commit whose
  // answer was lost comes back as kUnknown.
  Result<void> InTransaction(const std::function<Result<void>(MysqlConnection&)>& work);

  const MysqlOptions& options() const;

 private:
  void Return(std::unique_ptr<MysqlConnection> connection, std::uint64_t generation);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::mysql
