// SteadyWriter: an application that writes one request after another, one a transaction, and rolls every tenth back.
//
// Request n has the event key of its number modulo kKeys and the dedupe key "n-<n>". Threads: one of its own; the
// methods are for one other. A statement that fails ends it, and Stop() throws.
#pragma once

#include <atomic>
#include <exception>
#include <string>
#include <thread>

#include "platform/mysql/connection.h"

namespace outrider::debezium {

class SteadyWriter final {
 public:
  static constexpr int kKeys = 7;

  SteadyWriter(const mysql::MysqlOptions& database, std::string aggregatetype);
  // The numbers below this one were asked for; those that IsCommitted() says are committed.
  int Stop();
  int committed() const { return committed_; }
  static bool IsCommitted(int number) { return number % 10 != 9; }

 private:
  void Write(std::stop_token stop);

  const mysql::MysqlOptions database_;
  const std::string aggregatetype_;
  std::atomic<int> committed_ = 0;
  int next_ = 0;
  std::exception_ptr failure_;
  std::jthread thread_;
};

}  // namespace outrider::debezium
