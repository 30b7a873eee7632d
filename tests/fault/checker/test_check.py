"""The checker passes a healthy run, and names what is planted in it and nothing else: conservation, doubles, states."""

from __future__ import annotations

import copy
import io
import json
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path

import check
from checker.healthy_run import BOTS, HealthyRun, at, since_start
from checker.planting import (
    HEALTHY,
    CheckerTest,
    checked,
    plain_sent,
    remove_attempts,
    remove_delivery,
    remove_delivery_once,
    source_of,
)
from run_folder import MANIFEST, Row, write_json


class HealthyRunTest(CheckerTest):
    def test_a_healthy_run_is_accused_of_nothing(self) -> None:
        report = checked(HEALTHY)
        self.assertEqual(report.problems(), [], report.as_text())
        self.assertEqual((report.lost, report.stuck), (0, 0))
        self.assertGreater(report.doubled["answer lost"], 0)
        for name in ("I1", "I3", "I4", "I5", "I9", "I10", "I11", "I13", "I14", "I15", "F"):
            self.assertEqual(report[name].verdict, "held", name)

    def test_a_healthy_run_has_something_of_everything(self) -> None:
        self.assertTrue(HEALTHY.transactions("rolled_back") and HEALTHY.transactions("unknown") and HEALTHY.rejected)
        self.assertTrue(any(tables["outbox_dead"] for tables in HEALTHY.sources.values()))
        self.assertEqual({record["status"] for record in HEALTHY.records}, {"pending", "sent", "dead", "skipped"})
        self.assertTrue(any(record["private"] for record in HEALTHY.records))
        self.assertTrue(any(shard["events_conflicting"] for shard in HEALTHY.shards))
        self.assertLessEqual(
            {"not_now", "no_answer", "lease_expired"}, {attempt["verdict"] for attempt in HEALTHY.attempts}
        )

    def test_other_seeds_are_healthy_too(self) -> None:
        for seed in range(20, 26):
            report = checked(HealthyRun(seed=seed))
            self.assertEqual(report.problems(), [], report.as_text())

    def test_a_folder_with_nothing_in_it_is_not_called_held(self) -> None:
        with tempfile.TemporaryDirectory(prefix="outrider-fault-") as folder:
            write_json(Path(folder) / MANIFEST, {})
            report = check.check_folder(Path(folder))
        self.assertEqual({section.verdict for section in report.sections.values()}, {"not checked"}, report.as_text())
        self.assertTrue(all(section.unchecked for section in report.sections.values()))

    def test_the_program_tells_by_its_exit_code_and_as_json(self) -> None:
        run = copy.deepcopy(HEALTHY)
        with tempfile.TemporaryDirectory(prefix="outrider-fault-") as folder:
            run.write(Path(folder))
            with redirect_stdout(io.StringIO()):
                self.assertEqual(check.main([folder]), 0)
            remove_delivery(run, plain_sent(run))
            run.write(Path(folder))
            out = io.StringIO()
            with redirect_stdout(out):
                self.assertEqual(check.main([folder, "--json"]), 1)
        told = json.loads(out.getvalue())
        self.assertFalse(told["held"])
        self.assertEqual(told["summary"]["lost"], 1)


