#include "consumer/ingest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consumer/audit_log.h"
#include "consumer/event_reader.h"
#include "consumer/fresh_claims.h"
#include "consumer/ingest_plan.h"
#include "consumer/ingest_store.h"
#include "consumer/ordering_store.h"
#include "consumer/sealed_request.h"
#include "model/dedupe_key.h"
#include "model/text.h"
#include "platform/failpoint/failpoint.h"
#include "platform/mysql/value_fault.h"

namespace outrider::consumer {
namespace {

using mysql::MysqlConnection;

constexpr int kMaxRounds = 10;
constexpr std::size_t kMaxSourceKey = 191;
constexpr int kDuplicateKey = 1062;

// Whether the commit whose answer was lost is there, as far as a batch's shards tell.
enum class Doubt { kOpen, kGone, kThere };

struct Made {
  Outcome outcome;
  Doubt doubt = Doubt::kOpen;
};

// Of a commit whose answer was lost.
struct InDoubt {
  Outcome outcome;
  std::vector<EventPosition> positions;
};

}  // namespace

namespace {

// Not a person's doing, but it changes what had ended.
Result<void> AuditReopening(MysqlConnection& connection, const KnownRecord& known, const RecordRow& row) {
  const AuditEntry entry{.actor = fmt::format("event {}", row.event_id),
                         .action = "reopen",
                         .target = fmt::format("record {}", known.id),
                         .reason = "another event with the same dedupe key; dedupe.reopen allows it"};
  auto added = AuditLog::Add(connection, entry, 1);
  if (!added) return std::unexpected(added.error());
  Record was;
  was.id = known.id;
  was.status = known.status;
  const std::array ids = {known.id};
  if (auto done = OrderingStore().Unblock(connection, ids); !done) return done;
  return AuditLog::AddRecords(connection, *added, std::span(&was, 1));
}

}  // namespace

struct Ingest::State {
  std::vector<Item> Prepare(std::span<const Event> events) const;
  void Seal(Item& item) const;
  void Hide(Item& item) const;  // of what may be private nothing is quoted, nor kept without a key
  Result<IngestCounts> StoreItems(std::span<Item> items);
  Result<IngestCounts> StoreOnce(std::span<const Item> items);
  Result<Made> Transact(MysqlConnection& connection, std::span<const Item> items, bool read_first,
                        FreshClaims::Batch* claims) const;
  static Result<void> Insert(MysqlConnection& connection, IngestPlan& plan, FreshClaims::Batch* claims);
  Doubt LookAtDoubt(const Shards& shards) const;
  IngestCounts Conclude(Made made);
  void Report(const Outcome& outcome);
  void Write(const Note& note);

  mysql::MysqlPool& pool;
  const providers::Sender& sender;
  IngestProbe& probe;
  Log& log;
  const IngestOptions options;

