"""I3, I9, I10: a record's states as far as its last state and its attempts show them."""

from __future__ import annotations

from checker.facts import FINISHED, IN_DOUBT, STATUSES, Facts, Key, show
from checker.report import Report
from run_folder import Row, seconds_of

VERDICTS = ("accepted", "not_now", "refused", "unreachable", "channel_down", "no_answer", "lease_expired", "reconciled")
# A call that began in time may end so much later.
LATE_DELIVERY_SECONDS = 15.0


def check(facts: Facts, report: Report) -> None:
    if facts.records is None:
        for name in ("I3", "I9", "I10"):
            report[name].skip("no dump of notification_records")
        return
    counts = {status: 0 for status in STATUSES}
    for record in facts.records:
        counts[record["status"]] = counts.get(record["status"], 0) + 1
        _check_fields(facts, report, record)
        _check_times(facts, report, record)
        if facts.attempts_of is not None:
            _check_attempts(facts, report, record, facts.attempts_of.get(record["id"], []))
    for status, count in counts.items():
        report["I9"].count(status, count)
    report["I9"].skip("a state that was left again without an attempt leaves no trace")
    if facts.attempts_of is None:
        report["I9"].skip("no dump of notification_attempts")
    else:
        rows = sum(len(rows) for rows in facts.attempts_of.values())
        report["I9"].count("attempts", rows)
        report["I9"].count(
            "claims without an attempt's row", sum(record["attempt_no"] for record in facts.records) - rows
        )
    _check_sending(facts, report)
    _check_fencing(facts, report)


def _illegal(facts: Facts, report: Report, record: Row, text: str) -> None:
    report["I9"].violate("illegal_transition", show(facts.key_of(record)), text)


def _check_fields(facts: Facts, report: Report, record: Row) -> None:
    status, key = record["status"], facts.key_of(record)
    if status not in STATUSES:
        return _illegal(facts, report, record, f"its status is {status!r}")
    if status in ("dead", "skipped") and not record["reason"]:
        _illegal(facts, report, record, f"{status} without a reason")
    if status == "sent" and not record["sent_at"]:
        _illegal(facts, report, record, "sent without sent_at")
    if status in FINISHED and record["due_at"] is not None:
        _illegal(facts, report, record, f"{status}, and still due at {record['due_at']}")
    if record["attempts_spent"] > record["attempt_no"] or record["attempts_spent"] < 0:
        _illegal(facts, report, record, f"{record['attempts_spent']} attempts spent of {record['attempt_no']} claims")
    if record["version"] < max(1, record["attempt_no"]):
        report["I10"].violate("version", show(key), f"version {record['version']} after {record['attempt_no']} claims")
    if facts.is_replayed(key):
        return
    if status == "pending" and record["attempt_no"] > 0:
        _illegal(facts, report, record, f"pending after {record['attempt_no']} claims, and not replayed")
    if status == "failed" and record["attempt_no"] == 0:
        _illegal(facts, report, record, "failed without a claim")
    _check_budget(facts, report, record, key)


def _check_budget(facts: Facts, report: Report, record: Row, key: Key) -> None:
    if not record["attempt_no"]:
        return
    most = record["max_attempts"] or facts.channels.get(key[1], {}).get("max_attempts", 0)
    if not most:
        return report["I9"].skip("attempts against the limit where run.json names none for the channel")
    if record["attempts_spent"] > most:
        _illegal(facts, report, record, f"{record['attempts_spent']} attempts spent, {most} are allowed")
    if record["reason"] == "attempts_exhausted" and record["attempts_spent"] < most:
        _illegal(facts, report, record, f"given up after {record['attempts_spent']} attempts of {most}")


def _check_times(facts: Facts, report: Report, record: Row) -> None:
    """Not before scheduled_at, not after expires_at, as the vendor saw it."""
    event = facts.event_of.get(record["event_id"])
    key = facts.key_of(record)
    if event is None or facts.manifest.get("clock_moved"):
        return
    scheduled, expires = event.row["scheduled_at"], event.row["expires_at"]
    times = [delivery.time for delivery in facts.deliveries_of_key.get(key, [])]
    if scheduled and times and min(times) < seconds_of(scheduled):
        _illegal(facts, report, record, f"sent {seconds_of(scheduled) - min(times):.3f} s before its scheduled_at")
    if expires and times and max(times) > seconds_of(expires) + LATE_DELIVERY_SECONDS:
        _illegal(facts, report, record, f"sent {max(times) - seconds_of(expires):.1f} s after its expires_at")
    if record["status"] == "skipped" and record["reason"] == "expired":
        if not expires:
            _illegal(facts, report, record, "expired, and its request has no expires_at")
        elif seconds_of(record["updated_at"]) < seconds_of(expires):
            _illegal(facts, report, record, "expired before its expires_at")


