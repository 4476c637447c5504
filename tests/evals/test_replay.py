"""The replay lane: green when nothing changed, red when something did, inconclusive when nobody can know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from surefoot import Run, Tool, Workflow, approve, step
from surefoot.evals import baseline
from surefoot.evals.record import record
from surefoot.evals.replay import replay
from surefoot.evals.results import SuiteResult
from surefoot.evals.suite import Suite, load
from surefoot.evals.trial import Broken, Stage
from surefoot.testing import ScriptedModel

from .test_trial import STAGE, Ticket, flow, look, pay, world

pytestmark = pytest.mark.anyio

TURNS = {"read": [{"use": [["look", {}]]}, {"say": "it says hello"}]}
SMALL: dict[str, Any] = {
    "id": "small",
    "input": {"amount": 5},
    "turns": TURNS,
    "expect": {
        "status": "succeeded",
        "calls": {"count": {"pay": 1}},
        "world": {"added": {"payments": 1}},
        "said": ["hello"],
    },
}
LARGE: dict[str, Any] = {
    "id": "large",
    "must": True,
    "input": {"amount": 50},
    "turns": TURNS,
    "decisions": [{"decide": "deny", "reason": "no"}],
    "expect": {"asked": {"approvals": 1}, "calls": {"forbidden": ["pay"]}},
}


def stage_of(workflow: Workflow = flow) -> Stage:
    return replace(STAGE, workflow=workflow, models=[ScriptedModel({}, name="scripted:x")])


def changed_flow(**more: Any) -> Workflow:
    given: dict[str, Any] = {
        "input": Ticket,
        "steps": [step.step for step in flow.plan.steps.values()],
        "tools": list(flow.tools.values()),
        "rules": list(flow.rules),
        "models": list(flow.models),
        "budget": flow.budget,
    }
    return Workflow("till", **(given | more))


def written(folder: Path, *scenarios: dict[str, Any]) -> Suite:
    (folder / "recordings").mkdir(parents=True, exist_ok=True)
    for one in scenarios or (SMALL, LARGE):
        (folder / f"{one['id']}.yaml").write_text(yaml.safe_dump(one))
    return load(folder, world)


async def accepted(folder: Path, *scenarios: dict[str, Any]) -> Suite:
    suite = written(folder, *scenarios)
    lines = []
    for scenario in suite.scenarios:
        recording, trial = await record(stage_of(), scenario)
        assert trial.outcome == "pass", trial
        suite.recording_of(scenario.id).write_text(recording.to_text())
        lines.append(baseline.line_of(scenario, trial, reason="first", before=None))
    baseline.write(suite.baseline, lines)
    return load(folder, world)


async def replayed(suite: Suite, workflow: Workflow = flow) -> SuiteResult:
    return await replay(stage_of(workflow), suite)


async def test_an_unchanged_suite_is_green_and_its_traces_are_the_same_every_time(tmp_path: Path) -> None:
    suite = await accepted(tmp_path)
    first, *others = [await replayed(suite) for _ in range(3)]
    for other in others:
        assert (other.verdict, other.reasons) == (first.verdict, first.reasons) == ("green", [])
        for one, again in zip(first.scenarios, other.scenarios, strict=True):
            assert list(one.trials[0].trace) == list(again.trials[0].trace)


async def test_without_an_approval_rule_it_is_red_and_says_where(tmp_path: Path) -> None:
    result = await replayed(await accepted(tmp_path), changed_flow(rules=[]))
    assert result.verdict == "red"
    assert any("large" in why and "asked.approvals" in why for why in result.reasons)


async def test_a_renamed_tool_is_red(tmp_path: Path) -> None:
    renamed: Tool[..., Any] = replace(pay, name="payout")

    @step
    async def paid(read: str, ticket: Ticket, run: Run) -> str:
        return f"{read}: {await run.call(renamed, amount=ticket.amount)}"

    steps = [flow.plan.steps["read"].step, paid]
    result = await replayed(
        await accepted(tmp_path), changed_flow(steps=steps, tools=[look, renamed], rules=[])
    )
    assert result.verdict == "red"
    assert "a tool 'pay'" in result.reasons[0]


async def test_an_effect_made_twice_is_red(tmp_path: Path) -> None:
    @step
    async def paid(read: str, ticket: Ticket, run: Run) -> str:
        await run.call(pay, amount=ticket.amount)
        return f"{read}: {await run.call(pay, amount=ticket.amount)}"

    steps = [flow.plan.steps["read"].step, paid]
    result = await replayed(await accepted(tmp_path, SMALL), changed_flow(steps=steps))
    assert result.verdict == "red"
    assert "world.added at payments: expected 1, got 2" in result.reasons[0]


async def test_a_changed_prompt_is_inconclusive_and_names_the_first_difference(tmp_path: Path) -> None:
    @step
    async def read(ticket: Ticket, run: Run) -> str:
        await run.sleep(3600)
        return await run.ask(str, "Read it well", {"ticket": ticket}, tools=[look])

    steps = [read, flow.plan.steps["paid"].step]
    result = await replayed(await accepted(tmp_path), changed_flow(steps=steps))
    assert result.verdict == "inconclusive"
    small = next(one for one in result.scenarios if one.id == "small")
    assert small.drift == "prompt"
    assert "instructions" in small.why
    assert "Read it well" in small.why


async def test_what_was_done_before_a_step_asked_that_never_asked_is_red(tmp_path: Path) -> None:
    @step
    async def letter(paid: str, run: Run) -> str:
        return await run.ask(str, "Write it", {"paid": paid})

    suite = await accepted(tmp_path, LARGE)
    steps = [one.step for one in flow.plan.steps.values()]
    rules = [approve(pay, when=lambda amount: amount > 1000, by="leads")]
    result = await replay(stage_of(changed_flow(steps=[*steps, letter], rules=rules)), suite)
    assert result.verdict == "red"
    assert "calls.forbidden" in result.scenarios[0].why


async def test_a_changed_tool_schema_is_inconclusive(tmp_path: Path) -> None:
    other: Tool[..., Any] = replace(look, description="Looks at it all.")

    @step
    async def read(ticket: Ticket, run: Run) -> str:
        await run.sleep(3600)
        return await run.ask(str, "Read it", {"ticket": ticket}, tools=[other])

    steps = [read, flow.plan.steps["paid"].step]
    result = await replayed(await accepted(tmp_path, SMALL), changed_flow(steps=steps, tools=[other, pay]))
    assert (result.verdict, result.scenarios[0].drift) == ("inconclusive", "tool_schema")


async def test_a_scenario_that_was_taken_out_or_made_weaker_is_red(tmp_path: Path) -> None:
    await accepted(tmp_path)
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump(SMALL | {"expect": {"world": {"added": {"payments": 1}}}})
    )
    (tmp_path / "large.yaml").unlink()
    result = await replayed(load(tmp_path, world))
    assert result.verdict == "red"
    assert sorted(result.reasons) == ["large: it was removed", "small: what it expects was changed"]


async def test_more_effects_or_tokens_than_were_accepted_are_red(tmp_path: Path) -> None:
    suite = await accepted(tmp_path, SMALL)
    lines = baseline.read(suite.baseline)
    baseline.write(suite.baseline, [replace(lines["small"], tokens=1)])
    result = await replayed(suite)
    assert result.verdict == "red"
    assert "tokens: 1 were accepted" in result.reasons[0]


async def test_what_was_never_recorded_or_accepted_is_inconclusive(tmp_path: Path) -> None:
    result = await replayed(written(tmp_path, SMALL))
    assert result.verdict == "inconclusive"
    suite = await accepted(tmp_path, SMALL)
    suite.baseline.unlink()
    assert (await replayed(suite)).verdict == "inconclusive"


async def test_a_broken_world_is_no_failure_of_the_workflow(tmp_path: Path) -> None:
    suite = await accepted(tmp_path, SMALL)

    def broken(state: Any) -> Any:
        raise OSError("no space left")

    result = await replay(replace(stage_of(), world=broken), suite)
    assert result.verdict == "inconclusive"
    assert result.scenarios[0].trials[0].outcome == "infra"


def test_a_recording_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text(
        json.dumps(
            {
                "format": 1,
                "scenario": "small",
                "origin": "written",
                "turns": [
                    {
                        "step": "read",
                        "key": "0" * 64,
                        "request": {"model": "x"},
                        "answer": {"text": "a", "finish": "stop"},
                    }
                ],
            }
        )
    )
    from surefoot.errors import InvalidInput
    from surefoot.evals.recording import Recording

    with pytest.raises(InvalidInput, match="not the one that its key"):
        Recording.read(path)


async def test_what_other_checks_accepted_is_not_accepted_by_these(tmp_path: Path) -> None:
    suite = await accepted(tmp_path, SMALL)
    old = [replace(line, grader=baseline.GRADER - 1) for line in baseline.read(suite.baseline).values()]
    baseline.write(suite.baseline, old)
    result = await replayed(suite)
    assert (result.verdict, "accepted by other checks" in result.reasons[0]) == ("inconclusive", True)


@pytest.mark.parametrize("turns", [{"read": TURNS["read"][:1]}, {}])
async def test_written_turns_that_end_too_early_are_the_scenarios_mistake(
    tmp_path: Path, turns: dict[str, Any]
) -> None:
    short = SMALL | {"turns": turns, "expect": {"status": "failed"}}
    (scenario,) = written(tmp_path, short).scenarios
    with pytest.raises(Broken, match=f"the script has no turn {len(turns) + 1} for step 'read'"):
        await record(stage_of(), scenario)


async def test_reading_what_was_not_read_before_is_red_and_reading_less_is_not(tmp_path: Path) -> None:
    @step
    async def nosy(read: str, run: Run) -> str:
        await run.call(look)
        return read

    steps = [one.step for one in flow.plan.steps.values()]
    suite = await accepted(tmp_path, SMALL)
    more = await replayed(suite, changed_flow(steps=[*steps[:-1], nosy, steps[-1]]))
    assert (more.verdict, more.scenarios[0].why) == ("red", "reads: look({}) beyond what was accepted")
    lines = list(baseline.read(suite.baseline).values())
    assert lines[0].looks == ["look({})"]
    baseline.write(suite.baseline, [replace(line, looks=["look({})"] * 3) for line in lines])
    assert (await replayed(suite)).verdict == "green"
    baseline.write(suite.baseline, [replace(line, looks=None) for line in lines])
    assert (await replayed(suite)).verdict == "green", "a line from before reads were kept"
