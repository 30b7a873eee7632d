#include "app/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/output.h"
#include "outbox/outbox_store.h"

namespace outrider::app {
namespace {

using Verdict = Finding::Verdict;

// A scan interval, a lease's rest and a busy machine; records that are late by more are named.
constexpr std::chrono::seconds kPatience{30};

std::string_view ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHeld:
      return "held";
    case Verdict::kViolated:
      return "VIOLATED";
    case Verdict::kUnproven:
      return "not proved";
  }
  return "";
}

struct Relayed {
  std::uint64_t rows = 0;
  std::int64_t highest_offset = -1;
};

// In the direct form a row's seq is its offset, and rows that commit late have lower ones.
bool IsDirect(std::string_view topic) { return topic.starts_with("direct:"); }

void JudgeRelayed(const std::map<std::pair<std::string, std::int32_t>, Relayed>& relayed,
                  const consumer::RecordAudit& records, std::vector<Finding>& findings) {
  std::uint64_t total = 0;
  bool violated = false;
  for (const auto& [place, sum] : relayed) {
    total += sum.rows;
    const auto shard = std::ranges::find_if(records.shards, [&](const consumer::ShardAudit& one) {
      return one.topic == place.first && one.partition == place.second;
    });
    const std::string where = fmt::format("{} partition {}", place.first, place.second);
    if (shard == records.shards.end()) {
      findings.push_back({Verdict::kUnproven, "relayed_is_ingested",
                          fmt::format("{}: {} events relayed, and nothing was ingested from it yet", where, sum.rows)});
      continue;
    }
    const std::uint64_t ingested = shard->recorded + shard->duplicates + shard->conflicting + shard->rejected;
    if (!IsDirect(place.first) && shard->next_offset <= sum.highest_offset) {
      findings.push_back({Verdict::kUnproven, "relayed_is_ingested",
                          fmt::format("{}: relayed up to offset {}, ingested up to {}; the rest is on its way", where,
                                      sum.highest_offset, shard->next_offset)});
    } else if (ingested < sum.rows) {
      violated = true;
      findings.push_back({Verdict::kViolated, "relayed_is_ingested",
                          fmt::format("{}: {} events relayed and only {} ingested: {} are LOST", where, sum.rows,
                                      ingested, sum.rows - ingested)});
    }
  }
  if (!violated) {
    findings.push_back({Verdict::kHeld, "relayed_is_ingested",
                        fmt::format("{} events that were deleted from outboxes arrived at ingest, those on their way "
                                    "apart",
                                    total)});
  }
}

void JudgeRecorded(const consumer::RecordAudit& records, std::vector<Finding>& findings) {
  std::uint64_t recorded = 0;
  std::uint64_t removed = 0;
  bool violated = false;
  for (const consumer::ShardAudit& shard : records.shards) {
    recorded += shard.recorded;
    removed += shard.removed;
    if (shard.records + shard.removed >= shard.recorded) continue;
    violated = true;
    findings.push_back(
        {Verdict::kViolated, "recorded_is_there",
         fmt::format("{} partition {}: {} events became records, {} were removed after their time, and only {} are "
                     "there: {} are LOST",
                     shard.topic, shard.partition, shard.recorded, shard.removed, shard.records,
                     shard.recorded - shard.removed - shard.records)});
  }
  if (!violated) {
    findings.push_back({Verdict::kHeld, "recorded_is_there",
                        fmt::format("{} events became records; {} were removed after their time, and the others are "
                                    "all there",
                                    recorded, removed)});
  }
}

}  // namespace

