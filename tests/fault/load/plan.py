"""The plan: which transactions a writer makes, in which order, made of the seed alone.

The same seed, writer, world and features give the same plan, however fast the run is; only how much of it is done
depends on the time. Schedules are offsets in the plan and become times when a row is rendered, so rows that are
repeated with the same content have none.
"""

from __future__ import annotations

import datetime
import json
import random
import uuid
from dataclasses import dataclass, field
from typing import Any

from load import requests, texts
from run_folder import utc_text

FEATURES = (
    "schedule",
    "expiry",
    "dedupe",
    "rollback",
    "disconnect",
    "late_commit",
    "hostile",
    "sizes",
    "huge",
    "invalid",
    "private",
    "private_invalid",
    "poison",
    "html",
    "priority",
    "ordering",
    "max_attempts",
)


@dataclass(frozen=True)
class World:
    """What all writers of a run share."""

    sources: tuple[str, ...]
    channels: tuple[tuple[str, float], ...]  # code, weight
    tenants: tuple[str, ...] = ("default", "acme", "Acme")
    features: frozenset[str] = frozenset(FEATURES)
    hot_aggregates: int = 4
    cold_aggregates: int = 300
    late_commit_seconds: float = 3.0


@dataclass(frozen=True)
class PlannedRow:
    event_id: str
    aggregate: str
    aggregatetype: str
    request: Any
    validity: str  # valid; invalid: must be rejected; poison: can't be published
    fault: str  # of an invalid or poison one
    token: str
    canary: str  # of a private one
    schedule_s: float | None
    expires_s: float | None
    ascii_only: bool  # how the JSON text is written; not part of the content

    def render(self, now: datetime.datetime) -> tuple[str, dict[str, Any]]:
        """The payload's JSON text, and what the history says about the row."""
        request = self.request
        if isinstance(request, dict) and self.validity == "valid":
            request = dict(request)
            for name, offset in (("scheduled_at", self.schedule_s), ("expires_at", self.expires_s)):
                if offset is not None:
                    request[name] = utc_text(now + datetime.timedelta(seconds=offset))
        payload = json.dumps(request, ensure_ascii=self.ascii_only)
        fields = request if isinstance(request, dict) else {}
        history = {
            "event_id": self.event_id,
            "aggregate": self.aggregate,
            "aggregatetype": self.aggregatetype,
            "validity": self.validity,
            "fault": self.fault,
            "token": self.token,
            "tenant": fields.get("tenant", "default"),
            "channel": fields.get("channel"),
            "dedupe_key": fields.get("dedupe_key"),
            "ordering_key": fields.get("ordering_key", ""),
            "priority": fields.get("priority", "normal"),
            "scheduled_at": fields.get("scheduled_at"),
            "expires_at": fields.get("expires_at"),
            "max_attempts": fields.get("max_attempts"),
            "private": bool(self.canary),
            "canary": self.canary,
            "content_hash": requests.canonical_hash(request),
            "text_hashes": [texts.visible_hash(text) for text in requests.shown_texts(fields)],
            "fallback": "fallback_text" in fields,
            "bytes": len(payload.encode()),
        }
        return payload, history


@dataclass(frozen=True)
class PlannedTransaction:
    name: str
    source: str
    rows: tuple[PlannedRow, ...]
    ends: str  # commit, rollback, disconnect
    hold_s: float  # between the last INSERT and the end
    one_statement: bool
    pauses_s: tuple[float, ...] = field(default=())  # after each row, when not one statement


