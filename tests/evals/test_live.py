"""The live lane: as many trials as it takes and no more money than it may, and a kill loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.model import Bound, ModelAnswer, ModelRequest, Tokens
from surefoot.errors import ModelUnavailable, UsageError
from surefoot.evals import baseline
from surefoot.evals.gate import RED
from surefoot.evals.live import live
from surefoot.evals.progress import Progress
from surefoot.evals.results import SuiteResult, Trial
from surefoot.evals.statistics import Counts, smallest_drop
from surefoot.evals.suite import Suite

from .test_replay import LARGE, SMALL, accepted, stage_of

pytestmark = pytest.mark.anyio

ABOUT = {"lane": "live"}
CENT = 10_000_000


class Sometimes:
    """Answers well, or badly where `bad` says so of the number of the run. A cent an answer."""

    name = "scripted:x"

    def __init__(self, bad: Callable[[int], bool] = lambda _: False, error: Exception | None = None) -> None:
        self.bad = bad
        self.error = error
        self.runs = 0

    def bound(self, request: ModelRequest) -> Bound:
        return Bound(1, 1, CENT)

    def price(self, usage: Tokens) -> int:
        return CENT

    async def request(self, request: ModelRequest) -> ModelAnswer:
        if request.output_name == "judgement":
            passed = "hello" in request.messages[0].text
            said = json.dumps({"pass": passed, "reason": "it is friendly" if passed else "it is cold"})
            return ModelAnswer(said, usage=Tokens(1, 1))
        self.runs += 1
        if self.bad(self.runs):
            if self.error is not None:
                raise self.error
            return ModelAnswer("nothing", usage=Tokens(1, 1))
        return ModelAnswer("it says hello", usage=Tokens(1, 1))

    async def close(self) -> None:
        pass


def known(suite: Suite, passes: int = 20, trials: int = 20) -> Suite:
    lines = baseline.read(suite.baseline)
    found = [baseline.with_live(line, "scripted:x", Counts(passes, trials)) for line in lines.values()]
    baseline.write(suite.baseline, found)
    return suite


async def asked(suite: Suite, model: Any, folder: Path, **more: Any) -> SuiteResult:
    progress = more.pop("progress", None) or Progress.begin(folder / "progress", ABOUT)
    return await live(replace(stage_of(), models=[model]), suite, progress, beside=1, **more)


async def test_three_trials_are_enough_where_all_pass(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL))
    result = await asked(suite, Sometimes(), tmp_path)
    assert (result.verdict, len(result.scenarios[0].trials)) == ("green", 3)
    assert result.usd == pytest.approx(0.03)


async def test_one_failure_asks_for_more_and_is_not_red(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL))
    result = await asked(suite, Sometimes(lambda run: run == 2), tmp_path)
    assert (result.verdict, len(result.scenarios[0].trials)) == ("green", 8)
    assert "7 of 8 passed" in result.scenarios[0].why


async def test_a_broken_scenario_is_red_and_says_against_what(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL))
    result = await asked(suite, Sometimes(lambda run: True), tmp_path)
    assert result.verdict == "red"
    assert "0 of 8 passed, 20 of 20 before" in result.reasons[0]
    assert "said: expected 'hello'" in result.scenarios[0].why


async def test_a_must_that_fails_once_is_red(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL | {"must": True}))
    result = await asked(suite, Sometimes(lambda run: run == 1), tmp_path)
    assert result.verdict == "red"
    assert "it must never fail" in result.reasons[0]


async def test_a_provider_that_is_down_is_no_regression_and_no_pass(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL))
    down = Sometimes(lambda _: True, ModelUnavailable("down", why="503", charged=False))
    result = await asked(suite, down, tmp_path)
    assert result.verdict == "inconclusive"
    assert {trial.outcome for trial in result.scenarios[0].trials} == {"infra"}


async def test_the_cap_holds_and_the_eval_goes_on_where_it_stopped(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL, LARGE))
    folder = tmp_path / "progress"
    progress = Progress.begin(folder, ABOUT)
    model = Sometimes()
    # A run's own budget is half a dollar, so that is what each trial reserves.
    short = await asked(suite, model, tmp_path, progress=progress, cap_usd=0.53)
    assert (short.verdict, short.resume) == ("inconclusive", progress.token)
    assert short.usd <= 0.53
    made = sum(len(one.trials) for one in short.scenarios)
    assert 0 < made < 6
    again = Progress.resume(folder, progress.token, ABOUT)
    rest = await asked(suite, model, tmp_path, progress=again)
    assert rest.verdict == "green"
    assert sum(len(one.trials) for one in rest.scenarios) == 6
    assert model.runs == 6, "nothing was asked twice"


async def test_without_a_baseline_failures_prove_nothing(tmp_path: Path) -> None:
    result = await asked(await accepted(tmp_path, SMALL), Sometimes(lambda run: run == 1), tmp_path)
    assert result.verdict == "inconclusive"


@pytest.mark.parametrize(("text", "outcome"), [("it says hello", "pass"), ("cold", "fail")])
async def test_a_rubric_is_judged_by_a_model(tmp_path: Path, text: str, outcome: str) -> None:
    rubric = SMALL | {"expect": {"world": {"added": {"payments": 1}}, "rubric": "It is friendly."}}
    suite = known(await accepted(tmp_path, rubric))
    result = await asked(suite, Sometimes(lambda _: text == "cold"), tmp_path)
    assert {trial.outcome for trial in result.scenarios[0].trials} == {outcome}


def test_half_a_line_after_a_kill_never_counted(tmp_path: Path) -> None:
    progress = Progress.begin(tmp_path, ABOUT)
    progress.add(Trial("a", "pass"))
    path = tmp_path / f"{progress.token}.jsonl"
    with path.open("a") as file:
        file.write('{"scenario": "b", "outc')
    again = Progress.resume(tmp_path, progress.token, ABOUT)
    assert list(again.trials) == ["a"]
    again.add(Trial("b", "fail"))
    assert list(Progress.resume(tmp_path, progress.token, ABOUT).trials) == ["a", "b"]


def test_an_eval_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    progress = Progress.begin(tmp_path, ABOUT)
    with pytest.raises(UsageError, match="was of something else"):
        Progress.resume(tmp_path, progress.token, {"lane": "replay"})
    with pytest.raises(UsageError, match="no eval"):
        Progress.resume(tmp_path, "../../etc/passwd", ABOUT)


async def test_the_report_says_what_its_trials_can_tell(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL), 19, 20)
    result = await asked(suite, Sometimes(lambda run: run == 2), tmp_path)
    why = result.scenarios[0].why
    assert "7 of 8 passed, 19 of 20 before" in why
    assert "95 % interval 53% to 98%, pass^3 62%" in why
    drop = smallest_drop(Counts(19, 20), 8, p=RED)
    assert f"a fall of {drop:.0%} would have been seen" in why, "from what the baseline's trials showed"


async def test_where_nothing_is_compared_no_fall_would_have_been_seen(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL), 5, 5)
    result = await asked(suite, Sometimes(), tmp_path)
    assert result.verdict == "green"
    assert "would have been seen" not in result.scenarios[0].why


async def test_a_must_that_never_failed_says_how_often_it_still_may(tmp_path: Path) -> None:
    suite = known(await accepted(tmp_path, SMALL | {"must": True}))
    result = await asked(suite, Sometimes(), tmp_path)
    assert "it may still fail in up to 63% of its runs" in result.scenarios[0].why


@pytest.mark.parametrize(("cap", "verdict"), [(0.52, "green"), (0.50, "inconclusive")])
async def test_the_judge_is_paid_from_under_the_cap(tmp_path: Path, cap: float, verdict: str) -> None:
    rubric = SMALL | {"expect": {"world": {"added": {"payments": 1}}, "rubric": "It is friendly."}}
    suite = known(await accepted(tmp_path, rubric))
    result = await asked(suite, Sometimes(), tmp_path, judge_model=Sometimes(), cap_usd=cap + 0.04)
    assert result.usd <= cap + 0.04
    assert {trial.usage["usd"] for trial in result.scenarios[0].trials if trial.outcome == "pass"} <= {0.02}


@pytest.mark.parametrize(
    ("error", "usd"),
    [
        (ModelUnavailable("down", why="503", charged=False), 0.01),
        (ModelUnavailable("cut off", why="reset", charged=True), 0.02),
        (RuntimeError("a bug of the judge's"), 0.02),
    ],
    ids=["free", "charged", "broken"],
)
async def test_a_judge_that_breaks_scores_nothing_and_what_it_may_have_cost_counts(
    tmp_path: Path, error: Exception, usd: float
) -> None:
    class Breaks(Sometimes):
        async def request(self, request: ModelRequest) -> ModelAnswer:
            raise error

    rubric = SMALL | {"expect": {"world": {"added": {"payments": 1}}, "rubric": "It is friendly."}}
    suite = known(await accepted(tmp_path, rubric))
    result = await asked(suite, Sometimes(), tmp_path, judge_model=Breaks())
    assert result.verdict == "inconclusive"
    trials = result.scenarios[0].trials
    assert {(trial.outcome, trial.usage["usd"]) for trial in trials} == {("unscored", usd)}
