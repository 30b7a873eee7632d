"""The checker names what is somewhere it shouldn't be: strangers, mixed-up keys and channels, and broken counters."""

from __future__ import annotations

import unittest

from checker.healthy_run import BOTS, HealthyRun, at
from checker.planting import CheckerTest, plain_sent, source_of
from run_folder import Row


def row_of(run: HealthyRun, record: Row) -> Row:
    """The history's row of the record's event."""
    rows = [row for line in run.history for row in line.get("rows", [])]
    return next(row for row in rows if row["event_id"] == record["event_id"])


class StrangerTest(CheckerTest):
    def test_a_record_of_an_event_nobody_wrote_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.record_where(channel="ghost")["event_id"] = "nobody's"

        problems, report = self.accused(plant)
        self.assertEqual(problems, [("I1", "unasked_record")], report.as_text())

    def test_a_record_under_another_key_than_its_events_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            plain_sent(run, 0)["event_id"] = plain_sent(run, 1)["event_id"]

        self.assertNames(plant, "I1", "wrong_key")

    def test_a_record_of_a_request_that_must_be_rejected_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = run.record_where(channel="ghost")
            row_of(run, record).update(validity="invalid", fault="no channel")
            run.rejected.append(
                {**run.rejected[0], "id": 99, "headers": f'[["id", "{record["event_id"]}"]]', "offset_no": 9999}
            )
            run.shards[0]["events_rejected"] += 1
            run.count("consumer_records", 1, result="invalid")

        self.assertNames(plant, "I1", "invalid_recorded")

    def test_an_invalid_request_at_the_vendor_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            event_id = run.rejected[0]["headers"].split('"')[3]
            row = next(row for line in run.history for row in line.get("rows", []) if row["event_id"] == event_id)
            run.deliveries.append({"time": at(9000), "token": BOTS["ops"], "text": row["token"]})

        self.assertNames(plant, "I1", "invalid_delivered")

    def test_a_message_nobody_wrote_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.deliveries.append({"time": at(9000), "token": BOTS["ops"], "text": "[k:shop/default/ops/nobody]"})

        self.assertNames(plant, "I1", "unasked_delivery")

    def test_a_message_in_another_channels_group_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            other = "team" if record["channel"] == "ops" else "ops"
            run.deliveries_of(record)[0]["token"] = BOTS[other]

        self.assertNames(plant, "I1", "wrong_channel")

    def test_a_valid_request_among_the_rejected_ones_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.rejected[0]["headers"] = f'[["id", "{plain_sent(run)["event_id"]}"]]'

        problems, report = self.accused(plant)
        self.assertEqual(problems, [("I1", "missing_rejection"), ("I1", "rejected_though_valid")], report.as_text())

    def test_a_rejection_that_names_no_fault_is_found(self) -> None:
        self.assertNames(lambda run: run.rejected[0].update(faults="[]"), "I1", "rejected_without_words")


class BookkeepingTest(CheckerTest):
    def test_two_accepted_attempts_are_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            run.attempts.append({**run.attempts_of(record)[0], "attempt_no": 2, "started_at": at(9000)})
            record.update(attempt_no=2, attempts_spent=2, version=record["version"] + 2)
            run.count("deliveries", 1, outcome="accepted", provider="feishu_bot")

        problems, report = self.accused(plant)
        self.assertEqual(problems, [("I2", "accepted_twice"), ("I9", "illegal_transition")], report.as_text())

    def test_a_version_that_did_not_grow_is_found(self) -> None:
        self.assertNames(lambda run: run.record_where(attempt_no=2).update(version=1), "I10", "version")

    def test_a_shard_that_counts_too_few_records_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.shards[0]["events_recorded"] -= 1
            run.shards[0]["events_duplicate"] += 1
            run.count("consumer_records", -1, result="new")
            run.count("consumer_records", 1, result="duplicate")
            run.count("transitions", 1, **{"from": "sending", "to": "pending"})
            run.count("transitions", 1, **{"from": "pending", "to": "sending"})

        problems, report = self.accused(plant)
        self.assertIn(("I13", "shards"), problems, report.as_text())
        self.assertEqual({name for name, _ in problems}, {"I13"}, report.as_text())

    def test_a_process_that_ended_by_itself_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.manifest["processes"].append({"name": "worker-4", "end": "crashed", "exit_code": -6})

        self.assertNames(plant, "I7", "crash")

    def test_a_row_whose_commit_was_never_answered_may_be_there_or_not(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            begin = next(
                line for line in run.history for row in line.get("rows", []) if row["event_id"] == record["event_id"]
            )
            end = next(line for line in run.history if line["kind"] == "end" and line["tx"] == begin["tx"])
            end["outcome"] = "unknown"
            self.assertEqual(source_of(run, record), begin["source"])

        problems, report = self.accused(plant)
        self.assertEqual(problems, [], report.as_text())


if __name__ == "__main__":
    unittest.main()
