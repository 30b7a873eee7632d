#include "consumer/record_scan.h"

#include <algorithm>
#include <utility>

#include "consumer/quiet_minutes.h"
#include "consumer/sealed_request.h"
#include "consumer/settlement.h"
#include "model/request.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kIdleGrows = 10;  // times the idle time, at most
// What couldn't be decided now because somebody holds a lock on it.
constexpr milliseconds kAgainSoon{50};
constexpr std::size_t kLeastLimit = 8;
constexpr int kDeathsOfASuspect = 2;
constexpr milliseconds kBetweenSuspects{50};
constexpr milliseconds kLongestIsolation{30'000};
constexpr std::size_t kMostSkim = 1'000;
constexpr std::string_view kQuietMinute = "quiet_minute";

SendOutcome Outcome(SendVerdict verdict, std::string_view reason, std::string_view detail) {
  SendOutcome outcome;
  outcome.verdict = verdict;
  outcome.reason = reason;
  outcome.detail = detail;
  return outcome;
}

}  // namespace

RecordScan::RecordScan(Options options, mysql::MysqlPool& pool, providers::Sender& sender, RateLeases& leases,
                       ChangeCommitter& committer, ChannelGates& gates, ClaimTokens& tokens, AttemptRunner& runner,
                       SettlementWriter& writer, const Clock& clock, DeliveryProbe& probe)
    : options_(options),
      pool_(pool),
      sender_(sender),
      committer_(committer),
      order_(pool, committer),
      gates_(gates),
      tokens_(tokens),
      runner_(runner),
      writer_(writer),
      clock_(clock),
      probe_(probe),
      admission_(sender, leases, committer, clock, probe) {}

void RecordScan::WakeAll() {
  const std::lock_guard lock(mutex_);
  wake_all_ = true;
}

void RecordScan::Wake(std::string_view channel) {
  const std::lock_guard lock(mutex_);
  woken_.emplace(channel);
}

void RecordScan::TakeWakes(const ChannelTable& channels, Time now) {
  std::erase_if(outlooks_, [&](const auto& entry) { return !channels.contains(entry.first); });
  const std::lock_guard lock(mutex_);
  for (const auto& [code, channel] : channels) {
    Outlook& outlook = outlooks_[code];
    if (!wake_all_ && !woken_.contains(code)) continue;
    outlook.look_at = now;
    outlook.idle = options_.idle;
  }
  wake_all_ = false;
  woken_.clear();
}

// Which channels to ask, and for how many rows.
std::vector<RecordScan::Look> RecordScan::Choose(const ChannelTable& channels, const PausedNames& paused, Time now) {
  std::vector<Look> looks;
  next_look_ = now + options_.idle * kIdleGrows;
  std::size_t budget = options_.batch;
  ++turn_;
  auto next = channels.begin();
  if (!channels.empty()) std::advance(next, turn_ % channels.size());
  for (std::size_t i = 0; i < channels.size(); ++i, ++next) {
    if (next == channels.end()) next = channels.begin();
    const auto& [code, channel] = *next;
    if (paused.channels.contains(code)) continue;
    Outlook& outlook = outlooks_[code];
    if (outlook.look_at > now) {
      Soon(outlook.look_at);
      continue;
    }
    const ChannelGates::Opening opening = gates_.Look(code, now);
    if (opening.opens_at) Soon(*opening.opens_at);
    // With a backlog a few places aren't worth a look; more come free, and wake us.
    const std::size_t worth = outlook.backlog ? std::max<std::size_t>(opening.share / 4, 1) : 1;
    if (opening.places < worth) continue;
    const std::vector<providers::LimitRule> rules = sender_.RulesOf(code);
    providers::RateLimits::Outlook limit = sender_.limits().Look(rules);
    // What a switched-off channel gets is skipped, and what is a paused tenant's parked: both cost the vendor nothing.
    if (!channel->enabled || outlook.met_paused) limit.places = opening.places;
    if (outlook.backlog && limit.places < opening.places) sender_.limits().Press(rules[limit.rule], limit.wait);
    if (limit.places == 0) {
      if (outlook.backlog) probe_.RateLimited(channel->provider);
      Soon(now + limit.wait);
      continue;
    }
    if (budget == 0) {
      Soon(now);
      continue;
    }
    const std::size_t want = std::min({opening.places, limit.places, budget});
    budget -= want;
    looks.push_back({code, opening, want, want + outlook.skim, 0});
  }
  return looks;
}

