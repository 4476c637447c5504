"""The table: for a terminal, as Markdown for results.md, and the words about the machine above it."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .measuring import Line

COMMAND = "python -m benchmarks"

INTRODUCTION = (
    "What each row does, and why it costs what it costs: [speed](../docs/explanation/speed.md). A line"
    " without a goal is there to compare with."
)


@dataclass(frozen=True)
class Outcome:
    """What came of one row: lines, or why there are none; and how noisy the machine was meanwhile."""

    row: str
    lines: tuple[Line, ...] = ()
    error: str = ""
    complaints: tuple[str, ...] = ()
    share: float = 1.0
    seconds: float = 0.0

    @property
    def is_doubtful(self) -> bool:
        """A goal was missed while neighbours were busy: it may not be ours."""
        return bool(self.complaints) and any(line.met is False for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "lines": [line.to_json() for line in self.lines],
            "error": self.error or None,
            "noise": list(self.complaints),
            "seconds": round(self.seconds, 1),
        }


def machine() -> str:
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def shown(value: float) -> str:
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def cells(line: Line) -> tuple[str, str, str, str]:
    """(what, measured, goal, met?)"""
    goal = (
        ""
        if line.goal is None
        else f"{'>=' if line.better == 'more' else '<='} {shown(line.goal)} {line.unit}"
    )
    met = {None: "", True: "yes", False: "NO"}[line.met]
    return line.what, f"{shown(line.value)} {line.unit}", goal, met


# ── for a terminal ──


def as_text(outcome: Outcome) -> str:
    parts = [f"{outcome.row}  ({outcome.seconds:.1f} s)"]
    if outcome.error:
        parts.append(f"  not measured: {outcome.error}")
    for line in outcome.lines:
        what, measured, goal, met = cells(line)
        parts.append(f"  {what:58} {measured:>16}  {goal:>18}  {met:3}")
        if line.note:
            parts.append(f"      {line.note}")
    parts += [f"  noisy: {complaint}" for complaint in outcome.complaints]
    return "\n".join(parts)


def verdict(outcomes: Sequence[Outcome]) -> str:
    goals = [line for outcome in outcomes for line in outcome.lines if line.goal is not None]
    met = sum(line.met is True for line in goals)
    text = f"{met} of {len(goals)} goals met"
    if noisy := sum(bool(outcome.complaints) for outcome in outcomes):
        text += (
            f"; the machine was busy during {noisy} of {len(outcomes)} rows, so look at ratios, not at rates"
        )
    if broken := [outcome.row for outcome in outcomes if outcome.error]:
        text += f"; not measured: {', '.join(broken)}"
    return text


# ── results.md ──


def as_markdown(outcomes: Sequence[Outcome], command: str) -> str:
    lines = [
        "# Measured",
        "",
        f"{today()}, {machine()}. `{command}`. {verdict(outcomes)}.",
        "",
        INTRODUCTION,
        "",
        "| row | what | measured | goal | met? |",
        "|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        if outcome.error:
            lines.append(f"| {outcome.row} | not measured: {escaped(outcome.error)} | | | |")
        for line in outcome.lines:
            what, measured, goal, met = cells(line)
            note = f" ({escaped(line.note)})" if line.note else ""
            lines.append(f"| {outcome.row} | {escaped(what)}{note} | {measured} | {goal} | {met} |")
    noisy = [(outcome.row, outcome.complaints) for outcome in outcomes if outcome.complaints]
    if noisy:
        lines += ["", "The machine was not ours alone:", ""]
        lines += [f"- {row}: {'; '.join(complaints)}" for row, complaints in noisy]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
