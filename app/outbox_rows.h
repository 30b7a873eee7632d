// `outrider outbox ls|replay|discard`: what waits in the sources' outboxes, and their rows that can't be published.
//
// A replay puts a row back where the relay finds it, before the held ones of its key; a discard drops it. Each is one
// transaction with its line in the source's outbox_audit, so a job that is interrupted is simply given again. Payloads
// are never printed. Exit codes: all of it was done, kExitPartly, kExitFailed (nothing), kExitUsage. Single-threaded;
// after a crash each row was decided on or wasn't.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/config.h"
#include "app/dead_letters.h"

namespace outrider::app {

// All of what is given must hold.
struct DeadRowChoice {
  std::string source;              // empty: all of them; where one is acted on, the only one
  std::vector<std::uint64_t> ids;  // as ls shows them
  std::vector<std::uint64_t> seqs;
  std::string type, key, cause;  // aggregatetype, aggregateid, reason
  std::size_t limit = 0;         // 0: all (of ls: a page)
};

enum class DeadRowAction { kReplay, kDiscard };

int ListOutbox(const Config& config, const DeadRowChoice& choice, std::uint64_t before_id, OutputFormat format);
int ActOnDeadRows(const Config& config, DeadRowAction action, const DeadRowChoice& choice, const ActionOptions& options,
                  OutputFormat format);

}  // namespace outrider::app
