// Three records of one ordering key between two workers, a sweep and a person, in every order of their steps: reading a
// record, its key's head and what holds the key, parking, claiming, settling, recovering, dying; replay, discard,
// cancel, pause. The rows change as the statements of record_store and ordering_store change them, each transaction one
// step.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "consumer/record.h"

namespace outrider::consumer {
namespace {

constexpr std::size_t kRecords = 3;
constexpr int kSteps = 600;  // at most, of one life

struct Row {
  DeliveryStatus status = DeliveryStatus::kPending;
  int version = 0;
  std::string_view parked_by;  // empty: due
};

bool IsOpen(const Row& row) { return !IsTerminal(row.status); }
bool Waits(const Row& row) { return row.status == DeliveryStatus::kPending || row.status == DeliveryStatus::kFailed; }

// What a worker knows of the record that it wants to send, read one after the other.
struct Worker {
  std::optional<std::size_t> record;
  int version = 0;
  std::optional<std::size_t> head;
  bool looked_for_blocker = false;
  std::optional<std::size_t> blocker;
  bool claimed = false;
  bool believes_paused = false;
  bool believes_tenant_paused = false;
  std::set<std::size_t> brought_back;  // since it read the head
};

class World {
 public:
  explicit World(bool blocks) : blocks_(blocks) {}

  void Step(unsigned number) {
    Worker& worker = workers_[number % 2];
    const unsigned choice = number / 2;
    const std::size_t which = choice / 16 % kRecords;
    switch (choice % 16) {
      case 0:
        worker = Worker{.believes_paused = worker.believes_paused,
                        .believes_tenant_paused = worker.believes_tenant_paused};  // killed
        break;
      case 1:
        Recover(which);
        break;
      case 2:
        Sweep(which);
        break;
      case 3:
        Person(which, choice / 16 / kRecords);
        break;
      case 4:
        worker.believes_paused = paused_;
        worker.believes_tenant_paused = tenant_paused_;
        break;
      default:
        Work(worker, which, choice / 16 / kRecords);
    }
    Check();
  }

  // Nobody dies any more, nothing is paused, and a person gives up what is dead. No sweep is needed for the key: who
  // ends or frees what holds it has woken the next.
  void Drain() {
    workers_ = {};
    paused_ = tenant_paused_ = false;
    for (int i = 0; i < 60; ++i) {
      for (std::size_t record = 0; record < kRecords; ++record) {
        if (rows_[record].status == DeliveryStatus::kDead)
          Write(record, rows_[record].version, DeliveryEvent::kDiscarded);
        Recover(record);
        if (rows_[record].parked_by == kParkedByPausedTenant) Sweep(record);
        for (int step = 0; step < 6; ++step) Work(workers_[0], record, 0);
        workers_[0] = {};
        Check();
      }
    }
    for (const Row& row : rows_) RC_ASSERT(IsTerminal(row.status));
    RC_ASSERT(blocks_rows_.empty() && !flight_);
  }

 private:
  std::optional<std::size_t> Head() const {
    for (std::size_t i = 0; i < kRecords; ++i) {
      if (IsOpen(rows_[i])) return i;
    }
    return std::nullopt;
  }
  // The first dead record that holds the key, if it holds `record`.
  std::optional<std::size_t> Blocker(std::size_t record) const {
    if (!blocks_) return std::nullopt;
    for (const std::size_t i : blocks_rows_) {
      if (i < record && rows_[i].status == DeliveryStatus::kDead) return i;
    }
    return std::nullopt;
  }

  // record_store's kWrite and OrderingStore::Follow, one transaction. False: somebody else was first.
  bool Write(std::size_t record, int version, DeliveryEvent event, std::string_view parked_by = "") {
    Row& row = rows_[record];
    const auto to = Next(row.status, event);
    if (row.version != version || !to) return false;
    const DeliveryStatus from = row.status;
    row = {*to, row.version + 1, parked_by};
    if (from == DeliveryStatus::kDead) blocks_rows_.erase(record);
    if (from == DeliveryStatus::kSending) {
      RC_ASSERT(flight_ == record);
      flight_.reset();
    }
    if (!IsTerminal(*to) && from != DeliveryStatus::kSending) return true;
    if (*to == DeliveryStatus::kDead && blocks_) blocks_rows_.insert(record);
    const auto head = Head();
    if (!head) return true;
    Row& next = rows_[*head];
    const bool by_key = next.parked_by == kParkedByOrderingKey || next.parked_by == kParkedByBlockedKey;
    if (!Blocker(*head)) {
      if (by_key && Waits(next)) next = {next.status, next.version + 1, ""};
    } else if (Waits(next) && (next.parked_by.empty() || next.parked_by == kParkedByOrderingKey)) {
      next = {next.status, next.version + 1, kParkedByBlockedKey};
    }
    return true;
  }

  // ChangeCommitter::ParkBehind: only if what it stands behind still holds it.
  void Park(Worker& worker, std::size_t behind, std::string_view parked_by) {
    const bool holds = parked_by == kParkedByBlockedKey
                           ? blocks_rows_.contains(behind) && rows_[behind].status == DeliveryStatus::kDead
                           : IsOpen(rows_[behind]);
    if (holds) Write(*worker.record, worker.version, DeliveryEvent::kRescheduled, parked_by);
    worker = Worker{.believes_paused = worker.believes_paused, .believes_tenant_paused = worker.believes_tenant_paused};
  }

