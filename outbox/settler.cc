#include "outbox/settler.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "outbox/source_session.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {

struct Settler::State {
  State(const mysql::MysqlOptions& the_database, const OutboxStore& the_store, const OutboxLease& the_lease)
      : database(the_database), store(the_store), lease(the_lease) {}

  void Work(std::stop_token stop);
  Result<std::size_t> Settle();

  const mysql::MysqlOptions database;
  const OutboxStore& store;
  const OutboxLease& lease;
  std::unique_ptr<mysql::MysqlConnection> connection;  // the thread's own
  std::chrono::steady_clock::time_point used_at{};

  std::mutex mutex;
  std::condition_variable_any changed;
  bool busy = false;
  bool done = false;
  Outcome outcome;  // the owner's while not busy or done, else the thread's
  std::uint64_t epoch = 0;
  std::jthread thread;
};

Result<std::size_t> Settler::State::Settle() {
  // The server hangs up on a session that is silent for a lease, and what stands between may not pass that on: then the
  // first statement would wait for an answer that never comes.
  const bool stale = std::chrono::steady_clock::now() - used_at > lease.duration() / 2;
  if (stale || !IsUsable(connection.get())) {
    connection.reset();
    auto opened = OpenSourceSession(database, lease.duration());
    if (!opened) return std::unexpected(opened.error());
    connection = std::move(*opened);
  }
  auto deleted = store.Settle(*connection, lease, epoch, outcome.settlement);
  used_at = std::chrono::steady_clock::now();
  if (deleted) PassFailpoint(Failpoint::kRelayAfterCommit);
  return deleted;
}

void Settler::State::Work(std::stop_token stop) {
  std::unique_lock lock(mutex);
  while (changed.wait(lock, stop, [this] { return busy && !done; })) {
    lock.unlock();
    outcome.deleted = Settle();
    lock.lock();
    done = true;
    changed.notify_all();
  }
}

Settler::Settler(const mysql::MysqlOptions& database, const OutboxStore& store, const OutboxLease& lease)
    : state_(std::make_unique<State>(database, store, lease)) {
  state_->thread = std::jthread([state = state_.get()](std::stop_token stop) { state->Work(std::move(stop)); });
}

Settler::~Settler() {
  state_->thread.request_stop();
  state_->thread.join();
}

void Settler::Start(Settlement settlement, std::uint64_t epoch) {
  const std::lock_guard lock(state_->mutex);
  state_->outcome.settlement = std::move(settlement);
  state_->epoch = epoch;
  state_->busy = true;
  state_->done = false;
  state_->changed.notify_all();
}

bool Settler::busy() const {
  const std::lock_guard lock(state_->mutex);
  return state_->busy;
}

std::optional<Settler::Outcome> Settler::Take(std::chrono::milliseconds wait) {
  std::unique_lock lock(state_->mutex);
  if (!state_->busy) return std::nullopt;
  if (!state_->changed.wait_for(lock, wait, [this] { return state_->done; })) return std::nullopt;
  state_->busy = state_->done = false;
  return std::exchange(state_->outcome, {});
}

}  // namespace outrider::outbox
