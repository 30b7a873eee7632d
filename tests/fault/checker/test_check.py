"""The checker passes a healthy run, and names each planted fault and nothing else."""
from __future__ import annotations

import copy
import io
import json
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Callable

import check
from checker.healthy_run import BOTS, SECRETS, HealthyRun, at, since_start
from checker.report import Report
from run_folder import MANIFEST, Row, write_json

HEALTHY = HealthyRun()


def checked(run: HealthyRun) -> Report:
    with tempfile.TemporaryDirectory(prefix="outrider-fault-") as folder:
        run.write(Path(folder))
        return check.check_folder(Path(folder))


def plain_sent(run: HealthyRun, number: int = 0) -> Row:
    """A record that was sent at once, that nothing is special about."""
    plain = [record for record in run.records if record["status"] == "sent" and record["attempt_no"] == 1
             and not record["ordering_hash"] and not record["private"] and not record["expires_at"]
             and not run.history_of(record)["scheduled_at"] and record["dedupe_key"].startswith("order-w")
             and sum(record["dedupe_key"] == line["dedupe_key"] for begin in run.history for line in begin.get("rows", [])) == 1]
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
    """Two sent records of one aggregate, the first committed before the second was inserted; neither has an ordering key."""
    times = {}
    for outcome in ("committed",):
        for begin, end in run.transactions(outcome):
            for row, inserted in zip(begin["rows"], end["inserted"]):
                times[row["event_id"]] = (begin["source"], inserted, end["ended"]["mono"])
    plain = [r for r in run.records if r["status"] == "sent" and not r["ordering_hash"] and r["event_id"] in times]
    for first in plain:
        for second in plain:
            if first["source_key"] == second["source_key"] and times[first["event_id"]][0] == times[second["event_id"]][0] \
                    and times[first["event_id"]][2] < times[second["event_id"]][1]:
                return first, second
    raise AssertionError("the healthy run has no such pair")


def pair_of_one_ordering_key(run: HealthyRun) -> tuple[Row, Row]:
    plain = [r for r in run.records if r["ordering_hash"] and r["status"] == "sent" and r["attempt_no"] == 1
             and not r["expires_at"] and not run.history_of(r)["scheduled_at"]]
    for first in plain:
        group = [r for r in run.records if r["ordering_hash"] == first["ordering_hash"]]
        others = [r for r in group if r["source_offset"] > first["source_offset"] and r in plain
                  and source_of(run, r) == source_of(run, first)]
        if others and len(group) == 2:
            return first, others[0]
    raise AssertionError("the healthy run has no such pair")


def source_of(run: HealthyRun, record: Row) -> str:
    return next(line["source"] for line in run.history for row in line.get("rows", []) if row["event_id"] == record["event_id"])


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
        self.assertLessEqual({"not_now", "no_answer", "lease_expired"}, {attempt["verdict"] for attempt in HEALTHY.attempts})

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
            row = next(row for begin, _ in run.transactions("rolled_back") for row in begin["rows"]
                       if row["validity"] == "valid" and row["channel"] in BOTS and not row["token"].startswith("[k:shared")
                       and sum(row["token"] == other["token"] for line in run.history for other in line.get("rows", [])) == 1)
            run.deliveries.append({"sequence": 9999, "time": at(9000), "token": BOTS[row["channel"]], "msg_type": "text",
                                   "text": row["token"], "body": ""})

        self.assertNames(plant, "I1", "rolled_back_appeared")

    def test_a_rolled_back_row_among_the_dead_ones_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            begin, _ = run.transactions("rolled_back")[0]
            dead = run.sources[begin["source"]]["outbox_dead"]
            dead.append({"id": 99, "source": begin["source"], "seq": 9, "event_id": begin["rows"][0]["event_id"],
                         "reason": "too_large"})
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
            begin = {"kind": "begin", "tx": "x-1", "source": "shop", "planned": "commit", "rows": [
                {**run.history_of(plain_sent(run)), "event_id": "extra", "dedupe_key": "order-extra", "token": "[k:extra]"}]}
            run.history += [begin, {"kind": "end", "tx": "x-1", "outcome": "committed", "inserted": [1], "ended": {
                "mono": 2, "wall": at(0)}}]
            run.sources["shop"]["outbox_dead"].append({"id": 99, "source": "shop", "seq": 9, "event_id": "extra",
                                                       "reason": "broker_refused"})
            run.count("relay_moved_to_dead", 1, source="shop")
            run.count("relay_deleted", 1, source="shop")

        self.assertNames(plant, "I1", "moved_aside")


