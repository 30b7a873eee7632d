#include "consumer/admission.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace outrider::consumer {
namespace {

using providers::LimitRule;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// What could go on so soon isn't worth an update.
constexpr milliseconds kNear{200};

void Sooner(milliseconds& wait, milliseconds other) {
  other = std::max(other, milliseconds{1});
  wait = wait.count() == 0 ? other : std::min(wait, other);
}

}  // namespace

struct Admission::Refused {
  Applicant* applicant = nullptr;
  LimitRule rule;
  milliseconds wait{0};
};

Result<void> Admission::Admit(std::span<Applicant> applicants, Channels& channels) {
  providers::RateLimits& limits = sender_.limits();
  std::vector<std::vector<LimitRule>> rules;
  bool lacks = false;
  std::map<std::string_view, std::size_t> expected;
  for (const Applicant& applicant : applicants) {
    rules.push_back(sender_.RulesOf(*applicant.notification));
    const std::string_view channel = applicant.record->channel;
    if (expected[channel]++ < channels.at(channel).places) lacks = limits.Want(rules.back()) || lacks;
  }
  if (lacks) {
    if (auto tended = leases_.Tend(); !tended) return tended;
  }
  std::vector<Refused> refused;
  std::set<std::string_view> full;
  for (std::size_t i = 0; i < applicants.size(); ++i) {
    Applicant& applicant = applicants[i];
    const auto at = channels.find(applicant.record->channel);
    Channel& channel = at->second;
    if (channel.places > 0 && !full.contains(at->first)) {
      auto taken = limits.Take(rules[i]);
      if (taken) {
        applicant.place = std::move(*taken);
        --channel.places;
        continue;
      }
      const LimitRule& rule = rules[i][taken.error().rule];
      if (IsNarrow(rule)) {
        refused.push_back({&applicant, rule, taken.error().wait});
      } else {
        full.insert(at->first);
        ++channel.left;
        Sooner(channel.wait, taken.error().wait);
        probe_.RateLimited(applicant.provider);
      }
      continue;
    }
    // It isn't its turn; whether it would stand in others' way can be said nevertheless.
    std::erase_if(rules[i], [](const LimitRule& rule) { return !IsNarrow(rule); });
    const providers::RateLimits::Outlook outlook = limits.Look(rules[i]);
    if (outlook.places > 0) {
      ++channel.left;
    } else {
      refused.push_back({&applicant, rules[i][outlook.rule], outlook.wait});
    }
  }
  return Move(refused, channels);
}

Result<void> Admission::Move(std::span<Refused> refused, Channels& channels) {
  providers::RateLimits& limits = sender_.limits();
  std::map<Digest, std::pair<const LimitRule*, std::size_t>> fresh;
  for (const Refused& one : refused) {
    if (one.applicant->record->reason == kRateLimited) continue;
    auto& [rule, count] = fresh[one.rule.key];
    rule = &one.rule;
    ++count;
  }
  for (const auto& [key, booking] : fresh) limits.Book(*booking.first, booking.second);
  if (!fresh.empty()) {
    if (auto tended = leases_.Tend(); !tended) return tended;
  }
  const auto now = clock_.SteadyNow();
  std::map<Digest, microseconds> next_slot;  // for those that have no slot, and for those that missed theirs
  std::map<Digest, microseconds> next_nearby;
  std::vector<Change> changes;
  for (const Refused& one : refused) {
    const Record& record = *one.applicant->record;
    Channel& channel = channels.find(record.channel)->second;
    const bool missed = record.reason == kRateLimited;
    auto& next = missed ? next_nearby : next_slot;
    microseconds from = one.wait;
    // Counted again from now, so that the next round's slots follow this one's without a gap.
    if (const auto booked = limits.BookedFrom(one.rule); booked && !missed) {
      from = std::max(std::chrono::ceil<microseconds>(*booked - now), microseconds{0});
    }
    microseconds& due_in = next.emplace(one.rule.key, from).first->second;
    if (missed && due_in <= kNear) {
      Sooner(channel.wait, one.wait);
    } else {
      Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
      change.reason = kRateLimited;
      change.due_in = std::min(due_in, record.expires_in.value_or(due_in));
      changes.push_back(std::move(change));
      one.applicant->moved = true;
      ++channel.moved;
      Sooner(channel.wait, std::chrono::ceil<milliseconds>(due_in));
      probe_.Postponed(ToString(one.rule.kind));
    }
    due_in += IntervalOf(one.rule.rate);
  }
  if (changes.empty()) return {};
  auto committed = committer_.Commit(changes);
  if (!committed) return std::unexpected(committed.error());
  return {};
}

}  // namespace outrider::consumer
