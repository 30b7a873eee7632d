"""I13: what the metrics, the shards' counters and the ledger say against the rows that are there.

A scrape never claims more than the database holds; it claims exactly as much when no process ended and no commit's
outcome was cut off. The ledger and the shards' counters are written in the transactions they count, so they are exact.
"""

from __future__ import annotations

from collections import Counter

from checker.facts import FINISHED, STATUSES, Facts
from checker.report import Report, Section

RESULTS = (
    ("new", "events_recorded"),
    ("duplicate", "events_duplicate"),
    ("conflict", "events_conflicting"),
    ("invalid", "events_rejected"),
)


def check(facts: Facts, report: Report) -> None:
    section = report["I13"]
    _check_ledger(facts, section)
    _check_shards(facts, section)
    if not facts.scrapes:
        return section.skip("metrics: no scrape")
    if facts.why_counters_are_partial:
        section.skip(f"equality of metrics and rows: {facts.why_counters_are_partial}; only that no metric claims more")
    _check_ingest(facts, section)
    _check_relay(facts, section)
    _check_delivery(facts, section)


def _compare(
    facts: Facts, section: Section, name: str, labels: dict[str, str], truth: int, what: str, allowance: int = 0
) -> None:
    metric = facts.metric(name, **labels)
    if metric is None:
        return section.skip(f"{name}: not in any scrape")
    section.count("series compared", section.numbers.get("series compared", 0) + 1)
    series = name + ("{" + ", ".join(f"{label}={value}" for label, value in labels.items()) + "}" if labels else "")
    if metric > truth + allowance or (not facts.why_counters_are_partial and metric < truth - allowance):
        section.violate("metric", series, f"says {metric}; {what} are {truth}")


def _check_ledger(facts: Facts, section: Section) -> None:
    if not facts.events:
        return section.skip("the ledger: no history")
    recorded = Counter(
        facts.event_of[record["event_id"]].source
        for record in facts.records or []
        if record["event_id"] in facts.event_of
    )
    for source in facts.sources:
        ledger, outbox = facts.source_rows(source, "outbox_ledger"), facts.source_rows(source, "outbox")
        if ledger is None or outbox is None:
            section.skip(f"{source}'s ledger: no dump")
            continue
        sent = sum(row["row_count"] for row in ledger)
        left = {
            event.id
            for event in facts.events
            if event.source == source
            and event.outcome == "committed"
            and event.id not in facts.waiting_ids
            and event.id not in facts.moved_aside
        }
        unknown = sum(
            event.source == source and event.outcome == "unknown" and event.id not in facts.waiting_ids
            for event in facts.events
        )
        section.count(f"ledger of {source}", sent)
        foreign = facts.manifest.get("foreign_events", 0)
        if not len(left) <= sent <= len(left) + unknown + foreign:
            section.violate(
                "ledger",
                source,
                f"the ledger counts {sent} rows; {len(left)} committed rows have left the outbox"
                + (f", and {unknown} more may have" if unknown else ""),
            )
        elif recorded[source] > sent + len(outbox):
            section.violate(
                "ledger", source, f"{recorded[source]} of its events are records, and the ledger counts {sent}"
            )


def _check_shards(facts: Facts, section: Section) -> None:
    if facts.shards is None or facts.records is None or facts.rejected is None:
        return section.skip("the shards' counters: no dump")
    totals = {column: sum(shard[column] for shard in facts.shards) for _, column in RESULTS}
    ledgers = [facts.source_rows(source, "outbox_ledger") for source in facts.sources]
    published = sum(row["row_count"] for ledger in ledgers for row in ledger or [])
    section.count("events ingested", sum(totals.values()))
    if not facts.manifest.get("records_removed") and totals["events_recorded"] != len(facts.records):
        section.violate(
            "shards", "events_recorded", f"counts {totals['events_recorded']}, there are {len(facts.records)} records"
        )
    if totals["events_rejected"] < len(facts.rejected):
        section.violate(
            "shards", "events_rejected", f"counts {totals['events_rejected']}, {len(facts.rejected)} are kept"
        )
    if sum(totals.values()) < published:
        section.violate(
            "ledger_and_ingest",
            "all sources",
            f"the ledgers count {published} published events, ingest " f"{sum(totals.values())}",
        )
    reached = {(shard["topic"], shard["partition_no"]): shard["next_offset"] for shard in facts.shards}
    for ledger in ledgers:
        for row in ledger or []:
            place = (row["topic"], row["partition_no"])
            if not row["topic"].startswith("direct:") and reached.get(place, 0) <= row["highest_offset"]:
                section.violate(
                    "ledger_and_ingest",
                    f"{place[0]}/{place[1]}",
                    f"published up to offset {row['highest_offset']}, " f"ingest expects {reached.get(place, 0)} next",
                )


