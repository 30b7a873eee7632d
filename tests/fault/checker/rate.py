"""I14: the vendor's own log of requests against the configured limits, in every window, wherever it begins."""

from __future__ import annotations

from collections import defaultdict, deque

from checker.facts import Facts
from checker.report import Report
from run_folder import VENDOR, seconds_of

WINDOWS = (("per_second", 1.0), ("per_minute", 60.0))


def check(facts: Facts, report: Report) -> None:
    section = report["I14"]
    requests = facts.rows(VENDOR, "requests.jsonl")
    if requests is None:
        return section.skip("no requests of the vendor")
    if facts.manifest.get("vendor_clock_moved"):
        return section.skip("the vendor's clock was moved")
    tolerance = facts.manifest.get("rate_tolerance_ms", 0) / 1000
    times: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        if request["method"] == "POST":
            times[request["path"].rsplit("/", 1)[-1]].append(seconds_of(request["time"]))
    for channel in facts.channels.values():
        bot = channel.get("bot")
        if not bot:
            continue
        for name, length in WINDOWS:
            limit = channel.get(name, 0)
            if limit:
                worst, above, when = _busiest(sorted(times[bot]), length - tolerance, limit)
                section.count(f"{channel['code']} {name} (limit {limit})", worst)
                if worst > limit:
                    section.violate(
                        "rate",
                        channel["code"],
                        f"{worst} requests in {length:g} s, the last at {when:.3f}; "
                        f"{limit} are allowed; {above} windows above it",
                    )
    if tolerance:
        section.count("windows shortened by ms", facts.manifest["rate_tolerance_ms"])


def _busiest(times: list[float], length: float, limit: int) -> tuple[int, int, float]:
    """The most requests in a window that ends with a request, how many such windows are above the limit, and when."""
    window: deque[float] = deque()
    worst, above, when = 0, 0, 0.0
    for time in times:
        window.append(time)
        while window[0] <= time - length:
            window.popleft()
        above += len(window) > limit
        if len(window) > worst:
            worst, when = len(window), time
    return worst, above, when
