#!/usr/bin/python3
"""Deletes from an outbox the rows that Debezium has published, and no others.

Debezium reads an outbox and never deletes. Run this from time to time while Debezium relays, and once before Outrider
takes over again. Applications may write meanwhile; nothing waits for them and they wait for nothing.

1. Notes the rows that can be seen. Then it writes a mark, and takes the GTID position: in the binary log, what could be
   seen stands before the mark.
2. Waits until the connector's committed offset has passed that. Kafka Connect commits what the brokers have acknowledged.
3. Deletes the noted rows by their keys.

Ends with 0: deleted; 1: not deleted, and says why; 2: wrong usage.
"""
import argparse
import array
import json
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import pymysql
import pymysql.cursors

BATCH = 5000
# Names each key: a range would take rows with it that were committed late, and a scan would wait for open transactions.
DELETE = """
DELETE o FROM JSON_TABLE(%s, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$')) AS k
STRAIGHT_JOIN {table} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq
"""
MARK = """
INSERT INTO outbox_purge_mark (id, marked_at) VALUES (1, NOW(6)) ON DUPLICATE KEY UPDATE marked_at = NOW(6)
"""


class NotPurged(Exception):
    pass


def one(connection, sql: str, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]


def visible_rows(connection, table: str) -> array.array:
    rows = array.array("Q")
    with connection.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute(f"SELECT seq FROM {table}")
        for (seq,) in cursor:
            rows.append(seq)
    return rows


class MariaDbPosition:
    """The last GTID of each domain."""

    def __init__(self, connection):
        self.text = one(connection, "SELECT @@gtid_binlog_pos")

    def passed_by(self, gtids: str) -> bool:
        reached = self.by_domain(gtids)
        return all(reached.get(domain, -1) >= sequence for domain, sequence in self.by_domain(self.text).items())

    @staticmethod
    def by_domain(gtids: str) -> dict:
        sequences = {}
        for gtid in filter(None, gtids.replace("\n", "").split(",")):
            domain, _, sequence = gtid.strip().split("-")
            sequences[domain] = max(int(sequence), sequences.get(domain, -1))
        return sequences


class MysqlPosition:
    """Every GTID that was ever executed."""

    def __init__(self, connection):
        self.connection = connection
        self.text = one(connection, "SELECT IF(@@GLOBAL.gtid_mode = 'ON', @@GLOBAL.gtid_executed, '')")

    def passed_by(self, gtids: str) -> bool:
        return bool(one(self.connection, "SELECT GTID_SUBSET(%s, %s)", self.text, gtids))


def position(connection):
    is_mariadb = "MariaDB" in one(connection, "SELECT VERSION()")
    here = MariaDbPosition(connection) if is_mariadb else MysqlPosition(connection)
    if not here.text:
        raise NotPurged("the server has no GTID position; binary log positions of two servers can't be compared, so nothing is deleted")
    return here


def published(connect: str, connector: str):
    """The GTIDs of everything the connector has published; none while that can't be told."""
    url = f"{connect.rstrip('/')}/connectors/{urllib.parse.quote(connector)}/offsets"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            offsets = json.load(answer)["offsets"]
    except (urllib.error.URLError, OSError) as error:
        raise NotPurged(f"Kafka Connect doesn't tell the connector's offsets: {error}") from error
    if len(offsets) != 1:
        return None
    offset = offsets[0]["offset"]
    # While a snapshot is under way its position stands there before its rows are published.
    if str(offset.get("snapshot", "false")).lower() != "false":
        return None
    return offset.get("gtids")


def mark(connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MARK)


def purge(connection, arguments) -> int:
    table = "`" + arguments.table.replace("`", "``") + "`"
    rows = visible_rows(connection, table)
    mark(connection)
    here = position(connection)
    deadline = time.monotonic() + arguments.wait
    while True:
        gtids = published(arguments.connect, arguments.connector)
        if gtids and here.passed_by(gtids):
            break
        if time.monotonic() > deadline:
            raise NotPurged(f"the connector has published up to {gtids}, not yet up to {here.text}; nothing is deleted")
        time.sleep(0.5)
        # An offset moves when something follows.
        mark(connection)
    deleted = 0
    with connection.cursor() as cursor:
        for first in range(0, len(rows), BATCH):
            deleted += cursor.execute(DELETE.format(table=table), (json.dumps(rows[first : first + BATCH].tolist()),))
    return deleted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3306)
    parser.add_argument("--user", default="debezium")
    parser.add_argument("--password-file", type=pathlib.Path, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--table", default="outbox")
    parser.add_argument("--connect", default="http://127.0.0.1:8083", help="Kafka Connect's REST address")
    parser.add_argument("--connector", default="outbox", help="the connector's name")
    parser.add_argument("--wait", type=float, default=180, help="seconds; the worker commits offsets each offset.flush.interval.ms, 60 s unless set")
    arguments = parser.parse_args()
    try:
        connection = pymysql.connect(
            host=arguments.host,
            port=arguments.port,
            user=arguments.user,
            password=arguments.password_file.read_text().rstrip("\n"),
            database=arguments.database,
            charset="utf8mb4",
            autocommit=True,
            init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        )
        with connection:
            print(f"deleted {purge(connection, arguments)} rows that Debezium has published")
        return 0
    except (NotPurged, pymysql.Error, OSError) as error:
        print(f"purge.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
