#include "consumer/ingest_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/text.h"

namespace outrider::consumer {
namespace {

constexpr std::size_t kLinesPerBatch = 10;
constexpr std::size_t kMaxFaultsInLog = 500;
constexpr std::string_view kDirectTopics = "direct:";

// A direct source's positions are the outbox's seq, which has gaps by nature and doesn't arrive in order.
bool IsDirect(const Item& item) { return item.shard.topic.starts_with(kDirectTopics); }

const std::vector<RequestFault>& TooOld() {
  static const std::vector<RequestFault> kFaults = {
      {"", "is older than the dedupe memory, and the key is unknown: it may have been sent before"}};
  return kFaults;
}

}  // namespace

void Outcome::Tell(Note::Kind kind, const Item& item, std::string what, std::string detail) {
  if (notes.size() >= kLinesPerBatch) {
    ++notes_left_out;
    return;
  }
  Note& note = notes.emplace_back();
  note.kind = kind;
  note.position = item.event->position;
  note.event_id = item.reading.event_id;
  if (item.reading.request) {
    note.channel = item.reading.request->channel;
    note.dedupe_key = item.reading.request->dedupe_key;
  }
  note.what = std::move(what);
  note.detail = std::move(detail);
}

IngestPlan::IngestPlan(std::span<const Item> items, Shards shards, std::chrono::hours dedupe_memory,
                       std::span<const EventPosition> counted_before)
    : items_(items),
      shards_(std::move(shards)),
      oldest_(shards_.now - dedupe_memory),
      counted_before_(counted_before) {}

bool IngestPlan::IsOld(const Item& item) const {
  // Not every producer says when; the broker does, of each event.
  const Timestamp at = item.reading.created_at.value_or(item.event->timestamp);
  return at != Timestamp{} && at < oldest_;
}

bool IngestPlan::HoldsOld() const {
  return std::ranges::any_of(items_, [&](const Item& item) { return IsOld(item); });
}

ShardMove& IngestPlan::Move(const Shard& shard) {
  const ShardMove untouched{
      .shard = shard.number, .from = shard.next_offset, .to = shard.next_offset, .counted_before = shard.counted};
  return moves_.try_emplace(shard.number, untouched).first->second;
}

RecordRow IngestPlan::Row(const Item& item, const Shard& shard) const {
  const NotificationRequest& request = *item.reading.request;
  RecordRow row;
  row.position = &item.event->position;
  row.request = &request;
  row.dedupe_hash = &item.dedupe_hash;
  row.content_hash = &item.reading.content_hash;
  row.ordering_hash = &item.ordering_hash;
  row.event_id = item.reading.event_id;
  row.request_json = item.request_json;
  row.recipient = item.recipient;
  row.sealed_by = item.sealed_by;
  row.metadata_json = item.metadata_json;
  row.traceparent = item.reading.traceparent;
  row.tracestate = item.reading.tracestate;
  row.source_key = item.source_key;
  row.parked_by = item.parked_by;
  row.shard = shard.number;
  row.now = shards_.now;
  row.due_at = std::max(request.scheduled_at.value_or(shards_.now), shards_.now);
  row.committed_at = item.reading.created_at;
  return row;
}

void IngestPlan::Make(std::map<Digest, KnownRecord> known) {
  for (const Item& item : items_) {
    const Shard& shard = shards_.found.at(item.shard);
    const std::int64_t offset = item.event->position.offset;
    ShardMove& move = Move(shard);
    if (move.to == shard.next_offset && offset > shard.next_offset && shard.next_offset > 0 && !IsDirect(item)) {
      move.skipped = offset - shard.next_offset;
      outcome.Tell(Note::Kind::kSkipped, item, fmt::format("{}", move.skipped));
    }
    move.to = std::max(move.to, offset + 1);

    if (!item.reading.request) {
      Reject(item, shard);
      continue;
    }
    if (const auto found = known.find(item.dedupe_hash); found != known.end()) {
      MeetKnown(item, found->second);
      continue;
    }
    if (IsOld(item)) {
      Reject(item, shard);
      continue;
    }
    inserts.push_back(Row(item, shard));
    known[item.dedupe_hash] = {
        .event_id = item.reading.event_id, .position = item.event->position, .content_hash = item.reading.content_hash};
    ++move.recorded;
    ++outcome.counts.recorded;
    outcome.unknown_fields += item.reading.unknown_fields.size();
    if (!item.parked_by.empty()) outcome.Tell(Note::Kind::kParked, item, std::string(item.parked_by));
  }
}

bool IngestPlan::HasContent(const Item& item, const Digest& content_hash) {
  if (item.content_hashes.empty()) return item.reading.content_hash == content_hash;
  return std::ranges::find(item.content_hashes, content_hash) != item.content_hashes.end();
}

bool IngestPlan::WasReadBefore(const Item& item, const KnownRecord& known) const {
  const EventPosition& at = item.event->position;
  if (at.offset >= shards_.found.at(item.shard).next_offset) return false;
  if (std::ranges::find(counted_before_, at) != counted_before_.end()) return true;
  // A row that commits late has a lower seq than rows that were read long ago. Only the record's own event is sure to
  // come again; a copy that does, after a crash, is counted again.
  return !IsDirect(item) || (known.position == at && known.event_id == item.reading.event_id);
}

void IngestPlan::MeetKnown(const Item& item, KnownRecord& known) {
  if (WasReadBefore(item, known)) {
    ++outcome.counts.repeated;
    return;
  }
  const Shard& shard = shards_.found.at(item.shard);
  const EventReading& reading = item.reading;
  const bool other_event = reading.event_id != known.event_id;
  if (other_event && !HasContent(item, known.content_hash)) {
    ++outcome.counts.conflicts;
    ++Move(shard).conflicts;
    outcome.Tell(Note::Kind::kConflict, item, known.event_id);
  } else {
    ++outcome.counts.duplicates;
    ++Move(shard).duplicates;
  }
  // A late copy of the event that the record was made of before its last re-opening is older than the record's own.
  const bool newer = !reading.created_at || !known.committed_at || *reading.created_at > *known.committed_at;
  if (other_event && newer && known.id != 0 && item.reopen.contains(known.status) &&
      Next(known.status, DeliveryEvent::kReopened)) {
    reopened.emplace_back(known, Row(item, shard));
    outcome.Tell(Note::Kind::kReopened, item, std::string(ToString(known.status)));
    known = {.event_id = reading.event_id, .position = item.event->position, .content_hash = reading.content_hash};
  }
}

void IngestPlan::Reject(const Item& item, const Shard& shard) {
  const bool too_old = item.reading.request.has_value();
  const RejectedRow row{.event = item.event,
                        .faults = too_old ? &TooOld() : &item.reading.faults,
                        .reason = too_old ? std::string_view("older_than_dedupe_memory") : item.reading.reason,
                        .without_bytes = item.without_bytes,
                        .withheld = item.withheld};
  rejected.push_back(row);
  if (item.event->position.offset < shard.next_offset) perhaps_rejected_before.push_back(row);
}

void IngestPlan::Known(const std::set<const Event*>& kept) {
  outcome.counts.repeated += std::erase_if(rejected, [&](const RejectedRow& row) { return kept.contains(row.event); });
}

void IngestPlan::Finish() {
  for (const RejectedRow& row : rejected) {
    const Item& item = items_[static_cast<std::size_t>(row.event - items_.front().event)];
    ++Move(shards_.found.at(item.shard)).rejected;
    ++outcome.counts.rejected;
    const std::string faults = Describe(*row.faults);
    outcome.Tell(Note::Kind::kRejected, item, std::string(row.reason),
                 std::string(CutCodePoints(faults, kMaxFaultsInLog)));
  }
  for (const auto& [number, move] : moves_) {
    const bool counts = move.recorded + move.duplicates + move.conflicts + move.rejected > 0;
    if (counts || move.to != move.from) outcome.moves.push_back(move);
  }
}

}  // namespace outrider::consumer
