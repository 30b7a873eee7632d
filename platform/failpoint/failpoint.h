// Failpoint: a named place in the program where a test makes it crash, wait or fail, at a pass of its choice.
//
// Off (as in every installation), passing one costs one relaxed load and a branch that is never taken. Plans come from
// the environment: OUTRIDER_FAILPOINT="settle.before_commit=crash@3; relay.after_read=sleep:200ms", and are refused
// unless OUTRIDER_ALLOW_FAILPOINTS=1 says that this process may be broken on purpose.
//
// Threads: Arm() once, before the second thread starts; passing is safe from any. A crash is SIGKILL to this process,
// so nothing is flushed or cleaned up.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace outrider {

enum class Failpoint {
  kRelayAfterRead,
  kRelayAfterProduce,
  kRelayAfterAck,
  kRelayBeforeCommit,
  kRelayAfterCommit,
  kIngestBeforeCommit,
  kIngestAfterCommit,
  kIngestBeforeOffsetCommit,
  kClaimBeforeCommit,
  kClaimAfterCommit,
  kSendBeforeBytes,
  kMockBeforeTaking,
  kSendAfterAnswer,
  kSettleBeforeCommit,
  kSettleAfterCommit,
  kRetentionBeforeCommit,
  kRetentionAfterCommit,
};

struct FailpointInfo {
  Failpoint point;
  std::string_view name;
  bool can_fail;  // takes `error`: the caller has a way to fail there
  std::string_view where;
};

inline constexpr std::array kFailpoints = {
    FailpointInfo{Failpoint::kRelayAfterRead, "relay.after_read", true, "a batch was read, nothing is published"},
    FailpointInfo{Failpoint::kRelayAfterProduce, "relay.after_produce", false, "a row was given to the sink"},
    FailpointInfo{Failpoint::kRelayAfterAck, "relay.after_ack", false,
                  "a batch is acknowledged, no row is deleted (W1)"},
    FailpointInfo{Failpoint::kRelayBeforeCommit, "relay.before_commit", true, "rows are deleted, not committed"},
    FailpointInfo{Failpoint::kRelayAfterCommit, "relay.after_commit", false, "a batch is deleted for good"},
    FailpointInfo{Failpoint::kIngestBeforeCommit, "ingest.before_commit", true, "records are inserted, not committed"},
    FailpointInfo{Failpoint::kIngestAfterCommit, "ingest.after_commit", false,
                  "records are durable, their offset isn't"},
    FailpointInfo{Failpoint::kIngestBeforeOffsetCommit, "ingest.before_offset_commit", false,
                  "an offset is about to be committed"},
    FailpointInfo{Failpoint::kClaimBeforeCommit, "claim.before_commit", true, "a claim is written, not committed"},
    FailpointInfo{Failpoint::kClaimAfterCommit, "claim.after_commit", false, "a claim stands, nothing is sent"},
    FailpointInfo{Failpoint::kSendBeforeBytes, "send.before_bytes", false,
                  "connected to the provider, the first byte is about to leave"},
    FailpointInfo{Failpoint::kMockBeforeTaking, "mock.before_taking", false,
                  "the mock provider is given a message; nobody else's are touched"},
    FailpointInfo{Failpoint::kSendAfterAnswer, "send.after_answer", false,
                  "the provider answered, nothing is settled (W3)"},
    FailpointInfo{Failpoint::kSettleBeforeCommit, "settle.before_commit", true,
                  "outcomes are written, not committed (W3)"},
    FailpointInfo{Failpoint::kSettleAfterCommit, "settle.after_commit", false, "outcomes are durable"},
    FailpointInfo{Failpoint::kRetentionBeforeCommit, "retention.before_commit", true,
                  "bodies or records are removed, not committed"},
    FailpointInfo{Failpoint::kRetentionAfterCommit, "retention.after_commit", false, "a batch is removed for good"},
};

namespace failpoint {

// Reads the plans of the environment ("NAME=value" entries) and arms them. kInvalid: what is wrong, all at once, among
// it plans without the switch. Nothing planned: nothing happens.
Result<void> Arm(const std::vector<std::string>& environment);
// For tests of the program's parts: arms one plan, in the form of the environment's.
Result<void> Arm(std::string_view plan);
void Disarm();

namespace internal {
extern std::atomic<bool> armed;
std::optional<Error> PassSlowly(Failpoint point);
}  // namespace internal

}  // namespace failpoint

// To be written where the point is. An Error (kUnavailable) when the plan says `error` at this pass.
inline std::optional<Error> PassFailpoint(Failpoint point) {
  if (!failpoint::internal::armed.load(std::memory_order_relaxed)) [[likely]]
    return std::nullopt;
  return failpoint::internal::PassSlowly(point);
}

}  // namespace outrider
