// Record: one row of notification_records as delivery reads it, and Change: what delivery writes to one. Values.
//
// Ages and waits are counted by the database's clock at the time of reading, so that no process's own clock decides
// what is due, expired or held for too long.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/delivery_status.h"
#include "model/outcome.h"
#include "model/time.h"

namespace outrider::consumer {

// Why a record has no due time.
inline constexpr std::string_view kParkedByUnknownChannel = "channel_unknown";
inline constexpr std::string_view kParkedByOrderingKey = "ordering_key";
// The first of a key behind a dead record that holds it; the others are parked by the key.
inline constexpr std::string_view kParkedByBlockedKey = "blocked_ordering_key";
inline constexpr std::string_view kParkedByUnknownTemplate = "template_unknown";
// With the tenant's name behind it, so that one tenant's can be found.
inline constexpr std::string_view kParkedByPausedTenant = "tenant_paused:";
// As the column holds it: a name that is too long for that is cut and made unique by its digest.
std::string ParkedByPause(std::string_view tenant);

// What attempt rows say beside the providers' verdicts.
inline constexpr std::string_view kLeaseExpired = "lease_expired";
inline constexpr std::string_view kReconciledVerdict = "reconciled";

// The log's words for what happened to a record.
inline constexpr std::string_view kRecordSettled = "record.settled";
inline constexpr std::string_view kRecordReturned = "record.returned";    // the claim: nothing had left
inline constexpr std::string_view kRecordRecovered = "record.recovered";  // its lease had expired
inline constexpr std::string_view kRecordEnded = "record.ended";          // without a send
inline constexpr std::string_view kRecordMoved = "record.moved";          // parked, released or postponed

struct Record {
  std::int64_t id = 0;
  std::uint32_t version = 0;
  DeliveryStatus status = DeliveryStatus::kPending;
  int shard = 0;
  std::string tenant, channel, dedupe_key;
  std::string ordering_hash;  // 32 bytes, or empty
  bool is_private = false;
  bool uncertain = false;
  bool counted_in_quota = false;
  int attempt_no = 0;
  int attempts_spent = 0;
  int form_no = 0;           // of the message (providers/message_forms.h)
  bool has_simpler = false;  // a form after that one
  int max_attempts = 0;      // the request's own; 0: the channel's
  std::string reason, parked_by, lease_owner, send_key;
  std::string sealed_by;  // the key that `request` is sealed under; empty: it stands in clear
  std::optional<std::chrono::microseconds> send_key_age;
  std::optional<std::chrono::microseconds> held_for;
  std::optional<std::chrono::microseconds> expires_in;  // zero or less: expired
  std::chrono::microseconds unchanged_for{0};
  std::optional<Timestamp> committed_at;
  Timestamp read_at{};  // the database's clock
  std::string request;  // canonical JSON, or sealed; empty where it wasn't asked for or is gone
};

// A row of notification_attempts.
struct AttemptRow {
  int attempt_no = 0;
  std::chrono::microseconds started_ago{0};
  std::chrono::microseconds duration{0};
  std::string worker, provider, verdict, reason, provider_code, provider_log_id, detail, answer;
  int http_status = 0;
};

struct Change {
  // Which record, as it was read; any other version means that somebody else was first.
  std::int64_t id = 0;
  std::uint32_t version = 0;
  DeliveryStatus from = DeliveryStatus::kPending;
  DeliveryStatus to = DeliveryStatus::kPending;
  // The claim that the record must be under; empty: any. A claim whose commit may not have happened needs it: the
  // version that it would have made may be somebody else's claim.
  std::string claim;
  std::string ordering_hash;
  bool is_private = false;
  bool was_uncertain = false;

  // What is written.
  std::string reason;                               // empty: NULL
  std::optional<std::chrono::microseconds> due_in;  // from the database's now; none: NULL
  std::string parked_by;                            // empty: NULL
  bool give_attempt_back = false;
  bool attempts_anew = false;  // none is spent
  bool new_send_key = false;   // the one that was used is forgotten
  bool simpler_form = false;   // the next one is sent
  bool uncertain = false;
  enum class Held { kNo, kYes, kAsBefore } held = Held::kAsBefore;  // yes: since its first time
  bool writes_answer = false;                                       // the four below; else they stay
  std::string last_error, provider, provider_message_id, provider_log_id;
  std::optional<AttemptRow> attempt;

  // For log and metrics.
  std::string_view what = kRecordSettled;
  std::string channel, dedupe_key;
  std::optional<Timestamp> committed_at;

  bool ends() const { return IsTerminal(to); }
};

// The change that `event` makes of the record, with nothing but the status decided. REQUIRES: the status table allows
// the event there (else the program stops). What leaves no trace in the table is kept as it was read.
Change MakeChange(const Record& record, DeliveryEvent event, std::string_view what);

}  // namespace outrider::consumer
