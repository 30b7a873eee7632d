"""A writer: carries out one plan against the outbox tables, through restarts, and remembers what came of it.

An error before COMMIT was sent means rolled back, because the server ends a lost session's transaction. An answer to
COMMIT that never came means unknown; the row is looked for afterwards, and found means committed. Not found proves
nothing: it may have been relayed already.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pymysql

from load.database import Address, connect_again
from load.history import History, clock
from load.plan import PlannedTransaction, Planner

# Answers to COMMIT after which nothing was committed: deadlock, lock wait, certification conflict.
REFUSED_COMMITS = (1213, 1205, 1020, 1047)
COMMITTED, ROLLED_BACK, UNKNOWN = "committed", "rolled_back", "unknown"


@dataclass
class Attempt:
    """What is known of one transaction so far."""

    outcome: str = ROLLED_BACK
    inserted: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    begun: dict[str, Any] = field(default_factory=clock)
    committing: dict[str, Any] | None = None
    error: str = ""


class Writer(threading.Thread):
    """One thread. `stop` ends it between two transactions or while it waits for a server; `limit` counts them."""

    def __init__(
        self,
        planner: Planner,
        sources: dict[str, Address],
        history: History,
        stop: threading.Event,
        pause_s: float,
        limit: int | None,
    ) -> None:
        super().__init__(daemon=True)
        self._planner = planner
        self._sources = sources
        self._history = history
        self._stop_event = stop
        self._pause_s = pause_s
        self._limit = limit
        self._connections: dict[str, pymysql.connections.Connection] = {}
        self.totals: Counter[str] = Counter()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop_event.is_set() and self._limit != 0:
                self._transact(self._planner.next())
                if self._limit is not None:
                    self._limit -= 1
                if self._pause_s > 0:
                    self._stop_event.wait(self._pause_s)
        except BaseException as failure:  # told by the main thread, which ends the run
            self.failure = failure
            self._stop_event.set()
        finally:
            for connection in self._connections.values():
                self._close(connection)

    def _transact(self, planned: PlannedTransaction) -> None:
        connection = self._connection(planned.source)
        if connection is None:
            return
        now = datetime.datetime.now(datetime.timezone.utc)
        rendered = [row.render(now) for row in planned.rows]
        self._history.write(
            "begin",
            tx=planned.name,
            source=planned.source,
            planned=planned.ends,
            rows=[history for _, history in rendered],
        )
        attempt = Attempt()
        try:
            self._insert(connection, planned, [payload for payload, _ in rendered], attempt)
            self._finish(connection, planned, attempt)
        except pymysql.MySQLError as error:
            self._fail(connection, planned.source, attempt, error)
        except OSError as error:
            self._fail(connection, planned.source, attempt, error)
        ended = clock()
        if attempt.outcome == UNKNOWN and self._is_there(planned):
            attempt.outcome = COMMITTED
            ended = clock()
        self._history.write(
            "end",
            tx=planned.name,
            outcome=attempt.outcome,
            inserted=attempt.inserted,
            seqs=attempt.seqs,
            begun=attempt.begun,
            committing=attempt.committing,
            ended=ended,
            error=attempt.error,
        )
        self.totals[attempt.outcome] += 1
        self.totals[f"rows_{attempt.outcome}"] += len(planned.rows)
        if attempt.error:
            self.totals["errors"] += 1

    def _insert(
        self,
        connection: pymysql.connections.Connection,
        planned: PlannedTransaction,
        payloads: list[str],
        attempt: Attempt,
    ) -> None:
        table = self._sources[planned.source].table
        statement = f"INSERT INTO {table} (id, aggregatetype, aggregateid, payload) VALUES "
        values = [
            (row.event_id, row.aggregatetype, row.aggregate, payload) for row, payload in zip(planned.rows, payloads)
        ]
        with connection.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            if planned.one_statement:
                attempt.inserted = [time.monotonic_ns()] * len(values)
                cursor.execute(
                    statement + ", ".join(["(%s, %s, %s, %s)"] * len(values)), [v for row in values for v in row]
                )
                return
            for row, pause in zip(values, planned.pauses_s):
                attempt.inserted.append(time.monotonic_ns())
                cursor.execute(statement + "(%s, %s, %s, %s)", row)
                attempt.seqs.append(cursor.lastrowid)
                if pause:
                    time.sleep(pause)

    def _finish(
        self, connection: pymysql.connections.Connection, planned: PlannedTransaction, attempt: Attempt
    ) -> None:
        if planned.hold_s:
            self._stop_event.wait(planned.hold_s)
        if planned.ends == "rollback":
            connection.rollback()
        elif planned.ends == "disconnect":
            self._drop(planned.source)
        else:
            attempt.outcome = UNKNOWN
            attempt.committing = clock()
            connection.commit()
            attempt.outcome = COMMITTED

    def _fail(
        self, connection: pymysql.connections.Connection, source: str, attempt: Attempt, error: Exception
    ) -> None:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        attempt.error = f"{type(error).__name__} {code}"
        if attempt.outcome == UNKNOWN and code in REFUSED_COMMITS:
            attempt.outcome = ROLLED_BACK
        try:
            connection.rollback()
        except (pymysql.MySQLError, OSError):
            self._drop(source)

    def _is_there(self, planned: PlannedTransaction) -> bool:
        connection = self._connection(planned.source)
        if connection is None:
            return False
        ids = [row.event_id for row in planned.rows]
        try:
            with connection.cursor() as cursor:
                table = self._sources[planned.source].table
                marks = ", ".join(["%s"] * len(ids))
                cursor.execute(f"SELECT 1 FROM {table} WHERE id IN ({marks}) LIMIT 1", ids)
                found = cursor.fetchone() is not None
            connection.rollback()
            return found
        except (pymysql.MySQLError, OSError):  # an account that may only INSERT, or the server is gone again
            self._drop(planned.source)
            return False

    def _connection(self, source: str) -> pymysql.connections.Connection | None:
        if source not in self._connections:
            connection = connect_again(self._sources[source], self._stop_event)
            if connection is None:
                return None
            self._connections[source] = connection
        return self._connections[source]

    def _drop(self, source: str) -> None:
        connection = self._connections.pop(source, None)
        if connection is not None:
            self._close(connection)

    @staticmethod
    def _close(connection: pymysql.connections.Connection) -> None:
        try:
            connection._force_close()  # close() would say good-bye first, and wait for a server that is gone
        except Exception:
            pass
