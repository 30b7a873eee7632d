"""A run's facts: the folder read once, and indexed by what the checks ask for. Says nothing about right and wrong."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import run_folder
from run_folder import Row, read_json, read_rows

# White space that is trimmed from dedupe keys: the list of the request's JSON Schema.
TRIMMED = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
TOKEN = re.compile(r"\[k:[^\[\]]+\]")
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
STATUSES = ("pending", "sending", "sent", "failed", "dead", "skipped")
FINISHED = ("sent", "dead", "skipped")
IN_DOUBT = ("no_answer", "lease_expired")  # verdicts after which the vendor may have the message

Key = tuple[str, str, str]  # tenant, channel, trimmed dedupe key


def show(key: Key) -> str:
    return "/".join(key)


@dataclass
class Event:
    """A row of an outbox as the history knows it."""

    source: str
    tx: str
    row: Row
    outcome: str = "unknown"  # committed, rolled_back, unknown
    inserted: int | None = None  # ns, before the INSERT was sent
    ended: int | None = None  # ns, after the answer to COMMIT; only of committed ones
    ended_wall: float | None = None

    @property
    def id(self) -> str:
        return self.row["event_id"]

    @property
    def key(self) -> Key | None:
        if self.row["validity"] == "invalid":
            return None
        return (self.row["tenant"], self.row["channel"], self.row["dedupe_key"].strip(TRIMMED))

    @property
    def name(self) -> str:
        return show(self.key) if self.key else f"event {self.id}"

    @property
    def may_exist(self) -> bool:
        return self.outcome != "rolled_back"


@dataclass
class Delivery:
    """A message that the vendor took."""

    time: float
    bot: str
    text: str
    token: str
    tail: str  # from the token on


@dataclass
class Scrape:
    process: str
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)


class Facts:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: Row = read_json(folder / run_folder.MANIFEST)
        collected = folder / run_folder.COLLECTED
        self.collected: Row = read_json(collected) if collected.exists() else {}
        self.channels: dict[str, Row] = {channel["code"]: channel for channel in self.manifest.get("channels", [])}
        self.processes: list[Row] = self.manifest.get("processes", [])
        self.faults: list[Row] = self.manifest.get("faults", [])
        self.replayed: set[Key] = {
            (r.get("tenant", "default"), r["channel"], r["dedupe_key"].strip(TRIMMED))
            for r in self.manifest.get("replayed", [])
        }

    def rows(self, *path: str) -> list[Row] | None:
        """The rows of a file of the folder; None when it isn't there."""
        file = self.folder.joinpath(*path)
        return list(read_rows(file)) if file.exists() else None

    # The history

    @cached_property
    def events(self) -> list[Event]:
        events: list[Event] = []
        for file in sorted((self.folder / run_folder.HISTORY).glob("*.jsonl")):
            events += self._events_of(file)
        return events

    @staticmethod
    def _events_of(file: Path) -> list[Event]:
        transactions: dict[str, list[Event]] = {}
        for line in read_rows(file):
            if line["kind"] == "begin":
                transactions[line["tx"]] = [Event(line["source"], line["tx"], row) for row in line["rows"]]
            elif line["kind"] == "end":
                for number, event in enumerate(transactions[line["tx"]]):
                    event.outcome = line["outcome"]
                    if number < len(line["inserted"]):
                        event.inserted = line["inserted"][number]
                    if event.outcome == "committed":
                        event.ended = line["ended"]["mono"]
                        event.ended_wall = run_folder.seconds_of(line["ended"]["wall"])
        return [event for events in transactions.values() for event in events]

    @cached_property
    def event_of(self) -> dict[str, Event]:
        return {event.id: event for event in self.events}

    @cached_property
    def events_of_key(self) -> dict[Key, list[Event]]:
        index: dict[Key, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.key:
                index[event.key].append(event)
        return index

    @cached_property
    def events_of_token(self) -> dict[str, list[Event]]:
        index: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            index[event.row["token"]].append(event)
        return index

    @cached_property
    def sources(self) -> list[str]:
        named = {source["name"] for source in self.manifest.get("sources", [])}
        return sorted(named | {event.source for event in self.events})

    # Outrider's database

    @cached_property
    def records(self) -> list[Row] | None:
        return self.rows(run_folder.RECORDS, "notification_records.jsonl")

    @cached_property
    def records_of_key(self) -> dict[Key, list[Row]]:
        index: dict[Key, list[Row]] = defaultdict(list)
        for record in self.records or []:
            index[self.key_of(record)].append(record)
        return index

    @cached_property
    def unfinished_of_ordering(self) -> dict[str, list[Row]]:
        index: dict[str, list[Row]] = defaultdict(list)
        for record in self.records or []:
            if record["ordering_hash"] and record["status"] not in FINISHED:
                index[record["ordering_hash"]].append(record)
        return index

    @staticmethod
    def key_of(record: Row) -> Key:
        return (record["tenant"], record["channel"], record["dedupe_key"].strip(TRIMMED))

    @cached_property
    def attempts_of(self) -> dict[int, list[Row]] | None:
        rows = self.rows(run_folder.RECORDS, "notification_attempts.jsonl")
        if rows is None:
            return None
        index: dict[int, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: (row["record_id"], row["attempt_no"])):
            index[row["record_id"]].append(row)
        return index

    @cached_property
    def shards(self) -> list[Row] | None:
        return self.rows(run_folder.RECORDS, "consumer_shards.jsonl")

    @cached_property
    def rejected(self) -> list[Row] | None:
        return self.rows(run_folder.RECORDS, "rejected_events.jsonl")

    @cached_property
    def now(self) -> float | None:
        """The database's clock when the records were collected."""
        text = self.collected.get("database_now")
        return run_folder.seconds_of(text) if text else None

    # The sources' databases

    def source_rows(self, source: str, table: str) -> list[Row] | None:
        return self.rows(run_folder.SOURCES, source, f"{table}.jsonl")

    @cached_property
    def waiting_ids(self) -> dict[str, str]:
        """Event ids still in an outbox, and its source."""
        return {row["id"]: source for source in self.sources for row in self.source_rows(source, "outbox") or []}

    @cached_property
    def moved_aside(self) -> dict[str, Row]:
        """Rows of outbox_dead by event id."""
        return {
            row["event_id"]: row for source in self.sources for row in self.source_rows(source, "outbox_dead") or []
        }

    # The vendor

    @cached_property
    def deliveries(self) -> list[Delivery] | None:
        rows = self.rows(run_folder.VENDOR, "deliveries.jsonl")
        if rows is None:
            return None
        deliveries = []
        for row in rows:
            found = TOKEN.search(row["text"])
            token, tail = (found.group(0), row["text"][found.start() :]) if found else ("", "")
            deliveries.append(Delivery(run_folder.seconds_of(row["time"]), row["token"], row["text"], token, tail))
        return deliveries

    @cached_property
    def deliveries_of_key(self) -> dict[Key, list[Delivery]]:
        """By the key that the token's events have; a token's events share one key."""
        index: dict[Key, list[Delivery]] = defaultdict(list)
        for delivery in self.deliveries or []:
            for event in self.events_of_token.get(delivery.token, [])[:1]:
                if event.key:
                    index[event.key].append(delivery)
        return index

    def at_vendor(self, channel: str) -> bool:
        """Does the fake vendor hold the whole truth about this channel?"""
        configured = self.channels.get(channel, {})
        return (
            self.deliveries is not None and bool(configured.get("bot")) and self.manifest.get("vendor_complete", True)
        )

    # What people and policies may change

    def is_replayed(self, key: Key) -> bool:
        if key in self.replayed:
            return True
        reopens = bool(self.channels.get(key[1], {}).get("reopen"))
        return reopens and len([event for event in self.events_of_key.get(key, []) if event.may_exist]) > 1

    def is_delivering(self, channel: str) -> bool:
        return channel in self.channels and self.channels[channel].get("state", "on") == "on"

    # Metrics and processes

    @cached_property
    def scrapes(self) -> list[Scrape]:
        scrapes = []
        for file in sorted((self.folder / run_folder.METRICS).glob("*.prom")):
            scrape = Scrape(file.stem)
            for line in file.read_text(encoding="utf-8").split("\n"):
                found = SAMPLE.match(line)
                if found:
                    labels = tuple(sorted(LABEL.findall(found.group(2) or "")))
                    scrape.samples[(found.group(1), labels)] = float(found.group(3))
            scrapes.append(scrape)
        return scrapes

    def metric(self, name: str, **labels: str) -> int | None:
        """The sum over all processes' last scrapes and over all labels not named; None when no scrape has it."""
        wanted = set(labels.items())
        values = [
            value
            for scrape in self.scrapes
            for (sample, its), value in scrape.samples.items()
            if sample == name and wanted <= set(its)
        ]
        return round(sum(values)) if values else None

    def fired(self, *targets: str) -> int:
        return sum(fault.get("fired", 0) for fault in self.faults if fault.get("target") in targets)

    @cached_property
    def why_counters_are_partial(self) -> str:
        """Why the scrapes can't be all that was counted; empty when they are."""
        if not self.processes:
            return "run.json names no processes"
        gone = [process["name"] for process in self.processes if process.get("end") != "running"]
        if gone:
            return (
                f"counters of processes that ended are lost ({', '.join(gone[:5])}{', ...' if len(gone) > 5 else ''})"
            )
        scraped = {scrape.process for scrape in self.scrapes}
        unscraped = [process["name"] for process in self.processes if process["name"] not in scraped]
        if unscraped:
            return f"not scraped: {', '.join(unscraped)}"
        if self.fired("database"):
            return "a fault of the database leaves commits whose counting is unknown"
        return ""
