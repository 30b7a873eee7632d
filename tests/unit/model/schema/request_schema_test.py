#!/usr/bin/env python3
"""Holds model/request.schema.json and ParseRequest against each other.

An independent validator (python3-jsonschema) judges by the schema, the program request_verdicts by ParseRequest, and both must
come to the same verdict on each payload: those of requests.jsonl, and random changes of them. Cases that lie beyond the schema, as
its description says, stand in requests.jsonl with "beyond": what the schema takes and ParseRequest doesn't.

  request_schema_test.py PROGRAM [--seed N] [--changes N]
"""
import argparse
import copy
import json
import pathlib
import random
import re
import subprocess
import sys

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
SCHEMA = HERE.parents[3] / "model" / "request.schema.json"
CASES = HERE / "requests.jsonl"


def to_python_patterns(node):
    """ECMA's $ is the end only; Python's is also before a last line feed."""
    if isinstance(node, dict):
        return {name: re.sub(r"\$$", r"\\Z", value) if name == "pattern" else to_python_patterns(value)
                for name, value in node.items()}
    return [to_python_patterns(value) for value in node] if isinstance(node, list) else node


def read_json(text):
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")
    return json.loads(text, parse_constant=refuse)


def read_cases():
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    for case in cases:
        case["payload"] = case["text"] if "text" in case else json.dumps(case["request"], ensure_ascii=False)
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), "two cases have the same name"
    return cases


STRINGS = ["", " ", "x", "\u3000", "a\u0000b", "default", "x" * 64, "x" * 65, "订" * 64, "x" * 191, "x" * 192, "🎉" * 191, "🎉" * 192,
           " " * 300 + "k", "k\n", "\n", "x" * 255, "x" * 256, "high", "High", "2026-11-24T05:11:41Z", "2026-11-24T05:11:41Z\n",
           "2026-11-24t05:11:41.123456789+23:59", "2026-11-24T24:00:00Z", "2026-04-31T00:00:00Z", "2026-11-24 05:11:41Z",
           "1999-12-31T23:59:59.1234567891Z", "2026-11-24T05:11:41+0800", "1970-06-01T00:00:00z", "1969-06-01T00:00:00Z"]
VALUES = STRINGS + [None, True, False, 0, 1, 3, 1000, 1001, -1, 3.0, 3.5, 1e2, 1e3, [], [1], {}, {"text": "t"}, {"text": " "}, {"card": {}},
                    {"card": {"a": 1}}, {"title": "h", "text": "t"}, {"title": "h", "markdown": "m"}, {"html": "h", "subject": "s"},
                    {"a": "b"}, {"a": 1}, [{"name": "n", "url": "u"}], [{"name": "n", "file_key": "f", "size": 3}], [{"name": "n"}]]
NAMES = ["tenant", "channel", "dedupe_key", "recipient", "message", "template", "variables", "locale", "fallback_text", "priority",
         "scheduled_at", "expires_at", "ordering_key", "max_attempts", "private", "attachments", "metadata", "text", "title", "markdown",
         "card", "html", "subject", "name", "url", "file_key", "unknown"]


def containers(node):
    if isinstance(node, (dict, list)):
        yield node
        for value in node.values() if isinstance(node, dict) else node:
            yield from containers(value)


def change(request, random_source):
    """One to three random changes, at any depth: a value replaced, taken away, added."""
    changed = copy.deepcopy(request)
    for _ in range(random_source.randint(1, 3)):
        place = random_source.choice(list(containers(changed)))
        value = copy.deepcopy(random_source.choice(VALUES))
        if isinstance(place, list):
            if place and random_source.random() < 0.5:
                place[random_source.randrange(len(place))] = value
            else:
                place.append(value)
        elif place and random_source.random() < 0.3:
            del place[random_source.choice(sorted(place))]
        else:
            place[random_source.choice(sorted(place) if place and random_source.random() < 0.6 else NAMES)] = value
    return changed


def lies_beyond(request):
    """What random changes may run into of the cases that the schema leaves to ParseRequest: the order of the two times."""
    return isinstance(request, dict) and "scheduled_at" in request and "expires_at" in request


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--seed", type=int, default=20261124)
    arguments.add_argument("--changes", type=int, default=4000)
    options = arguments.parse_args()

    schema = to_python_patterns(json.loads(SCHEMA.read_text(encoding="utf-8")))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    cases = read_cases()
    random_source = random.Random(options.seed)
    bases = [case["request"] for case in cases if case.get("request") and case.get("valid")]
    while len(cases) < options.changes:
        request = change(random_source.choice(bases), random_source)
        if not lies_beyond(request):
            cases.append({"name": f"change {len(cases)} of seed {options.seed}", "payload": json.dumps(request)})

    verdicts = subprocess.run([options.program], input="".join(case["payload"] + "\n" for case in cases), text=True, encoding="utf-8",
                              stdout=subprocess.PIPE, check=True).stdout.rstrip("\n").split("\n")
    assert len(verdicts) == len(cases), f"{len(cases)} payloads gave {len(verdicts)} verdicts"

    failures = []
    counts = {True: 0, False: 0}
    for case, verdict in zip(cases, verdicts):
        try:
            by_schema = validator.is_valid(read_json(case["payload"]))
        except ValueError:
            by_schema = False
        by_program = verdict == "valid"
        counts[by_program] += 1
        if "valid" in case and by_program != case["valid"]:
            failures.append(f"{case['name']}: ParseRequest should say {case['valid']}, it says: {verdict}")
        if by_schema != (True if case.get("beyond") else by_program):
            failures.append(f"{case['name']}: the schema says {by_schema}, ParseRequest: {verdict}\n    {case['payload'][:300]}")
    print(f"{len(cases)} payloads, {counts[True]} valid, {counts[False]} invalid, {len(failures)} failures")
    for failure in failures[:20]:
        print(failure)
    if min(counts.values()) < options.changes // 10:
        failures.append("one-sided")
        print("the changes are one-sided: a test that never sees a verdict says nothing about it")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