std::vector<std::int64_t> RecordScan::Pick(const std::vector<Look>& looks, const std::vector<int>& shards,
                                           const std::vector<RecordStore::DueQuery>& queries,
                                           const std::vector<RecordStore::DueRow>& due, Time now) {
  constexpr std::size_t kPriorities = PriorityTurns::kPriorities;
  std::vector<std::int64_t> ids;
  std::vector<std::vector<RecordStore::DueRow>> rows(queries.size());
  for (const RecordStore::DueRow& row : due) rows[row.query].push_back(row);
  for (const Look& look : looks) {
    Outlook& outlook = outlooks_.find(look.channel)->second;
    std::array<std::vector<RecordStore::DueRow>, kPriorities> waiting;
    std::optional<microseconds> later;
    bool full = false;
    outlook.crowded_shards = 0;
    for (std::size_t i = 0; i < shards.size() * kPriorities; ++i) {
      const std::size_t query = look.first_query + i;
      std::size_t found = 0;
      for (const RecordStore::DueRow& row : rows[query]) {
        if (row.wait.count() > 0) {
          later = std::min(later.value_or(row.wait), row.wait);
          continue;
        }
        waiting[i % kPriorities].push_back(row);
        ++found;
      }
      full = full || found == queries[query].limit;
      outlook.crowded_shards += found > 0 ? 1 : 0;
    }
    PriorityTurns::Counts counts{};
    std::size_t total = 0;
    for (std::size_t i = 0; i < kPriorities; ++i) {
      std::ranges::sort(waiting[i],
                        [](const auto& a, const auto& b) { return std::pair(a.wait, a.id) < std::pair(b.wait, b.id); });
      counts[i] = waiting[i].size();
      total += counts[i];
    }
    const PriorityTurns::Counts taken = outlook.turns.Share(counts, look.want);
    std::size_t picked = 0;
    for (std::size_t i = 0; i < kPriorities; ++i) {
      for (std::size_t j = 0; j < taken[i]; ++j) ids.push_back(waiting[i][j].id);
      picked += taken[i];
    }
    // Beyond those whose turn it is, others in whose place they may be.
    for (std::size_t i = 0; i < kPriorities; ++i) {
      for (std::size_t j = taken[i]; j < counts[i] && picked < look.rows; ++j, ++picked) {
        ids.push_back(waiting[i][j].id);
      }
    }
    outlook.backlog = full || picked < total;
    if (outlook.backlog) {
      outlook.look_at = now;
    } else {
      outlook.idle = total > 0 ? options_.idle : std::min(outlook.idle * 2, options_.idle * kIdleGrows);
      outlook.look_at = now + outlook.idle;
      if (later) outlook.look_at = std::min(outlook.look_at, now + std::chrono::ceil<milliseconds>(*later));
    }
    gates_.SetCrowded(look.channel, outlook.backlog);
    Soon(outlook.look_at);
  }
  return ids;
}