def _check_attempts(facts: Facts, report: Report, record: Row, attempts: list[Row]) -> None:
    key, status = facts.key_of(record), record["status"]
    verdicts = [attempt["verdict"] for attempt in attempts]
    unknown = sorted(set(verdicts) - set(VERDICTS))
    if unknown:
        _illegal(facts, report, record, f"attempts with the verdicts {', '.join(unknown)}")
    if attempts and attempts[-1]["attempt_no"] > record["attempt_no"]:
        _illegal(facts, report, record, f"has attempt {attempts[-1]['attempt_no']}, and counts {record['attempt_no']}")
    if len(attempts) > record["attempt_no"]:
        _illegal(facts, report, record, f"{len(attempts)} attempts' rows of {record['attempt_no']} claims")
    if facts.is_replayed(key):
        return
    if verdicts.count("accepted") > 1:
        report["I2"].violate("accepted_twice", show(key), "two attempts of the record were accepted")
    told_taken = bool(attempts) and (attempts[-1]["verdict"], attempts[-1]["reason"]) == ("reconciled", "taken")
    if status == "sent" and not told_taken and (not verdicts or verdicts[-1] != "accepted"):
        _illegal(facts, report, record, f"sent, and its last attempt says {verdicts[-1] if verdicts else 'nothing'}")
    if status != "sent" and "accepted" in verdicts:
        _illegal(facts, report, record, f"{status} after an attempt was accepted")
    event = facts.event_of.get(record["event_id"])
    has_fallback = event is not None and event.row["fallback"]
    for number, verdict in enumerate(verdicts[:-1]):
        if verdict == "accepted":
            _illegal(facts, report, record, f"attempt {attempts[number + 1]['attempt_no']} came after an accepted one")
        if verdict in ("refused", "unreachable") and not has_fallback:
            _illegal(facts, report, record, f"attempt {attempts[number + 1]['attempt_no']} came after a {verdict} one")
        holds = facts.channels.get(key[1], {}).get("on_uncertain") == "hold"
        if verdict == "no_answer" and holds and not facts.channels[key[1]].get("idempotent"):
            _illegal(facts, report, record, "tried again after no answer came, and the channel's policy is to hold")


def _check_sending(facts: Facts, report: Report) -> None:
    section = report["I3"]
    if facts.now is None:
        return section.skip("no time of the dump")
    sending = [record for record in facts.records or [] if record["status"] == "sending"]
    section.count("sending", len(sending))
    for record in sending:
        report.stuck += 1
        lease = record["due_at"]
        if lease is None or not record["lease_owner"]:
            text = "sending without a lease that could end"
        elif seconds_of(lease) < facts.now - facts.manifest.get("scan_grace_seconds", 10):
            text = f"sending, and its lease ended {facts.now - seconds_of(lease):.0f} s ago"
        else:
            text = "sending after the quiet period, under a lease that still runs"
        section.violate("stuck_sending", show(facts.key_of(record)), text)


def _check_fencing(facts: Facts, report: Report) -> None:
    section = report["I10"]
    for name in (
        "outrider_settle_conflicts_total",
        "outrider_claim_conflicts_total",
        "outrider_relay_leases_lost_total",
    ):
        value = facts.metric(name)
        if value is not None:
            section.count(name.removeprefix("outrider_").removesuffix("_total").replace("_", " "), value)
    for source in facts.sources:
        ledger = facts.source_rows(source, "outbox_ledger")
        if ledger is None:
            section.skip(f"no dump of {source}'s ledger")
            continue
        newest = 0
        for row in sorted(ledger, key=lambda row: row["id"]):
            if row["epoch"] < newest:
                section.violate(
                    "stale_leader",
                    source,
                    f"ledger row {row['id']} was written in epoch {row['epoch']}, after " f"one of epoch {newest}",
                )
            newest = max(newest, row["epoch"])
        leases = [row["epoch"] for row in facts.source_rows(source, "outbox_leases") or []]
        if leases and newest > max(leases):
            section.violate("stale_leader", source, f"the ledger knows epoch {newest}, the lease {max(leases)}")
        section.count(f"epochs of {source}", newest)
    expired = sum(
        attempt["verdict"] == "lease_expired" for rows in (facts.attempts_of or {}).values() for attempt in rows
    )
    section.count("leases expired", expired)
    section.skip("a late write that changed nothing leaves no trace but its counter")


def in_doubt(attempts: list[Row]) -> list[Row]:
    return [attempt for attempt in attempts if attempt["verdict"] in IN_DOUBT]
