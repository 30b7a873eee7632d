"""I11: secrets and bodies of private requests are in no log, metric or column; no message is in a log at all.

Looked for as they are, in hex, and in base64 at each alignment. The application's own outbox, its dead rows' copies and
the topic are outside the promise for private bodies. The places are named, never the secret.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Iterator

from checker.facts import Facts
from checker.report import Report, Section
from load.texts import FORGED_LINE
from run_folder import LOGS, METRICS, RECORD_TABLES, RECORDS, SOURCES

SHORTEST = 12  # a shorter secret would be found by chance
CANARY = "canary"


class Needle:
    """Something that must not be found, in all the forms it may take."""

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        raw = value.encode()
        self.forms = [value, raw.hex(), json.dumps(value)[1:-1], *self._base64(raw)]

    @staticmethod
    def _base64(raw: bytes) -> Iterator[str]:
        for shift in range(3):
            text = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
            first = (shift * 8 + 5) // 6  # characters that hold bits of what stands before
            last = (shift + len(raw)) * 8 // 6
            yield text[first:last]

    def found_in(self, text: str, lower: str) -> bool:
        return any(form in text for form in self.forms) or self.forms[1] in lower


def check(facts: Facts, report: Report) -> None:
    section = report["I11"]
    secrets = []
    for secret in facts.manifest.get("secrets", []):
        if len(secret["value"]) < SHORTEST:
            section.skip(f"the secret {secret['name']}: shorter than {SHORTEST} characters")
        else:
            secrets.append(Needle(secret["name"], secret["value"]))
    canaries = {event.row["canary"]: event for event in facts.events if event.row["canary"]}
    private = Needle(CANARY, CANARY) if canaries else None
    places = 0
    for place, is_log, text in _clear_places(facts):
        places += 1
        lower = text.lower()
        for needle in secrets:
            if needle.found_in(text, lower):
                section.violate("secret", needle.name, f"stands in {place}")
        if private and private.found_in(text, lower):
            whose = next(
                (event.name for canary, event in canaries.items() if Needle("", canary).found_in(text, lower)), ""
            )
            if whose or CANARY not in lower:
                section.violate("private_body", whose or "somebody's", f"stands in {place}")
        if is_log and "[k:" in text:
            section.violate("body_in_log", place, "holds a message's text")
        if is_log and text.lstrip().startswith(FORGED_LINE):
            section.violate("forged_line", place, "a line that a request wrote")
    for place, text in _secret_only_places(facts):
        for needle in secrets:
            if needle.found_in(text, text.lower()):
                section.violate("secret", needle.name, f"stands in {place}")
    if not places or not secrets:
        section.skip("secrets: run.json names none, or no log, scrape or table is there")
    if places:
        section.count("secrets", len(secrets))
        section.count("private bodies", len(canaries))
        section.count("lines and columns", places)
    _check_hashes(facts, section)
    section.skip(
        "the application's outbox, outbox_dead and the topic for private bodies: outside the promise; pages; core dumps"
    )


def _clear_places(facts: Facts) -> Iterator[tuple[str, bool, str]]:
    """(where, is it a log or scrape, text) of each line of logs and scrapes, and each column of Outrider's tables."""
    for folder in (LOGS, METRICS):
        for file in sorted((facts.folder / folder).glob("*")):
            for number, line in enumerate(_lines(file), 1):
                yield f"{folder}/{file.name}:{number}", True, line
    for table in RECORD_TABLES:
        for number, row in enumerate(facts.rows(RECORDS, f"{table}.jsonl") or [], 1):
            for column, value in row.items():
                if isinstance(value, str):
                    yield f"{table}.{column}, line {number}", False, value


def _check_hashes(facts: Facts, section: Section) -> None:
    """A plain hash of a private body is a private body to whoever can try all of the few that are likely."""
    for record in facts.records or []:
        event = facts.event_of.get(record["event_id"])
        if event and event.row["private"] and record["content_hash"] == event.row["content_hash"]:
            section.violate("plain_hash", event.name, "its record's content hash is the plain hash of its request")


def _secret_only_places(facts: Facts) -> Iterator[tuple[str, str]]:
    for source in facts.sources:
        for table in ("outbox_dead", "outbox_leases", "outbox_ledger"):
            for row in facts.rows(SOURCES, source, f"{table}.jsonl") or []:
                yield f"{source}'s {table}", json.dumps(row, ensure_ascii=False)


def _lines(file: Path) -> Iterator[str]:
    with file.open("r", encoding="utf-8", errors="replace", newline="\n") as text:
        yield from text