std::optional<Change> RecordScan::EndOrMove(Candidate& candidate, const PausedNames& paused) const {
  Record& record = candidate.record;
  if (auto change = EndUnsent(record, SettleRules(*candidate.channel, options_.max_age))) return change;
  if (paused.tenants.contains(record.tenant)) {
    Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
    change.parked_by = ParkedByPause(record.tenant);
    return change;
  }
  if (!candidate.channel->enabled) {
    candidate.known =
        Outcome(SendVerdict::kUnreachable, candidate.channel->disabled_reason, "the channel is switched off");
    return std::nullopt;
  }
  if (candidate.probe && record.held_for && *record.held_for >= options_.max_age) {
    Change change = MakeChange(record, DeliveryEvent::kHeldTooLong, kRecordEnded);
    change.reason = "held_too_long";
    return change;
  }
  if (auto parked = OpenRequest(record, options_.sealer)) return parked;
  RequestReading reading = ParseRequest(record.request);
  if (!reading.request) {
    candidate.known = Outcome(SendVerdict::kRefused, "request_unreadable", "what is kept of the request can't be read");
    return std::nullopt;
  }
  NotificationRequest& request = *reading.request;
  if (request.scheduled_at && *request.scheduled_at > record.read_at) {
    Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
    change.due_in = *request.scheduled_at - record.read_at;
    return change;
  }
  if (candidate.channel->quiet_minutes && request.priority == Priority::kLow) {
    const auto wait = QuietDelay(clock_.Now(), record.id);
    if (wait && (!record.expires_in || *wait < *record.expires_in)) {
      Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
      change.reason = kQuietMinute;
      change.due_in = *wait;
      return change;
    }
  }
  if (!request.message && request.fallback_text.empty()) {
    Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
    change.parked_by = kParkedByUnknownTemplate;
    change.held = Change::Held::kYes;
    return change;
  }
  candidate.notification = MakeNotification(record, std::move(request));
  candidate.notification.ask_only = ShallReconcile(record, SettleRules(*candidate.channel, options_.max_age));
  record.request.clear();
  record.send_key = SendKeyOf(record, *candidate.channel);
  return std::nullopt;
}

void RecordScan::Isolate(std::vector<Candidate>& candidates, std::vector<Change>& changes) const {
  bool taken = runner_.HasSuspect();
  int waiting = 0;
  std::erase_if(candidates, [&](Candidate& candidate) {
    const Record& record = candidate.record;
    if (record.reason != kLeaseExpired || record.attempts_spent < kDeathsOfASuspect) return false;
    candidate.suspect = true;
    if (!std::exchange(taken, true)) return false;
    Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
    change.due_in = std::min(++waiting * kBetweenSuspects, kLongestIsolation);
    changes.push_back(std::move(change));
    return true;
  });
}

std::vector<KeyOrder::Waiting> RecordScan::Keyed(const std::vector<Candidate>& candidates) {
  std::vector<KeyOrder::Waiting> waiting;
  for (const Candidate& candidate : candidates) {
    if (candidate.record.ordering_hash.empty()) continue;
    waiting.push_back({&candidate.record, candidate.channel->ordering == providers::OnDeadHead::kBlock});
  }
  return waiting;
}

void RecordScan::Leave(const KeyOrder::Left& left, std::vector<Candidate>& candidates) {
  const Time again = clock_.SteadyNow() + kAgainSoon;
  std::erase_if(candidates, [&](const Candidate& candidate) {
    if (!left.ids.contains(candidate.record.id)) return false;
    if (left.undecided) {
      Outlook& outlook = outlooks_.find(candidate.record.channel)->second;
      outlook.look_at = outlook.backlog ? again : std::min(outlook.look_at, again);
      Soon(again);
    }
    return true;
  });
}

Result<void> RecordScan::Admit(const std::vector<Look>& looks, std::vector<Candidate>& candidates, Counts& counts) {
  Admission::Channels channels;
  for (const Look& look : looks) channels[look.channel].places = look.want;
  std::vector<Admission::Applicant> applicants;
  for (const Candidate& candidate : candidates) {
    if (!candidate.known)
      applicants.push_back({&candidate.record, &candidate.notification, candidate.channel->provider, {}});
  }
  auto admitted = admission_.Admit(applicants, channels);
  const Time now = clock_.SteadyNow();
  for (const Look& look : looks) {
    const Admission::Channel& channel = channels[look.channel];
    Outlook& outlook = outlooks_.find(look.channel)->second;
    const bool mostly_moved = channel.moved > 0 && 2 * channel.moved >= look.rows;
    outlook.skim = mostly_moved ? std::min(kMostSkim, 2 * (outlook.skim + channel.moved)) : outlook.skim / 2;
    outlook.backlog = outlook.backlog || channel.left > 0;
    gates_.SetCrowded(look.channel, outlook.backlog);
    if (channel.left > 0) outlook.look_at = now;
    if (channel.wait.count() > 0) outlook.look_at = std::min(outlook.look_at, now + channel.wait);
    Soon(outlook.look_at);
  }
  std::size_t next = 0;
  for (Candidate& candidate : candidates) {
    if (!candidate.known) candidate.place = std::move(applicants[next++].place);
  }
  counts.postponed +=
      std::erase_if(candidates, [](const Candidate& candidate) { return !candidate.known && candidate.place.empty(); });
  return admitted;
}

