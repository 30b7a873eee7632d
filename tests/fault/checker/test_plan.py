"""The workload's plan is made of its seed alone, and holds what it promises."""

from __future__ import annotations

import datetime
import itertools
import unittest
from collections import Counter

from checker.facts import TOKEN, TRIMMED
from load import texts
from load.plan import FEATURES, PlannedRow, Planner, World

WORLD = World(sources=("shop", "crm"), channels=(("ops", 3.0), ("team", 1.0)))
NOW = datetime.datetime(2026, 11, 24, 5, 0, tzinfo=datetime.timezone.utc)


def plan(seed: int, writer: int = 0, count: int = 300, world: World = WORLD) -> list:
    planner = Planner(seed, writer, world)
    return [planner.next() for _ in range(count)]


def rows(seed: int = 1, count: int = 3000) -> list[PlannedRow]:
    return list(itertools.chain.from_iterable(transaction.rows for transaction in plan(seed, count=count)))


class PlanTest(unittest.TestCase):
    def test_the_same_seed_gives_the_same_plan(self) -> None:
        self.assertEqual(plan(7), plan(7))
        self.assertEqual([row.render(NOW) for row in rows(7, 100)], [row.render(NOW) for row in rows(7, 100)])

    def test_seeds_and_writers_differ(self) -> None:
        self.assertNotEqual(plan(7), plan(8))
        self.assertNotEqual(plan(7, writer=0), plan(7, writer=1))

    def test_event_ids_are_unique_and_tokens_belong_to_one_key(self) -> None:
        keys: dict[str, set[tuple[str, str, str]]] = {}
        ids: Counter[str] = Counter()
        for row in rows():
            ids[row.event_id] += 1
            if row.validity == "valid":
                request = row.request
                key = (request.get("tenant", "default"), request["channel"], request["dedupe_key"].strip(TRIMMED))
                keys.setdefault(row.token, set()).add(key)
        self.assertEqual(max(ids.values()), 1)
        self.assertEqual(max(len(found) for found in keys.values()), 1)

    def test_each_text_begins_with_its_token(self) -> None:
        for row in rows():
            self.assertTrue(TOKEN.fullmatch(row.token))
            if row.validity == "valid" and "html" not in row.request["message"]:
                self.assertIn(row.token, str(row.request))

    def test_valid_requests_keep_the_contracts_limits(self) -> None:
        for row in rows():
            if row.validity == "valid":
                payload, history = row.render(NOW)
                self.assertLessEqual(len(row.request["dedupe_key"].strip(TRIMMED)), 191)
                self.assertLess(len(payload.encode()), 1 << 20)
                if history["scheduled_at"] and history["expires_at"]:
                    self.assertLess(history["scheduled_at"], history["expires_at"])

    def test_every_kind_comes_in_a_long_plan(self) -> None:
        faults = {row.fault for row in rows(2, 20_000) if row.validity == "invalid"}
        self.assertGreater(len(faults), 25)
        every = rows()
        self.assertTrue(any(row.canary for row in every) and any(row.schedule_s for row in every))
        self.assertTrue(any(row.expires_s for row in every) and any(row.validity == "poison" for row in every))
        transactions = plan(1, count=3000)
        self.assertEqual({transaction.ends for transaction in transactions}, {"commit", "rollback", "disconnect"})
        self.assertTrue(any(transaction.hold_s > 0 for transaction in transactions))

    def test_features_can_be_left_out(self) -> None:
        world = World(
            sources=("shop",),
            channels=(("ops", 1.0),),
            features=frozenset(FEATURES) - {"private", "rollback", "invalid"},
        )
        for transaction in plan(3, world=world, count=1000):
            self.assertNotEqual(transaction.ends, "rollback")
            for row in transaction.rows:
                self.assertFalse(row.canary)
                self.assertNotEqual(row.validity, "invalid")

    def test_hostile_texts_survive_as_json_and_utf8(self) -> None:
        for text in texts.HOSTILE:
            self.assertEqual(text.encode().decode(), text)


if __name__ == "__main__":
    unittest.main()
