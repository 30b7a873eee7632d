// `outrider verify`: the relays' ledgers against what ingest counted against the records.
//
// Judge() is pure: what was read in, findings out. It tells apart what held, what is violated, and what can't be proved
// from these tables. Nothing is changed.
#pragma once

#include <string>
#include <vector>

#include "app/commands.h"
#include "app/config.h"
#include "consumer/record_audit.h"
#include "outbox/ledger_audit.h"

namespace outrider::app {

struct Finding {
  enum class Verdict { kHeld, kViolated, kUnproven } verdict = Verdict::kHeld;
  std::string check;  // stable: "relayed_is_ingested"
  std::string words;
};

struct NamedSourceAudit {
  std::string source;
  outbox::SourceAudit audit;
};

// REQUIRES: the sources were read before the records, so that what happened meanwhile can't look like a loss.
std::vector<Finding> Judge(const std::vector<NamedSourceAudit>& sources, const consumer::RecordAudit& records);

// kExitFailed when anything is violated.
int Verify(const Config& config, OutputFormat format);

}  // namespace outrider::app
