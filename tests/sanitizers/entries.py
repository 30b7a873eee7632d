#!/usr/bin/env python3
"""Every ctest entry that runs a program of this build is watched: `entries.py CTEST BUILD_DIR` names those that aren't.

An entry that isn't may run before the folder of reports is cleared, or after it is shown: what its children were found
to do would be told nobody.
"""
import json
import subprocess
import sys


def main() -> int:
    ctest, build = sys.argv[1:]
    shown = subprocess.run([ctest, "--test-dir", build, "--show-only=json-v1"], check=True, capture_output=True, text=True)
    unwatched = []
    for entry in json.loads(shown.stdout)["tests"]:
        properties = {each["name"]: each["value"] for each in entry["properties"]}
        if set(properties.get("LABELS", [])) & {"lint", "sanitizers"}:
            continue
        runs_ours = any(build in part for part in entry["command"])
        if runs_ours and "sanitizer_reports" not in properties.get("FIXTURES_REQUIRED", []):
            unwatched.append(entry["name"])
    for name in unwatched:
        print(f"{name} runs a program of this build; its CMakeLists.txt lacks outrider_watched({name} SECONDS)")
    return 1 if unwatched else 0


if __name__ == "__main__":
    sys.exit(main())
