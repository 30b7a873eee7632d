// IngestPlan: which events of a batch are new, copies, conflicts or rejected, given what the database holds.
//
// Values and decisions, no I/O; Ingest (ingest.cc) reads before and writes after. What a plan gives views its items.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consumer/event_reader.h"
#include "consumer/ingest.h"
#include "consumer/ingest_store.h"

namespace outrider::consumer {

// An event with everything that doesn't depend on the database.
struct Item {
  const Event* event = nullptr;
  EventReading reading;
  ShardName shard;
  Digest dedupe_hash{};
  std::optional<Digest> ordering_hash;
  std::string request_json, metadata_json, source_key;
  std::string recipient, sealed_by;    // as the columns take them; not sealed: an empty key id
  std::vector<Digest> content_hashes;  // of a private request, under every key
  std::string_view parked_by;
  std::set<DeliveryStatus> reopen;
  bool without_bytes = false;
  bool withheld = false;  // may be private, and there is no key to keep its bytes under
};

// One line of the log, written once the batch is durable.
struct Note {
  enum class Kind { kRejected, kConflict, kReopened, kParked, kSkipped };
  Kind kind = Kind::kRejected;
  EventPosition position;
  std::string event_id, channel, dedupe_key;
  std::string what;  // reason, event id of the record, status before, parked by, offsets
  std::string detail;
};

struct Outcome {
  void Tell(Note::Kind kind, const Item& item, std::string what, std::string detail = "");

  IngestCounts counts;
  std::size_t unknown_fields = 0;
  std::vector<ShardMove> moves;
  std::vector<Note> notes;
  std::size_t notes_left_out = 0;
};

// What a batch makes of what stands in the database. Make(), then Known() when something was looked up, then Finish().
class IngestPlan final {
 public:
  // `counted_before`: positions whose events are known to be durable and counted, from a commit whose answer was lost.
  IngestPlan(std::span<const Item> items, Shards shards, std::chrono::hours dedupe_memory,
             std::span<const EventPosition> counted_before);

  // Some event is older than the dedupe memory: whether its record is there decides about it.
  bool HoldsOld() const;
  // `known`: the records that were read, by dedupe hash; those of unread keys count as absent.
  void Make(std::map<Digest, KnownRecord> known);
  // Of perhaps_rejected_before: those that are kept already.
  void Known(const std::set<const Event*>& kept);
  void Finish();

  std::vector<RecordRow> inserts;
  std::vector<std::pair<KnownRecord, RecordRow>> reopened;
  std::vector<RejectedRow> rejected;
  std::vector<RejectedRow> perhaps_rejected_before;
  Outcome outcome;

 private:
  bool IsOld(const Item& item) const;
  static bool HasContent(const Item& item, const Digest& content_hash);
  void MeetKnown(const Item& item, KnownRecord& known);
  bool WasReadBefore(const Item& item, const KnownRecord& known) const;
  void Reject(const Item& item, const Shard& shard);
  RecordRow Row(const Item& item, const Shard& shard) const;
  ShardMove& Move(const Shard& shard);

  const std::span<const Item> items_;  // of consecutive events
  const Shards shards_;
  const Timestamp oldest_;
  const std::span<const EventPosition> counted_before_;
  std::map<std::int64_t, ShardMove> moves_;
};

}  // namespace outrider::consumer
