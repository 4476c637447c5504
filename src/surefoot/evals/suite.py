"""A suite: a folder of scenarios with their recordings and the baseline, read and linted as a whole.

    scenarios/
      refund-of-a-lamp.yaml         one scenario each
      recordings/refund-of-a-lamp.json
      baseline.jsonl                what was accepted, one line for each scenario

What looks like a check and could never fail, or never pass, is a mistake in the suite: it is said when the
suite is read, before anything runs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ..core.schema import lines_of
from ..core.step import Review
from ..core.workflow import Definition
from ..errors import InvalidInput, SurefootError, UsageError
from .recording import Recording
from .results import Failure
from .scenario import Calls, Kill, ModelFault, Scenario, read
from .world import WorldFactory, state_type

RECORDINGS = "recordings"
BASELINE = "baseline.jsonl"


@dataclass(frozen=True)
class Suite:
    """`world` None: the scenarios have none, and tools answer from their recordings."""

    folder: Path
    scenarios: tuple[Scenario, ...]
    world: WorldFactory | None = None

    @cached_property
    def recordings(self) -> Mapping[str, Recording]:
        """By scenario. Raises InvalidInput for a file that is none."""
        folder = self.folder / RECORDINGS
        return {path.stem: Recording.read(path) for path in sorted(folder.glob("*.json"))}

    @property
    def baseline(self) -> Path:
        return self.folder / BASELINE

    def recording_of(self, scenario: str) -> Path:
        return self.folder / RECORDINGS / f"{scenario}.json"

    def only(self, wanted: Sequence[str]) -> Suite:
        """Scenarios by id or tag. Raises UsageError for a name that none has."""
        if not wanted:
            return self
        for name in wanted:
            if not any(name == one.id or name in one.tags for one in self.scenarios):
                raise UsageError(
                    f"no scenario is named or tagged {name!r}",
                    why=f"there are {len(self.scenarios)} in {self.folder}",
                    remedy="`surefoot eval --list` shows them.",
                )
        kept = [one for one in self.scenarios if one.id in wanted or set(one.tags) & set(wanted)]
        return Suite(self.folder, tuple(kept), self.world)


def load(folder: Path, world: WorldFactory | None = None) -> Suite:
    """Every *.yaml of the folder. Raises InvalidInput with everything that is wrong."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise UsageError(
            f"there are no scenarios in {folder}",
            why="no file there ends in .yaml",
            remedy='Write one, or name the folder: scenarios = "..." in [tool.surefoot] of pyproject.toml.',
        )
    scenarios, complaints = [], []
    for path in paths:
        try:
            scenario = read(path)
        except SurefootError as error:
            complaints.append(str(error))
            continue
        scenarios.append(scenario)
        complaints += [f"{path.name}: {line}" for line in lint(scenario, world)]
    if complaints:
        raise InvalidInput(
            f"the scenarios of {folder} have mistakes: {len(complaints)}",
            why="\n".join(complaints),
            remedy="Mend them; `surefoot eval --schema` prints the format.",
            errors=complaints,
        )
    doubled = [name for name, times in Counter(one.id for one in scenarios).items() if times > 1]
    if doubled:
        raise InvalidInput(
            f"two scenarios are named {doubled[0]!r}",
            why="results and recordings are kept by that name",
            remedy="Give one another id.",
        )
    return Suite(folder, tuple(scenarios), world)


# ── lint ─────────────────────────────────────────────────────────────────────────────────────────


def lint(scenario: Scenario, world: WorldFactory | None) -> Iterator[str]:
    """What is wrong with it whatever the workflow, one line each."""
    yield from _world(scenario, world)
    expect = scenario.expect
    if expect.calls is not None:
        yield from _contradictions(expect.calls)
    if expect.error is not None and expect.status == "succeeded":
        yield "expect: a run that succeeds has no error"
    if expect.output is not None and expect.status != "succeeded":
        yield f"expect: a run that has {expect.status} has no output"
    folded = {text.casefold() for text in expect.not_said}
    for text in expect.said:
        if text.casefold() in folded:
            yield f"expect: {text!r} is to be said and not to be said"
    if expect.model_calls == 0 and scenario.turns:
        yield "expect: no model calls, and there are turns for the model"
    for said in scenario.decisions:
        if said.decide == "edit" and said.tool is None:
            yield "decisions: edit needs to say of which tool"


