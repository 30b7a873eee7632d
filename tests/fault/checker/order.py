"""I4: order through the relay, and order to the vendor.

Through the relay: if A was committed before the INSERT of B of the same aggregate began, A's first occurrence in the
log stands before B's. Overlapping transactions have no order. To the vendor: of requests that share ordering key and
aggregate, at most one is in flight, in the order of their positions.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from checker.facts import Event, Facts, show
from checker.report import Report
from run_folder import TOPIC_DUMP, Row, seconds_of

Position = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True)
class Ordered:
    """A record of one ordering key."""

    name: str
    record: Row
    attempts: tuple[Row, ...]
    deliveries: tuple[float, ...]
    may_be_late: bool  # a paused sender's bytes may leave whenever it wakes (W4)


def check(facts: Facts, report: Report) -> None:
    if not facts.events:
        return report["I4"].skip("no history")
    _check_relay(facts, report)
    _check_vendor(facts, report)


def first_positions(facts: Facts) -> dict[str, Position]:
    """Where each event first stands in the log: by the topic's dump where there is one, else by what ingest kept."""
    dump = facts.rows(TOPIC_DUMP)
    positions: dict[str, Position] = {}
    if dump is not None:
        for row in sorted(dump, key=lambda row: row["offset"]):
            positions.setdefault(row["id"], (row["topic"], row["partition"], row["offset"]))
        return positions
    for record in facts.records or []:
        positions[record["event_id"]] = (record["source_topic"], record["source_partition"], record["source_offset"])
    return positions


def _check_relay(facts: Facts, report: Report) -> None:
    section = report["I4"]
    if facts.records is None and facts.rows(TOPIC_DUMP) is None:
        return section.skip("order through the relay: neither records nor a topic's dump")
    if facts.rows(TOPIC_DUMP) is None:
        section.skip("the place of copies and of rejected events in the log: no topic's dump")
    positions = first_positions(facts)
    aggregates: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in facts.events:
        if event.may_exist and event.inserted is not None and event.id in positions:
            aggregates[(event.source, event.row["aggregate"])].append(event)
    pairs = 0
    for (source, aggregate), events in aggregates.items():
        logs = {positions[event.id][:2] for event in events}
        if len(logs) > 1:
            if facts.manifest.get("partitions_grew"):
                section.skip("aggregates that moved when a topic's partitions grew")
            else:
                section.violate(
                    "aggregate_split",
                    f"{source}/{aggregate}",
                    "its events stand in several partitions: "
                    + ", ".join(f"{topic}/{partition}" for topic, partition in sorted(logs)),
                )
            continue
        pairs += _check_aggregate(report, f"{source}/{aggregate}", events, positions)
    if aggregates:
        section.count("aggregates", len(aggregates))
        section.count("events with a predecessor", pairs)


def _check_aggregate(report: Report, name: str, events: list[Event], positions: dict[str, Position]) -> int:
    """For each B: the highest position among all A that were committed before B's INSERT must be below B's."""
    committed = sorted((event for event in events if event.ended is not None), key=lambda event: event.ended)
    highest: Event | None = None
    at, compared = 0, 0
    for event in sorted(events, key=lambda event: event.inserted):
        while at < len(committed) and committed[at].ended < event.inserted:
            if highest is None or positions[committed[at].id] > positions[highest.id]:
                highest = committed[at]
            at += 1
        if highest is None:
            continue
        compared += 1
        if positions[highest.id] > positions[event.id]:
            report["I4"].violate(
                "aggregate_order",
                name,
                f"{highest.name} was committed before {event.name} was inserted, "
                f"and stands behind it: offset {positions[highest.id][2]} and {positions[event.id][2]}",
            )
    return compared


def _check_vendor(facts: Facts, report: Report) -> None:
    section = report["I4"]
    if facts.records is None:
        return section.skip("order to the vendor: no dump of notification_records")
    if facts.manifest.get("clock_moved"):
        return section.skip("order to the vendor: a clock was moved, so times can't be compared")
    groups: dict[tuple[str, ...], list[Ordered]] = defaultdict(list)
    for record in facts.records:
        event = facts.event_of.get(record["event_id"])
        key = facts.key_of(record)
        if event is None or not event.row["ordering_key"] or facts.is_replayed(key):
            continue
        attempts = tuple((facts.attempts_of or {}).get(record["id"], []))
        times = tuple(sorted(delivery.time for delivery in facts.deliveries_of_key.get(key, [])))
        late = bool(record["uncertain"]) and any(attempt["verdict"] == "lease_expired" for attempt in attempts)
        group = (
            event.row["tenant"],
            event.row["channel"],
            event.row["ordering_key"],
            event.source,
            event.row["aggregate"],
        )
        groups[group].append(Ordered(show(key), record, attempts, times, late))
    for group, members in groups.items():
        name = f"{group[0]}/{group[1]}/{group[2]}"
        members.sort(key=lambda member: (member.record["source_partition"], member.record["source_offset"]))
        _check_deliveries(report, name, members)
        _check_overlaps(report, name, members)
    if groups:
        section.count("ordering keys", len(groups))
        section.count("records with one", sum(len(members) for members in groups.values()))


def _check_deliveries(report: Report, name: str, members: list[Ordered]) -> None:
    """At the vendor each member's messages come after those of the members before it."""
    latest, latest_of = float("-inf"), ""
    for member in members:
        if not member.deliveries:
            continue
        if member.deliveries[0] < latest:
            report["I4"].violate(
                "ordering_key_order",
                name,
                f"{member.name} came to the vendor before {latest_of}, which was " "there first",
            )
        last = member.deliveries[0] if member.may_be_late else member.deliveries[-1]
        if last > latest:
            latest, latest_of = last, member.name


def _check_overlaps(report: Report, name: str, members: list[Ordered]) -> None:
    """Attempts of different members never run at the same time. An attempt without a known end is left out."""
    spans = []
    for member in members:
        for attempt in member.attempts:
            if attempt["duration_us"] is not None and attempt["verdict"] != "lease_expired":
                start = seconds_of(attempt["started_at"])
                spans.append((start, start + attempt["duration_us"] / 1e6, member.name))
    spans.sort()
    end, running = float("-inf"), ""
    for start, stop, member in spans:
        if start < end and member != running:
            report["I4"].violate(
                "overlap",
                name,
                f"an attempt for {member} began {end - start:.3f} s before one for " f"{running} had ended",
            )
        if stop > end:
            end, running = stop, member
