#!/usr/bin/python3
"""Many writers that put requests into outbox tables, and the history of what they committed.

    workload.py --seed 7 --seconds 20 --writers 8 --source shop=mysql://app:secret@127.0.0.1:3306/shop \\
                --channel ops-alerts=3 --channel nobody-knows=0.1 --history RUN/history/shop.jsonl

The same seed gives the same plan (`--plan N` prints its first N transactions and needs no server). The last line on
standard output is a JSON object of totals. SIGTERM and SIGINT end the run like its time does: each writer finishes its
transaction. Knows the contract of the outbox table and of requests, and none of the product's code.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from load.plan import FEATURES, Planner, World


def weighted(text: str) -> tuple[str, float]:
    code, _, weight = text.partition("=")
    return code, float(weight or 1)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--source", action="append", default=[], metavar="NAME=URL[?table=T]", help="an outbox table")
    parser.add_argument(
        "--channel",
        action="append",
        type=weighted,
        default=[],
        metavar="CODE[=WEIGHT]",
        help="the first one also carries the keys that several writers share",
    )
    parser.add_argument("--tenant", action="append", default=[], help="default: default, acme, Acme")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="how long; or --transactions")
    parser.add_argument("--transactions", type=int, help="how many, shared by the writers")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.0, help="transactions a second of all writers; 0: as they come")
    parser.add_argument("--late-commit-seconds", type=float, default=3.0, help="the longest a transaction is held")
    parser.add_argument("--without", action="append", default=[], choices=FEATURES, help="leave a kind of request out")
    parser.add_argument("--history", type=Path)
    parser.add_argument("--plan", type=int, metavar="N", help="print the plan of each writer and end")
    options = parser.parse_args(argv)
    if not options.source or not options.channel:
        parser.error("at least one --source and one --channel are needed")
    if options.plan is None and (
        options.history is None or (options.seconds is None) == (options.transactions is None)
    ):
        parser.error("--history and either --seconds or --transactions are needed")
    return options


def world_of(options: argparse.Namespace) -> World:
    tenants = {"tenants": tuple(options.tenant)} if options.tenant else {}
    names = tuple(source.partition("=")[0] for source in options.source)
    return World(
        sources=names,
        channels=tuple(options.channel),
        features=frozenset(FEATURES) - set(options.without),
        late_commit_seconds=options.late_commit_seconds,
        **tenants,
    )


def print_plan(options: argparse.Namespace, world: World) -> None:
    for writer in range(options.writers):
        planner = Planner(options.seed, writer, world)
        for _ in range(options.plan):
            print(json.dumps(dataclasses.asdict(planner.next()), ensure_ascii=False, sort_keys=True))


def run(options: argparse.Namespace, world: World) -> int:
    import pymysql

    from load.database import named_address
    from load.history import History, clock
    from load.writer import Writer

    sources = dict(named_address(text) for text in options.source)
    for name, address in sources.items():
        try:
            address.connect().close()  # what is wrong from the start isn't a fault to wait out
        except pymysql.MySQLError as error:
            print(f"workload: source {name} can't be used: {error}", file=sys.stderr)
            return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    history = History(options.history)
    history.write(
        "run",
        seed=options.seed,
        writers=options.writers,
        channels=options.channel,
        without=options.without,
        sources=list(sources),
        **clock(),
    )
    pause_s = options.writers / options.rate if options.rate > 0 else 0.0
    writers = []
    for number in range(options.writers):
        limit = None
        if options.transactions is not None:
            limit = len(range(number, options.transactions, options.writers))
        writers.append(Writer(Planner(options.seed, number, world), sources, history, stop, pause_s, limit))
    started = time.monotonic()
    for writer in writers:
        writer.start()
    if options.seconds is not None:
        stop.wait(options.seconds)
        stop.set()
    for writer in writers:
        writer.join()
    totals: Counter[str] = Counter()
    for writer in writers:
        totals.update(writer.totals)
    summary = {"seed": options.seed, "seconds": round(time.monotonic() - started, 3), **dict(sorted(totals.items()))}
    history.write("totals", **summary)
    history.close()
    print(json.dumps(summary), flush=True)
    for writer in writers:
        if writer.failure is not None:
            print(f"workload: {type(writer.failure).__name__}: {writer.failure}", file=sys.stderr)
            return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    world = world_of(options)
    if options.plan is not None:
        print_plan(options, world)
        return 0
    return run(options, world)


if __name__ == "__main__":
    sys.exit(main())
