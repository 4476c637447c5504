"""The replay lane: every scenario once, offline, with the model's turns from its recording.

No tolerance: a check that fails is red, and so is an effect or a cost that nobody accepted. What the
recording cannot answer makes a scenario INCONCLUSIVE, never green: nobody knows what the model would have
said.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence

from ..core.jsons import canonical, loads
from ..core.states import CallState
from ..models.recordings import Cassette, RecordedModel
from . import baseline as accepted
from .baseline import Line
from .checks import failures
from .faults import Spoil
from .gate import Verdict
from .progress import Progress
from .recording import Recording, accepted_drift
from .results import Failure, Played, ScenarioResult, SuiteResult, Trial
from .scenario import Scenario
from .suite import Suite, strangers
from .trial import Broken, Encore, Stage, play, stage_of

BESIDE = 8
"""Scenarios that run at the same time in one process: they wait for each other's commits, not for a core."""


async def replay(
    stage: Stage,
    suite: Suite,
    progress: Progress | None = None,
    *,
    whole: bool = True,
    heard: Callable[[ScenarioResult], None] | None = None,
    beside: int = BESIDE,
) -> SuiteResult:
    """`whole` False: some scenarios were left out on purpose, so nothing is said of those that are missing.
    `progress` keeps each trial, and has those of an eval that was cut off; `heard` is told of
    each scenario."""
    began = time.monotonic()
    lines = accepted.read(suite.baseline)
    recordings = suite.recordings
    gate = asyncio.Semaphore(beside)

    async def one(scenario: Scenario) -> ScenarioResult:
        async with gate:
            made = [] if progress is None else progress.trials.get(scenario.id, [])
            trial = made[0] if made else await try_once(stage, scenario, recordings.get(scenario.id))
            if progress is not None and not made:
                progress.add(trial)
        result = judged(scenario, trial, lines.get(scenario.id))
        if heard is not None:
            heard(result)
        return result

    results = await asyncio.gather(*(one(scenario) for scenario in suite.scenarios))
    verdict, reasons = verdict_of(results)
    if whole and (weaker := accepted.weakened(suite.scenarios, lines)):
        verdict, reasons = "red", [*reasons, *weaker]
    return SuiteResult(
        workflow=stage.workflow.name,
        version=stage.workflow.version,
        lane="replay",
        verdict=verdict,
        reasons=reasons,
        scenarios=results,
        usd=sum(float(trial.usage.get("usd", 0)) for result in results for trial in result.trials),
        took=time.monotonic() - began,
        notes=accepted_drift(recordings.get(one.id) for one in suite.scenarios),
    )


async def try_once(
    stage: Stage,
    scenario: Scenario,
    recording: Recording | None,
    *,
    spoil: Spoil | None = None,
    encore: Encore | None = None,
) -> Trial:
    """One trial. Whatever breaks is told apart: the workflow (fail), its surroundings (infra), a check of
    ours (unscored), a recording that does not know what was asked (miss)."""
    began = time.monotonic()
    if unknown := list(strangers(scenario, stage.workflow)):
        return Trial(scenario.id, "fail", unknown)
    if recording is None:
        problem = "it was never recorded: run `surefoot eval --record`"
        return Trial(scenario.id, "miss", problem=problem)
    cassette = Cassette(recording.turns)
    tools = recording.tools if stage_of(stage, scenario).world is None else None
    try:
        models = [RecordedModel(model, cassette) for model in stage.models]
        played = await play(stage, scenario, models, spoil=spoil, tools=tools, encore=encore)
    except Broken as error:
        return Trial(scenario.id, "infra", problem=str(error), took=time.monotonic() - began)
    return scored(scenario, played, cassette, took=time.monotonic() - began)


def scored(scenario: Scenario, played: Played, cassette: Cassette | None, *, took: float) -> Trial:
    problem, found = "", list[Failure]()
    try:
        found = failures(scenario, played)
    except Exception as error:  # noqa: BLE001  a bug in a check says nothing about the workflow
        problem = f"a check broke: {type(error).__name__}: {error}"
    misses = tuple(cassette.misses) if cassette is not None else ()
    left = cassette.left_over if cassette is not None and not misses else []
    # The code around asks with other data, or where it never asked: what it did by then is its own doing.
    by_code = all(miss.drift in ("input", "tool_result") or not miss.nearest for miss in misses)
    outcome: str = "pass"
    if problem:
        outcome = "unscored"
    elif found and by_code:
        outcome = "fail"
    elif misses or left or played.unknown_calls:
        outcome = "miss"
        problem = "; ".join(
            [f"{turn.step}: a recorded turn was not asked for" for turn in left]
            + [f"no recording answers {call}" for call in played.unknown_calls]
        )
    return Trial(
        scenario=scenario.id,
        outcome=outcome,  # type: ignore[arg-type]
        failures=found,
        misses=misses,
        problem=problem,
        status=played.status,
        usage=played.state.usage.to_json(),
        calls=effects(played),
        looks=looks(played),
        digest=hashlib.sha256("\n".join(played.trace).encode()).hexdigest()[:16],
        trace=played.trace,
        took=took,
    )


def effects(played: Played) -> list[str]:
    """What was done to the world, in order, with its arguments."""
    ended = ("returned", "unknown", "given_up")
    return [_said(call) for call in played.state.calls.values() if call.is_effect and call.status in ended]


def looks(played: Played) -> list[str]:
    """What was read, or was to be, in order, with its arguments."""
    return [_said(call) for call in played.state.calls.values() if not call.is_effect]


def _said(call: CallState) -> str:
    return f"{call.tool}({canonical(loads(call.args))})"


def judged(scenario: Scenario, trial: Trial, line: Line | None) -> ScenarioResult:
    verdict: Verdict = "green"
    why = ""
    match trial.outcome:
        case "fail":
            verdict, why = "red", "; ".join(map(str, trial.failures))
        case "miss":
            verdict, why = "inconclusive", _of_misses(trial)
        case "infra" | "unscored":
            verdict, why = "inconclusive", trial.problem
        case "pass":
            if line is None:
                verdict, why = "inconclusive", "it is not in the baseline: accept it with --accept"
            elif line.grader != accepted.GRADER:
                verdict, why = "inconclusive", "it was accepted by other checks: accept it anew with --accept"
            elif otherwise := accepted.changed(line, trial):
                verdict, why = "red", "; ".join(otherwise)
    drift = next((miss.drift for miss in trial.misses if miss.drift), "") or ""
    return ScenarioResult(
        id=scenario.id,
        tags=scenario.tags,
        must=scenario.must,
        verdict=verdict,
        why=why,
        trials=[trial],
        baseline=None
        if line is None
        else {"calls": list(line.calls), "tokens": line.tokens, "usd": line.usd},
        drift=drift,
    )


def _of_misses(trial: Trial) -> str:
    said = []
    for miss in trial.misses:
        if not miss.nearest:
            said.append(f"step {miss.step}: nothing was recorded")
        elif miss.drift is None:
            said.append(f"step {miss.step}: {miss.path}")
        else:
            said.append(
                f"step {miss.step}: {miss.drift} drift, nearest recording {miss.nearest}, first differing at "
                f"{miss.path}: recorded {miss.recorded!r}, asked {miss.asked!r}"
            )
    return "; ".join([*said, trial.problem] if trial.problem else said)


def verdict_of(results: Sequence[ScenarioResult]) -> tuple[Verdict, list[str]]:
    if not results:
        return "red", ["no scenario was run"]
    for verdict in ("red", "inconclusive"):
        if found := [f"{one.id}: {one.why}" for one in results if one.verdict == verdict]:
            return verdict, found
    return "green", []