std::vector<Finding> Judge(const std::vector<NamedSourceAudit>& sources, const consumer::RecordAudit& records) {
  std::vector<Finding> findings;
  std::map<std::pair<std::string, std::int32_t>, Relayed> relayed;
  for (const NamedSourceAudit& source : sources) {
    for (const outbox::LedgerSum& sum : source.audit.ledger) {
      Relayed& place = relayed[{sum.topic, sum.partition}];
      place.rows += sum.rows;
      place.highest_offset = std::max(place.highest_offset, sum.highest_offset);
    }
    if (source.audit.waiting > 0) {
      findings.push_back(
          {Verdict::kUnproven, "outbox_is_relayed",
           fmt::format("source {}: {}{} rows wait in the outbox", source.source,
                       source.audit.waiting >= outbox::kBacklogCap ? "at least " : "", source.audit.waiting)});
    }
    if (source.audit.dead > 0) {
      findings.push_back({Verdict::kUnproven, "outbox_is_relayed",
                          fmt::format("source {}: {} rows could never be published and stand in outbox_dead for a "
                                      "person to look at",
                                      source.source, source.audit.dead)});
    }
  }
  JudgeRelayed(relayed, records, findings);
  JudgeRecorded(records, findings);

  const auto expect_none = [&](std::string_view check, std::uint64_t count, std::string_view held,
                               std::string_view violated) {
    findings.push_back(count == 0
                           ? Finding{Verdict::kHeld, std::string(check), std::string(held)}
                           : Finding{Verdict::kViolated, std::string(check), fmt::format("{} {}", count, violated)});
  };
  expect_none("nothing_is_stuck", records.stuck, "no record is sending beyond its lease",
              "records are sending although their lease ended: is a consumer at work?");
  expect_none("nothing_is_overdue", records.overdue, "nothing that is due waits for long",
              "records are due and nobody claims them: is a consumer at work, is their channel held?");
  expect_none("states_are_legal",
              records.without_reason + records.sent_without_time + records.ended_but_due + records.spent_beyond_made +
                  records.attempts_beyond,
              "every record's state, times and attempts agree",
              fmt::format("faults in states: {} dead or skipped without a reason, {} sent without a time, {} ended and "
                          "still due, {} with more attempts spent than made, {} attempts that no record has made",
                          records.without_reason, records.sent_without_time, records.ended_but_due,
                          records.spent_beyond_made, records.attempts_beyond));
  expect_none("private_bodies_are_gone", records.private_bodies_left, "no finished private record keeps its body",
              "finished private records keep their body or recipient");
  expect_none("private_bodies_are_sealed", records.private_bodies_clear, "every private body that is kept is sealed",
              "private records keep their body in clear: they were recorded before sealing, and end with their "
              "delivery");
  if (records.under_way > 0) {
    findings.push_back(
        {Verdict::kUnproven, "everything_ended",
         fmt::format("{} records are on their way, {} of them parked", records.under_way, records.parked)});
  }
  if (records.uncertain > 0) {
    findings.push_back(
        {Verdict::kUnproven, "sent_once",
         fmt::format("{} records are uncertain: their provider may have taken them twice, or once without "
                     "our knowing",
                     records.uncertain)});
  }
  return findings;
}

int Verify(const Config& config, OutputFormat format) {
  std::vector<NamedSourceAudit> sources;
  for (const SourceConfig& source : config.sources) {
    const std::string where = fmt::format("outbox \"{}\"", source.name);
    auto connection = mysql::MysqlConnection::Open(source.database);
    if (!connection) return Failed(where, connection.error());
    auto audit = outbox::AuditSource(**connection, source.name, source.table);
    if (!audit) return Failed(where, audit.error());
    sources.push_back({source.name, std::move(*audit)});
  }
  const std::string where = "records";
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed(where, connection.error());
  const auto records = consumer::AuditRecords(**connection, kPatience);
  if (!records) return Failed(where, records.error());

  std::vector<std::vector<std::string>> rows;
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  bool violated = false;
  for (const Finding& finding : Judge(sources, *records)) {
    violated = violated || finding.verdict == Verdict::kViolated;
    rows.push_back({std::string(ToString(finding.verdict)), finding.check, finding.words});
    json.push_back({{"verdict", ToString(finding.verdict)}, {"check", finding.check}, {"words", finding.words}});
  }
  if (format == OutputFormat::kJson) {
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}", Table({"VERDICT", "CHECK", "WHAT"}, rows));
  }
  return violated ? kExitFailed : kExitOk;
}

}  // namespace outrider::app
