"""Negative controls: the workflow is broken on purpose, and the suite's own checks have to see it.

Each scenario that passes is played again with a model that does nothing, with each of its effects dropped or
made twice, and with one effect more. A check that cannot tell these from the real thing is no check. The
share that was caught is the suite's own score; what was not caught names the scenario that looks away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from ..core.jsons import Raw, canonical, loads
from ..core.model import Model, ModelAnswer, ModelRequest
from ..core.tool import Call, Effect, Tool
from ..errors import ModelRefused
from ..models.recordings import Stand
from ..orchestrator.runtime import Runtime
from .beside import shared_out
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

    def to_json(self) -> list[str]:
        tool = self.tool
        return [tool.name, tool.parameters.dump(dict(self.arguments)), tool.output.dump(self.result)]

    @classmethod
    def from_json(cls, tools: Mapping[str, Tool[..., Any]], found: Sequence[str]) -> Self:
        name, arguments, result = found
        tool = tools[name]
        return cls(tool, tool.parameters.load(Raw(arguments)), tool.output.load(Raw(result)))


@dataclass(frozen=True)
class Ahead:
    """What several processes have found already, by scenario."""

    made: dict[str, list[Made]] = field(default_factory=dict)
    found: dict[str, list[Control]] = field(default_factory=dict)


def controls_ahead(stage: Stage, suite: Suite, passed: Sequence[str], processes: int) -> Ahead:
    """Tries what `controls` would, in this many processes."""
    ahead = Ahead()
    scenarios = [one for one in suite.scenarios if one.id in passed]
    tools, recordings = stage.workflow.tools, suite.recordings

    async def effects(scenario: Scenario) -> Any:
        made = await _effects_of(stage, scenario, recordings[scenario.id])
        return [scenario.id, [one.to_json() for one in made]]

    async def of_one(scenario: Scenario) -> Any:
        found = await _controls_of(stage, scenario, recordings[scenario.id], ahead.made)
        return [scenario.id, [asdict(one) for one in found]]

    for name, made in shared_out(scenarios, processes, effects):
        ahead.made[name] = [Made.from_json(tools, one) for one in made]
    if len(ahead.made) == len(scenarios):
        for name, found in shared_out(scenarios, processes, of_one):
            ahead.found[name] = [Control(**one) for one in found]
    return ahead


async def controls(
    stage: Stage, suite: Suite, passed: Sequence[str], ahead: Ahead | None = None, *, beside: int = BESIDE
) -> list[Control]:
    """Of the scenarios that `passed`, less what was tried ahead."""
    gate = asyncio.Semaphore(beside)
    recordings = suite.recordings
    scenarios = [one for one in suite.scenarios if one.id in passed]
    ahead = ahead or Ahead()

    async def effects(scenario: Scenario) -> list[Made]:
        async with gate:
            return await _effects_of(stage, scenario, recordings[scenario.id])

    left = [one for one in scenarios if one.id not in ahead.made]
    some = await asyncio.gather(*map(effects, left))
    made = ahead.made | {scenario.id: own for scenario, own in zip(left, some, strict=True)}

    async def of_one(scenario: Scenario) -> list[Control]:
        async with gate:
            return await _controls_of(stage, scenario, recordings[scenario.id], made)

    left = [one for one in scenarios if one.id not in ahead.found]
    tried = await asyncio.gather(*map(of_one, left))
    found = ahead.found | {scenario.id: own for scenario, own in zip(left, tried, strict=True)}
    return [control for scenario in scenarios for control in found[scenario.id]]


async def _controls_of(
    stage: Stage, scenario: Scenario, recording: Recording, made: Mapping[str, Sequence[Made]]
) -> list[Control]:
    """`made` is what every scenario made: whatever others do can be one effect too many here. Without a world
    nothing can be dropped or doubled: then only the do-nothing model is tried."""
    found = [] if scenario.refusal else [await _do_nothing(stage, scenario, recording)]
    own = {str(effect): effect for effect in made[scenario.id]}
    for effect in own.values():
        found.append(await _dropped(stage, scenario, recording, effect))
        if again := await _besides(stage, scenario, recording, effect, "doubled"):
            found.append(again)
    if stage_of(stage, scenario).world is None:
        return found
    others = [one for name in sorted(made) for one in made[name] if str(one) not in own]
    for effect in _by_tool(others):
        if extra := await _besides(stage, scenario, recording, effect, "extra"):
            found.append(extra)
            break
    return found


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
    """Empty where it has no world."""
    made: list[Made] = []
    if stage_of(stage, scenario).world is None:
        return made

    async def watch(tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any], act: Act) -> Any:
        value = await act()
        if tool.effect is not Effect.READ:
            made.append(Made(tool, dict(arguments), value))
        return value

    await try_once(stage, scenario, recording, spoil=watch)
    return made
