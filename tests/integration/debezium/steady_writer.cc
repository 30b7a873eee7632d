#include "tests/integration/debezium/steady_writer.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "tests/integration/debezium/fixture.h"
#include "tests/support/database/statements.h"

namespace outrider::debezium {
namespace {

// So that every step of a hand-over finds rows before, during and after itself, and the run stays small.
constexpr std::chrono::milliseconds kPace{5};

}  // namespace

SteadyWriter::SteadyWriter(const mysql::MysqlOptions& database, std::string aggregatetype)
    : database_(database),
      aggregatetype_(std::move(aggregatetype)),
      thread_([this](std::stop_token stop) { Write(std::move(stop)); }) {}

void SteadyWriter::Write(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any paced;
  try {
    const auto connection = testing::Connect(database_);
    for (; !stop.stop_requested(); ++next_) {
      if (!connection->Begin()) throw std::runtime_error("a transaction that can't begin");
      testing::Must(*connection, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)",
                    {aggregatetype_, "key-" + std::to_string(next_ % kKeys), RequestOf("n-" + std::to_string(next_))});
      if (IsCommitted(next_)) {
        if (!connection->Commit()) throw std::runtime_error("a transaction that can't be committed");
        ++committed_;
      } else {
        connection->Rollback();
      }
      std::unique_lock lock(mutex);
      paced.wait_for(lock, stop, kPace, [] { return false; });
    }
  } catch (const std::exception&) {
    failure_ = std::current_exception();
  }
}

int SteadyWriter::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  if (failure_) std::rethrow_exception(failure_);
  return next_;
}

}  // namespace outrider::debezium
