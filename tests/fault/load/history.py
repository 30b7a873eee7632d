"""The history: what the workload really did, one JSON object a line, flushed to the system line by line.

`run`    once: seed, options, the wall and monotonic clock.
`begin`  before a transaction's first INSERT: its rows, so that a killed workload leaves them as unknown.
`end`    after it: outcome (committed, rolled_back, unknown), times, auto-increment numbers.
`totals` last. Monotonic times are nanoseconds of the machine's clock, comparable between processes; a row's `inserted`
is read before its INSERT is sent and `ended` after the answer to COMMIT, so that ended(A) < inserted(B) is proof.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from run_folder import now_text


def clock() -> dict[str, Any]:
    return {"mono": time.monotonic_ns(), "wall": now_text()}


class History:
    """Safe from several threads. What was written stays when this process is killed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()

    def write(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"kind": kind, **fields}, ensure_ascii=False, separators=(",", ":")) + "\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        with self._lock:
            self._file.close()