class Planner:
    """The endless plan of one writer."""

    def __init__(self, seed: int, writer: int, world: World) -> None:
        self._seed = seed
        self._world = world
        self._name = f"w{writer}"
        self._rng = random.Random(f"{seed}/{writer}")
        self._transactions = 0
        self._rows = 0
        self._repeatable: list[PlannedRow] = []

    def next(self) -> PlannedTransaction:
        rng = self._rng
        self._transactions += 1
        source = rng.choice(self._world.sources)
        size = rng.choices((1, rng.randint(2, 5), rng.randint(10, 40)), (76, 20, 4))[0]
        rows = tuple(self._row(source) for _ in range(size))
        ends, hold = "commit", 0.0
        if self._happens("rollback", 0.08):
            ends = "rollback"
        elif self._happens("disconnect", 0.01):
            ends = "disconnect"
        if self._happens("late_commit", 0.05):
            hold = round(rng.uniform(0.3, 1.0) * self._world.late_commit_seconds, 3)
        one_statement = size > 1 and rng.random() < 0.5
        pauses = () if one_statement else tuple(rng.choice((0.0, 0.0, 0.0, 0.002, 0.02)) for _ in rows)
        return PlannedTransaction(f"{self._name}-{self._transactions}", source, rows, ends, hold, one_statement, pauses)

    def _happens(self, feature: str, probability: float) -> bool:
        # Drawn even when the feature is off, which leaves the rest of the plan alone as far as that can be.
        return self._rng.random() < probability and feature in self._world.features

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _row(self, source: str) -> PlannedRow:
        self._rows += 1
        key_id = f"{self._name}-{self._rows}"
        if self._happens("dedupe", 0.02):
            return self._shared_row(source)
        if self._happens("dedupe", 0.08) and self._repeatable:
            return self._repeat(self._rng.choice(self._repeatable), key_id)
        return self._new_row(source, key_id)

    def _new_row(self, source: str, key_id: str) -> PlannedRow:
        rng = self._rng
        channel = rng.choices(
            [code for code, _ in self._world.channels], [weight for _, weight in self._world.channels]
        )[0]
        tenant = rng.choice(self._world.tenants)
        aggregate = self._aggregate()
        dedupe_key = self._dedupe_key(key_id)
        token = texts.token(source, tenant, channel, key_id)
        canary = f"canary{rng.getrandbits(64):016x}" if self._happens("private", 0.05) else ""
        text = self._text(token, canary)
        request: dict[str, Any] = {"dedupe_key": dedupe_key, "channel": channel, "message": requests.message(text, rng)}
        if tenant != "default" or rng.random() < 0.2:
            request["tenant"] = tenant
        self._add_options(request, aggregate, token, canary)
        schedule = round(rng.uniform(0.5, 4.0), 3) if self._happens("schedule", 0.06) else None
        expires = None
        if self._happens("expiry", 0.04):
            expires = round((schedule or 0.0) + rng.choice((0.5, 2.0, 60.0, 3600.0)), 3)
        validity, fault, aggregatetype = "valid", "", "notification"
        breakable = not canary or "private_invalid" in self._world.features
        if self._happens("invalid", 0.03) and breakable:
            fault, broken = requests.break_structure(request, rng, "huge" in self._world.features)
            return PlannedRow(
                self._uuid(),
                aggregate,
                aggregatetype,
                broken,
                "invalid",
                fault,
                token,
                canary,
                None,
                None,
                rng.random() < 0.3,
            )
        if self._happens("poison", 0.003):
            validity, fault, aggregatetype = "poison", "a topic that can't be", "not a/topic"
        row = PlannedRow(
            self._uuid(),
            aggregate,
            aggregatetype,
            request,
            validity,
            fault,
            token,
            canary,
            schedule,
            expires,
            rng.random() < 0.3,
        )
        if validity == "valid" and schedule is None and expires is None and not canary:
            self._repeatable = [*self._repeatable[-40:], row]
        return row

    def _add_options(self, request: dict[str, Any], aggregate: str, token: str, canary: str) -> None:
        rng = self._rng
        if canary:
            request["private"] = True
            request["recipient"] = f"user:{canary}"
        if self._happens("priority", 0.3):
            request["priority"] = rng.choice(("high", "normal", "low"))
        if self._happens("ordering", 0.35):
            request["ordering_key"] = aggregate if rng.random() < 0.7 else f"{aggregate}/{rng.randrange(2)}"
        if self._happens("max_attempts", 0.03):
            request["max_attempts"] = rng.choice((1, 2, 3, 9))
        if rng.random() < 0.3:
            request["metadata"] = requests.metadata(rng)
        if rng.random() < 0.1:
            request["field_of_a_later_version"] = {"a": [1, None, True]}
        if self._happens("html", 0.01):
            request["message"] = {"html": "<p>" + token + "</p>", "subject": "as a mail"}
            if rng.random() < 0.5:
                request["fallback_text"] = token + " as a text"
        if self._happens("sizes", 0.01):
            self._fill(request, token)
        if self._happens("huge", 0.001):
            request["metadata"] = {"filler": "x" * requests.HUGE_METADATA}

    def _fill(self, request: dict[str, Any], token: str) -> None:
        """A text near the vendor's limit, or above it with or without something to send instead."""
        rng = self._rng
        low, high = requests.NEARLY_FULL if rng.random() < 0.6 else requests.TOO_LARGE
        request["fallback_text"] = token + " instead of a long text"
        request["message"] = {"text": token + " " + texts.filler(rng.randint(low, high), rng)}
        if rng.random() < 0.3:
            del request["fallback_text"]

    def _aggregate(self) -> str:
        if self._rng.random() < 0.4:
            return f"hot-{self._rng.randrange(self._world.hot_aggregates)}"
        if self._happens("hostile", 0.03):
            return f"聚合 é 🎉 '\"\\ {self._rng.randrange(5)}"
        return f"cold-{self._rng.randrange(self._world.cold_aggregates)}"

    def _dedupe_key(self, key_id: str) -> str:
        rng = self._rng
        if not self._happens("hostile", 0.3):
            return f"order-{key_id}"
        kind = rng.randrange(4)
        if kind == 0:
            return rng.choice(rng.choice(texts.KEY_PAIRS)) + key_id
        if kind == 1:
            return rng.choice(texts.TRIMMED) + f"blank-{key_id}" + rng.choice(texts.TRIMMED) * 2
        if kind == 2:
            return f"kept-{key_id}" + rng.choice(texts.KEPT)
        if rng.random() < 0.1:
            return ("long-" + key_id + "-").ljust(191, rng.choice("xé订🎉"))
        return rng.choice(texts.KEY_FORMS).format(key_id)

    def _text(self, token: str, canary: str) -> str:
        words = texts.hostile(self._rng) if self._happens("hostile", 0.6) else "An order was placed."
        return " ".join(part for part in (token, canary, words) if part)

    def _repeat(self, first: PlannedRow, key_id: str) -> PlannedRow:
        """The same key again, by another event: with the same content, or with other content."""
        rng = self._rng
        request = first.request
        if rng.random() < 0.4:
            request = {**request, "message": {"text": f"{first.token} other content {key_id}"}}
        elif rng.random() < 0.3:
            # The same key once it is trimmed, so the same notification; as JSON it is other content.
            request = {**request, "dedupe_key": "\u3000" + request["dedupe_key"] + " "}
        return PlannedRow(
            self._uuid(),
            first.aggregate,
            first.aggregatetype,
            request,
            "valid",
            "",
            first.token,
            "",
            None,
            None,
            rng.random() < 0.3,
        )

    def _shared_row(self, source: str) -> PlannedRow:
        """A key that other writers and sources use at the same time."""
        number = self._rng.randrange(30)
        rng = random.Random(f"{self._seed}/shared/{number}")
        tenant = rng.choice(self._world.tenants)
        channel = self._world.channels[0][0]
        token = texts.token("shared", tenant, channel, f"s{number}")
        text = f"{token} of several writers"
        if self._rng.random() < 0.3:
            text += f", as {self._name} has it"
        request = {"dedupe_key": f"shared-{number}", "channel": channel, "tenant": tenant, "message": {"text": text}}
        return PlannedRow(
            self._uuid(), f"shared-{number}", "notification", request, "valid", "", token, "", None, None, False
        )