class DoubleTest(CheckerTest):
    @staticmethod
    def double(run: HealthyRun, record: Row) -> None:
        run.deliveries.append({**run.deliveries_of(record)[0], "time": at(9000)})
        run.requests.append({"time": at(9000), "method": "POST", "path": "/open-apis/bot/v2/hook/" + BOTS[record["channel"]]})

    def test_a_double_of_a_record_that_is_not_in_doubt_is_found(self) -> None:
        report = self.assertNames(lambda run: self.double(run, plain_sent(run)), "I5", "hidden_double")
        self.assertEqual(report.doubled["unexplained"], 1)

    def test_more_doubles_than_attempts_in_doubt_are_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            self.double(run, next(record for record in run.records if record["uncertain"] and len(run.deliveries_of(record)) == 2
                                  and not record["ordering_hash"] and not record["expires_at"]))

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
            run.deliveries.append({"sequence": 9998, "time": record["expires_at"], "token": BOTS["ops"], "msg_type": "text",
                                   "text": run.shown_of(record), "body": ""})

        self.assertNames(plant, "I5", "hidden_delivery")

    def test_no_answer_without_the_mark_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = next(record for record in run.records if record["uncertain"] and record["attempt_no"] == 2
                          and run.attempts_of(record)[0]["verdict"] == "no_answer")
            record["uncertain"] = 0
            remove_delivery_once(run, record)
            run.count("uncertain", -1)

        self.assertNames(plant, "I5", "hidden_doubt")

    def test_a_metric_of_doubts_that_lies_is_found(self) -> None:
        for lie in (3, -40):
            self.assertNames(lambda run, lie=lie: run.count("uncertain", lie), "I5", "metric")


def remove_delivery_once(run: HealthyRun, record: Row) -> None:
    run.deliveries.remove(run.deliveries_of(record)[0])


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
            record = next(r for r in run.records if r["status"] == "sent" and run.history_of(r)["scheduled_at"]
                          and not r["ordering_hash"])
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
            record.update(status="sending", attempt_no=1, attempts_spent=1, version=2, due_at=record["created_at"],
                          lease_owner="worker-1")

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


class OrderTest(CheckerTest):
    def test_an_aggregate_out_of_order_in_the_log_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            first, second = pair_of_one_aggregate(run)
            first["source_offset"], second["source_offset"] = second["source_offset"], first["source_offset"]

        self.assertNames(plant, "I4", "aggregate_order")

    def test_an_aggregate_in_two_partitions_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            first, _ = pair_of_one_aggregate(run)
            first["source_partition"] = (first["source_partition"] + 1) % 3

        self.assertNames(plant, "I4", "aggregate_split")

    def test_an_ordering_key_out_of_order_at_the_vendor_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            first, second = pair_of_one_ordering_key(run)
            one, other = run.deliveries_of(first)[0], run.deliveries_of(second)[0]
            one["time"], other["time"] = other["time"], one["time"]
            one, other = run.attempts_of(first)[0], run.attempts_of(second)[0]
            one["started_at"], other["started_at"] = other["started_at"], one["started_at"]

        self.assertNames(plant, "I4", "ordering_key_order")

    def test_two_in_flight_of_one_ordering_key_are_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            first, _ = pair_of_one_ordering_key(run)
            run.attempts_of(first)[0]["duration_us"] = 10**9

        self.assertNames(plant, "I4", "overlap")


