#!/usr/bin/python3
"""The checker: reads a run's folder and says which invariants held, which didn't, and what it couldn't look at.

    check.py FOLDER [--json]

Knows the contracts and the invariants only, and nothing of the product's code. Exit code 0: nothing is violated;
1: something is; 2: the folder can't be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from checker import bounds, conservation, counters, doubles, leaks, order, rate, states
from checker.facts import Facts
from checker.report import Report


def check_folder(folder: Path) -> Report:
    facts = Facts(folder)
    report = Report()
    for check in (
        conservation.check,
        conservation.check_drained,
        doubles.check,
        states.check,
        order.check,
        rate.check,
        leaks.check,
        counters.check,
        bounds.check,
    ):
        check(facts, report)
    return report


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(argv)
    try:
        report = check_folder(options.folder)
    except (OSError, ValueError, KeyError) as error:
        print(f"check: {options.folder} can't be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.as_json(), ensure_ascii=False, indent=1) if options.json else report.as_text())
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
