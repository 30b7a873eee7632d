// RowFaults: the rows of the fault matrix (docs/reliability.md), each as one fault that really happens.
//
// Inject() does one fault of a row, from the breaking to the healing, while the workload goes on; it counts what was
// planned and what fired. A fault that could not be brought about isn't tried again behind the scenes: it is planned
// and not fired, and the checker fails the run for it. What the nth fault of a row is comes from the seed alone, so a
// seed replays the plan, however fast the run is. Threads: one.
#pragma once

#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fault/runner/installation.h"

namespace outrider::fault {

struct FaultCount {
  int row = 0;
  std::string kind;
  std::string target;  // database, broker, vendor, process
  int planned = 0;
  int fired = 0;
};

class RowFaults final {
 public:
  RowFaults(Installation& installation, std::uint64_t seed);

  struct Row {
    int number;
    std::string_view what;
    bool (RowFaults::*inject)();
  };
  // Every row there is, by number.
  static const std::vector<Row>& Rows();

  void Inject(const Row& row);
  // In the order of their first plan.
  const std::vector<FaultCount>& counts() const { return counts_; }
  int foreign_events() const { return foreign_events_; }
  int actions() const { return actions_; }  // a person's

 private:
  bool KillRelay();
  bool KillConsumer();
  bool StopGently();
  bool PauseProcess();
  bool KillConnections();
  bool LoseCommitAnswer();
  bool Deadlock();
  bool LockWait();
  bool CommitLate();
  bool RemoveOld();
  bool BreakBroker();
  bool TooLarge();
  bool Garbage();
  bool Throttle();
  bool LoseReply();
  bool TwoGroups();
  bool CrashLoop();
  bool ManyScanners();
  bool HoldKey();

  // A request of our own, relayed and recorded like the workload's; empty: it wasn't.
  std::string Request(std::string_view channel, std::string_view text, std::string_view ordering_key = "");
  std::string StatusOf(std::string_view dedupe_key);  // "dead attempts_exhausted"; empty: there is no record

  int Draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  std::string_view AnyOf(std::span<const std::string_view> slots);
  // A process that breaks at a failpoint of that name's prefix; true when it did.
  bool CrashAtFailpoint(std::string_view slot, std::string_view prefix);
  void Say(std::string kind, std::string_view target);
  bool VendorFault(fake_im::Fault fault);
  std::int64_t Counter(mysql::MysqlConnection& connection, std::string_view name);

  Installation& installation_;
  const std::uint64_t seed_;
  std::mt19937_64 random_;
  std::map<int, unsigned> injected_;  // by row
  int row_ = 0;
  std::string kind_;
  std::string target_;
  std::vector<FaultCount> counts_;
  int foreign_events_ = 0;
  int actions_ = 0;
  int late_ = 0;
};

}  // namespace outrider::fault
