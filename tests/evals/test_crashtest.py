"""Crash testing: a workflow that keeps its promises comes through every kill, and one that does not is named."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot import Call, Effect, Run, Workflow, approve, step, tool
from surefoot.errors import UsageError
from surefoot.evals.crashtest import Crashed, crashtest
from surefoot.evals.record import record
from surefoot.evals.suite import load
from surefoot.evals.trial import Stage
from surefoot.evals.world import World
from surefoot.testing import ScriptedModel

from .test_replay import LARGE, SMALL, written
from .test_trial import Ticket, look, read
from .test_trial import world as fleeting

pytestmark = pytest.mark.anyio


class Book:
    """Payments, one a line, in a file: whoever pays twice without a key has two lines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def pay(self, key: str, amount: int) -> str:
        if key not in [line["key"] for line in self.lines()]:
            with self.path.open("a") as file:
                file.write(json.dumps({"key": key, "amount": amount}) + "\n")
        return f"paid {amount}"


@asynccontextmanager
async def world(state: dict[str, Any], folder: Path) -> AsyncIterator[World]:
    book = Book(folder / "book")

    @asynccontextmanager
    async def open_book() -> AsyncIterator[Book]:
        yield book

    async def snapshot() -> Any:
        return {"payments": {str(n): {"amount": line["amount"]} for n, line in enumerate(book.lines())}}

    yield World([open_book], snapshot)


@tool(effect=Effect.KEYED, timeout=5)
async def pay(call: Call, amount: int) -> str:
    """Pays."""
    return call.use(Book).pay(call.key, amount)


@tool(effect=Effect.KEYED, timeout=5, name="pay")
async def pay_without_key(call: Call, amount: int) -> str:
    """Says that it has a key, and makes up its own."""
    import os

    return call.use(Book).pay(f"{os.getpid()}", amount)


def stage_of(payment: Any) -> Stage:
    @step
    async def paid(read: str, ticket: Ticket, run: Run) -> str:
        return f"{read}: {await run.call(payment, amount=ticket.amount)}"

    flow = Workflow(
        "till",
        input=Ticket,
        steps=[read, paid],
        tools=[look, payment],
        rules=[approve(payment, when=lambda amount: amount > 10)],
        models=[ScriptedModel({}, name="scripted:x")],
    )
    return Stage(flow, world, [ScriptedModel({}, name="scripted:x")])


async def recorded(folder: Path, stage: Stage, *scenarios: dict[str, Any]) -> None:
    suite = replace(written(folder, *scenarios), world=world)
    for scenario in suite.scenarios:
        recording, trial = await record(stage, scenario)
        assert trial.outcome == "pass", trial
        suite.recording_of(scenario.id).write_text(recording.to_text())


APPROVED = LARGE | {
    "id": "approved",
    "decisions": [{"decide": "approve"}],
    "expect": {"asked": {"approvals": 1}, "world": {"added": {"payments": 1}}},
}


def crashed(folder: Path, stage: Stage) -> dict[str, Crashed]:
    return {one.scenario: one for one in crashtest(stage, load(folder, world))}


@pytest.mark.parametrize(
    "scenario", [SMALL, pytest.param(APPROVED, marks=pytest.mark.slow)], ids=["small", "approved"]
)
async def test_every_kill_comes_to_the_same_end(tmp_path: Path, scenario: dict[str, Any]) -> None:
    import asyncio

    stage = stage_of(pay)
    await recorded(tmp_path, stage, scenario)
    found = await asyncio.to_thread(crashed, tmp_path, stage)
    for one in found.values():
        assert one.wrong == []
        assert one.commits > 5
        # What is done side by side may share a commit, so that the last ones may not come again.
        assert one.kills >= 2 * one.commits - 4, "before and after each commit"


async def test_a_tool_that_lies_about_its_key_is_found_with_commit_and_effect(tmp_path: Path) -> None:
    import asyncio

    await recorded(tmp_path, stage_of(pay_without_key), SMALL)
    one = (await asyncio.to_thread(crashed, tmp_path, stage_of(pay_without_key)))["small"]
    assert one.wrong
    wrong = one.wrong[0]
    assert wrong.last == "call.intended paid pay"
    assert any("payments[1] added" in line for line in wrong.what)


async def test_a_world_that_dies_with_its_process_is_refused(tmp_path: Path) -> None:
    await recorded(tmp_path, stage_of(pay), SMALL)
    with pytest.raises(UsageError, match="does not outlive a process"):
        list(crashtest(replace(stage_of(pay), world=fleeting), load(tmp_path, fleeting)))


async def test_scenarios_that_cannot_be_killed_say_why(tmp_path: Path) -> None:
    faulty = SMALL | {"id": "faulty", "faults": [{"tool": "pay", "does": "busy"}]}
    stage = stage_of(pay)
    await recorded(tmp_path, stage, faulty)
    (one,) = crashtest(stage, load(tmp_path, world))
    assert one.skipped == "it has faults of its own"


outside: list[Book] = []
"""What a step should not know: the other side, without a tool in between."""


@asynccontextmanager
async def leaky_world(state: dict[str, Any], folder: Path) -> AsyncIterator[World]:
    outside[:] = [Book(folder / "book")]
    async with world(state, folder) as own:
        yield own


async def test_a_step_that_acts_by_itself_is_found_with_the_commit_after_its_act(tmp_path: Path) -> None:
    import asyncio

    @step
    async def paid(read: str, ticket: Ticket, run: Run) -> str:
        (book,) = outside
        return f"{read}: {book.pay(f'payment {len(book.lines()) + 1}', ticket.amount)}"

    model = ScriptedModel({}, name="scripted:x")
    flow = Workflow("till", input=Ticket, steps=[read, paid], tools=[look], models=[model])
    stage = Stage(flow, leaky_world, [model])
    leaks = SMALL | {"expect": {"status": "succeeded", "world": {"added": {"payments": 1}}}}
    suite = replace(written(tmp_path, leaks), world=leaky_world)
    recording, trial = await record(stage, suite.scenarios[0])
    assert trial.outcome == "pass", "every check of the undisturbed run is content"
    suite.recording_of("small").write_text(recording.to_text())
    (one,) = await asyncio.to_thread(lambda: list(crashtest(stage, load(tmp_path, leaky_world))))
    assert [wrong.moment for wrong in one.wrong] == ["before"]
    assert any("payments[1] added" in line for line in one.wrong[0].what)
    assert one.wrong[0].last.endswith("read"), "the last thing on disk is the step before it"


@pytest.mark.slow
async def test_one_process_or_three_find_the_same(tmp_path: Path) -> None:
    import asyncio

    stage = stage_of(pay_without_key)
    await recorded(tmp_path, stage, SMALL)
    heard: list[tuple[str, int, str]] = []

    def found(beside: int) -> list[Crashed]:
        told = crashtest(stage, load(tmp_path, world), beside=beside, heard=lambda *one: heard.append(one))
        return list(told)

    alone = await asyncio.to_thread(found, 1)
    times = len(heard)
    assert await asyncio.to_thread(found, 3) == alone
    assert sorted(heard[times:]) == sorted(heard[:times])
    assert times == 2 * alone[0].commits
