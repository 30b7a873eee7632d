// EventSink: where a relay hands its rows to. Kafka, or straight into ingest (transport: direct).
//
// Threads: the relay's own. A row that was submitted gets exactly one report. On a crash what was submitted and not yet
// reported may or may not have arrived; its row is still in the outbox and is submitted again (duplicates are removed
// at ingest).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "model/time.h"

namespace outrider::outbox {

// A row of the outbox table.
struct OutboxRow {
  std::uint64_t seq = 0;
  std::string id;
  std::string aggregatetype;
  std::string aggregateid;
  std::string type;
  std::string payload;
  std::optional<std::string> traceparent;
  std::optional<std::string> tracestate;
  Timestamp created_at{};
  std::uint64_t held_id = 0;  // of a row that comes out of outbox_held, else 0
};

struct PublishReport {
  std::uint64_t seq = 0;
  enum class Kind {
    kStored,     // durable at topic/partition/offset
    kNotStored,  // not there, or unknown: submit again
    kPoison,     // can never be published: move it aside
  } kind = Kind::kNotStored;
  std::string_view topic;  // the sink's own, and valid as long as it lives
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::string problem;  // for the last two
};

// Why a row can never be published.
enum class PoisonReason {
  kCannotBePublished,
  kIllegalTopic,
  kTopicNotAllowed,
  kTooLarge,
  kRefusedByBroker,
};
// Stable: "too_large".
std::string_view ToString(PoisonReason reason);

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Takes a copy. kUnavailable: full or away, Poll() first. kInvalid: poison, no report follows; native_code is a
  // PoisonReason.
  virtual Result<void> Submit(const OutboxRow& row) = 0;
  // Waits up to `wait` for reports and appends them; returns early when some are there.
  virtual void Poll(std::chrono::milliseconds wait, std::vector<PublishReport>& reports) = 0;
  // Gives up what is outstanding; its reports (kNotStored) follow by Poll().
  virtual void Abandon() = 0;
  virtual std::size_t outstanding() const = 0;
  // Why nothing moves, for people; empty while all is well.
  virtual std::string trouble() const = 0;
};

// The topic of an aggregatetype without a route begins so.
inline constexpr std::string_view kTopicPrefix = "outbox.event.";

}  // namespace outrider::outbox