def _check_ingest(facts: Facts, section: Section) -> None:
    if facts.shards is None:
        return
    for result, column in RESULTS:
        total = sum(shard[column] for shard in facts.shards)
        _compare(facts, section, "outrider_consumer_records_total", {"result": result}, total, f"the shards' {column}")


def _check_relay(facts: Facts, section: Section) -> None:
    for source in facts.sources:
        ledger, dead = facts.source_rows(source, "outbox_ledger"), facts.source_rows(source, "outbox_dead")
        if ledger is None or dead is None:
            continue
        _compare(
            facts,
            section,
            "outrider_relay_deleted_total",
            {"source": source},
            sum(row["row_count"] for row in ledger) + len(dead),
            "rows of the ledger and of outbox_dead",
        )
        _compare(
            facts, section, "outrider_relay_moved_to_dead_total", {"source": source}, len(dead), "rows of outbox_dead"
        )


def _check_delivery(facts: Facts, section: Section) -> None:
    if facts.records is None:
        return
    conflicts = facts.metric("outrider_settle_conflicts_total") or 0
    statuses = Counter(record["status"] for record in facts.records)
    if facts.attempts_of is not None:
        verdicts = Counter(attempt["verdict"] for rows in facts.attempts_of.values() for attempt in rows)
        for verdict in ("accepted", "not_now", "refused", "unreachable", "channel_down", "no_answer"):
            _compare(
                facts,
                section,
                "outrider_deliveries_total",
                {"outcome": verdict},
                verdicts[verdict],
                f"attempts' rows with {verdict}",
                conflicts,
            )
        _compare(
            facts,
            section,
            "outrider_leases_expired_total",
            {},
            verdicts["lease_expired"],
            "attempts' rows with lease_expired",
        )
    if facts.metric("outrider_transitions_total") is None:
        return section.skip("outrider_transitions_total: not in any scrape")
    _compare(facts, section, "outrider_transitions_total", {"to": "sent"}, statuses["sent"], "records that were sent")
    if (
        facts.manifest.get("actions")
        or facts.replayed
        or any(channel.get("reopen") for channel in facts.channels.values())
    ):
        return section.skip("transitions of records that a person or a policy brought back: counted in other processes")
    _compare(facts, section, "outrider_dead_total", {}, statuses["dead"], "dead records")
    if not facts.why_counters_are_partial:
        _check_balance(facts, section, statuses)


def _check_balance(facts: Facts, section: Section, statuses: Counter[str]) -> None:
    """For each status: what came in, less what went out, is what is there."""
    for status in STATUSES:
        if status == "sent":
            continue  # compared above
        came = facts.metric("outrider_transitions_total", to=status) or 0
        went = facts.metric("outrider_transitions_total", **{"from": status}) or 0
        if status == "pending":
            came += sum(shard["events_recorded"] for shard in facts.shards or [])
        section.count("series compared", section.numbers.get("series compared", 0) + 1)
        if came - went != statuses[status]:
            kind = "finished" if status in FINISHED else "unfinished"
            section.violate(
                "metric",
                f"outrider_transitions_total, {status}",
                f"{came} came and {went} went; {statuses[status]} " f"{kind} records are {status}",
            )