  bool expect_copies = false;  // the batch before had some: look before inserting
  std::optional<InDoubt> in_doubt;
};

// ---- Before the transaction ----

// A private request stands sealed from here on. Without a key it is rejected, and its bytes stay out of the table.
void Ingest::State::Seal(Item& item) const {
  auto sealed = options.sealer == nullptr ? std::nullopt
                                          : SealRequest(*options.sealer, *item.reading.request, item.request_json,
                                                        item.dedupe_hash, item.reading.content_hash);
  if (!sealed) {
    item.reading.request.reset();
    item.reading.reason = kNoSealingKey;
    item.reading.faults = {LacksKey()};
    item.withheld = true;
    return;
  }
  item.request_json = std::move(sealed->text);
  item.recipient = std::move(sealed->recipient);
  item.sealed_by = std::move(sealed->key_id);
  item.content_hashes = std::move(sealed->content_hashes);
  item.reading.content_hash = item.content_hashes.front();
}

void Ingest::State::Hide(Item& item) const {
  if (!item.event->value || !MayBePrivate(*item.event->value)) return;
  item.withheld = options.sealer == nullptr || !options.sealer->has_keys();
  HideNames(item.reading.faults);
}

std::vector<Item> Ingest::State::Prepare(std::span<const Event> events) const {
  struct ChannelRules {
    bool known = false;
    std::set<DeliveryStatus> reopen;
  };
  std::map<std::string, ChannelRules> channels;
  const auto rules_of = [&](const std::string& code) -> const ChannelRules& {
    const auto [entry, fresh] = channels.try_emplace(code);
    if (!fresh) return entry->second;
    if (auto settings = sender.FindChannel(code)) entry->second = {true, std::move(settings->reopen)};
    return entry->second;
  };

  std::vector<Item> items;
  items.reserve(events.size());
  for (const Event& event : events) {
    Item& item = items.emplace_back();
    item.event = &event;
    item.shard = {event.position.topic, event.position.partition};
    item.reading = ReadEvent(event);
    if (!item.reading.request) {
      Hide(item);
      continue;
    }
    const NotificationRequest& request = *item.reading.request;
    const ChannelRules& rules = rules_of(request.channel);
    item.reopen = rules.reopen;
    if (!rules.known) {
      item.parked_by = "channel_unknown";
    } else if (!request.template_code.empty()) {
      item.parked_by = "template_unknown";
    }
    item.dedupe_hash = DedupeHash(request.tenant, request.channel, request.dedupe_key);
    if (!request.ordering_key.empty()) {
      item.ordering_hash = OrderingHash(request.tenant, request.channel, request.ordering_key);
    }
    item.request_json = ToJson(request);
    item.recipient = request.recipient;
    if (!request.metadata.empty()) item.metadata_json = nlohmann::json(request.metadata).dump();
    if (event.key) item.source_key = CutCodePoints(SanitizeUtf8(*event.key), kMaxSourceKey);
    if (request.is_private) Seal(item);
  }
  return items;
}

// ---- The transaction ----

Result<void> Ingest::State::Insert(MysqlConnection& connection, IngestPlan& plan, FreshClaims::Batch* claims) {
  if (claims != nullptr) claims->Choose(plan.inserts);
  auto first = IngestStore::InsertRecords(connection, plan.inserts);
  if (!first) return std::unexpected(first.error());
  for (const RecordRow& row : plan.inserts) {
    if (row.claim.empty() && row.parked_by.empty()) plan.outcome.counts.waiting.insert(row.request->channel);
  }
  if (claims == nullptr || claims->empty()) return {};
  auto ids = IngestStore::FindClaimed(connection, *first, claims->token());
  if (!ids) return std::unexpected(ids.error());
  if (ids->size() != claims->size()) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{} records were inserted under a claim, {} are found", claims->size(), ids->size()));
  }
  claims->SetIds(*ids);
  return {};
}

Result<Made> Ingest::State::Transact(MysqlConnection& connection, std::span<const Item> items, bool read_first,
                                     FreshClaims::Batch* claims) const {
  std::set<ShardName> names;
  for (const Item& item : items) names.insert(item.shard);
  auto shards = IngestStore::ReadShards(connection, names);
  if (shards && shards->found.size() < names.size()) {
    std::vector<ShardName> missing;
    std::ranges::copy_if(names, std::back_inserter(missing),
                         [&](const ShardName& name) { return !shards->found.contains(name); });
    if (auto added = IngestStore::AddShards(connection, missing); !added) return std::unexpected(added.error());
    shards = IngestStore::ReadShards(connection, names);
  }
  if (!shards) return std::unexpected(shards.error());
  const Doubt doubt = LookAtDoubt(*shards);

  IngestPlan plan(
      items, std::move(*shards), options.dedupe_memory,
      doubt == Doubt::kThere ? std::span<const EventPosition>(in_doubt->positions) : std::span<const EventPosition>());
  std::map<Digest, KnownRecord> known;
  if (read_first || plan.HoldsOld()) {
    std::vector<const Digest*> hashes;
    for (const Item& item : items) {
      if (item.reading.request) hashes.push_back(&item.dedupe_hash);
    }
    auto records = IngestStore::ReadRecords(connection, hashes);
    if (!records) return std::unexpected(records.error());
    known = std::move(*records);
  }
  plan.Make(std::move(known));
  if (!plan.perhaps_rejected_before.empty()) {
    auto kept = IngestStore::FindRejected(connection, plan.perhaps_rejected_before, options.sealer);
    if (!kept) return std::unexpected(kept.error());
    plan.Known(*kept);
  }
  plan.Finish();

  if (auto done = Insert(connection, plan, claims); !done) return std::unexpected(done.error());
  for (const auto& [record, row] : plan.reopened) {
    if (auto done = IngestStore::Reopen(connection, record, row); !done) return std::unexpected(done.error());
    if (auto done = AuditReopening(connection, record, row); !done) return std::unexpected(done.error());
    plan.outcome.counts.waiting.insert(row.request->channel);
  }
  if (auto done = IngestStore::InsertRejected(connection, plan.rejected, options.sealer); !done) {
    return std::unexpected(done.error());
  }
  // Last, so that the shards' rows, which the scanner's leases live in, are locked for a moment only.
  if (auto done = IngestStore::MoveShards(connection, plan.outcome.moves); !done) return std::unexpected(done.error());
  if (auto error = PassFailpoint(Failpoint::kIngestBeforeCommit)) return std::unexpected(*error);
  return Made{std::move(plan.outcome), doubt};
}

