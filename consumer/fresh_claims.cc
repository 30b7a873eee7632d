#include "consumer/fresh_claims.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace outrider::consumer {
namespace {

using providers::LimitRule;
using std::chrono::milliseconds;

constexpr milliseconds kLongestPace{50};

// Without a look at the vendor's or this process's state: it could leave now, and nothing is to be decided about it.
bool MayLeaveNow(const RecordRow& row, const KnownChannels& known, const providers::ChannelSettings& channel) {
  const NotificationRequest& request = *row.request;
  return row.parked_by.empty() && !row.ordering_hash->has_value() && row.due_at <= row.now &&
         (!request.expires_at || *request.expires_at > row.now) && channel.enabled &&
         !known.paused.channels.contains(request.channel) && !known.paused.tenants.contains(request.tenant) &&
         !(channel.quiet_minutes && request.priority == Priority::kLow) &&
         (request.message.has_value() || !request.fallback_text.empty());
}

// As the claim leaves it. The id is known once it was inserted.
Record RecordOf(const RecordRow& row) {
  const NotificationRequest& request = *row.request;
  Record record;
  record.shard = static_cast<int>(row.shard);
  record.tenant = request.tenant;
  record.channel = request.channel;
  record.dedupe_key = request.dedupe_key;
  record.is_private = request.is_private;
  record.max_attempts = request.max_attempts.value_or(0);
  record.committed_at = row.committed_at;
  record.read_at = row.now;
  if (request.expires_at) {
    record.expires_in = std::chrono::duration_cast<std::chrono::microseconds>(*request.expires_at - row.now);
  }
  return record;
}

}  // namespace

void FreshClaims::Open(std::shared_ptr<const KnownChannels> known) {
  const std::lock_guard lock(mutex_);
  known_ = std::move(known);
}

void FreshClaims::Close() {
  const std::lock_guard lock(mutex_);
  known_.reset();
  changed_.notify_all();
}

bool FreshClaims::HasRoom(std::size_t events) const {
  // Channels share the places, so the last of them aren't all to be had.
  const std::size_t most = options_.max_in_flight - options_.max_in_flight / 4;
  return gates_.in_flight() + std::min(events, most) <= most && 2 * writer_.waiting() <= options_.max_unsettled;
}

void FreshClaims::Pace(std::size_t events) {
  if (4 * events < options_.max_in_flight) return;
  std::unique_lock lock(mutex_);
  awaited_ = events;
  changed_.wait_for(lock, kLongestPace, [&] { return known_ == nullptr || HasRoom(events); });
  awaited_ = 0;
}

void FreshClaims::Changed() {
  const std::size_t events = awaited_;
  if (events == 0 || !HasRoom(events)) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

FreshClaims::Batch::Batch(FreshClaims& claims)
    : claims_(claims), begun_(claims.clock_.SteadyNow()), token_(claims.tokens_.Next()) {}

FreshClaims::Batch::~Batch() {
  for (const Claimed& claimed : claimed_) claims_.gates_.Ended(claimed.record.channel, false);
  if (!claimed_.empty()) claims_.Changed();
}

void FreshClaims::Batch::Choose(std::span<RecordRow> rows) {
  std::shared_ptr<const KnownChannels> known;
  {
    const std::lock_guard lock(claims_.mutex_);
    known = claims_.known_;
  }
  if (known == nullptr || claims_.writer_.waiting() >= claims_.options_.max_unsettled) return;
  providers::RateLimits& limits = claims_.sender_.limits();
  std::set<std::string_view> full;
  for (RecordRow& row : rows) {
    const auto channel = known->channels.find(row.request->channel);
    if (channel == known->channels.end() || full.contains(channel->first)) continue;
    if (!MayLeaveNow(row, *known, *channel->second)) continue;
    if (claims_.options_.quotas != nullptr && claims_.options_.quotas->HasRules(row.request->tenant)) continue;
    Record record = RecordOf(row);
    providers::Notification notification = MakeNotification(record, *row.request);
    const std::vector<LimitRule> rules = claims_.sender_.RulesOf(notification);
    // Who waits for a recipient's or a tenant's limit has slots along it.
    const bool booked = std::ranges::any_of(
        rules, [&](const LimitRule& rule) { return IsNarrow(rule) && limits.BookedFrom(rule).has_value(); });
    if (booked) continue;
    if (!claims_.gates_.TryStart(channel->first)) {
      full.insert(channel->first);
      continue;
    }
    auto place = limits.Take(rules);
    if (!place) {
      claims_.gates_.Ended(channel->first, false);
      if (!IsNarrow(rules[place.error().rule])) full.insert(channel->first);
      continue;
    }
    record.send_key = SendKeyOf(record, *channel->second);
    if (!record.send_key.empty()) record.send_key_age = std::chrono::microseconds{0};
    record.status = DeliveryStatus::kSending;
    record.version = kVersionOfFreshClaim;
    record.attempt_no = 1;
    record.attempts_spent = 1;
    Claimed& claimed = claimed_.emplace_back();
    claimed.record = std::move(record);
    claimed.channel = channel->second;
    claimed.notification = std::move(notification);
    claimed.place = std::move(*place);
    claimed.claimed_at = begun_;
    row.claim = token_;
    row.send_key = claimed.record.send_key;
    row.due_at = row.now + claims_.options_.lease;
  }
}

void FreshClaims::Batch::SetIds(std::span<const std::int64_t> ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    claimed_[i].record.id = ids[i];
    claimed_[i].notification.record_id = ids[i];
  }
}

void FreshClaims::Batch::Start() {
  claims_.probe_.Transitioned(DeliveryStatus::kPending, DeliveryStatus::kSending, claimed_.size());
  while (!claimed_.empty()) {
    Claimed claimed = std::move(claimed_.front());
    claimed_.pop_front();
    claims_.runner_.Start(std::move(claimed), claims_.writer_);
  }
}

void FreshClaims::Batch::Return() {
  for (const Claimed& claimed : claimed_) {
    if (claimed.record.id != 0) claims_.writer_.Add(GiveClaimBack(claimed.record, token_));
  }
}

}  // namespace outrider::consumer