  void Work(Worker& worker, std::size_t which, unsigned choice) {
    if (!worker.record) {
      const Row& row = rows_[which];
      if (worker.believes_paused || !Waits(row) || !row.parked_by.empty()) return;
      worker.record = which;
      worker.version = row.version;
      if (!worker.believes_tenant_paused) return;
      Write(which, worker.version, DeliveryEvent::kRescheduled, kParkedByPausedTenant);
      worker.record.reset();
    } else if (!worker.head) {
      worker.head = Head();
      worker.brought_back.clear();
      if (!worker.head) worker.record.reset();
    } else if (!worker.looked_for_blocker) {
      worker.blocker = Blocker(*worker.record);
      worker.looked_for_blocker = true;
    } else if (worker.claimed) {
      constexpr std::array kEnds = {DeliveryEvent::kAccepted, DeliveryEvent::kRefused, DeliveryEvent::kNotNow,
                                    DeliveryEvent::kHeld};
      Write(*worker.record, worker.version, kEnds[choice % kEnds.size()]);
      worker =
          Worker{.believes_paused = worker.believes_paused, .believes_tenant_paused = worker.believes_tenant_paused};
    } else if (*worker.head != *worker.record) {
      Park(worker, *worker.head, kParkedByOrderingKey);
    } else if (worker.blocker) {
      Park(worker, *worker.blocker, kParkedByBlockedKey);
    } else {
      Claim(worker);
    }
  }

  // kClaim and kTakeOff, one transaction.
  void Claim(Worker& worker) {
    const std::size_t record = *worker.record;
    Row& row = rows_[record];
    if (row.version != worker.version || !Waits(row) || !row.parked_by.empty()) {
      worker.record.reset();
      worker.head.reset();
      worker.looked_for_blocker = false;
      return;
    }
    if (flight_) {
      Park(worker, *flight_, kParkedByOrderingKey);
      return;
    }
    // I4: nothing that arrived before it is unfinished, but what was brought back while it was being claimed; and no
    // dead record holds it.
    for (std::size_t i = 0; i < record; ++i) RC_ASSERT(!IsOpen(rows_[i]) || worker.brought_back.contains(i));
    RC_ASSERT(!Blocker(record));
    flight_ = record;
    row.status = DeliveryStatus::kSending;
    ++row.version;
    worker.version = row.version;
    worker.claimed = true;
  }

  // At any time: the lease may have ended.
  void Recover(std::size_t record) { Write(record, rows_[record].version, DeliveryEvent::kLeaseExpired); }

  // RecordSweep::WalkParked and ReleaseTenants, of one record.
  void Sweep(std::size_t record) {
    const Row& row = rows_[record];
    if (!Waits(row) || row.parked_by.empty()) return;
    const bool by_pause = row.parked_by == kParkedByPausedTenant;
    if (by_pause ? tenant_paused_ : Head() != record || Blocker(record)) return;
    Write(record, row.version, DeliveryEvent::kRescheduled);
  }

  void Person(std::size_t record, unsigned choice) {
    switch (choice % 5) {
      case 0:
        if (!Write(record, rows_[record].version, DeliveryEvent::kReplayed)) return;
        for (Worker& worker : workers_) worker.brought_back.insert(record);
        return;
      case 1:
        Write(record, rows_[record].version, DeliveryEvent::kDiscarded);
        return;
      case 2:
        Write(record, rows_[record].version, DeliveryEvent::kCancelled);
        return;
      case 3:
        paused_ = !paused_;
        return;
      default:
        tenant_paused_ = !tenant_paused_;
    }
  }

  void Check() const {
    std::size_t sending = 0;
    for (std::size_t i = 0; i < kRecords; ++i) {
      if (rows_[i].status != DeliveryStatus::kSending) continue;
      ++sending;
      RC_ASSERT(flight_ == i);
    }
    RC_ASSERT(sending <= 1);
    RC_ASSERT(flight_.has_value() == (sending == 1));
    for (const std::size_t i : blocks_rows_) RC_ASSERT(rows_[i].status == DeliveryStatus::kDead);
  }

  const bool blocks_;
  std::array<Row, kRecords> rows_;
  std::optional<std::size_t> flight_;  // ordering_flights
  std::set<std::size_t> blocks_rows_;  // ordering_blocks
  bool paused_ = false;
  bool tenant_paused_ = false;
  std::array<Worker, 2> workers_;
};

void ExpectOrder(bool blocks) {
  const bool held = rc::check([blocks] {
    World world(blocks);
    const auto steps =
        *rc::gen::resize(kSteps, rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0U, 10'000U)));
    for (const unsigned step : steps) world.Step(step);
    world.Drain();
  });
  EXPECT_TRUE(held) << "the counterexample stands above";
}

TEST(KeyInterleavingTest, OneOfAKeyIsInFlightInOrderAndNoneWaitsForEver) { ExpectOrder(false); }

TEST(KeyInterleavingTest, ADeadOneHoldsThoseBehindItAndNobodyForEver) { ExpectOrder(true); }

}  // namespace
}  // namespace outrider::consumer
