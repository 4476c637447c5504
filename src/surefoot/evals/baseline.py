"""The baseline: what was accepted, under version control, one line for each scenario.

A line says which scenario it was (by digest), how it ended in the replay lane (effects, tokens, money), and
how many live trials passed. Only a complete run can become the baseline, and what is taken out of it or made
weaker is red until somebody accepts that, with a reason that stays in the file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.jsons import canonical
from ..errors import InvalidInput
from .gate import ENOUGH
from .results import Trial
from .scenario import Scenario
from .statistics import Counts

GRADER = 1
"""Raised when a check comes to mean something else: lines of another grader must be accepted anew."""


@dataclass(frozen=True)
class Line:
    """`checks` is a digest of what is expected, `calls` the effects in order, `live` by model: [passes,
    trials]. `looks` is what was read; None where that was not kept yet."""

    id: str
    scenario: str
    checks: str
    must: bool
    grader: int
    calls: Sequence[str]
    tokens: int
    usd: float
    trace: str
    looks: Sequence[str] | None = None
    reason: str = ""
    live: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def counts(self, model: str) -> Counts | None:
        found = self.live.get(model)
        return None if found is None else Counts(*found)


def read(path: Path) -> dict[str, Line]:
    """By scenario; empty where there is no file yet. Raises InvalidInput."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for number, text in enumerate(lines, 1):
        try:
            line = Line(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise InvalidInput(
                f"{path}, line {number}, is no line of a baseline",
                why=str(error),
                remedy="Take the file back from version control, or run `surefoot eval --accept`.",
            ) from error
        found[line.id] = line
    return found


def write(path: Path, lines: Iterable[Line]) -> None:
    texts = [json.dumps(asdict(line), sort_keys=True, ensure_ascii=False) for line in lines]
    path.write_text(
        "".join(f"{text}\n" for text in sorted(texts, key=lambda text: json.loads(text)["id"])), "utf-8"
    )


def line_of(scenario: Scenario, trial: Trial, *, reason: str, before: Line | None) -> Line:
    """What the replay lane found, as what is accepted from now on. Live trials of the same scenario stay."""
    line = Line(
        id=scenario.id,
        scenario=digest(scenario),
        checks=checks_digest(scenario),
        must=scenario.must,
        grader=GRADER,
        calls=list(trial.calls),
        tokens=int(trial.usage.get("tokens_in", 0)) + int(trial.usage.get("tokens_out", 0)),
        usd=float(trial.usage.get("usd", 0)),
        trace=trial.digest,
        looks=list(trial.looks),
        reason=reason,
    )
    if before is not None and (before.checks, before.grader) == (line.checks, line.grader):
        line = replace(line, live=before.live)
    if before is not None and replace(before, reason="") == replace(line, reason=""):
        return before
    return line


def with_live(line: Line, model: str, found: Counts) -> Line:
    """The latest trials count, and no more of them than are of use."""
    before = line.counts(model) or Counts(0, 0)
    room = max(ENOUGH - found.trials, 0)
    kept = (
        Counts(round(before.rate * min(room, before.trials)), min(room, before.trials))
        if before.trials
        else before
    )
    total = kept + found
    return replace(line, live={**line.live, model: [total.passes, total.trials]})


def weakened(scenarios: Sequence[Scenario], baseline: Mapping[str, Line]) -> list[str]:
    """Scenarios that are gone, and those whose checks or safety are not what was accepted."""
    found = []
    by_id = {one.id: one for one in scenarios}
    for name, line in baseline.items():
        scenario = by_id.get(name)
        if scenario is None:
            found.append(f"{name}: it was removed")
        elif line.must and not scenario.must:
            found.append(f"{name}: it is no `must` any more")
        elif line.checks != checks_digest(scenario):
            found.append(f"{name}: what it expects was changed")
    return found


def changed(line: Line, trial: Trial) -> list[str]:
    """What a passing replay does otherwise than was accepted: effects, what it reads beyond that, budget."""
    found = []
    if list(line.calls) != list(trial.calls):
        found.append(f"effects: {_listed(line.calls)} were accepted, and now {_listed(trial.calls)}")
    if line.looks is not None and (more := Counter(trial.looks) - Counter(line.looks)):
        found.append(f"reads: {_listed(list(more.elements()))} beyond what was accepted")
    tokens = int(trial.usage.get("tokens_in", 0)) + int(trial.usage.get("tokens_out", 0))
    if tokens > line.tokens:
        found.append(f"tokens: {line.tokens} were accepted, and now {tokens}")
    usd = float(trial.usage.get("usd", 0))
    if usd > line.usd:
        found.append(f"usd: {line.usd:g} were accepted, and now {usd:g}")
    return found


def digest(scenario: Scenario) -> str:
    return digest_of(scenario.model_dump(mode="json"))


def checks_digest(scenario: Scenario) -> str:
    return digest_of(scenario.expect.model_dump(mode="json", exclude_defaults=True))


def digest_of(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def _listed(calls: Sequence[str]) -> str:
    return ", ".join(calls) or "none"
