#include "providers/supply_cache.h"

#include <algorithm>
#include <utility>

namespace outrider::providers {

SupplyCache::Look SupplyCache::Get(const std::string& key, Waiter waiter) {
  const Time now = clock_.SteadyNow();
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    MakeRoom();
    found = entries_.try_emplace(key).first;
  }
  Entry& entry = found->second;
  Look look;
  if (entry.value && now < entry.ends) {
    look.value = entry.value;
    look.fetch = !entry.fetching && now >= entry.renews;
  } else {
    entry.value.reset();
    entry.waiters.push_back(std::move(waiter));
    look.fetch = !entry.fetching;
  }
  entry.fetching = entry.fetching || look.fetch;
  return look;
}

void SupplyCache::Settle(const std::string& key, const SupplyReading& reading) {
  std::vector<Waiter> waiters;
  {
    const Time now = clock_.SteadyNow();
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    entry.fetching = false;
    waiters = std::exchange(entry.waiters, {});
    if (const auto* supply = std::get_if<Supply>(&reading)) {
      entry.value = supply->value;
      entry.ends = now + supply->life;
      entry.renews = now + supply->fresh;
    } else if (entry.value && now < entry.ends) {
      entry.renews = now + kRenewAgain;
    } else {
      entries_.erase(found);
    }
  }
  for (const Waiter& waiter : waiters) waiter(reading);
}

void SupplyCache::Drop(const std::string& key, const Secret& value) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.value != value) return;
  if (found->second.fetching) {
    found->second.value.reset();
  } else {
    entries_.erase(found);
  }
}

std::size_t SupplyCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void SupplyCache::MakeRoom() {
  if (entries_.size() < most_) return;
  auto first = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->second.fetching) continue;
    if (first == entries_.end() || entry->second.ends < first->second.ends) first = entry;
  }
  if (first != entries_.end()) entries_.erase(first);
}

}  // namespace outrider::providers
