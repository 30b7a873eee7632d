#include "consumer/record.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "model/digest.h"
#include "model/text.h"

namespace outrider::consumer {

std::string ParkedByPause(std::string_view tenant) {
  constexpr std::size_t kMost = 64;  // of parked_by
  constexpr std::size_t kDigits = 16;
  std::string whole = fmt::format("{}{}", kParkedByPausedTenant, tenant);
  if (CountCodePoints(whole) <= kMost) return whole;
  return fmt::format("{}~{}", CutCodePoints(whole, kMost - 1 - kDigits),
                     ToHex(AsBytes(Sha256(tenant))).substr(0, kDigits));
}

Change MakeChange(const Record& record, DeliveryEvent event, std::string_view what) {
  const std::optional<DeliveryStatus> to = Next(record.status, event);
  if (!to) {
    fmt::print(stderr, "fatal: the status table knows no {} in {} (record {})\n", ToString(event),
               ToString(record.status), record.id);
    std::abort();
  }
  Change change;
  change.id = record.id;
  change.version = record.version;
  change.from = record.status;
  change.to = *to;
  change.ordering_hash = record.ordering_hash;
  change.is_private = record.is_private;
  change.was_uncertain = record.uncertain;
  change.uncertain = record.uncertain;
  if (event == DeliveryEvent::kRescheduled) change.reason = record.reason;
  change.what = what;
  change.channel = record.channel;
  change.dedupe_key = record.dedupe_key;
  change.committed_at = record.committed_at;
  return change;
}

}  // namespace outrider::consumer
