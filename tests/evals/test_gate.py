"""The gate: what it calls red, and how often it is wrong about whole suites of noisy scenarios."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import pytest

from surefoot.evals import gate
from surefoot.evals.gate import Judged, Outcomes, judge, trials_wanted, verdict
from surefoot.evals.statistics import Counts

SOLID = Counts(20, 20)


@pytest.mark.parametrize(
    ("found", "baseline", "must", "wanted"),
    [
        (Counts(0, 0), SOLID, False, 3),
        (Counts(2, 2), SOLID, False, 1),
        (Counts(3, 3), SOLID, False, 0),
        (Counts(2, 3), SOLID, False, 5),
        (Counts(0, 3), SOLID, False, 5),
        (Counts(2, 3), SOLID, True, 0),
        (Counts(7, 8), SOLID, False, 0),
        (Counts(6, 8), SOLID, False, 8),
        (Counts(0, 8), SOLID, False, 0),
        (Counts(6, 8), Counts(5, 5), False, 0),
        (Counts(6, 8), None, False, 0),
    ],
)
def test_trials_are_added_where_they_would_tell(
    found: Counts, baseline: Counts | None, must: bool, wanted: int
) -> None:
    assert trials_wanted(found, baseline, must=must) == wanted


@pytest.mark.parametrize(
    ("found", "baseline", "must", "standing"),
    [
        (Counts(3, 3), SOLID, False, "ok"),
        (Counts(3, 3), None, False, "ok"),
        (Counts(0, 8), SOLID, False, "worse"),
        (Counts(7, 8), SOLID, False, "ok"),
        (Counts(2, 3), SOLID, True, "broken_must"),
        (Counts(2, 3), None, True, "broken_must"),
        (Counts(2, 2), SOLID, False, "too_few"),
        (Counts(5, 8), Counts(9, 9), False, "new"),
        (Counts(5, 8), Counts(10, 10), False, "unsure"),
        (Counts(4, 8), Counts(10, 20), False, "ok"),
    ],
)
def test_one_scenario_stands_where_its_counts_put_it(
    found: Counts, baseline: Counts | None, must: bool, standing: str
) -> None:
    assert judge(found, baseline, must=must).standing == standing


def of(**standings: str) -> dict[str, Judged]:
    return {name: Judged(standing, None, "why") for name, standing in standings.items()}  # type: ignore[arg-type]


def test_what_cannot_be_known_is_neither_green_nor_red() -> None:
    assert verdict(of(a="ok"), [Outcomes(passed=3)]) == ("green", [])
    assert verdict(of(a="ok", b="worse"), [Outcomes(passed=3)])[0] == "red"
    assert verdict(of(a="ok", b="too_few"), [Outcomes(passed=3)])[0] == "inconclusive"
    assert verdict(of(a="ok"), [Outcomes(passed=9, infra=1)])[0] == "inconclusive"
    assert verdict(of(a="ok"), [Outcomes(passed=99, infra=1)])[0] == "green"
    assert verdict(of(a="ok"), [Outcomes(passed=99, unscored=1)])[0] == "inconclusive"
    assert verdict(of(a="worse", b="too_few"), [Outcomes(infra=9)])[0] == "red"
    assert verdict({}, [])[0] == "red"


# ── whole suites, simulated ──────────────────────────────────────────────────────────────────────

STEADY = [0.98] * 55 + [0.8] * 5
SHAKY = [0.95] * 45 + [0.8] * 10 + [0.5] * 5
RUNS = 1500


@cache
def _standing(passes: int, trials: int, before: int, of_before: int) -> str:
    return judge(Counts(passes, trials), Counts(before, of_before), must=False).standing


@cache
def _wanted(passes: int, trials: int, before: int, of_before: int) -> int:
    return trials_wanted(Counts(passes, trials), Counts(before, of_before), must=False)


def red(chance: random.Random, rate: float, was: float, baseline: int) -> bool:
    """Whether one scenario that passes at this rate, and passed at that one before, is called red."""
    before = sum(chance.random() < was for _ in range(baseline))
    passes = trials = 0
    while more := _wanted(passes, trials, before, baseline):
        passes += sum(chance.random() < rate for _ in range(more))
        trials += more
    return _standing(passes, trials, before, baseline) == "worse"


@pytest.mark.parametrize("baseline", [gate.BASELINE, gate.ENOUGH])
@pytest.mark.parametrize("suite", [STEADY, SHAKY], ids=["steady", "shaky"])
def test_an_unchanged_suite_is_red_in_one_run_of_twenty_at_most(
    suite: Sequence[float], baseline: int
) -> None:
    chance = random.Random(20)
    alarms = sum(any(red(chance, rate, rate, baseline) for rate in suite) for _ in range(RUNS))
    assert alarms / RUNS <= 0.05


@pytest.mark.parametrize("baseline", [gate.BASELINE, gate.ENOUGH])
@pytest.mark.parametrize("was", [0.98, 0.95])
def test_a_broken_scenario_is_caught(was: float, baseline: int) -> None:
    chance = random.Random(7)
    caught = sum(red(chance, 0.0, was, baseline) for _ in range(RUNS))
    assert caught / RUNS >= 0.97