def _world(scenario: Scenario, world: WorldFactory | None) -> Iterator[str]:
    if scenario.origin == "production":
        if scenario.world or scenario.expect.world is not None:
            yield "world: a scenario made of a production run has none; its tools answer from its recording"
        return
    if world is None:
        if scenario.world or scenario.expect.world is not None:
            yield 'world: the project has no factory for one (world = "module:function" in [tool.surefoot])'
        return
    kind = state_type(world)
    if kind is not None:
        try:
            TypeAdapter(kind).validate_python(scenario.world)
        except ValidationError as error:
            yield from (f"world: {line}" for line in lines_of(error))


def _contradictions(calls: Calls) -> Iterator[str]:
    wanted = {name for name, number in calls.count.items() if number}
    wanted |= {one.tool for one in calls.made} | set(calls.order)
    for name in sorted(wanted & set(calls.forbidden)):
        yield f"expect.calls: {name} is expected and forbidden"
    if calls.only is not None:
        for name in sorted(wanted - set(calls.only)):
            yield f"expect.calls: {name} is expected and is not among only"


# ── against the workflow ─────────────────────────────────────────────────────────────────────────


def strangers(scenario: Scenario, workflow: Definition) -> Iterator[Failure]:
    """What it names and the workflow does not have (any more): an expectation that nothing can meet. That is
    the workflow's regression as likely as the scenario's mistake, so it fails the scenario."""
    try:
        workflow.plan.input.adapter.validate_json(json.dumps(scenario.input))
    except ValidationError as error:
        for line in lines_of(error):
            yield Failure("input", "an input of the workflow's type", line)
    expect, tools, steps = scenario.expect, workflow.tools, workflow.plan.steps
    for where, name in _tools_named(scenario):
        if name not in tools:
            yield Failure(where, f"a tool {name!r}", f"only {', '.join(tools) or 'none'}", workflow.name)
    for where, name in _steps_named(scenario):
        if name not in steps:
            yield Failure(where, f"a step {name!r}", f"only {', '.join(steps)}", workflow.name)
    for one in expect.calls.made if expect.calls else ():
        tool = tools.get(one.tool)
        properties = tool.input_schema.get("properties") if tool is not None else None
        for name in one.args if isinstance(properties, dict) else ():
            if properties is not None and name.partition(".")[0] not in properties:
                yield Failure(
                    "calls.made", f"an argument {name!r}", f"only {', '.join(properties)}", one.tool
                )
    for name, how in expect.steps.items():
        own = None if name not in steps else steps[name].step.fallback
        if name in steps and how == "fallback" and (own is None or isinstance(own, Review)):
            yield Failure("steps", "a fallback of its own", "none", name)
    asks = workflow.rules or any(tool.untrusted for tool in tools.values())
    if expect.asked is not None and expect.asked.approvals and not asks:
        yield Failure("asked.approvals", "a rule that asks", "none", workflow.name)


def _tools_named(scenario: Scenario) -> Iterator[tuple[str, str]]:
    calls = scenario.expect.calls
    if calls is not None:
        for where, names in (
            ("calls.count", calls.count),
            ("calls.order", calls.order),
            ("calls.forbidden", calls.forbidden),
            ("calls.only", calls.only or ()),
            ("calls.made", [one.tool for one in calls.made]),
            ("calls.refused", calls.refused),
        ):
            yield from ((where, name) for name in names)
    for fault in scenario.faults:
        if not isinstance(fault, Kill) and fault.tool:
            yield "faults", fault.tool
    yield from (("decisions", one.tool) for one in scenario.decisions if one.tool)


def _steps_named(scenario: Scenario) -> Iterator[tuple[str, str]]:
    yield from (("steps", name) for name in scenario.expect.steps)
    yield from (("turns", name) for name in scenario.turns)
    yield from (("faults", one.step) for one in scenario.faults if isinstance(one, ModelFault))
    yield from (("decisions", one.step) for one in scenario.decisions if one.step)
