#include "tests/support/proxy/fault_list.h"

#include "tests/support/proxy/mysql_commands.h"

namespace outrider::testing {

int FaultList::Add(ProxyFault fault) {
  const std::lock_guard lock(mutex_);
  fault.id = static_cast<int>(entries_.size()) + 1;
  fault.seen = 0;
  fault.fired = 0;
  fault.healed = false;
  entries_.push_back({std::move(fault)});
  return entries_.back().fault.id;
}

void FaultList::Heal(int id) {
  const std::lock_guard lock(mutex_);
  At(id).fault.healed = true;
}

void FaultList::HealAll() {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) entry.fault.healed = true;
}

std::vector<ProxyFault> FaultList::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<ProxyFault> faults;
  for (const Entry& entry : entries_) faults.push_back(entry.fault);
  return faults;
}

ProxyFault FaultList::Get(int id) const {
  const std::lock_guard lock(mutex_);
  return At(id).fault;
}

bool FaultList::WaitUntilFired(int id, std::size_t times, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  // On the system's clock, because ThreadSanitizer doesn't know the other wait.
  return fired_.wait_until(lock, std::chrono::system_clock::now() + timeout,
                           [&] { return At(id).fault.fired >= times; });
}

void FaultList::Fire(int id) {
  const std::lock_guard lock(mutex_);
  ++At(id).fault.fired;
  fired_.notify_all();
}

std::vector<int> FaultList::Active(ProxyFaultKind kind, Direction direction) const {
  const std::lock_guard lock(mutex_);
  std::vector<int> ids;
  for (const Entry& entry : entries_) {
    if (Strikes(entry, kind, direction)) ids.push_back(entry.fault.id);
  }
  return ids;
}

std::chrono::milliseconds FaultList::Delay(Direction direction) const {
  const std::lock_guard lock(mutex_);
  std::chrono::milliseconds sum{0};
  for (const Entry& entry : entries_) {
    if (Strikes(entry, ProxyFaultKind::kLatency, direction)) sum += entry.fault.pause;
  }
  return sum;
}

std::optional<ProxyFault> FaultList::Slicing(Direction direction) const {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    if (Strikes(entry, ProxyFaultKind::kSlice, direction)) return entry.fault;
  }
  return std::nullopt;
}

std::vector<FaultList::ByteCut> FaultList::ByteCuts(Direction direction) const {
  const std::lock_guard lock(mutex_);
  std::vector<ByteCut> cuts;
  for (const Entry& entry : entries_) {
    if (Strikes(entry, ProxyFaultKind::kCutAfter, direction)) cuts.push_back({entry.fault.id, entry.fault.bytes});
  }
  return cuts;
}

bool FaultList::Strike(int id) {
  const std::lock_guard lock(mutex_);
  Entry& entry = At(id);
  if (!Strikes(entry, entry.fault.kind, entry.fault.direction)) return false;
  ++entry.strikes;
  return true;
}

std::optional<FaultList::StatementCut> FaultList::StrikeAt(std::string_view statement) {
  const std::lock_guard lock(mutex_);
  std::optional<StatementCut> cut;
  for (Entry& entry : entries_) {
    if (!Strikes(entry, ProxyFaultKind::kCutStatement, Direction::kBoth)) continue;
    if (!BeginsStatement(statement, entry.fault.statement)) continue;
    ++entry.fault.seen;
    if (entry.fault.seen < entry.fault.nth || cut) continue;
    ++entry.strikes;
    cut = {entry.fault.id, entry.fault.moment};
  }
  return cut;
}

bool FaultList::Strikes(const Entry& entry, ProxyFaultKind kind, Direction direction) {
  const ProxyFault& fault = entry.fault;
  return fault.kind == kind && !fault.healed && (fault.times == 0 || entry.strikes < fault.times) &&
         (fault.direction == direction || fault.direction == Direction::kBoth);
}

FaultList::Entry& FaultList::At(int id) { return entries_.at(static_cast<std::size_t>(id - 1)); }
const FaultList::Entry& FaultList::At(int id) const { return entries_.at(static_cast<std::size_t>(id - 1)); }

}  // namespace outrider::testing