Doubt Ingest::State::LookAtDoubt(const Shards& shards) const {
  if (!in_doubt) return Doubt::kOpen;
  for (const ShardMove& move : in_doubt->outcome.moves) {
    const auto entry = std::ranges::find_if(
        shards.found, [&](const auto& candidate) { return candidate.second.number == move.shard; });
    if (entry == shards.found.end()) return Doubt::kOpen;
    const auto counted = move.counted_before + move.recorded + move.duplicates + move.conflicts + move.rejected;
    if (entry->second.next_offset < move.to || entry->second.counted < counted) return Doubt::kGone;
  }
  return Doubt::kThere;
}

Result<IngestCounts> Ingest::State::StoreOnce(std::span<const Item> items) {
  bool read_first = expect_copies;
  for (int round = 0; round < kMaxRounds; ++round) {
    Made made;
    std::optional<FreshClaims::Batch> claims;  // each try has its own
    auto done = pool.InTransaction([&](MysqlConnection& connection) -> Result<void> {
      if (options.claims != nullptr) claims.emplace(*options.claims);
      auto transacted = Transact(connection, items, read_first, claims ? &*claims : nullptr);
      if (!transacted) return std::unexpected(transacted.error());
      made = std::move(*transacted);
      return {};
    });
    if (done) {
      (void)PassFailpoint(Failpoint::kIngestAfterCommit);
      if (claims) claims->Start();
      return Conclude(std::move(made));
    }
    const Error& error = done.error();
    if (error.code == ErrorCode::kUnknown && claims) claims->Return();
    if (error.code == ErrorCode::kUnknown && made.doubt != Doubt::kThere) {
      in_doubt = InDoubt{std::move(made.outcome), {}};
      for (const Item& item : items) in_doubt->positions.push_back(item.event->position);
    }
    const bool another_was_first = error.native_code == kDuplicateKey || error.code == ErrorCode::kConflict;
    if (!another_was_first) return std::unexpected(error);
    read_first = true;
  }
  return Fail(ErrorCode::kUnavailable, "other ingests store the same keys faster than this one can read them");
}

Result<IngestCounts> Ingest::State::StoreItems(std::span<Item> items) {
  auto stored = StoreOnce(items);
  if (stored || !mysql::BlamesValue(stored.error())) return stored;
  if (items.size() > 1) {
    const auto half = items.size() / 2;
    auto first = StoreItems(items.first(half));
    if (!first) return first;
    auto second = StoreItems(items.subspan(half));
    if (!second) return second;
    first->waiting.merge(second->waiting);
    return IngestCounts{.recorded = first->recorded + second->recorded,
                        .duplicates = first->duplicates + second->duplicates,
                        .conflicts = first->conflicts + second->conflicts,
                        .rejected = first->rejected + second->rejected,
                        .repeated = first->repeated + second->repeated,
                        .waiting = std::move(first->waiting)};
  }
  Item& item = items.front();
  if (item.without_bytes) return stored;
  const RequestFault refusal{"", "can't be stored: " + stored.error().message};
  if (item.reading.request) {
    item.reading.request.reset();
    item.reading.reason = "cannot_be_stored";
    item.reading.faults = {refusal};
  } else {
    item.without_bytes = true;
    item.reading.faults = {{"", "is named by its position only, because its bytes can't be stored"}, refusal};
  }
  return StoreItems(items);
}

