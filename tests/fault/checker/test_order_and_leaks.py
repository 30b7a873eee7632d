"""The checker names what is planted in a healthy run and nothing else: order, rate, leaks, counters, the run itself."""

from __future__ import annotations

import base64
import json
import unittest

from checker.healthy_run import SECRETS, HealthyRun
from checker.planting import CheckerTest, pair_of_one_aggregate, pair_of_one_ordering_key


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
            run.logs["worker-2"].append(
                f"POST https://open.feishu.cn/open-apis/bot/v2/hook/{SECRETS['ops-bot']}: reset"
            )

        report = self.assertNames(plant, "I11", "secret")
        self.assertIn("logs/worker-2.log:2", report.as_text())
        self.assertNotIn(SECRETS["ops-bot"], report.as_text())

    def test_a_secret_in_base64_in_a_column_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.records[3]["last_error"] = "answer: " + base64.b64encode(f"x{SECRETS['team-bot']}yz".encode()).decode()

        self.assertNames(plant, "I11", "secret")

    def test_a_private_body_in_a_table_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = run.record_where(private=1)
            record["request"] = json.dumps({"message": {"text": "to " + run.history_of(record)["canary"]}})

        self.assertNames(plant, "I11", "private_body")

    def test_a_plain_hash_of_a_private_body_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            record = run.record_where(private=1)
            record["content_hash"] = run.history_of(record)["content_hash"]

        self.assertNames(plant, "I11", "plain_hash")

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
        self.assertNames(
            lambda run: run.count("deliveries", -2, outcome="accepted", provider="feishu_bot"), "I13", "metric"
        )

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
            run.manifest["processes"].append(
                {"name": "worker-3", "end": "terminated", "exit_code": 1, "stop_seconds": 2}
            )

        self.assertNames(plant, "I7", "stop")

    def test_a_healthy_channel_that_was_slowed_is_found(self) -> None:
        self.assertNames(lambda run: run.manifest["channels"][1].update(latency_bound_seconds=0.001), "I8", "slowed")

    def test_an_action_that_left_no_entry_is_found(self) -> None:
        self.assertNames(lambda run: run.manifest.update(actions=1), "I12", "unaudited")

    def test_an_entry_that_names_fewer_records_than_it_says_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.audit.append({"id": 1, "action": "replay", "records": 2, "actor": "mei@desk", "reason": "again"})
            run.audited.append({"record_id": run.records[0]["id"], "audit_id": 1})

        self.assertNames(plant, "I12", "miscounted")

    def test_a_record_that_nobody_discarded_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.audit.append({"id": 1, "action": "pause", "records": 0, "actor": "mei@desk", "reason": "quiet"})
            run.record_where(status="skipped").update(reason="discarded")

        self.assertNames(plant, "I12", "unaudited")

    def test_memory_above_its_bound_is_found(self) -> None:
        def plant(run: HealthyRun) -> None:
            run.manifest["bounds"] = {"log_mb": 0.00001}

        self.assertNames(plant, "I6", "unbounded")


if __name__ == "__main__":
    unittest.main()
