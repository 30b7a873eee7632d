"""What the checker says: for each invariant a verdict, numbers, each violation in words, and what it couldn't see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

INVARIANTS = {
    "I1": "conservation",
    "I2": "one success per key",
    "I3": "nothing stays sending",
    "I4": "order",
    "I5": "doubles are in doubt and counted",
    "I6": "bounded",
    "I7": "stopping",
    "I8": "nobody slows the others",
    "I9": "legal transitions",
    "I10": "fencing",
    "I11": "no secret, no private body",
    "I12": "actions are audited",
    "I13": "metrics tell the truth",
    "I14": "rate",
    "I15": "the backlog drains",
    "F": "planned faults fired",
}

HELD, VIOLATED, NOT_CHECKED = "held", "VIOLATED", "not checked"


@dataclass(frozen=True)
class Violation:
    problem: str  # stable, for programs: lost, hidden_double, ...
    key: str  # what it is about: tenant/channel/key, a bot, a file
    text: str  # for people


@dataclass
class Section:
    """One invariant. It is held only if something was counted and nothing violates it."""

    name: str
    numbers: dict[str, Any] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def count(self, what: str, value: Any) -> None:
        self.numbers[what] = value

    def violate(self, problem: str, key: str, text: str) -> None:
        self.violations.append(Violation(problem, key, text))

    def skip(self, why: str) -> None:
        if why not in self.unchecked:
            self.unchecked.append(why)

    @property
    def verdict(self) -> str:
        if self.violations:
            return VIOLATED
        return HELD if self.numbers else NOT_CHECKED


@dataclass
class Report:
    sections: dict[str, Section] = field(default_factory=lambda: {name: Section(name) for name in INVARIANTS})
    lost: int = 0
    stuck: int = 0
    doubled: dict[str, int] = field(default_factory=dict)  # by window

    def __getitem__(self, name: str) -> Section:
        return self.sections[name]

    @property
    def held(self) -> bool:
        return all(not section.violations for section in self.sections.values())

    def problems(self) -> list[tuple[str, str]]:
        """Every (invariant, problem), each once: for tests."""
        found = {
            (name, violation.problem) for name, section in self.sections.items() for violation in section.violations
        }
        return sorted(found)

    def as_json(self) -> dict[str, Any]:
        return {
            "held": self.held,
            "summary": {"lost": self.lost, "doubled": self.doubled, "stuck": self.stuck},
            "invariants": [
                {
                    "name": name,
                    "title": INVARIANTS[name],
                    "verdict": section.verdict,
                    "numbers": section.numbers,
                    "violations": [vars(violation) for violation in section.violations],
                    "not_checked": section.unchecked,
                }
                for name, section in self.sections.items()
            ],
        }

    def as_text(self, most: int = 20) -> str:
        lines = []
        for name, section in self.sections.items():
            numbers = ", ".join(f"{what} {value}" for what, value in section.numbers.items())
            lines.append(f"{name:<4}{INVARIANTS[name]:<34}{section.verdict:<12}{numbers}".rstrip())
            lines += [f"      {v.problem}: {_one_line(v.key)}: {_one_line(v.text)}" for v in section.violations[:most]]
            if len(section.violations) > most:
                lines.append(f"      and {len(section.violations) - most} more")
            lines += [f"      not checked: {why}" for why in section.unchecked]
        doubled = ", ".join(f"{window} {count}" for window, count in sorted(self.doubled.items())) or "none"
        lines.append(f"summary: lost {self.lost}, doubled {sum(self.doubled.values())} ({doubled}), stuck {self.stuck}")
        return "\n".join(lines)


def _one_line(text: str) -> str:
    """Keys are hostile: nothing in them may end the line or move the cursor."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
