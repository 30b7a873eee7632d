// One record between two workers, in every order of their steps: reading, claiming, looking at the lease, sending,
// settling, recovering, losing the answer to a claim's commit, dying at any point, and a person who cancels, replays
// and discards. The row changes as record_store's statements change it (a change names the version that it read); the
// vendor's side keeps the truth.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "consumer/settlement.h"

namespace outrider::consumer {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;

constexpr minutes kLease{2};
constexpr minutes kHold{1};
constexpr int kMaxAttempts = 3;
constexpr int kSteps = 500;  // at most, of one life

SettleRules Rules() {
  SettleRules rules;
  rules.retry.max_attempts = kMaxAttempts;
  rules.retry.base = minutes{1};
  rules.retry.max = minutes{4};
  rules.retry.jitter = 0;
  rules.max_age = hours{1};
  return rules;
}

// The columns of the row that decide anything, and the database's clock.
struct Row {
  DeliveryStatus status = DeliveryStatus::kPending;
  std::uint32_t version = 0;
  int attempt_no = 0;
  int attempts_spent = 0;
  bool uncertain = false;
  std::optional<minutes> due_at = minutes{0};  // while sending: the lease's end
  std::optional<minutes> held_since;
  minutes changed_at{0};
  std::string claim;  // the token that it is under while sending
  friend bool operator==(const Row&, const Row&) = default;
};

struct Worker {
  std::optional<Record> read;
  std::optional<Record> claimed;
  minutes lease_end{0};
  bool may_send = false;
  std::optional<SendOutcome> answer;
  std::optional<Change> giving_back;  // a claim of which nobody knows whether it was made
};

bool IsLegal(DeliveryStatus from, DeliveryStatus to) {
  return std::ranges::any_of(kTransitions, [&](const Transition& t) { return t.from == from && t.to == to; });
}

class World {
 public:
  explicit World(SettleRules rules) : rules_(std::move(rules)) {}

  // One step of one of the two, among those that it can take now.
  void Step(unsigned number) {
    Worker& worker = workers_[number % 2];
    const unsigned choice = number / 2;
    const Row before = row_;
    if (choice % 16 == 0) {
      worker = Worker{};  // killed
    } else if (choice % 16 < 4 || (worker.answer && choice % 16 < 6)) {
      now_ += minutes{choice / 16 % 3};
    } else if (worker.giving_back) {
      Write(*worker.giving_back);
      worker = Worker{};
    } else if (worker.answer) {
      Settle(worker);
    } else if (worker.may_send) {
      Send(worker, choice / 16);
    } else if (worker.claimed) {
      Look(worker);
    } else if (!worker.read) {
      worker.read = Read();
    } else if (choice % 16 < 6) {
      Person(*worker.read, choice / 16);
      worker.read.reset();
    } else {
      Act(worker, choice % 16 == 15 ? Commit::kLost : choice % 16 == 14 ? Commit::kUnanswered : Commit::kDone);
    }
    Check(before);
  }

  // Nobody dies any more, and the vendor takes what it gets: the record must come to an end.
  void Drain() {
    workers_ = {};
    for (int i = 0; i < 200 && !IsTerminal(row_.status); ++i) {
      now_ += minutes{1};
      Worker& worker = workers_[0];
      const Row before = row_;
      worker.read = Read();
      Act(worker);
      Look(worker);
      Send(worker, static_cast<unsigned>(SendVerdict::kAccepted));
      Settle(worker);
      Check(before, Steps::kSeveral);
    }
    RC_ASSERT(IsTerminal(row_.status));
  }

 private:
  Record Read() const {
    Record record;
    record.id = 7;
    record.version = row_.version;
    record.status = row_.status;
    record.attempt_no = row_.attempt_no;
    record.attempts_spent = row_.attempts_spent;
    record.uncertain = row_.uncertain;
    if (row_.held_since) record.held_for = now_ - *row_.held_since;
    record.unchanged_for = now_ - row_.changed_at;
    return record;
  }

  // What delivery does with a record that it has read; somebody may have changed it since.
  enum class Commit { kDone, kUnanswered, kLost };  // of a claim; of the last two the worker can't tell which
  void Act(Worker& worker, Commit commit = Commit::kDone) {
    const Record record = *worker.read;
    worker.read.reset();
    if (record.status == DeliveryStatus::kSending) {
      // The condition on the lease stands in the statement that reads (kFindExpiredLeases).
      if (record.unchanged_for >= kLease) Write(Recover(record, rules_, 0.5));
    } else if (!IsTerminal(record.status)) {
      const auto ended = EndUnsent(record, rules_);
      if (ended) {
        Write(*ended);
      } else {
        Claim(worker, record, commit);
      }
    }
  }

  // record_store's kClaim.
  void Claim(Worker& worker, const Record& record, Commit commit) {
    const std::string token = std::to_string(++claims_);
    if (commit != Commit::kDone) {
      Record made = record;
      made.status = DeliveryStatus::kSending;
      ++made.version;
      Change change = MakeChange(made, DeliveryEvent::kHeld, kRecordReturned);
      change.claim = token;
      change.due_in = microseconds{0};
      change.give_attempt_back = true;
      worker = Worker{.giving_back = change};
      if (commit == Commit::kLost) return;
    }
    const bool waits = row_.status == DeliveryStatus::kPending || row_.status == DeliveryStatus::kFailed;
    if (row_.version != record.version || !waits || *row_.due_at > now_) return;
    row_.status = DeliveryStatus::kSending;
    ++row_.version;
    ++row_.attempt_no;
    ++row_.attempts_spent;
    row_.changed_at = now_;
    row_.due_at = now_ + kLease;
    row_.claim = token;
    holder_ = nullptr;
    if (commit != Commit::kDone) return;
    worker = Worker{.claimed = Read(), .lease_end = *row_.due_at};
    holder_ = &worker;
  }

