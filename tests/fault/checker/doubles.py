"""I2 and I5: what the vendor has more than once, or has though its record doesn't say so, and through which window."""

from __future__ import annotations

from collections import Counter

from checker.facts import Facts, Key, show
from checker.report import Report
from checker.states import in_doubt
from run_folder import Row


def check(facts: Facts, report: Report) -> None:
    section = report["I5"]
    if facts.deliveries is None or facts.records is None:
        for name in ("I2", "I5"):
            report[name].skip("no deliveries of the vendor, or no dump of notification_records")
        return
    if facts.attempts_of is None:
        section.skip("how many doubles a record's attempts explain: no dump of notification_attempts")
    _check_marks(facts, report)
    windows: Counter[str] = Counter()
    uncertain_doubles = 0
    for key, deliveries in facts.deliveries_of_key.items():
        records = facts.records_of_key.get(key, [])
        if len(records) != 1 or not facts.at_vendor(key[1]):
            continue  # I1 tells
        record = records[0]
        attempts = (facts.attempts_of or {}).get(record["id"], [])
        if record["status"] != "sent" and not _explains_delivery(facts, key, record):
            section.violate(
                "hidden_delivery",
                show(key),
                f"the record is {record['status']} ({record['reason']}) and not in "
                "doubt, and the vendor has the message",
            )
        extra = len(deliveries) - 1
        if extra == 0:
            continue
        windows[_window(facts, key, attempts)] += extra
        uncertain_doubles += 1
        if facts.is_replayed(key):
            continue
        if facts.channels[key[1]].get("idempotent"):
            report["I2"].violate("double", show(key), f"the vendor has it {len(deliveries)} times, in spite of its key")
        if not record["uncertain"]:
            section.violate(
                "hidden_double",
                show(key),
                f"the vendor has it {len(deliveries)} times, and the record is " "neither in doubt nor replayed",
            )
        elif facts.attempts_of is not None and extra > len(in_doubt(attempts)):
            section.violate(
                "hidden_double",
                show(key),
                f"the vendor has it {len(deliveries)} times, and only "
                f"{len(in_doubt(attempts))} attempts ended in doubt",
            )
    report.doubled = dict(windows)
    section.count("doubled messages", sum(windows.values()))
    section.count("of keys", uncertain_doubles)
    section.count("records in doubt", sum(bool(record["uncertain"]) for record in facts.records))
    if any(channel.get("idempotent") for channel in facts.channels.values()):
        report["I2"].count(
            "keys at vendors with an idempotency key",
            sum(bool(facts.channels.get(key[1], {}).get("idempotent")) for key in facts.deliveries_of_key),
        )
    else:
        report["I2"].skip("no channel's vendor honours an idempotency key; doubles are I5's")
    _check_metric(facts, report)


def _explains_delivery(facts: Facts, key: Key, record: Row) -> bool:
    """In flight at the dump, in doubt, or sent before a person replayed it."""
    return record["status"] == "sending" or bool(record["uncertain"]) or facts.is_replayed(key)


def _check_marks(facts: Facts, report: Report) -> None:
    """No answer means doubt, until the same key succeeds, which only a vendor with such keys makes certain."""
    for record in facts.records or []:
        key = facts.key_of(record)
        verdicts = [attempt["verdict"] for attempt in (facts.attempts_of or {}).get(record["id"], [])]
        if "no_answer" not in verdicts or record["uncertain"] or facts.is_replayed(key):
            continue
        if facts.channels.get(key[1], {}).get("idempotent") and record["status"] == "sent":
            continue
        report["I5"].violate(
            "hidden_doubt", show(key), "an attempt got no answer, and the record isn't marked as in doubt"
        )


def _window(facts: Facts, key: Key, attempts: list[Row]) -> str:
    if facts.is_replayed(key):
        return "W5"
    verdicts = {attempt["verdict"] for attempt in in_doubt(attempts)}
    if "lease_expired" not in verdicts:
        return "answer lost" if verdicts else "unexplained"
    if "no_answer" in verdicts:
        return "W3, W4 or answer lost"
    paused = any(fault.get("kind") == "pause" and fault.get("fired") for fault in facts.faults)
    killed = any(process.get("end") in ("killed", "crashed") for process in facts.processes)
    return "W4" if paused and not killed else "W3" if killed and not paused else "W3 or W4"


def _check_metric(facts: Facts, report: Report) -> None:
    """Each record that came in doubt is counted once; a mark that was cleared still shows in the attempts."""
    section = report["I5"]
    metric = facts.metric("outrider_uncertain_total")
    if metric is None:
        return section.skip("the metric of records in doubt: not in any scrape")
    least = sum(bool(record["uncertain"]) for record in facts.records or [])
    most = sum(
        bool(record["uncertain"] or in_doubt((facts.attempts_of or {}).get(record["id"], [])))
        for record in facts.records or []
    )
    section.count("counted by the metric", metric)
    if metric > most:
        section.violate("metric", "outrider_uncertain_total", f"says {metric}; {most} records ever were in doubt")
    if facts.why_counters_are_partial:
        section.skip(
            f"whether the metric is complete: {facts.why_counters_are_partial}; the records' column counts {least}"
        )
    elif metric < least:
        section.violate("metric", "outrider_uncertain_total", f"says {metric}; {least} records are in doubt")