Result<RecordScan::Counts> RecordScan::RunOnce(const std::vector<int>& shards, const ChannelTable& channels,
                                               const PausedNames& paused) {
  Counts counts;
  const Time now = clock_.SteadyNow();
  TakeWakes(channels, now);
  std::vector<Look> looks = Choose(channels, paused, now);
  if (looks.empty() || shards.empty()) return counts;

  std::vector<RecordStore::DueQuery> queries;
  for (Look& look : looks) {
    const std::size_t crowded = std::max<std::size_t>(outlooks_.find(look.channel)->second.crowded_shards, 1);
    const std::size_t limit = std::min(look.rows, std::max(kLeastLimit, 2 * look.rows / crowded));
    look.first_query = queries.size();
    for (const int shard : shards) {
      for (int priority = 0; priority < static_cast<int>(PriorityTurns::kPriorities); ++priority) {
        queries.push_back({shard, look.channel, priority, limit});
      }
    }
  }
  std::vector<Record> records;
  std::vector<std::int64_t> ids;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto due = store_.FindDue(**connection, queries, options_.idle * kIdleGrows);
    if (!due) return std::unexpected(due.error());
    ids = Pick(looks, shards, queries, *due, now);
    if (ids.empty()) return counts;
    auto read = store_.ReadDue(**connection, ids);
    if (!read) return std::unexpected(read.error());
    records = std::move(*read);
  }
  counts.stale = records.size() < ids.size();
  if (counts.stale) {
    for (const Look& look : looks) {
      Outlook& outlook = outlooks_.find(look.channel)->second;
      outlook.look_at = std::max(outlook.look_at, now + kAgainSoon);
    }
    next_look_ = std::max(next_look_, now + kAgainSoon);
  }

  std::vector<Candidate> candidates;
  std::vector<Change> changes;
  for (const Look& look : looks) outlooks_.find(look.channel)->second.met_paused = false;
  for (Record& record : records) {
    const auto look = std::ranges::find(looks, record.channel, &Look::channel);
    if (look == looks.end()) continue;  // the database's words for a channel aren't ours any more
    Candidate candidate;
    candidate.channel = channels.find(record.channel)->second;
    candidate.probe = look->opening.probe;
    candidate.record = std::move(record);
    if (auto change = EndOrMove(candidate, paused)) {
      if (change->parked_by.starts_with(kParkedByPausedTenant)) outlooks_.find(look->channel)->second.met_paused = true;
      changes.push_back(std::move(*change));
    } else {
      candidates.push_back(std::move(candidate));
    }
  }
  Isolate(candidates, changes);
  if (!changes.empty()) {
    auto committed = committer_.Commit(changes);
    if (!committed) return std::unexpected(committed.error());
    counts.ended = static_cast<std::size_t>(std::ranges::count_if(changes, &Change::ends));
    for (const std::string& channel : committed->channels) Wake(channel);
    for (const Change& change : changes) Wake(change.channel);
  }
  auto left = order_.LookAtKeys(Keyed(candidates));
  if (!left) return std::unexpected(left.error());
  Leave(*left, candidates);
  if (auto admitted = Admit(looks, candidates, counts); !admitted) return std::unexpected(admitted.error());
  if (auto claimed = Claim(std::move(candidates), counts); !claimed) return std::unexpected(claimed.error());
  return counts;
}

}  // namespace outrider::consumer