  // The last look at the lease; between it and the bytes a process may be paused.
  void Look(Worker& worker) {
    if (!worker.claimed) return;
    worker.may_send = now_ < worker.lease_end;
    if (worker.may_send) return;
    worker.answer = SendOutcome{.verdict = SendVerdict::kNotNow, .reason = "not_mine"};
  }

  void Send(Worker& worker, unsigned choice) {
    if (!worker.may_send) return;
    constexpr unsigned kVerdicts = 6;
    SendOutcome outcome;
    outcome.verdict = static_cast<SendVerdict>(choice % kVerdicts);
    if (outcome.verdict != SendVerdict::kAccepted) outcome.reason = "why";
    const bool unheard = outcome.verdict == SendVerdict::kNoAnswer && choice / kVerdicts % 2 == 0;
    outcome.throttled = outcome.verdict == SendVerdict::kNotNow && choice / kVerdicts % 2 == 0;
    if (outcome.verdict == SendVerdict::kAccepted || unheard) ++taken_;
    worker.may_send = false;
    worker.answer = std::move(outcome);
  }

  void Settle(Worker& worker) {
    if (!worker.answer) return;
    const bool holds = holder_ == &worker;
    const bool written = Write(consumer::Settle(*worker.claimed, *worker.answer, rules_, kHold, 0.5));
    RC_ASSERT(written == holds);  // I10: a late writer changes nothing
    worker = Worker{};
  }

  void Person(const Record& record, unsigned choice) {
    constexpr std::array kWishes = {DeliveryEvent::kCancelled, DeliveryEvent::kReplayed, DeliveryEvent::kDiscarded,
                                    DeliveryEvent::kRescheduled};
    const DeliveryEvent wish = kWishes[choice % kWishes.size()];
    if (!Next(record.status, wish)) return;
    Change change = MakeChange(record, wish, kRecordMoved);
    change.reason = "person";
    if (!IsTerminal(change.to)) change.due_in = microseconds{0};
    by_person_ = Write(change);
    if (!by_person_ || wish != DeliveryEvent::kReplayed) return;
    taken_ = 0;
    row_.attempts_spent = 0;
  }

  // record_store's kWrite; false: somebody else was first.
  bool Write(const Change& change) {
    if (row_.version != change.version || row_.status != change.from) return false;
    if (!change.claim.empty() && row_.claim != change.claim) return false;
    row_.status = change.to;
    ++row_.version;
    row_.changed_at = now_;
    row_.due_at.reset();
    row_.claim.clear();
    holder_ = nullptr;
    if (change.due_in) row_.due_at = now_ + std::chrono::ceil<minutes>(*change.due_in);
    if (change.give_attempt_back) --row_.attempts_spent;
    row_.uncertain = change.uncertain;
    if (change.held == Change::Held::kNo) row_.held_since.reset();
    if (change.held == Change::Held::kYes && !row_.held_since) row_.held_since = now_;
    return true;
  }

  enum class Steps { kOne, kSeveral };
  void Check(const Row& before, Steps steps = Steps::kOne) {
    if (row_.version == before.version) RC_ASSERT(row_ == before);
    RC_ASSERT(row_.version >= before.version);
    if (steps == Steps::kOne && row_.version != before.version) {
      RC_ASSERT(row_.version == before.version + 1);
      RC_ASSERT(IsLegal(before.status, row_.status));
      RC_ASSERT(by_person_ || !IsTerminal(before.status));
    }
    by_person_ = false;
    RC_ASSERT(row_.attempts_spent >= 0 && row_.attempts_spent <= kMaxAttempts);
    RC_ASSERT(row_.due_at.has_value() == !IsTerminal(row_.status));
    // I1, I5: what the vendor took and the record doesn't tell, or tells of once too few, is in doubt.
    const bool is_sent = row_.status == DeliveryStatus::kSent;
    if (is_sent) RC_ASSERT(taken_ > 0);
    if (is_sent && taken_ > 1) RC_ASSERT(row_.uncertain);
    if (!is_sent && row_.status != DeliveryStatus::kSending && taken_ > 0) RC_ASSERT(row_.uncertain);
  }

  const SettleRules rules_;
  Row row_;
  minutes now_{0};
  std::array<Worker, 2> workers_;
  const Worker* holder_ = nullptr;  // whose claim the row is under
  int claims_ = 0;
  int taken_ = 0;  // by the vendor, since a person last asked for the message anew
  bool by_person_ = false;
};

void ExpectSound(const SettleRules& rules) {
  const bool held = rc::check([&rules] {
    World world(rules);
    const auto steps =
        *rc::gen::resize(kSteps, rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0U, 10'000U)));
    for (const unsigned step : steps) world.Step(step);
    world.Drain();
  });
  EXPECT_TRUE(held) << "the counterexample stands above";
}

TEST(InterleavingTest, WhateverTheOrderOfTwoWorkersStepsNothingIsLostAndEveryDoubleIsInDoubt) { ExpectSound(Rules()); }

TEST(InterleavingTest, ThePolicyHoldKeepsThatToo) {
  SettleRules rules = Rules();
  rules.on_uncertain = providers::OnUncertain::kHold;
  ExpectSound(rules);
}

}  // namespace
}  // namespace outrider::consumer
