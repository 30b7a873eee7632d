"""I1 and I15: what was committed is there exactly once, what was rolled back is nowhere, and nothing is left behind.

A valid request is one record of its (tenant, channel, trimmed key). An invalid one is in rejected_events. A row whose
COMMIT was never answered may be there or not. What is still in an outbox, or unfinished without a reason, is stuck,
not lost.
"""

from __future__ import annotations

import json

from checker.facts import FINISHED, Delivery, Event, Facts, show
from checker.report import Report
from load.texts import visible_hash
from run_folder import Row, seconds_of

# A valid request may be moved aside by the relay when the broker takes no record of its size.
LARGE_RECORD = 900_000


def check(facts: Facts, report: Report) -> None:
    section = report["I1"]
    if not facts.events:
        return section.skip("no history")
    section.count("committed", sum(event.outcome == "committed" for event in facts.events))
    section.count("rolled back", sum(event.outcome == "rolled_back" for event in facts.events))
    section.count("unknown", sum(event.outcome == "unknown" for event in facts.events))
    _check_nothing_appeared(facts, report)
    if facts.records is None:
        section.skip("no dump of notification_records")
    else:
        section.count("records", len(facts.records))
        _check_records(facts, report)
        _check_each_key_is_there(facts, report)
    if facts.rejected is None:
        section.skip("no dump of rejected_events")
    else:
        section.count("rejected", len(facts.rejected))
        _check_rejections(facts, report)
    if facts.deliveries is None:
        section.skip("no deliveries of the vendor")
    else:
        section.count("at the vendor", len(facts.deliveries))
        _check_vendor(facts, report)


def rejected_ids(facts: Facts) -> dict[str, Row]:
    """The rejected events by the event id in their headers."""
    index = {}
    for row in facts.rejected or []:
        for name, value in json.loads(row["headers"] or "[]"):
            if name == "id" and value:
                index[value] = row
    return index


def _check_nothing_appeared(facts: Facts, report: Report) -> None:
    """Rolled-back rows, by their event id, in every table there is. What reached the vendor is looked at by token."""
    places = [
        ("outbox", set(facts.waiting_ids)),
        ("outbox_dead", set(facts.moved_aside)),
        ("notification_records", {record["event_id"] for record in facts.records or []}),
        ("rejected_events", set(rejected_ids(facts))),
    ]
    for event in facts.events:
        if event.outcome != "rolled_back":
            continue
        for place, ids in places:
            if event.id in ids:
                report["I1"].violate(
                    "rolled_back_appeared",
                    event.name,
                    f"transaction {event.tx} was rolled back, and its event {event.id} is in {place}",
                )


def _check_records(facts: Facts, report: Report) -> None:
    section = report["I1"]
    for key, records in facts.records_of_key.items():
        if len(records) > 1:
            section.violate(
                "two_records",
                show(key),
                f"the key has {len(records)} records: " + ", ".join(str(record["id"]) for record in records),
            )
        for record in records:
            event = facts.event_of.get(record["event_id"])
            if event is None:
                if not facts.manifest.get("foreign_events"):
                    section.violate(
                        "unasked_record", show(key), f"nobody wrote the event {record['event_id']} of this record"
                    )
            elif event.row["validity"] == "invalid":
                section.violate("invalid_recorded", show(key), f"its request must be rejected ({event.row['fault']})")
            elif event.outcome == "rolled_back":
                pass  # told above
            elif event.key != key:
                section.violate("wrong_key", show(key), f"the record's event {event.id} has the key {show(event.key)}")
            elif not event.row["private"] and record["content_hash"] != event.row["content_hash"]:
                section.violate(
                    "altered", show(key), "the record's content hash isn't that of its event's canonical JSON"
                )


def _check_each_key_is_there(facts: Facts, report: Report) -> None:
    section = report["I1"]
    rejected = rejected_ids(facts)
    for key, events in facts.events_of_key.items():
        committed = [event for event in events if event.outcome == "committed"]
        if not committed or key in facts.records_of_key:
            continue
        if any(event.id in facts.waiting_ids for event in committed):
            continue  # on its way; whether it is stuck is asked below
        aside = [event for event in committed if event.id in facts.moved_aside]
        if aside and all(_may_be_moved_aside(event) for event in aside):
            continue
        if aside:
            reason = facts.moved_aside[aside[0].id]["reason"]
            section.violate(
                "moved_aside", show(key), f"the relay moved a request aside that is fit to be published ({reason})"
            )
        elif any(event.id in rejected for event in committed):
            continue  # told with the rejections
        else:
            report.lost += 1
            seen = len(facts.deliveries_of_key.get(key, []))
            at_vendor = f"the vendor has it {seen} times" if seen else "the vendor hasn't it either"
            section.violate(
                "lost",
                show(key),
                f"transaction {committed[0].tx} of {committed[0].source} committed it (event "
                f"{committed[0].id}); there is no record, no rejection, no row in an outbox; {at_vendor}",
            )


def _may_be_moved_aside(event: Event) -> bool:
    return event.row["validity"] == "poison" or event.row["bytes"] > LARGE_RECORD


