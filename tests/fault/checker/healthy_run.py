"""A small run as a faultless product would leave it: for the checker's own tests, formed as collect.py forms one.

The workload's own plan is played through in simulated time, with a vendor that throttles and loses answers, and a
sender that was paused. Nothing here is of the product; it is a second, tiny reading of the contract. Tests change
copies of it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import run_folder
from checker.facts import TRIMMED
from load.plan import FEATURES, PlannedTransaction, Planner, World
from run_folder import Row, seconds_of, utc_text, write_json, write_rows

START = datetime.datetime(2026, 11, 24, 5, 0, 0, tzinfo=datetime.timezone.utc)
TOPIC = "outbox.event.notification"
PARTITIONS = 3
SPACING_S = 0.21  # of sends: below five a second
WORKERS = ("worker-1", "worker-2")
SECRETS = {"ops-bot": "tok-5f1c9e7ab2d84c60", "team-bot": "tok-77aa01cc93be4d12", "database": "pw-e1b0c77d9f52"}
WORLD = World(
    sources=("shop", "crm"),
    channels=(("ops", 5.0), ("team", 2.0), ("ghost", 0.3)),
    features=frozenset(FEATURES) - {"huge"},
    hot_aggregates=2,
    cold_aggregates=40,
)
BOTS = {"ops": SECRETS["ops-bot"], "team": SECRETS["team-bot"]}


def at(seconds: float) -> str:
    return utc_text(START + datetime.timedelta(seconds=seconds))


def since_start(text: str) -> float:
    return seconds_of(text) - START.timestamp()


def kept_hash(history: Row) -> str:
    """Of a private request the hash is keyed."""
    plain: str = history["content_hash"]
    return hashlib.sha256(f"keyed {plain}".encode()).hexdigest() if history["private"] else plain


class HealthyRun:
    """The tables and files of a run, as lists of rows that a test may change before `write`."""

    def __init__(self, seed: int = 3, writers: int = 3, transactions: int = 60) -> None:
        self.history: list[Row] = [{"kind": "run", "seed": seed, "writers": writers, "mono": 0, "wall": at(0)}]
        self.records: list[Row] = []
        self.attempts: list[Row] = []
        self.rejected: list[Row] = []
        self.audit: list[Row] = []
        self.audited: list[Row] = []
        self.shards: list[Row] = [self._shard(number) for number in range(PARTITIONS)]
        self.sources: dict[str, dict[str, list[Row]]] = {
            name: {
                "outbox": [],
                "outbox_ledger": [],
                "outbox_dead": [],
                "outbox_leases": [{"source": name, "owner": "worker-1", "epoch": 1, "expires_at": at(9000)}],
            }
            for name in WORLD.sources
        }
        self.deliveries: list[Row] = []
        self.requests: list[Row] = []
        self.faults = [
            {"id": 1, "kind": "code", "path": "", "seen": 9, "fired": 0},
            {"id": 2, "kind": "accept_then_reset", "path": "", "seen": 9, "fired": 0},
        ]
        self.metrics: dict[str, Counter[tuple[str, tuple[tuple[str, str], ...]]]] = {
            name: Counter() for name in WORKERS
        }
        self.logs: dict[str, list[str]] = {name: [f'{{"level":"info","msg":"{name} is ready"}}'] for name in WORKERS}
        self._begin_series()
        self._requests_of: dict[int, dict[str, Any]] = {}
        self._history_of: dict[int, Row] = {}
        self._clock = 0.0
        self._play(seed, writers, transactions)
        self.manifest = self._manifest()

    # What tests look for

    def record_where(self, number: int = 0, **columns: Any) -> Row:
        found = [record for record in self.records if all(record[name] == value for name, value in columns.items())]
        return found[number]

    def history_of(self, record: Row) -> Row:
        return self._history_of[record["id"]]

    def attempts_of(self, record: Row) -> list[Row]:
        return [attempt for attempt in self.attempts if attempt["record_id"] == record["id"]]

    def deliveries_of(self, record: Row) -> list[Row]:
        return [delivery for delivery in self.deliveries if self.history_of(record)["token"] in delivery["text"]]

    def shown_of(self, record: Row) -> str | None:
        return self._shown(self._requests_of[record["id"]])

    def transactions(self, outcome: str) -> list[tuple[Row, Row]]:
        begun = {line["tx"]: line for line in self.history if line["kind"] == "begin"}
        return [
            (begun[line["tx"]], line) for line in self.history if line["kind"] == "end" and line["outcome"] == outcome
        ]

    def count(self, name: str, amount: int = 1, worker: int = 0, **labels: str) -> None:
        self.metrics[WORKERS[worker % 2]][(f"outrider_{name}_total", tuple(sorted(labels.items())))] += amount

    def move(self, record: Row, old: str, new: str) -> None:
        self.count("transitions", 1, record["id"], **{"from": old, "to": new})

    def _begin_series(self) -> None:
        for worker in range(len(WORKERS)):
            for source in WORLD.sources:
                self.count("relay_deleted", 0, worker, source=source)
                self.count("relay_moved_to_dead", 0, worker, source=source)
            for verdict in ("accepted", "not_now", "refused", "unreachable", "channel_down", "no_answer"):
                self.count("deliveries", 0, worker, outcome=verdict, provider="feishu_bot")
            for name in ("uncertain", "leases_expired", "settle_conflicts", "claim_conflicts", "relay_leases_lost"):
                self.count(name, 0, worker)

    # The play

    def _play(self, seed: int, writers: int, transactions: int) -> None:
        committed: list[tuple[float, str, Any, Row, str]] = []
        for writer in range(writers):
            planner = Planner(seed, writer, WORLD)
            clock = writer * 0.013
            for _ in range(transactions):
                clock += self._transact(planner.next(), clock, committed)
        committed.sort(key=lambda row: row[0])
        self.history.sort(key=lambda line: line.get("ended", line.get("begun", {})).get("mono", line.get("mono", 0)))
        offsets: Counter[int] = Counter()
        for end, source, planned, history, payload in committed:
            self._publish(end, source, planned, history, payload, offsets)
        self._copy_some(offsets)
        self._deliver()

    def _transact(self, planned: PlannedTransaction, begin: float, committed: list[Any]) -> float:
        """Writes the history of one transaction; gives how long it took."""
        name = planned.name
        rendered = [row.render(START + datetime.timedelta(seconds=begin)) for row in planned.rows]
        inserted = [begin + 0.001 + 0.0005 * number for number in range(len(rendered))]
        end = inserted[-1] + planned.hold_s + 0.002
        outcome = {"commit": "committed"}.get(planned.ends, "rolled_back")
        unknown_but_there = name == "w0-20"
        if name in ("w0-20", "w1-20"):
            outcome = "unknown"
        self.history.append(
            {
                "kind": "begin",
                "tx": name,
                "source": planned.source,
                "planned": planned.ends,
                "rows": [history for _, history in rendered],
                "mono": round(begin * 1e9),
            }
        )
        self.history.append(
            {
                "kind": "end",
                "tx": name,
                "outcome": outcome,
                "inserted": [round(t * 1e9) for t in inserted],
                "seqs": [],
                "begun": self._instant(begin),
                "committing": self._instant(end - 0.001),
                "ended": self._instant(end),
                "error": "",
            }
        )
        if outcome == "committed" or unknown_but_there:
            for number, (row, (payload, history)) in enumerate(zip(planned.rows, rendered)):
                committed.append((end + number * 1e-6, planned.source, row, history, payload))
        return end - begin + 0.05

    @staticmethod
    def _instant(seconds: float) -> Row:
        return {"mono": round(seconds * 1e9), "wall": at(seconds)}

    def _publish(
        self, end: float, source: str, planned: Any, history: Row, payload: str, offsets: Counter[int]
    ) -> None:
        tables = self.sources[source]
        if history["validity"] == "poison":
            tables["outbox_dead"].append(
                {
                    "id": len(tables["outbox_dead"]) + 1,
                    "source": source,
                    "seq": 1,
                    "event_id": history["event_id"],
                    "aggregatetype": history["aggregatetype"],
                    "aggregateid": history["aggregate"],
                    "payload": payload,
                    "reason": "topic_invalid",
                    "detail": "aggregatetype doesn't make a legal topic name",
                }
            )
            self.count("relay_moved_to_dead", 1, source=source)
            self.count("relay_deleted", 1, source=source)
            return
        partition = hashlib.sha256(history["aggregate"].encode()).digest()[0] % PARTITIONS
        offset = offsets[partition]
        offsets[partition] += 1
        ledger = tables["outbox_ledger"]
        ledger.append(
            {
                "id": len(ledger) + 1,
                "source": source,
                "epoch": 1,
                "topic": TOPIC,
                "partition_no": partition,
                "highest_offset": offset,
                "row_count": 1,
                "created_at": at(end),
            }
        )
        self.count("relay_deleted", 1, source=source)
        self._ingest(end + 0.01, planned, history, payload, partition, offset)

    def _ingest(self, now: float, planned: Any, history: Row, payload: str, partition: int, offset: int) -> None:
        shard = self.shards[partition]
        shard["next_offset"] = offset + 1
        if history["validity"] == "invalid":
            self.rejected.append(
                {
                    "id": len(self.rejected) + 1,
                    "topic": TOPIC,
                    "partition_no": partition,
                    "offset_no": offset,
                    "event_key": history["aggregate"].encode(),
                    "value": b"\x01sealed",
                    "reason": "invalid_request",
                    "headers": json.dumps([["id", history["event_id"]], ["createdAt", at(now)]]),
                    "faults": f"/: {history['fault']}",
                    "created_at": at(now),
                }
            )
            return self._counted(shard, "events_rejected", "invalid")
        key = (history["tenant"], history["channel"], history["dedupe_key"].strip(TRIMMED))
        known = [
            record for record in self.records if (record["tenant"], record["channel"], record["dedupe_key"]) == key
        ]
        if known:
            same = known[0]["content_hash"] == kept_hash(history)
            return self._counted(
                shard, *(("events_duplicate", "duplicate") if same else ("events_conflicting", "conflict"))
            )
        self._counted(shard, "events_recorded", "new")
        record = self._record(now, key, history, partition, offset)
        self.records.append(record)
        self._requests_of[record["id"]] = json.loads(payload)
        self._history_of[record["id"]] = history

    def _counted(self, shard: Row, column: str, result: str) -> None:
        shard[column] += 1
        self.count("consumer_records", 1, shard["partition_no"], result=result)

    def _record(self, now: float, key: tuple[str, str, str], history: Row, partition: int, offset: int) -> Row:
        parts = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in key)
        ordering = "\0".join((key[0], key[1], history["ordering_key"])).encode() if history["ordering_key"] else None
        return {
            "id": len(self.records) + 1,
            "dedupe_hash": hashlib.sha256(parts).hexdigest(),
            "tenant": key[0],
            "channel": key[1],
            "dedupe_key": key[2],
            "event_id": history["event_id"],
            "content_hash": kept_hash(history),
            "status": "pending",
            "reason": None,
            "version": 1,
            "shard": partition + 1,
            "due_at": at(now),
            "parked_by": None,
            "priority": ["high", "normal", "low"].index(history["priority"]),
            "ordering_hash": hashlib.sha256(ordering).hexdigest() if ordering else None,
            "lease_owner": None,
            "attempt_no": 0,
            "attempts_spent": 0,
            "max_attempts": history["max_attempts"] or 0,
            "uncertain": 0,
            "send_key": None,
            "private": int(history["private"]),
            "recipient": "hmac:00ff" if history["private"] else "",
            "request": None,
            "expires_at": history["expires_at"],
            "source_topic": TOPIC,
            "source_partition": partition,
            "source_offset": offset,
            "source_key": history["aggregate"],
            "last_error": None,
            "created_at": at(now),
            "updated_at": at(now),
            "sent_at": None,
        }

    @staticmethod
    def _shard(number: int) -> Row:
        return {
            "shard": number + 1,
            "topic": TOPIC,
            "partition_no": number,
            "owner": WORKERS[number % 2],
            "epoch": 1,
            "next_offset": 0,
            "events_recorded": 0,
            "events_duplicate": 0,
            "events_conflicting": 0,
            "events_rejected": 0,
        }

    def _copy_some(self, offsets: Counter[int]) -> None:
        """What the relay published twice, after it was killed: copies that ingest counts."""
        for shard in self.shards:
            offsets[shard["partition_no"]] += 2
            shard["next_offset"] += 2
            for _ in range(2):
                self._counted(shard, "events_duplicate", "duplicate")

    def _deliver(self) -> None:
        ready: dict[int, float] = {}
        last_of: dict[str, int] = {}
        for record in sorted(self.records, key=lambda r: (r["source_partition"], r["source_offset"])):
            history = self.history_of(record)
            scheduled = since_start(history["scheduled_at"]) if history["scheduled_at"] else 0.0
            ready[record["id"]] = max(since_start(record["created_at"]) + 0.02, scheduled)
            if record["ordering_hash"]:
                earlier = last_of.get(record["ordering_hash"])
                ready[record["id"]] = max(ready[record["id"]], ready.get(earlier, 0.0))
                last_of[record["ordering_hash"]] = record["id"]
        order = sorted(self.records, key=lambda r: (ready[r["id"]], r["source_partition"], r["source_offset"]))
        for number, record in enumerate(order):
            if record["channel"] not in BOTS:
                record.update(parked_by="channel_unknown", due_at=None)
                continue
            self._clock = max(self._clock + SPACING_S, ready[record["id"]])
            self._deliver_one(record, number)

    def _deliver_one(self, record: Row, number: int) -> None:
        history, request = self.history_of(record), self._requests_of[record["id"]]
        if history["expires_at"] and since_start(history["expires_at"]) < self._clock:
            return self._finish(record, "pending", "skipped", "expired")
        text = self._shown(request)
        if text is None:
            self._attempt(record, "refused", "payload_too_large")
            self.count("dead", 1, record["id"], reason="payload_too_large")
            return self._finish(record, "sending", "dead", "payload_too_large")
        allowed = record["max_attempts"] or 5
        if number % 17 == 3 and allowed > 1:
            self._fail(record, "not_now", "feishu_11232", seen=True)
            self.faults[0]["fired"] += 1
        elif number % 29 == 5 and allowed > 1:  # taken, and the answer lost: the next try doubles it
            self._send(record, text)
            self._fail(record, "no_answer", "reset", seen=False, uncertain=True)
            self.faults[1]["fired"] += 1
        elif number % 37 == 6 and allowed > 1:
            self._fail(record, "lease_expired", "lease_expired", seen=True, uncertain=True)
        self._send(record, text)
        self._attempt(record, "accepted", "")
        record["sent_at"] = at(self._clock + 0.08)
        self._finish(record, "sending", "sent", None)

    def _attempt(self, record: Row, verdict: str, reason: str) -> None:
        self.move(record, record["status"], "sending")
        record.update(
            status="sending",
            attempt_no=record["attempt_no"] + 1,
            attempts_spent=record["attempts_spent"] + 1,
            version=record["version"] + 2,
        )
        ended = verdict != "lease_expired"
        self.attempts.append(
            {
                "record_id": record["id"],
                "attempt_no": record["attempt_no"],
                "started_at": at(self._clock),
                "duration_us": 60_000 if ended else None,
                "worker": WORKERS[record["id"] % 2],
                "provider": "feishu_bot",
                "verdict": verdict,
                "reason": reason,
                "http_status": 200 if ended else 0,
                "detail": "",
                "answer": None,
            }
        )
        if ended:
            self.count("deliveries", 1, record["id"], outcome=verdict, provider="feishu_bot")
        else:
            self.count("leases_expired", 1, record["id"])

    def _fail(self, record: Row, verdict: str, reason: str, seen: bool, uncertain: bool = False) -> None:
        if seen:
            self._request(record)
        self._attempt(record, verdict, reason)
        self.move(record, "sending", "failed")
        record.update(status="failed")
        if uncertain:
            record["uncertain"] = 1
            self.count("uncertain", 1, record["id"])
        self._clock += SPACING_S

    def _finish(self, record: Row, old: str, new: str, reason: str | None) -> None:
        self.move(record, old, new)
        record.update(status=new, reason=reason, due_at=None, updated_at=at(self._clock + 0.08))

    def _request(self, record: Row) -> None:
        self.requests.append(
            {
                "time": at(self._clock + 0.01),
                "method": "POST",
                "path": f"/open-apis/bot/v2/hook/{BOTS[record['channel']]}",
            }
        )

    def _send(self, record: Row, text: str) -> None:
        self._request(record)
        self.deliveries.append(
            {
                "sequence": len(self.deliveries) + 1,
                "time": at(self._clock + 0.01),
                "msg_type": "text",
                "token": BOTS[record["channel"]],
                "text": text,
                "body": "",
            }
        )

    @staticmethod
    def _shown(request: dict[str, Any]) -> str | None:
        """What a person would read at the vendor; None when the vendor can't carry it."""
        message = request["message"]
        body = message.get("text") or message.get("markdown") or ""
        if "card" in message:
            body = message["card"]["elements"][0]["text"]["content"]
            message = {"title": message["card"]["header"]["title"]["content"]}
        if not body or len(body.encode()) > 19_700:
            body, message = request.get("fallback_text"), {}
        if body is None:
            return None
        body = re.sub(r"<(?=[\s\u200b/]*[aA][tT]\b)", "＜", body)
        return f"{message['title']} — {body}" if message.get("title") else body

    def _manifest(self) -> Row:
        channels = [
            {
                "code": code,
                "bot": bot,
                "per_second": 5,
                "per_minute": 300,
                "max_attempts": 5,
                "on_uncertain": "retry",
                "idempotent": False,
                "state": "on",
            }
            for code, bot in BOTS.items()
        ]
        return {
            "seed": 3,
            "transport": "kafka",
            "sources": [{"name": name} for name in WORLD.sources],
            "channels": channels,
            "processes": [{"name": name, "end": "running"} for name in WORKERS],
            "faults": [{"row": 4, "kind": "pause", "target": "process", "planned": 1, "fired": 1}],
            "secrets": [{"name": name, "value": value} for name, value in SECRETS.items()],
            "scan_grace_seconds": 10,
            "vendor_complete": True,
        }

    def write(self, folder: Path) -> None:
        write_json(folder / run_folder.MANIFEST, self.manifest)
        write_json(folder / run_folder.COLLECTED, {"wall": at(self._clock + 60), "database_now": at(self._clock + 60)})
        write_rows(folder / run_folder.HISTORY / "load.jsonl", self.history)
        tables = (self.records, self.attempts, self.shards, self.rejected, self.audit, self.audited)
        for table, rows in zip(run_folder.RECORD_TABLES, tables, strict=True):
            write_rows(folder / run_folder.RECORDS / f"{table}.jsonl", rows)
        for source, tables in self.sources.items():
            for table, rows in tables.items():
                write_rows(folder / run_folder.SOURCES / source / f"{table}.jsonl", rows)
        for name, rows in (("deliveries", self.deliveries), ("requests", self.requests), ("faults", self.faults)):
            write_rows(folder / run_folder.VENDOR / f"{name}.jsonl", rows)
        for worker in WORKERS:
            lines = []
            for (name, labels), value in self.metrics[worker].items():
                shown = ",".join(f'{label}="{its}"' for label, its in labels)
                lines.append(f"{name}{{{shown}}} {value}" if shown else f"{name} {value}")
            for folder_name, suffix, text in (
                (run_folder.METRICS, "prom", ["# HELP a scrape", *lines]),
                (run_folder.LOGS, "log", self.logs[worker]),
            ):
                file = folder / folder_name / f"{worker}.{suffix}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(text) + "\n", encoding="utf-8")
