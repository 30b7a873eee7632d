"""Requests as JSON values: valid ones of every kind of message, and ones whose structure must be rejected.

Written from the contract (the table of request fields), not from the product's reader.
"""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

from load import texts

# Room under a Feishu bot's 20,000 bytes, and above it.
NEARLY_FULL = (17_500, 19_300)
TOO_LARGE = (20_500, 60_000)
HUGE_METADATA = 600_000  # of the 1 MiB that a request may have


def message(text: str, rng: random.Random) -> dict[str, Any]:
    kind = rng.choices(("text", "titled", "markdown", "card"), (72, 12, 8, 8))[0]
    title = rng.choice(texts.TITLES)
    if kind == "titled":
        return {"title": title, "text": text}
    if kind == "markdown":
        return {"title": title, "markdown": text}
    if kind == "card":
        header = {"title": {"tag": "plain_text", "content": title}}
        return {
            "card": {"header": header, "elements": [{"tag": "div", "text": {"tag": "plain_text", "content": text}}]}
        }
    return {"text": text}


def shown_texts(request: dict[str, Any]) -> list[str]:
    """The texts of which one must reach the recipient: the message's own, or the one that stands in for it."""
    parts = request.get("message")
    parts = parts if isinstance(parts, dict) else {}
    card = parts.get("card") if isinstance(parts.get("card"), dict) else {}
    shown = [parts.get("text"), parts.get("markdown"), request.get("fallback_text")]
    shown += [element["text"]["content"] for element in card.get("elements", [])]
    return [text for text in shown if isinstance(text, str)]


def metadata(rng: random.Random) -> dict[str, str]:
    return {"order_id": str(rng.randrange(10_000)), "note": rng.choice(texts.HOSTILE), "": "an empty name"}


def _broken(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The request with some fields replaced, or left out where the new value is None."""
    changed = {**request, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def break_structure(request: dict[str, Any], rng: random.Random, huge: bool) -> tuple[str, Any]:
    """What is wrong, and the request made wrong."""
    long_key = "k" * 192
    ways: list[tuple[str, Any]] = [
        ("no dedupe_key", _broken(request, dedupe_key=None)),
        ("blank dedupe_key", _broken(request, dedupe_key=" \u3000\t")),
        ("long dedupe_key", _broken(request, dedupe_key=long_key)),
        ("NUL in dedupe_key", _broken(request, dedupe_key=request["dedupe_key"] + "\0x")),
        ("number as dedupe_key", _broken(request, dedupe_key=17)),
        ("no channel", _broken(request, channel=None)),
        ("long channel", _broken(request, channel="c" * 65)),
        ("long tenant", _broken(request, tenant="t" * 65)),
        ("blank tenant", _broken(request, tenant=" ")),
        ("no message", _broken(request, message=None)),
        ("blank message", _broken(request, message={"text": " \n\u2003"}, fallback_text=None)),
        ("empty message", _broken(request, message={})),
        ("two messages", _broken(request, message={"text": "a", "markdown": "b"})),
        ("message and template", _broken(request, template="welcome")),
        ("list as message", _broken(request, message=["a"])),
        ("unknown priority", _broken(request, priority="urgent")),
        ("local time", _broken(request, scheduled_at="2030-01-01T00:00:00")),
        ("day that isn't", _broken(request, expires_at="2030-02-30T00:00:00Z")),
        (
            "expires before its schedule",
            _broken(request, scheduled_at="2030-01-02T00:00:00Z", expires_at="2030-01-01T00:00:00Z"),
        ),
        ("no attempts", _broken(request, max_attempts=0)),
        ("half an attempt", _broken(request, max_attempts=1.5)),
        ("text as private", _broken(request, private="yes")),
        ("number in metadata", _broken(request, metadata={"order_id": 17})),
        ("attachment without address", _broken(request, attachments=[{"name": "a.pdf"}])),
        ("a list", [request]),
        ("a text", "a text instead of a request"),
        ("a number", 17),
        ("null", None),
    ]
    if huge and rng.random() < 0.05:
        return "above 1 MiB", _broken(request, metadata={"filler": "x" * (1 << 20)})
    return rng.choice(ways)


def canonical_hash(request: Any) -> str:
    """SHA-256 of the request with sorted keys and no white space."""
    text = json.dumps(request, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