class RateTest(CheckerTest):
    def test_a_burst_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.requests += [dict(run.requests[50]) for _ in range(4)]

        report = self.assertNames(plant, "I14", "rate")
        self.assertEqual(len(report["I14"].violations), 1)

    def test_more_in_a_minute_than_allowed_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.manifest["channels"][0]["per_minute"] = 100

        self.assertNames(plant, "I14", "rate")


class LeakTest(CheckerTest):
    def test_a_secret_in_a_log_is_found_and_not_repeated(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.logs["worker-2"].append(f"POST https://open.feishu.cn/open-apis/bot/v2/hook/{SECRETS['ops-bot']}: reset")

        report = self.assertNames(plant, "I11", "secret")
        self.assertIn("logs/worker-2.log:2", report.as_text())
        self.assertNotIn(SECRETS["ops-bot"], report.as_text())

    def test_a_secret_in_base64_in_a_column_is_found(self) -> None:
        import base64

        def plant(run: HealthyRun) -> None:
            run.records[3]["last_error"] = "answer: " + base64.b64encode(f"x{SECRETS['team-bot']}yz".encode()).decode()

        self.assertNames(plant, "I11", "secret")

    def test_a_private_body_in_a_table_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = run.record_where(private=1)
            record["request"] = json.dumps({"message": {"text": "to " + run.history_of(record)["canary"]}})

        self.assertNames(plant, "I11", "private_body")

    def test_a_private_body_among_rejected_bytes_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            canary = run.history_of(run.record_where(private=1))["canary"]
            run.rejected[0]["value"] = f'{{"message":"{canary}"'.encode()

        self.assertNames(plant, "I11", "private_body")

    def test_a_message_in_a_log_is_found(self) -> None:
        self.assertNames(lambda run: run.logs["worker-1"].append("text=[k:shop/a/b/c] hello"), "I11", "body_in_log")

    def test_a_line_that_a_request_wrote_is_found(self) -> None:
        self.assertNames(lambda run: run.logs["worker-1"].append("forged-line level=error"), "I11", "forged_line")


class CounterTest(CheckerTest):
    def test_a_metric_that_claims_more_than_the_rows_is_found(self) -> None:
        self.assertNames(lambda run: run.count("consumer_records", 1, result="new"), "I13", "metric")

    def test_a_metric_that_claims_less_than_the_rows_is_found(self) -> None:
        self.assertNames(lambda run: run.count("deliveries", -2, outcome="accepted", provider="feishu_bot"), "I13", "metric")

    def test_a_metric_that_claims_less_is_not_accused_where_a_process_was_killed(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.manifest["processes"].append({"name": "worker-0", "end": "killed"})
            run.count("consumer_records", -50, result="new")

        problems, report = self.accused(plant)
        self.assertEqual(problems, [], report.as_text())
        self.assertTrue(any("worker-0" in why for why in report["I13"].unchecked))

    def test_rows_that_left_without_the_ledger_are_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            del run.sources["crm"]["outbox_ledger"][-7:]
            run.count("relay_deleted", -7, source="crm")

        self.assertNames(plant, "I13", "ledger")

    def test_published_events_that_ingest_never_counted_are_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            for shard in run.shards:
                run.count("consumer_records", -shard["events_duplicate"], result="duplicate")
                shard["events_duplicate"] = 0

        self.assertNames(plant, "I13", "ledger_and_ingest")


class RunTest(CheckerTest):
    def test_a_fault_that_never_fired_is_found(self) -> None:
        self.assertNames(lambda run: run.manifest["faults"][0].update(fired=0), "F", "never_fired")

    def test_a_stop_that_failed_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.manifest["processes"].append({"name": "worker-3", "end": "terminated", "exit_code": 1, "stop_seconds": 2})

        self.assertNames(plant, "I7", "stop")

    def test_a_healthy_channel_that_was_slowed_is_found(self) -> None:
        self.assertNames(lambda run: run.manifest["channels"][1].update(latency_bound_seconds=0.001), "I8", "slowed")

    def test_memory_above_its_bound_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.manifest["bounds"] = {"log_mb": 0.00001}

        self.assertNames(plant, "I6", "unbounded")


if __name__ == "__main__":
    unittest.main()
