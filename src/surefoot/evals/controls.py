"""Negative controls: the workflow is broken on purpose, and the suite's own checks have to see it.

Each scenario that passes is played again with a model that does nothing, with each of its effects dropped or
made twice, and with one effect more. A check that cannot tell these from the real thing is no check. The
share that was caught is the suite's own score; what was not caught names the scenario that looks away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..core.jsons import canonical, loads
from ..core.model import Model, ModelAnswer, ModelRequest
from ..core.tool import Call, Effect, Tool
from ..errors import ModelRefused
from ..models.recordings import Stand
from ..orchestrator.runtime import Runtime
from .faults import Act
from .recording import Recording
from .replay import BESIDE, scored, try_once
from .results import Control, SuiteResult
from .scenario import Scenario
from .suite import Suite
from .trial import Broken, Stage, play, stage_of
from .world import World

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """An effect that a scenario makes when it is left alone."""

    tool: Tool[..., Any]
    arguments: Mapping[str, Any]
    result: Any

    def __str__(self) -> str:
        return f"{self.tool.name}({canonical(loads(self.tool.parameters.dump(dict(self.arguments))))})"


async def controls(
    stage: Stage, suite: Suite, passed: Sequence[str], *, beside: int = BESIDE
) -> list[Control]:
    """Of the scenarios that `passed`. Without a world nothing can be dropped or doubled: then only the
    do-nothing model is tried."""
    gate = asyncio.Semaphore(beside)
    recordings = suite.recordings
    scenarios = [one for one in suite.scenarios if one.id in passed]

    async def effects(scenario: Scenario) -> list[Made]:
        if stage_of(stage, scenario).world is None:
            return []
        async with gate:
            return await _effects_of(stage, scenario, recordings[scenario.id])

    made = await asyncio.gather(*(effects(one) for one in scenarios)) if stage.world is not None else []
    pool = [effect for effects_of_one in made for effect in effects_of_one]

    async def of_one(scenario: Scenario, own: Sequence[Made]) -> list[Control]:
        async with gate:
            recording = recordings[scenario.id]
            found = [] if scenario.refusal else [await _do_nothing(stage, scenario, recording)]
            for effect in {str(effect): effect for effect in own}.values():
                found.append(await _dropped(stage, scenario, recording, effect))
                if again := await _besides(stage, scenario, recording, effect, "doubled"):
                    found.append(again)
            if stage_of(stage, scenario).world is None:
                return found
            mine = {str(effect) for effect in own}
            for effect in _by_tool([one for one in pool if str(one) not in mine]):
                if extra := await _besides(stage, scenario, recording, effect, "extra"):
                    found.append(extra)
                    break
            return found

    nothing: list[list[Made]] = [[] for _ in scenarios]
    pairs = zip(scenarios, made or nothing, strict=True)
    return [control for some in await asyncio.gather(*(of_one(*pair) for pair in pairs)) for control in some]


def with_controls(result: SuiteResult, found: Sequence[Control]) -> SuiteResult:
    """A scenario that a model passes which does nothing checks nothing: that is red. What else was not caught
    lowers the suite's score."""
    idle = [
        f"{one.scenario}: a model that does nothing passes it; let it expect more, or say refusal: true"
        for one in found
        if one.kind == "do_nothing" and not one.caught
    ]
    if not idle:
        return replace(result, controls=found)
    reasons = [*result.reasons, *idle] if result.verdict == "red" else idle
    return replace(result, controls=found, verdict="red", reasons=reasons)


# ── the four ways ────────────────────────────────────────────────────────────────────────────────


class DoesNothing(Stand):
    """A model that declines everything."""

    async def request(self, request: ModelRequest) -> ModelAnswer:
        raise ModelRefused(f"{self.name} does nothing", why="a negative control")


async def _do_nothing(stage: Stage, scenario: Scenario, recording: Recording) -> Control:
    models: list[Model] = [DoesNothing(model) for model in stage.models]
    caught = True
    try:
        tools = recording.tools if stage_of(stage, scenario).world is None else None
        played = await play(stage, scenario, models, tools=tools)
    except Broken:
        pass  # it did not even come to an end, which no check would call a pass
    else:
        caught = scored(scenario, played, None, took=0.0).outcome != "pass"
    return Control("do_nothing", scenario.id, "a model that declines everything", caught)


async def _dropped(stage: Stage, scenario: Scenario, recording: Recording, effect: Made) -> Control:
    async def drop(tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any], act: Act) -> Any:
        # Every try at it: a workflow that tries again after a lost answer would make up for one.
        if str(Made(tool, dict(arguments), None)) == str(effect):
            return effect.result
        return await act()

    trial = await try_once(stage, scenario, recording, spoil=drop)
    return Control("dropped", scenario.id, f"{effect} was not made", trial.outcome == "fail")


async def _besides(
    stage: Stage,
    scenario: Scenario,
    recording: Recording,
    effect: Made,
    kind: Literal["doubled", "extra"],
) -> Control | None:
    """The effect is made after the run, once more than it should be. None where the world stays as it is: it
    refuses, or deduplicates, and there is nothing for the checks to see."""
    changed = False

    async def encore(runtime: Runtime, world: World | None) -> None:
        nonlocal changed
        assert world is not None
        call = Call(
            tool=effect.tool.name,
            key="a-negative-control",
            run="r0",
            step="",
            attempt=1,
            deadline=2**62,
            arguments=effect.arguments,
            resources=runtime.deployment.resources.of(effect.tool),
        )
        before = canonical(await world.snapshot())  # now: it may be the living thing itself
        await _do(effect.tool, call, effect.arguments)
        changed = before != canonical(await world.snapshot())

    trial = await try_once(stage, scenario, recording, encore=encore)
    if not changed:
        return None
    what = f"{effect} was made twice" if kind == "doubled" else f"{effect} besides"
    return Control(kind, scenario.id, what, trial.outcome == "fail")


def _by_tool(effects: Sequence[Made]) -> list[Made]:
    """One of each tool: enough to find one that this world lets pass."""
    return list({effect.tool.name: effect for effect in effects}.values())


async def _do(tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any]) -> None:
    try:
        value = tool.invoke(call, arguments)
        if asyncio.iscoroutine(value):
            await value
    except Exception as refused:  # noqa: BLE001  a world that defends itself is not for the checks to catch
        _log.debug("a negative control was refused by the world: %s", refused)


async def _effects_of(stage: Stage, scenario: Scenario, recording: Recording) -> list[Made]:
    made: list[Made] = []

    async def watch(tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any], act: Act) -> Any:
        value = await act()
        if tool.effect is not Effect.READ:
            made.append(Made(tool, dict(arguments), value))
        return value

    await try_once(stage, scenario, recording, spoil=watch)
    return made