// ---- After the commit ----

IngestCounts Ingest::State::Conclude(Made made) {
  IngestCounts counts = made.outcome.counts;
  expect_copies = counts.duplicates + counts.conflicts + counts.repeated > 0;
  Report(made.outcome);
  if (in_doubt && made.doubt == Doubt::kThere) {
    Report(in_doubt->outcome);
    const IngestCounts& before = in_doubt->outcome.counts;
    const std::size_t counted = before.recorded + before.duplicates + before.conflicts + before.rejected;
    counts.recorded += before.recorded;
    counts.duplicates += before.duplicates;
    counts.conflicts += before.conflicts;
    counts.rejected += before.rejected;
    counts.repeated -= std::min(counts.repeated, counted);
    counts.waiting.insert(before.waiting.begin(), before.waiting.end());
  }
  if (made.doubt != Doubt::kOpen) in_doubt.reset();
  return counts;
}

void Ingest::State::Report(const Outcome& outcome) {
  probe.Recorded(outcome.counts.recorded);
  probe.Duplicates(outcome.counts.duplicates);
  probe.Conflicts(outcome.counts.conflicts);
  probe.Rejected(outcome.counts.rejected);
  probe.UnknownFields(outcome.unknown_fields);
  for (const ShardMove& move : outcome.moves) probe.OffsetsSkipped(static_cast<std::size_t>(move.skipped));
  for (const Note& note : outcome.notes) Write(note);
  if (outcome.notes_left_out > 0) log.Warn("ingest.more", {{"lines_left_out", outcome.notes_left_out}});
}

void Ingest::State::Write(const Note& note) {
  const EventPosition& at = note.position;
  switch (note.kind) {
    case Note::Kind::kRejected:
      log.Warn("event.rejected", {{"topic", at.topic},
                                  {"partition", at.partition},
                                  {"offset", at.offset},
                                  {"event_id", note.event_id},
                                  {"reason", note.what},
                                  {"faults", note.detail}});
      return;
    case Note::Kind::kConflict:
      log.Warn("event.conflicts", {{"topic", at.topic},
                                   {"partition", at.partition},
                                   {"offset", at.offset},
                                   {"channel", note.channel},
                                   {"dedupe_key", note.dedupe_key},
                                   {"event_id", note.event_id},
                                   {"record_of_event", note.what}});
      return;
    case Note::Kind::kReopened:
      log.Info("record.reopened", {{"channel", note.channel},
                                   {"dedupe_key", note.dedupe_key},
                                   {"event_id", note.event_id},
                                   {"was", note.what}});
      return;
    case Note::Kind::kParked:
      log.Warn("record.parked", {{"channel", note.channel}, {"dedupe_key", note.dedupe_key}, {"parked_by", note.what}});
      return;
    case Note::Kind::kSkipped:
      log.Warn("ingest.offsets_skipped",
               {{"topic", at.topic}, {"partition", at.partition}, {"next_read", at.offset}, {"skipped", note.what}});
      return;
  }
}

// ---- The door ----

Ingest::Ingest(mysql::MysqlPool& pool, const providers::Sender& sender, IngestProbe& probe, Log& log,
               IngestOptions options)
    : state_(new State{pool, sender, probe, log, options}) {}
Ingest::~Ingest() = default;

Result<IngestCounts> Ingest::Store(std::span<const Event> events) {
  if (events.empty()) return IngestCounts{};
  if (state_->options.claims != nullptr) state_->options.claims->Pace(events.size());
  std::vector<Item> items = state_->Prepare(events);
  return state_->StoreItems(items);
}

}  // namespace outrider::consumer