def _check_rejections(facts: Facts, report: Report) -> None:
    section = report["I1"]
    rejected = rejected_ids(facts)
    for event in facts.events:
        row = rejected.get(event.id)
        if row is not None and row["reason"] == "older_than_dedupe_memory" and facts.manifest.get("clock_moved"):
            continue
        if row is not None and event.row["validity"] == "valid" and event.outcome != "rolled_back":
            section.violate(
                "rejected_though_valid", event.name, f"rejected with reason {row['reason']}: {row['faults'][:200]}"
            )
        if row is not None and not (row["reason"] and row["faults"].strip(" []")):
            section.violate("rejected_without_words", event.name, "rejected without a reason or a named fault")
        if row is not None or event.row["validity"] != "invalid" or event.outcome != "committed":
            continue
        if event.id in facts.waiting_ids or event.id in facts.moved_aside:
            continue
        section.violate(
            "missing_rejection",
            event.name,
            f"committed by transaction {event.tx}, its structure is wrong "
            f"({event.row['fault']}), and it isn't in rejected_events",
        )


def _check_vendor(facts: Facts, report: Report) -> None:
    section = report["I1"]
    strangers = 0
    for delivery in facts.deliveries or []:
        events = facts.events_of_token.get(delivery.token, [])
        if not delivery.token:
            strangers += 1
        elif not events:
            section.violate("unasked_delivery", delivery.token, "the vendor took a message that nobody wrote")
        elif all(event.outcome == "rolled_back" for event in events):
            section.violate("rolled_back_appeared", events[0].name, "rolled back, and the vendor has it")
        elif all(event.row["validity"] == "invalid" for event in events):
            section.violate("invalid_delivered", events[0].name, "its request must be rejected, and the vendor has it")
        else:
            _check_delivery(facts, report, delivery, events)
    if strangers:
        section.count("at the vendor without a token", strangers)
    for record in facts.records or []:
        key = facts.key_of(record)
        if (
            record["status"] == "sent"
            and facts.at_vendor(key[1])
            and not facts.deliveries_of_key.get(key)
            and record["event_id"] in facts.event_of
        ):
            report.lost += 1
            section.violate("sent_but_not_delivered", show(key), "the record says sent, and the vendor never took it")


def _check_delivery(facts: Facts, report: Report, delivery: Delivery, events: list[Event]) -> None:
    key = events[0].key
    bot = facts.channels.get(key[1], {}).get("bot")
    if bot is not None and delivery.bot != bot:
        report["I1"].violate("wrong_channel", show(key), "it reached another channel's bot")
    records = facts.records_of_key.get(key, [])
    recorded = [event for event in events if len(records) == 1 and event.id == records[0]["event_id"]]
    if facts.is_replayed(key) or not recorded:
        recorded = events
    if visible_hash(delivery.tail) not in {text for event in recorded for text in event.row["text_hashes"]}:
        report["I1"].violate("altered", show(key), "the text at the vendor isn't the recorded event's text")


def check_drained(facts: Facts, report: Report) -> None:
    section = report["I15"]
    _check_outboxes(facts, report)
    if facts.records is None or facts.now is None:
        return section.skip("no dump of notification_records, or no time of the dump")
    grace = facts.manifest.get("scan_grace_seconds", 10)
    waiting = 0
    for record in facts.records:
        if record["status"] in FINISHED or record["status"] == "sending" or not facts.is_delivering(record["channel"]):
            continue  # `sending` is I3's
        why = _why_stuck(facts, record, facts.now, grace)
        if why:
            report.stuck += 1
            section.violate(
                "stuck", show(facts.key_of(record)), f"{record['status']}, attempt {record['attempt_no']}: {why}"
            )
        else:
            waiting += 1
    section.count("waiting with a reason", waiting)
    section.count(
        "held channels' records",
        sum(
            record["status"] not in FINISHED and not facts.is_delivering(record["channel"]) for record in facts.records
        ),
    )


def _check_outboxes(facts: Facts, report: Report) -> None:
    section = report["I15"]
    left = 0
    for source in facts.sources:
        rows = facts.source_rows(source, "outbox")
        if rows is None:
            section.skip(f"no dump of {source}'s outbox")
            continue
        left += len(rows)
        for row in rows:
            report.stuck += 1
            event = facts.event_of.get(row["id"])
            section.violate(
                "stuck_in_outbox",
                event.name if event else f"event {row['id']}",
                f"still in {source}'s outbox (seq {row['seq']}) after the quiet period",
            )
        section.count("outbox rows left", left)


def _why_stuck(facts: Facts, record: Row, now: float, grace: float) -> str:
    """Empty while there is a good reason to wait."""
    if record["due_at"] is not None:
        due = seconds_of(record["due_at"])
        if due < now - grace:
            return f"due since {now - due:.0f} s, and nobody took it"
        event = facts.event_of.get(record["event_id"])
        scheduled = seconds_of(event.row["scheduled_at"]) if event and event.row["scheduled_at"] else 0.0
        longest = facts.channels[record["channel"]].get("max_delay_seconds", 3600)
        if due > max(now, scheduled) + longest:
            return f"due in {due - now:.0f} s, longer than any policy waits"
        return ""
    if _has_earlier_unfinished(facts, record):
        return ""
    if record["parked_by"]:
        return (
            f"parked by {record['parked_by']}, and its channel delivers and no earlier record of its ordering key waits"
        )
    return "no due time and not parked: nothing will ever look at it again"


def _has_earlier_unfinished(facts: Facts, record: Row) -> bool:
    return any(
        _is_earlier(other, record) for other in facts.unfinished_of_ordering.get(record["ordering_hash"] or "", [])
    )


def _is_earlier(record: Row, than: Row) -> bool:
    if (record["source_topic"], record["source_partition"]) == (than["source_topic"], than["source_partition"]):
        return record["source_offset"] < than["source_offset"]
    return record["id"] < than["id"]
