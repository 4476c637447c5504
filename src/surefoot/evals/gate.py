"""The gate of the live lane: pure decisions over counts, scenario by scenario.

A model is a coin, so one failed trial proves nothing, and one lucky trial clears nothing. Every scenario gets
3 trials. One that failed any goes on to 8; where those are in doubt, to 16. It is red when its trials are
worse than its own baseline's (one-sided Fisher exact, p < 0.005), and at once when it is a `must` that
failed. What cannot be known (too few trials on either side, too much broken infrastructure, no money left) is
INCONCLUSIVE: neither green nor red.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .statistics import Counts, worse

Verdict = Literal["green", "red", "inconclusive"]
Standing = Literal["ok", "worse", "broken_must", "unsure", "too_few", "new"]

FIRST, MORE, MOST = 3, 8, 16
"""Trials of every scenario, of one that failed any of those, and of one in doubt."""
RED = 0.005
"""Simulated over whole suites: at 0.01 an unchanged suite of shaky scenarios is red in 5 to 7 % of its runs
(decision 0050)."""
DOUBT = 0.10
BASELINE, ENOUGH = 10, 20
"""Trials that a baseline must have before anything is compared with it, and the most (the latest) that count:
more of them would make ever smaller differences red."""
INFRA = 0.05
"""The share of trials that may break for reasons that are not the workflow's."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Trials of one scenario by how they ended. Only passes and failures are scored."""

    passed: int = 0
    failed: int = 0
    infra: int = 0
    unscored: int = 0

    @property
    def counts(self) -> Counts:
        return Counts(self.passed, self.passed + self.failed)


@dataclass(frozen=True, slots=True)
class Judged:
    """`p` is None where there was nothing to compare."""

    standing: Standing
    p: float | None
    why: str


def trials_wanted(found: Counts, baseline: Counts | None, *, must: bool) -> int:
    """How many more scored trials would tell. 0: enough is known."""
    if found.trials < FIRST:
        return FIRST - found.trials
    if found.passes == found.trials or must:
        return 0
    if found.trials < MORE:
        return MORE - found.trials
    if baseline is None or baseline.trials < BASELINE:
        return 0
    doubtful = RED <= worse(baseline, found) < DOUBT
    return max(MOST - found.trials, 0) if doubtful else 0


def judge(found: Counts, baseline: Counts | None, *, must: bool) -> Judged:
    """Where one scenario stands after all its trials."""
    said = f"{found.passes} of {found.trials} passed"
    failed = found.trials - found.passes
    if must and failed:
        return Judged("broken_must", None, f"{said}, and it must never fail")
    if found.trials < FIRST:
        return Judged("too_few", None, f"{said}: at least {FIRST} scored trials are needed")
    if baseline is None or baseline.trials < BASELINE:
        known = 0 if baseline is None else baseline.trials
        if not failed:
            return Judged("ok", None, f"{said}; the baseline has {known} trials")
        return Judged("new", None, f"{said}; the baseline has {known} trials of the {BASELINE} needed")
    p = worse(baseline, found)
    against = f"{said}, {baseline.passes} of {baseline.trials} before (p = {p:.4f})"
    if p < RED:
        return Judged("worse", p, against)
    if p < DOUBT:
        return Judged("unsure", p, against)
    return Judged("ok", p, against)


def verdict(judged: Mapping[str, Judged], outcomes: Sequence[Outcomes]) -> tuple[Verdict, list[str]]:
    """Of the whole suite, with the reasons: ids of scenarios, and what else stands in the way."""
    red = [f"{name}: {one.why}" for name, one in judged.items() if one.standing in ("worse", "broken_must")]
    if red:
        return "red", red
    if not judged:
        return "red", ["no scenario was run"]
    open_ends = [f"{name}: {one.why}" for name, one in judged.items() if one.standing in ("too_few", "new")]
    trials = sum(one.passed + one.failed + one.infra + one.unscored for one in outcomes)
    broken = sum(one.infra for one in outcomes)
    unscored = sum(one.unscored for one in outcomes)
    if trials and broken / trials > INFRA:
        open_ends.append(f"{broken} of {trials} trials broke for reasons outside the workflow")
    if unscored:
        open_ends.append(f"{unscored} of {trials} trials could not be scored")
    return ("inconclusive", open_ends) if open_ends else ("green", [])
