// The commands with which a person acts on records: `outrider dlq ls|show|replay|discard` and `cancel`.
//
// A job of many records goes in small batches, at most at the rate that was asked for, and says how to go on when it is
// interrupted. Exit codes: all of it was done, kExitPartly, kExitFailed (nothing), kExitUsage. Single-threaded; after a
// crash each record was acted on or wasn't, and its audit says so.
#pragma once

#include <cstdint>
#include <string>

#include "app/action_options.h"
#include "app/commands.h"
#include "app/config.h"
#include "model/delivery_status.h"

namespace outrider::app {

// As it was said; times as RFC 3339 or as an age ("2h").
struct RecordChoice {
  std::string status = "dead";
  std::string channel, tenant, cause, key, before, after;
  std::size_t limit = 0;  // 0: all
};

int ListDead(const Config& config, const RecordChoice& choice, std::int64_t before_id, OutputFormat format);
int ShowRecord(const Config& config, std::int64_t id, OutputFormat format);
// `event`: kReplayed or kDiscarded.
int ActOnDead(const Config& config, DeliveryEvent event, const RecordChoice& choice, const ActionOptions& options,
              OutputFormat format);
int Cancel(const Config& config, const RecordChoice& choice, const ActionOptions& options, OutputFormat format);

}  // namespace outrider::app
