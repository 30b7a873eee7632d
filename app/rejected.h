// `outrider rejected ls|show|replay`: the events that could not become a record.
//
// A replay reads an event again and, if it has become readable, writes its request into Outrider's own outbox, once, in
// the transaction that audits it. Nothing of an event's content is printed. Exit codes: kExitOk when all were replayed,
// kExitPartly, kExitFailed (none), kExitUsage. Single-threaded; after a crash each event was replayed or wasn't.
#pragma once

#include <cstdint>
#include <string>

#include "app/commands.h"
#include "app/config.h"
#include "app/dead_letters.h"

namespace outrider::app {

struct RejectedChoice {
  std::int64_t id = 0;  // one event; 0: those that the rest describes
  std::string cause, topic;
  std::size_t limit = 0;  // 0: all (of `ls`: a page)
};

int ListRejectedEvents(const Config& config, const RejectedChoice& choice, std::int64_t before_id, OutputFormat format);
int ShowRejected(const Config& config, std::int64_t id, OutputFormat format);
int ReplayRejected(const Config& config, const RejectedChoice& choice, const ActionOptions& options,
                   OutputFormat format);

}  // namespace outrider::app
