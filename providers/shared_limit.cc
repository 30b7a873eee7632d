#include "providers/shared_limit.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace outrider::providers {
namespace {

using std::chrono::microseconds;

std::int64_t Micros(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp FromMicros(std::int64_t micros) { return Timestamp(microseconds{micros}); }

}  // namespace

microseconds IntervalOf(RateLimit rate) {
  microseconds interval{0};
  for (const Window window : kWindows) {
    const int limit = Limits(rate)[At(window)];
    if (limit > 0) interval = std::max(interval, Length(window) / limit);
  }
  return interval;
}

const SharedLimit::Holder* SharedLimit::Find(std::string_view owner) const {
  const auto found = std::ranges::find(holders, owner, &Holder::owner);
  return found == holders.end() ? nullptr : &*found;
}

int SharedLimit::Counted(Window window, Timestamp now, std::string_view but_for) const {
  int counted = 0;
  for (const Holder& holder : holders) {
    if (holder.owner != but_for && DrainedAt(holder, window) > now) counted += holder.share[At(window)];
  }
  for (const Debt& debt : debts) {
    if (debt.window == window && debt.until > now) counted += debt.count;
  }
  return counted;
}

Timestamp SharedLimit::Holder::EndsAt() const {
  Timestamp end = until;
  for (const Window window : kWindows) {
    if (share[At(window)] > 0) end = std::max(end, DrainedAt(*this, window));
  }
  return end;
}

void SharedLimit::DropWhatEnded(Timestamp now) {
  std::erase_if(holders, [&](const Holder& holder) { return holder.EndsAt() <= now; });
  std::erase_if(debts, [&](const Debt& debt) { return debt.until <= now || debt.count == 0; });
}

Timestamp SharedLimit::EndsAt() const {
  Timestamp end = std::max(closed_until, booked_until);
  for (const Holder& holder : holders) end = std::max(end, holder.EndsAt());
  for (const Debt& debt : debts) end = std::max(end, debt.until);
  return end;
}

std::string SharesToJson(const SharedLimit& limit) {
  nlohmann::json holders = nlohmann::json::array();
  for (const auto& holder : limit.holders) {
    holders.push_back({{"owner", holder.owner},
                       {"share", holder.share},
                       {"want", holder.want},
                       {"until", Micros(holder.until)},
                       {"drain", holder.drain.count()}});
  }
  nlohmann::json debts = nlohmann::json::array();
  for (const auto& debt : limit.debts) debts.push_back({At(debt.window), debt.count, Micros(debt.until)});
  return nlohmann::json({{"holders", std::move(holders)}, {"debts", std::move(debts)}})
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool SharesFromJson(std::string_view json, SharedLimit& limit) {
  limit.holders.clear();
  limit.debts.clear();
  try {
    const nlohmann::json document = nlohmann::json::parse(json);
    for (const auto& entry : document.at("holders")) {
      SharedLimit::Holder holder;
      entry.at("owner").get_to(holder.owner);
      entry.at("share").get_to(holder.share);
      entry.at("want").get_to(holder.want);
      holder.until = FromMicros(entry.at("until").get<std::int64_t>());
      holder.drain = microseconds{entry.at("drain").get<std::int64_t>()};
      limit.holders.push_back(std::move(holder));
    }
    for (const auto& entry : document.at("debts")) {
      const auto window = entry.at(0).get<std::size_t>();
      if (window >= kWindows.size()) return false;
      limit.debts.push_back({kWindows[window], entry.at(1).get<int>(), FromMicros(entry.at(2).get<std::int64_t>())});
    }
  } catch (const nlohmann::json::exception&) {
    return false;
  }
  return true;
}

std::vector<int> FairShares(int limit, std::span<const int> wants, std::uint64_t turn) {
  std::vector<int> shares(wants.size(), 0);
  if (wants.empty()) return shares;
  int left = std::max(limit, 0);
  std::vector<std::size_t> hungry;
  const auto give_in_turn = [&](const std::vector<std::size_t>& to) {
    for (std::size_t i = 0; left > 0; ++i, --left) ++shares[to[(turn + i) % to.size()]];
  };
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < wants.size(); ++i) {
    all.push_back(i);
    if (wants[i] > 0) hungry.push_back(i);
  }
  while (left > 0 && !hungry.empty()) {
    const int each = left / static_cast<int>(hungry.size());
    if (each == 0) {
      give_in_turn(hungry);
      break;
    }
    for (const std::size_t i : hungry) {
      const int part = std::min(each, wants[i] - shares[i]);
      shares[i] += part;
      left -= part;
    }
    std::erase_if(hungry, [&](std::size_t i) { return shares[i] >= wants[i]; });
  }
  const int each = left / static_cast<int>(all.size());
  for (int& share : shares) share += each;
  left -= each * static_cast<int>(all.size());
  give_in_turn(all);
  return shares;
}

}  // namespace outrider::providers