class ConservationTest(CheckerTest):
    def test_a_request_that_ingest_took_for_a_copy_is_lost(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            remove_delivery(run, record)
            remove_attempts(run, record)
            run.records.remove(record)
            shard = run.shards[record["source_partition"]]
            shard["events_recorded"] -= 1
            shard["events_duplicate"] += 1
            run.count("consumer_records", -1, result="new")
            run.count("consumer_records", 1, result="duplicate")

        report = self.assertNames(plant, "I1", "lost")
        self.assertEqual(report.lost, 1)
        self.assertIn("the vendor hasn't it either", report["I1"].violations[0].text)

    def test_sent_without_a_delivery_is_lost(self) -> None:
        report = self.assertNames(lambda run: remove_delivery(run, plain_sent(run)), "I1", "sent_but_not_delivered")
        self.assertEqual(report.lost, 1)

    def test_a_rolled_back_request_at_the_vendor_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            row = next(
                row
                for begin, _ in run.transactions("rolled_back")
                for row in begin["rows"]
                if row["validity"] == "valid"
                and row["channel"] in BOTS
                and not row["token"].startswith("[k:shared")
                and sum(row["token"] == other["token"] for line in run.history for other in line.get("rows", [])) == 1
            )
            run.deliveries.append(
                {
                    "sequence": 9999,
                    "time": at(9000),
                    "token": BOTS[row["channel"]],
                    "msg_type": "text",
                    "text": row["token"],
                    "body": "",
                }
            )

        self.assertNames(plant, "I1", "rolled_back_appeared")

    def test_a_rolled_back_row_among_the_dead_ones_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            begin, _ = run.transactions("rolled_back")[0]
            dead = run.sources[begin["source"]]["outbox_dead"]
            dead.append(
                {
                    "id": 99,
                    "source": begin["source"],
                    "seq": 9,
                    "event_id": begin["rows"][0]["event_id"],
                    "reason": "too_large",
                }
            )
            run.count("relay_moved_to_dead", 1, source=begin["source"])
            run.count("relay_deleted", 1, source=begin["source"])

        self.assertNames(plant, "I1", "rolled_back_appeared")

    def test_an_invalid_request_without_a_rejection_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.rejected.pop()

        self.assertNames(plant, "I1", "missing_rejection")

    def test_another_text_than_the_recorded_one_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.deliveries_of(plain_sent(run))[0]["text"] += "?"

        self.assertNames(plant, "I1", "altered")

    def test_a_second_record_of_a_key_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = next(record for record in run.records if record["channel"] == "ghost")
            run.records.append({**record, "id": 99999, "dedupe_hash": "00" * 32})
            run.shards[0]["events_recorded"] += 1
            run.shards[0]["events_duplicate"] -= 1
            run.count("consumer_records", 1, result="new")
            run.count("consumer_records", -1, result="duplicate")

        self.assertNames(plant, "I1", "two_records")

    def test_a_fit_request_among_the_dead_ones_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            begin = {
                "kind": "begin",
                "tx": "x-1",
                "source": "shop",
                "planned": "commit",
                "rows": [
                    {
                        **run.history_of(plain_sent(run)),
                        "event_id": "extra",
                        "dedupe_key": "order-extra",
                        "token": "[k:extra]",
                    }
                ],
            }
            run.history += [
                begin,
                {
                    "kind": "end",
                    "tx": "x-1",
                    "outcome": "committed",
                    "inserted": [1],
                    "ended": {"mono": 2, "wall": at(0)},
                },
            ]
            run.sources["shop"]["outbox_dead"].append(
                {"id": 99, "source": "shop", "seq": 9, "event_id": "extra", "reason": "broker_refused"}
            )
            run.count("relay_moved_to_dead", 1, source="shop")
            run.count("relay_deleted", 1, source="shop")

        self.assertNames(plant, "I1", "moved_aside")


class DoubleTest(CheckerTest):
    @staticmethod
    def double(run: HealthyRun, record: Row) -> None:
        run.deliveries.append({**run.deliveries_of(record)[0], "time": at(9000)})
        run.requests.append(
            {"time": at(9000), "method": "POST", "path": "/open-apis/bot/v2/hook/" + BOTS[record["channel"]]}
        )

    def test_a_double_of_a_record_that_is_not_in_doubt_is_found(self) -> None:
        report = self.assertNames(lambda run: self.double(run, plain_sent(run)), "I5", "hidden_double")
        self.assertEqual(report.doubled["unexplained"], 1)

    def test_more_doubles_than_attempts_in_doubt_are_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            self.double(
                run,
                next(
                    record
                    for record in run.records
                    if record["uncertain"]
                    and len(run.deliveries_of(record)) == 2
                    and not record["ordering_hash"]
                    and not record["expires_at"]
                ),
            )

        self.assertNames(plant, "I5", "hidden_double")

    def test_a_double_of_a_replayed_record_is_explained(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            self.double(run, record)
            run.manifest["replayed"] = [{name: record[name] for name in ("tenant", "channel", "dedupe_key")}]

        problems, report = self.accused(plant)
        self.assertEqual(problems, [], report.as_text())
        self.assertEqual(report.doubled["W5"], 1)

    def test_a_double_in_spite_of_an_idempotency_key_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            for channel in run.manifest["channels"]:
                channel["idempotent"] = True

        self.assertNames(plant, "I2", "double")

    def test_a_delivery_of_which_the_record_knows_nothing_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = run.record_where(status="skipped", channel="ops", uncertain=0)
            run.deliveries.append(
                {
                    "sequence": 9998,
                    "time": record["expires_at"],
                    "token": BOTS["ops"],
                    "msg_type": "text",
                    "text": run.shown_of(record),
                    "body": "",
                }
            )

        self.assertNames(plant, "I5", "hidden_delivery")

    def test_no_answer_without_the_mark_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = next(
                record
                for record in run.records
                if record["uncertain"]
                and record["attempt_no"] == 2
                and run.attempts_of(record)[0]["verdict"] == "no_answer"
            )
            record["uncertain"] = 0
            remove_delivery_once(run, record)
            run.count("uncertain", -1)

        self.assertNames(plant, "I5", "hidden_doubt")

    def test_a_metric_of_doubts_that_lies_is_found(self) -> None:
        for lie in (3, -40):
            self.assertNames(lambda run, lie=lie: run.count("uncertain", lie), "I5", "metric")


class StateTest(CheckerTest):
    def test_an_attempt_after_an_accepted_one_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            last = run.attempts_of(record)[-1]
            run.attempts.append({**last, "attempt_no": 2, "verdict": "not_now", "started_at": at(9000)})
            record.update(attempt_no=2, attempts_spent=2, version=record["version"] + 2)
            run.count("deliveries", 1, outcome="not_now", provider="feishu_bot")

        self.assertNames(plant, "I9", "illegal_transition")

    def test_dead_without_a_reason_is_found(self) -> None:
        self.assertNames(lambda run: run.record_where(status="dead").update(reason=None), "I9", "illegal_transition")

    def test_more_attempts_than_allowed_are_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = next(record for record in run.records if record["attempts_spent"] == 2)
            record["max_attempts"] = 1

        self.assertNames(plant, "I9", "illegal_transition")

    def test_sent_before_its_schedule_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = next(
                r
                for r in run.records
                if r["status"] == "sent" and run.history_of(r)["scheduled_at"] and not r["ordering_hash"]
            )
            event_id, later = record["event_id"], at(since_start(run.deliveries_of(record)[0]["time"]) + 0.5)
            for line in run.history:
                for row in line.get("rows", []):
                    if row["event_id"] == event_id:
                        row["scheduled_at"] = later

        self.assertNames(plant, "I9", "illegal_transition")

    def test_a_record_nobody_takes_is_stuck(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            remove_delivery(run, record)
            remove_attempts(run, record)
            record["due_at"] = record["created_at"]

        report = self.assertNames(plant, "I15", "stuck")
        self.assertEqual(report.stuck, 1)

    def test_a_record_that_nothing_will_look_at_is_stuck(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            remove_delivery(run, record)
            remove_attempts(run, record)
            record.update(due_at=None, parked_by="rate")

        self.assertNames(plant, "I15", "stuck")

    def test_a_record_that_stays_sending_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = plain_sent(run)
            remove_delivery(run, record)
            remove_attempts(run, record)
            run.count("transitions", 1, **{"from": "pending", "to": "sending"})
            record.update(
                status="sending",
                attempt_no=1,
                attempts_spent=1,
                version=2,
                due_at=record["created_at"],
                lease_owner="worker-1",
            )

        report = self.assertNames(plant, "I3", "stuck_sending")
        self.assertEqual(report.stuck, 1)

    def test_a_row_that_stays_in_the_outbox_is_stuck(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = next(record for record in run.records if record["channel"] == "ghost")
            source = source_of(run, record)
            run.sources[source]["outbox"].append({"seq": 17, "id": record["event_id"]})
            run.sources[source]["outbox_ledger"].pop()
            run.count("relay_deleted", -1, source=source)

        self.assertNames(plant, "I15", "stuck_in_outbox")

    def test_a_leader_that_writes_after_its_successor_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            ledger = run.sources["shop"]["outbox_ledger"]
            for row in ledger[10:20]:
                row["epoch"] = 2
            run.sources["shop"]["outbox_leases"][0]["epoch"] = 2

        self.assertNames(plant, "I10", "stale_leader")


if __name__ == "__main__":
    unittest.main()
