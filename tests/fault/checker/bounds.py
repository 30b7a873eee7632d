"""I6, I7, I8, I12 and the run itself: what can be read from samples, exit codes, latencies, and faults that fired."""

from __future__ import annotations

from collections import Counter

from checker.facts import Facts
from checker.report import Report
from run_folder import LOGS, RECORDS, RESOURCES, VENDOR

GRACE_SECONDS = 25.0


def check(facts: Facts, report: Report) -> None:
    _check_resources(facts, report)
    _check_stops(facts, report)
    _check_latency(facts, report)
    _check_audit(facts, report)
    _check_faults(facts, report)


def _check_resources(facts: Facts, report: Report) -> None:
    section = report["I6"]
    bounds = facts.manifest.get("bounds", {})
    samples = facts.rows(RESOURCES)
    if samples is None or not bounds:
        section.skip("memory and descriptors: no samples, or no bounds in run.json")
    else:
        for what in ("rss_mb", "fds"):
            if what not in bounds:
                continue
            most = max((sample for sample in samples if what in sample), key=lambda sample: sample[what], default=None)
            if most is None:
                continue
            section.count(f"most {what}", most[what])
            if most[what] > bounds[what]:
                section.violate(
                    "unbounded", most["process"], f"{what} reached {most[what]}, {bounds[what]} are allowed"
                )
    if "log_mb" in bounds:
        for file in sorted((facts.folder / LOGS).glob("*")):
            size = file.stat().st_size / 1e6
            section.count("log files", section.numbers.get("log files", 0) + 1)
            if size > bounds["log_mb"]:
                section.violate("unbounded", file.name, f"its log has {size:.1f} MB, {bounds['log_mb']} are allowed")


def _check_stops(facts: Facts, report: Report) -> None:
    section = report["I7"]
    stopped = [process for process in facts.processes if process.get("end") == "terminated"]
    for process in stopped:
        if process.get("exit_code") != 0:
            section.violate("stop", process["name"], f"after SIGTERM it ended with {process.get('exit_code')}")
        grace = process.get("grace_seconds", GRACE_SECONDS)
        if process.get("stop_seconds", 0) > grace:
            section.violate("stop", process["name"], f"took {process['stop_seconds']} s to stop; {grace} are its grace")
    if stopped:
        section.count("stopped by SIGTERM", len(stopped))
    for process in facts.processes:
        if process.get("end") == "crashed":
            section.violate("crash", process["name"], f"ended by itself with {process.get('exit_code')}")
    killed = sum(process.get("end") == "killed" for process in facts.processes)
    if killed:
        section.count("killed (what they lost is I1's)", killed)
    if not stopped:
        section.skip("nothing was stopped by SIGTERM")


def _check_latency(facts: Facts, report: Report) -> None:
    """Of channels for which run.json promises a latency: the worst of a hundred, from commit to the vendor."""
    section = report["I8"]
    bounded = {
        code: channel["latency_bound_seconds"]
        for code, channel in facts.channels.items()
        if channel.get("latency_bound_seconds") and facts.at_vendor(code)
    }
    if not bounded:
        return section.skip("run.json names no latency for any channel")
    for code, bound in bounded.items():
        latencies = []
        for key, deliveries in facts.deliveries_of_key.items():
            committed = [event for event in facts.events_of_key[key] if event.ended_wall is not None]
            if key[1] == code and committed and not any(event.row["scheduled_at"] for event in committed):
                latencies.append(min(d.time for d in deliveries) - min(event.ended_wall for event in committed))
        if not latencies:
            continue
        slow = sorted(latencies)[min(len(latencies) - 1, len(latencies) * 99 // 100)]
        section.count(f"{code} p99 s", round(slow, 3))
        if slow > bound:
            section.violate("slowed", code, f"99 of 100 arrived within {slow:.3f} s; {bound} s are promised")


def _check_audit(facts: Facts, report: Report) -> None:
    section = report["I12"]
    acted = facts.manifest.get("actions", 0)
    entries = facts.rows(RECORDS, "audit_log.jsonl")
    touched = facts.rows(RECORDS, "audit_records.jsonl")
    if entries is None or touched is None:
        return section.skip("no audit rows in the folder")
    if not entries and not acted:
        return section.skip("nobody acted")
    section.count("entries", len(entries))
    section.count("records touched", len(touched))
    by_persons = [entry for entry in entries if entry["action"] != "reopen"]
    if len(by_persons) < acted:
        section.violate("unaudited", "audit_log", f"{acted} actions, and only {len(by_persons)} entries")
    counted = Counter(row["audit_id"] for row in touched)
    for entry in entries:
        names_records = entry["action"] in ("replay", "discard", "cancel", "reopen")
        if names_records and counted[entry["id"]] != entry["records"]:
            section.violate(
                "miscounted",
                f"audit_log {entry['id']}",
                f"says {entry['records']} records, and {counted[entry['id']]} are named",
            )
    known = {row["record_id"] for row in touched}
    for record in facts.records or []:
        if record["reason"] in ("discarded", "cancelled") and record["id"] not in known:
            section.violate("unaudited", record["dedupe_key"], f"{record['reason']}, and nobody did it")


def _check_faults(facts: Facts, report: Report) -> None:
    section = report["F"]
    for fault in facts.faults:
        name = f"{fault.get('kind')} (row {fault.get('row', '-')})"
        section.count(name, f"{fault.get('fired', 0)} of {fault.get('planned', 1)}")
        if fault.get("planned", 1) > 0 and not fault.get("fired"):
            section.violate(
                "never_fired", name, "the fault was planned, and never happened: the run proves nothing about it"
            )
    for fault in facts.rows(VENDOR, "faults.jsonl") or []:
        section.count(f"vendor's {fault['kind']} #{fault['id']}", fault["fired"])
        if not fault["fired"]:
            section.violate("never_fired", f"vendor's {fault['kind']} #{fault['id']}", "was set, and never happened")
    if not section.numbers:
        section.skip("no fault was planned")
