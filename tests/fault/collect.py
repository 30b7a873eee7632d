#!/usr/bin/python3
"""Collects into a run's folder what the checker reads: tables, the vendor's truth, scrapes, logs, histories.

    collect.py RUN --records mysql://... --source shop=mysql://.../shop?table=outbox --vendor http://127.0.0.1:9000 \\
               --metrics worker-1=http://127.0.0.1:8080/metrics --log worker-1=stderr.txt --history shop=shop.jsonl

Any part may be left out, and be collected in a call of its own; collected again, it replaces the older one. A process
that is about to be killed is scraped first: `collect.py RUN --metrics worker-1=...`. run.json is the caller's.
Exit code 0: all of it is there; 1: what is missing is told.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator

import pymysql
import pymysql.cursors

import run_folder
from load.database import Address, named_address
from run_folder import Row, encode, now_text, read_json, write_json, write_rows

HTTP_TIMEOUT_S = 10


def named(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name or not value or "/" in name:
        raise argparse.ArgumentTypeError("expected NAME=VALUE")
    return name, value


class Collector:
    """Goes on after a failure, so that one dead server doesn't cost the rest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts: dict[str, int] = {}
        self.failures: list[str] = []

    def attempt(self, what: str, action: Callable[[], int]) -> None:
        try:
            self.counts[what] = action()
        except (OSError, ValueError, pymysql.MySQLError) as error:
            self.failures.append(f"{what}: {type(error).__name__}: {error}")

    def records(self, address: Address) -> None:
        def dump_all() -> int:
            with Snapshot(address) as snapshot:
                self._note(database_now=snapshot.now)
                return sum(
                    snapshot.dump(table, self._folder / run_folder.RECORDS / f"{table}.jsonl")
                    for table in run_folder.RECORD_TABLES
                )

        self.attempt("records", dump_all)

    def source(self, name: str, address: Address) -> None:
        def dump_all() -> int:
            folder = self._folder / run_folder.SOURCES / name
            with Snapshot(address) as snapshot:
                count = snapshot.dump(address.table, folder / "outbox.jsonl")
                for table in run_folder.SOURCE_TABLES[1:]:
                    count += snapshot.dump(table, folder / f"{table}.jsonl", ("source", name))
            return count

        self.attempt(f"source {name}", dump_all)

    def vendor(self, url: str) -> None:
        for what in ("deliveries", "requests", "faults"):

            def fetch(what: str = what) -> int:
                rows: list[Row] = json.loads(get(f"{url.rstrip('/')}/__fake/{what}"))[what]
                return write_rows(self._folder / run_folder.VENDOR / f"{what}.jsonl", rows)

            self.attempt(f"vendor's {what}", fetch)

    def metrics(self, process: str, url: str) -> None:
        def scrape() -> int:
            text = get(url)
            return self._put(run_folder.METRICS, f"{process}.prom", lambda file: file.write_bytes(text))

        self.attempt(f"metrics of {process}", scrape)

    def file(self, folder: str, name: str, path: str) -> None:
        def put() -> int:
            source = Path(path)
            if not source.is_file():
                raise FileNotFoundError(f"{path} isn't a file")
            target = self._folder / folder / name
            if target.exists() and target.samefile(source):
                return 1  # written here in the first place, or linked before
            return self._put(folder, name, lambda file: link_or_copy(source, file))

        self.attempt(f"{folder}/{name}" if folder else name, put)

    def finish(self) -> None:
        self._note(wall=now_text())

    def _put(self, folder: str, name: str, write: Callable[[Path], Any]) -> int:
        target = self._folder / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        write(target)
        return 1

    def _note(self, **values: Any) -> None:
        path = self._folder / run_folder.COLLECTED
        known = read_json(path) if path.exists() else {}
        write_json(path, {**known, **values})


class Snapshot:
    """All tables of one database as they were at one instant."""

    def __init__(self, address: Address) -> None:
        self._connection = address.connect(timeout_s=120, cursorclass=pymysql.cursors.SSDictCursor)
        self.now = ""

    def __enter__(self) -> "Snapshot":
        with self._connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute("SELECT CURRENT_TIMESTAMP(6) AS now")
            self.now = encode(cursor.fetchall()[0]["now"])
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def dump(self, table: str, path: Path, only: tuple[str, str] | None = None) -> int:
        where, values = (f" WHERE {only[0]} = %s", (only[1],)) if only else ("", ())
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}{where}", values)
            return write_rows(path, self._rows(cursor))

    @staticmethod
    def _rows(cursor: pymysql.cursors.SSDictCursor) -> Iterator[Row]:
        while (row := cursor.fetchone()) is not None:
            yield row


def get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever the environment says
    with opener.open(url, timeout=HTTP_TIMEOUT_S) as answer:
        return answer.read()


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=Address.parse, metavar="URL", help="Outrider's own database")
    parser.add_argument("--source", type=named_address, action="append", default=[], metavar="NAME=URL[?table=T]")
    parser.add_argument("--vendor", metavar="URL", help="the fake IM server")
    parser.add_argument("--metrics", type=named, action="append", default=[], metavar="PROCESS=URL")
    parser.add_argument("--log", type=named, action="append", default=[], metavar="PROCESS=FILE")
    parser.add_argument("--history", type=named, action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--topic-dump", metavar="FILE")
    parser.add_argument("--resources", metavar="FILE")
    options = parser.parse_args(argv)
    options.folder.mkdir(parents=True, exist_ok=True)
    collector = Collector(options.folder)
    # Called after the quiet period, when nothing moves; the order of the parts doesn't matter then.
    if options.records:
        collector.records(options.records)
    for name, address in options.source:
        collector.source(name, address)
    if options.vendor:
        collector.vendor(options.vendor)
    for process, url in options.metrics:
        collector.metrics(process, url)
    for process, path in options.log:
        collector.file(run_folder.LOGS, f"{process}.log", path)
    for name, path in options.history:
        collector.file(run_folder.HISTORY, f"{name}.jsonl", path)
    for name, path in ((run_folder.TOPIC_DUMP, options.topic_dump), (run_folder.RESOURCES, options.resources)):
        if path:
            collector.file("", name, path)
    collector.finish()
    print(json.dumps(collector.counts))
    for failure in collector.failures:
        print(f"collect: {failure}", file=sys.stderr)
    return 1 if collector.failures else 0


if __name__ == "__main__":
    sys.exit(main())
