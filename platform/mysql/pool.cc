#include "platform/mysql/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

namespace outrider::mysql {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr int kMaxRepeats = 5;
constexpr std::chrono::milliseconds kFirstPause{10};
// An idle connection may have been forgotten by something between us and the server, without a word.
constexpr std::chrono::seconds kTrustIdleFor{30};

// The server may hang up at the very moment of a statement.
std::chrono::milliseconds TrustIdleFor(const MysqlOptions& options) {
  if (options.hang_up_after.count() == 0) return kTrustIdleFor;
  return std::min<std::chrono::milliseconds>(kTrustIdleFor, std::chrono::milliseconds(options.hang_up_after) / 2);
}

bool LostAgainstAnother(const Error& error) { return error.native_code == 1213 || error.native_code == 1205; }

// 5..10 ms, then twice as long each time; two that met once should not meet again.
void PauseBeforeRepeat(int repeat) {
  thread_local std::minstd_rand random(std::random_device{}());
  const std::chrono::microseconds longest = kFirstPause * (1 << repeat);
  std::uniform_int_distribution<std::int64_t> pause(longest.count() / 2, longest.count());
  std::this_thread::sleep_for(std::chrono::microseconds(pause(random)));
}

}  // namespace

struct MysqlPool::State {
  struct Idle {
    std::unique_ptr<MysqlConnection> connection;
    SteadyTime since;
    std::uint64_t generation;
  };

  MysqlOptions options;
  std::size_t max_connections;

  std::mutex mutex;
  std::condition_variable freed;
  // All below under `mutex`.
  std::deque<Idle> idle;  // the most recently used at the back
  std::size_t open = 0;   // idle, lent or being opened
  std::uint64_t generation = 0;
};

MysqlPool::Lease& MysqlPool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  if (connection_) pool_->Return(std::move(connection_), generation_);
  pool_ = other.pool_;
  connection_ = std::move(other.connection_);
  generation_ = other.generation_;
  return *this;
}

MysqlPool::Lease::~Lease() {
  if (connection_) pool_->Return(std::move(connection_), generation_);
}

MysqlPool::MysqlPool(MysqlOptions options, std::size_t max_connections) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->max_connections = max_connections == 0 ? 1 : max_connections;
}

MysqlPool::~MysqlPool() = default;

const MysqlOptions& MysqlPool::options() const { return state_->options; }

Result<MysqlPool::Lease> MysqlPool::Acquire(std::chrono::milliseconds wait) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + wait;
  std::unique_lock lock(state_->mutex);
  while (true) {
    const bool free = state_->freed.wait_until(
        lock, deadline, [&] { return !state_->idle.empty() || state_->open < state_->max_connections; });
    if (!free) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}: all {} connections of the pool are in use and none came free in {} ms",
                              Describe(state_->options), state_->max_connections, wait.count()));
    }
    if (state_->idle.empty()) break;

    State::Idle candidate = std::move(state_->idle.back());
    state_->idle.pop_back();
    lock.unlock();
    const bool doubtful = candidate.connection->HasNews() ||
                          std::chrono::steady_clock::now() - candidate.since > TrustIdleFor(state_->options);
    if (!doubtful || candidate.connection->Ping()) {
      return Lease(this, std::move(candidate.connection), candidate.generation);
    }
    // The others have been idle for longer: one after the other they would cost a time-out each.
    std::deque<State::Idle> dropped;
    dropped.push_back(std::move(candidate));
    lock.lock();
    std::ranges::move(state_->idle, std::back_inserter(dropped));
    state_->idle.clear();
    state_->open -= dropped.size();
    state_->freed.notify_all();
    lock.unlock();
    dropped.clear();
    lock.lock();
  }

  ++state_->open;
  const std::uint64_t generation = state_->generation;
  lock.unlock();
  auto connection = MysqlConnection::Open(state_->options);
  if (connection) return Lease(this, std::move(*connection), generation);
  lock.lock();
  --state_->open;
  state_->freed.notify_one();
  return std::unexpected(connection.error());
}

void MysqlPool::Return(std::unique_ptr<MysqlConnection> connection, std::uint64_t generation) {
  if (connection->in_transaction()) connection->Rollback();
  std::deque<State::Idle> dropped;  // closed outside the lock
  {
    const std::lock_guard lock(state_->mutex);
    if (connection->read_only()) {
      ++state_->generation;
      dropped.swap(state_->idle);
    }
    if (connection->healthy() && generation == state_->generation) {
      state_->idle.push_back({std::move(connection), std::chrono::steady_clock::now(), generation});
    } else {
      dropped.push_back({std::move(connection), {}, 0});
    }
    state_->open -= dropped.size();
  }
  dropped.empty() ? state_->freed.notify_one() : state_->freed.notify_all();
}

Result<void> MysqlPool::InTransaction(const std::function<Result<void>(MysqlConnection&)>& work) {
  for (int repeat = 0;; ++repeat) {
    Result<void> done;
    {
      auto lease = Acquire();
      if (!lease) return std::unexpected(lease.error());
      MysqlConnection& connection = **lease;
      done = connection.Begin();
      if (done) done = work(connection);
      if (done) done = connection.Commit();
      if (!done) connection.Rollback();
    }
    if (done || !LostAgainstAnother(done.error()) || repeat == kMaxRepeats) return done;
    PauseBeforeRepeat(repeat);
  }
}

}  // namespace outrider::mysql
