"""The shape of a run's folder: which file holds what, and how rows become JSON lines and come back.

Written by workload.py (history), collect.py (everything else) and the orchestrator (run.json); read by check.py.
README.md describes it for people. Rows keep the names of their columns; unknown columns are kept and ignored.
"""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any, Iterable, Iterator

MANIFEST = "run.json"
COLLECTED = "collected.json"
HISTORY = "history"  # *.jsonl, one file for each workload process
RECORDS = "records"  # <table>.jsonl of Outrider's own database
SOURCES = "sources"  # <source>/<table>.jsonl of each outbox database
VENDOR = "vendor"  # deliveries.jsonl, requests.jsonl, faults.jsonl
METRICS = "metrics"  # <process>.prom, the last scrape
LOGS = "logs"  # <process>.log
TOPIC_DUMP = "kafka.jsonl"  # optional: {topic, partition, offset, key, id}
RESOURCES = "resources.jsonl"  # optional: {process, wall, rss_mb, fds}

RECORD_TABLES = (
    "notification_records",
    "notification_attempts",
    "consumer_shards",
    "rejected_events",
    "audit_log",
    "audit_records",
)
SOURCE_TABLES = ("outbox", "outbox_ledger", "outbox_dead", "outbox_leases")

Row = dict[str, Any]


def utc_text(time: datetime.datetime) -> str:
    """RFC 3339 in UTC with microseconds; a time without a zone is UTC, as in the columns of Outrider's sessions."""
    if time.tzinfo is not None:
        time = time.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return time.isoformat(timespec="microseconds") + "Z"


def now_text() -> str:
    return utc_text(datetime.datetime.now(datetime.timezone.utc))


def seconds_of(text: str) -> float:
    """The Unix time of an RFC 3339 text in UTC, any number of fraction digits."""
    if not text.endswith("Z"):
        raise ValueError(f"not a time in UTC: {text}")
    whole, _, fraction = text[:-1].partition(".")
    time = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return time.timestamp() + (float("0." + fraction) if fraction else 0.0)


def encode(value: Any) -> Any:
    """A column's value as JSON: binary as hex, times as RFC 3339."""
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return utc_text(value)
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Writes one JSON object a line; gives their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            encoded = {name: encode(value) for name, value in row.items()}
            file.write(json.dumps(encoded, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    return count


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file. A last line without its end (its writer was killed) is left out."""
    # Only \n ends a line: texts may hold other characters that splitlines() takes for ends.
    with path.open("r", encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: not JSON: {error}") from error


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
