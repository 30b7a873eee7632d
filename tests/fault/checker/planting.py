"""What the checker's tests share: a healthy run, what can be planted in copies of it, and how that is asked for."""

from __future__ import annotations

import copy
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable

import check
from checker.healthy_run import HealthyRun
from checker.report import Report
from run_folder import Row

HEALTHY = HealthyRun()


def checked(run: HealthyRun) -> Report:
    with tempfile.TemporaryDirectory(prefix="outrider-fault-") as folder:
        run.write(Path(folder))
        return check.check_folder(Path(folder))


def plain_sent(run: HealthyRun, number: int = 0) -> Row:
    """A record that was sent at once, that nothing is special about."""
    plain = [
        record
        for record in run.records
        if record["status"] == "sent"
        and record["attempt_no"] == 1
        and not record["ordering_hash"]
        and not record["private"]
        and not record["expires_at"]
        and not run.history_of(record)["scheduled_at"]
        and record["dedupe_key"].startswith("order-w")
        and sum(record["dedupe_key"] == line["dedupe_key"] for begin in run.history for line in begin.get("rows", []))
        == 1
    ]
    return plain[number]


def remove_delivery(run: HealthyRun, record: Row) -> None:
    gone = run.deliveries_of(record)
    run.deliveries = [delivery for delivery in run.deliveries if delivery not in gone]


def remove_attempts(run: HealthyRun, record: Row) -> None:
    """As if the record had never been claimed."""
    gone = run.attempts_of(record)
    run.attempts = [attempt for attempt in run.attempts if attempt not in gone]
    run.count("deliveries", -1, record["id"], outcome="accepted", provider="feishu_bot")
    run.count("transitions", -1, record["id"], **{"from": "pending", "to": "sending"})
    run.count("transitions", -1, record["id"], **{"from": "sending", "to": "sent"})
    record.update(attempt_no=0, attempts_spent=0, status="pending", sent_at=None, version=1)


def pair_of_one_aggregate(run: HealthyRun) -> tuple[Row, Row]:
    """Two sent records of one aggregate without ordering keys, one committed before the other was inserted."""
    times = {}
    for outcome in ("committed",):
        for begin, end in run.transactions(outcome):
            for row, inserted in zip(begin["rows"], end["inserted"]):
                times[row["event_id"]] = (begin["source"], inserted, end["ended"]["mono"])
    plain = [r for r in run.records if r["status"] == "sent" and not r["ordering_hash"] and r["event_id"] in times]
    for first in plain:
        for second in plain:
            if (
                first["source_key"] == second["source_key"]
                and times[first["event_id"]][0] == times[second["event_id"]][0]
                and times[first["event_id"]][2] < times[second["event_id"]][1]
            ):
                return first, second
    raise AssertionError("the healthy run has no such pair")


def pair_of_one_ordering_key(run: HealthyRun) -> tuple[Row, Row]:
    plain = [
        r
        for r in run.records
        if r["ordering_hash"]
        and r["status"] == "sent"
        and r["attempt_no"] == 1
        and not r["expires_at"]
        and not run.history_of(r)["scheduled_at"]
    ]
    for first in plain:
        group = [r for r in run.records if r["ordering_hash"] == first["ordering_hash"]]
        others = [
            r
            for r in group
            if r["source_offset"] > first["source_offset"] and r in plain and source_of(run, r) == source_of(run, first)
        ]
        if others and len(group) == 2:
            return first, others[0]
    raise AssertionError("the healthy run has no such pair")


def source_of(run: HealthyRun, record: Row) -> str:
    return next(
        line["source"] for line in run.history for row in line.get("rows", []) if row["event_id"] == record["event_id"]
    )


class CheckerTest(unittest.TestCase):
    def accused(self, plant: Callable[[HealthyRun], Any]) -> tuple[list[tuple[str, str]], Report]:
        run = copy.deepcopy(HEALTHY)
        plant(run)
        report = checked(run)
        return report.problems(), report

    def assertNames(self, plant: Callable[[HealthyRun], Any], invariant: str, problem: str) -> Report:
        problems, report = self.accused(plant)
        self.assertEqual(problems, [(invariant, problem)], report.as_text())
        self.assertFalse(report.held)
        return report


def remove_delivery_once(run: HealthyRun, record: Row) -> None:
    run.deliveries.remove(run.deliveries_of(record)[0])
