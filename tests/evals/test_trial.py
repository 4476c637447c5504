"""One run of a scenario: faults, kills and decisions happen where it says, and nothing differs the next time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import Call, Denied, Effect, Retry, Run, Workflow, approve, step, tool
from surefoot.evals.scenario import Scenario
from surefoot.evals.trial import Stage, play
from surefoot.evals.world import World
from surefoot.testing import Say, ScriptedModel, UseTools

pytestmark = pytest.mark.anyio


class Ticket(BaseModel):
    text: str = "hello"
    amount: int = 5


class Till:
    """The outside: deduplicates by key."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.owner = state.get("owner", "kim")

    def pay(self, key: str, amount: int) -> str:
        self.payments.setdefault(key, {"amount": amount, "to": self.owner})
        return f"paid {amount} ({key})"


@asynccontextmanager
async def world(state: dict[str, Any]) -> AsyncIterator[World]:
    till = Till(state)

    @asynccontextmanager
    async def open_till() -> AsyncIterator[Till]:
        yield till

    async def snapshot() -> Any:
        return {"payments": till.payments, "owners": {"1": {"name": till.owner}}}

    yield World([open_till], snapshot)


@tool(effect=Effect.READ, timeout=5)
async def look(call: Call) -> str:
    """Looks."""
    return "seen"


@tool(effect=Effect.KEYED, timeout=5)
async def pay(call: Call, amount: int) -> str:
    """Pays."""
    return call.use(Till).pay(call.key, amount)


@step(retry=Retry(3, base=10))
async def read(ticket: Ticket, run: Run) -> str:
    await run.sleep(3600)
    return await run.ask(str, "Read it", {"ticket": ticket}, tools=[look])


@step(retry=Retry(3, base=10))
async def paid(read: str, ticket: Ticket, run: Run) -> str:
    try:
        return f"{read}: {await run.call(pay, amount=ticket.amount)} {run.uuid()}"
    except Denied as no:
        return f"no: {no.reason}"


flow = Workflow(
    "till",
    input=Ticket,
    steps=[read, paid],
    tools=[look, pay],
    rules=[approve(pay, when=lambda amount: amount > 10, by="leads", within=timedelta(days=1))],
    models=["scripted:x"],
)
STAGE = Stage(flow, world)
SCRIPT: dict[str, Any] = {"read": [UseTools([("look", {})]), Say("it says hello")]}


def scenario(**more: Any) -> Scenario:
    return Scenario.model_validate({"id": "one", "input": {}, "expect": {"status": "succeeded"}} | more)


async def played(**more: Any) -> Any:
    return await play(STAGE, scenario(**more), [ScriptedModel(SCRIPT)])


async def test_a_run_waits_no_real_time_and_its_world_shows_what_it_did() -> None:
    found = await played(world={"owner": "bo"})
    assert found.status == "succeeded"
    (change,) = found.changes
    assert (change.table, change.kind, change.cells["to"]) == ("payments", "added", (None, "bo"))


async def test_the_same_scenario_has_the_same_trace_to_the_byte() -> None:
    one, other = await played(), await played()
    assert one.trace == other.trace
    assert one.output == other.output
    assert one.trace != (await played(input={"amount": 6})).trace


@pytest.mark.parametrize("does", ["timeout", "error", "lost", "busy", "garbage"])
async def test_a_tool_that_goes_wrong_once_is_tried_again_and_pays_once(does: str) -> None:
    found = await played(faults=[{"tool": "pay", "does": does}])
    ended = "failed" if does == "garbage" else "succeeded"  # it happened, and nobody can read what it said
    assert found.status == ended
    assert len(found.changes) == 1


async def test_a_tool_that_refuses_is_a_no() -> None:
    found = await played(faults=[{"tool": "pay", "does": "refuse"}])
    assert (found.status, found.error["code"], found.changes) == ("failed", "not_done", [])


@pytest.mark.parametrize("does", ["unavailable", "rate_limited", "cut_off", "truncated"])
async def test_a_provider_that_goes_wrong_once_is_asked_again(does: str) -> None:
    found = await played(faults=[{"step": "read", "does": does}])
    assert found.status == "succeeded"


async def test_invalid_arguments_go_back_to_the_model() -> None:
    found = await played(faults=[{"step": "read", "does": "invalid_arguments", "tool": "look", "times": 9}])
    assert found.status == "failed"
    assert found.error["code"] == "turns_exhausted"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 12))
async def test_killed_at_any_commit_it_pays_once_and_says_the_same(when: str, commit: int) -> None:
    calm = await played()
    found = await played(faults=[{"kill": when, "commit": commit}])
    assert (found.status, found.output, found.after) == (calm.status, calm.output, calm.after)


@pytest.mark.parametrize(
    ("say", "output", "paid"),
    [
        ({"decide": "approve"}, "it says hello: paid 50", 1),
        ({"decide": "approve", "again": True}, "it says hello: paid 50", 1),
        ({"decide": "edit", "args": {"amount": 7}}, "it says hello: paid 7", 1),
        ({"decide": "deny", "reason": "too much"}, "no: too much", 0),
        ({"decide": "ignore"}, "no: ", 0),
        ({"decide": "approve", "after": 100_000}, "no: ", 0),
    ],
    ids=["approve", "twice", "edit", "deny", "ignore", "late"],
)
async def test_people_say_what_the_scenario_says(say: dict[str, Any], output: str, paid: int) -> None:
    found = await played(input={"amount": 50}, decisions=[say])
    assert found.status == "succeeded", found.error
    assert found.output.startswith(output)
    assert len(found.changes) == paid
    if say.get("again"):
        assert found.decisions == ["approve accepted", "approve refused: item_closed"]


async def test_without_a_decision_the_run_is_seen_waiting() -> None:
    found = await played(input={"amount": 50})
    assert (found.status, found.changes) == ("waiting", [])


async def test_a_scenarios_price_stands_for_the_models_own_and_the_budget_knows_it() -> None:
    free, dear = await played(), await played(price={"input": 100, "output": 100})
    assert free.state.usage.to_json()["usd"] in (0, "0", 0.0)
    assert float(dear.state.usage.to_json()["usd"]) > 0
    ruined = await played(price={"input": 1_000_000, "output": 1_000_000})
    assert (ruined.status, ruined.error["code"]) == ("failed", "budget_exceeded")


async def test_a_kill_after_the_end_of_the_run_is_none() -> None:
    calm = await played()
    for commit in range(12, 30):
        found = await played(faults=[{"kill": "before", "commit": commit}])
        assert (found.status, found.after) == (calm.status, calm.after)
