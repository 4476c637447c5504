"""Faults at the first, a later and every call or request, and kills while people decide: no effect twice, none
lost that was reported."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import Budget, Call, Effect, Retry, Run, Workflow, step, tool
from surefoot.evals.replay import scored
from surefoot.evals.scenario import Scenario
from surefoot.evals.trial import Stage, play
from surefoot.testing import Say, ScriptedModel, UseTools

from .test_trial import SCRIPT as TILL_SCRIPT
from .test_trial import STAGE, Ticket, Till, look, world

pytestmark = pytest.mark.anyio

EVER = 99


class Seen(BaseModel):
    what: str


@tool(effect=Effect.KEYED, timeout=5)
async def pay(call: Call, amount: int) -> str:
    """Pays."""
    return call.use(Till).pay(call.key, amount)


@step(retry=Retry(3, base=10))
async def read(ticket: Ticket, run: Run) -> Seen:
    return await run.ask(Seen, "Read it", {"ticket": ticket}, tools=[look])


@step(retry=Retry(3, base=10))
async def paid(read: Seen, run: Run) -> int:
    for amount in (1, 2, 3):
        await run.call(pay, amount=amount)
    return 6


def thrice(budget: Budget) -> Any:
    return Workflow(
        "thrice",
        input=Ticket,
        steps=[read, paid],
        tools=[look, pay],
        budget=budget,
        models=["scripted:x"],
    )


THRICE = Stage(thrice(Budget()), world)
SCRIPT: dict[str, Any] = {"read": [UseTools([("look", {})]), *[Say({"what": "a lamp"})] * 5]}


async def played(*faults: dict[str, Any]) -> Any:
    scenario = Scenario.model_validate(
        {"id": "one", "input": {}, "faults": list(faults), "expect": {"status": "succeeded"}}
    )
    return await play(THRICE, scenario, [ScriptedModel(SCRIPT)])


def payments(found: Any) -> list[int]:
    return [row["amount"] for row in found.after["payments"].values()]


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("does", ["timeout", "error", "lost", "busy"])
async def test_a_tool_that_goes_wrong_at_one_call_is_tried_again(does: str, at: int) -> None:
    found = await played({"tool": "pay", "does": does, "at": at})
    assert (found.status, payments(found)) == ("succeeded", [1, 2, 3])


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_no_at_one_call_ends_the_step_with_what_was_done_before_it(at: int) -> None:
    found = await played({"tool": "pay", "does": "refuse", "at": at})
    assert (found.status, found.error["code"]) == ("failed", "not_done")
    assert payments(found) == [1, 2, 3][: at - 1]


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_garbage_for_an_answer_ends_the_step_with_the_effect_that_was_made(at: int) -> None:
    found = await played({"tool": "pay", "does": "garbage", "at": at})
    assert found.status == "failed"
    assert payments(found) == [1, 2, 3][:at]


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    ("does", "made"), [("timeout", 0), ("error", 0), ("busy", 0), ("refuse", 0), ("lost", 1), ("garbage", 1)]
)
async def test_a_tool_that_never_works_again_ends_the_run_and_pays_nothing_twice(
    does: str, made: int, at: int
) -> None:
    found = await played({"tool": "pay", "does": does, "at": at, "times": EVER})
    assert found.status in ("failed", "waiting"), "never as if it had been done"
    assert payments(found) == [1, 2, 3][: at - 1 + made]


@pytest.mark.parametrize("does", ["timeout", "error", "lost", "busy"])
async def test_a_look_that_goes_wrong_is_looked_again(does: str) -> None:
    found = await played({"tool": "look", "does": does})
    assert (found.status, payments(found)) == ("succeeded", [1, 2, 3])


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("does", ["unavailable", "rate_limited", "cut_off", "silent", "garbage", "truncated"])
async def test_a_provider_that_goes_wrong_at_one_request_is_asked_again(does: str, at: int) -> None:
    found = await played({"step": "read", "does": does, "at": at})
    assert (found.status, payments(found)) == ("succeeded", [1, 2, 3])


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("unavailable", "model_unavailable"),
        ("rate_limited", "model_unavailable"),
        ("cut_off", "model_unavailable"),
        ("silent", "model_unavailable"),
        ("refused", "model_refused"),
        ("garbage", "output_invalid"),
        ("truncated", "output_truncated"),
    ],
)
async def test_a_provider_that_never_works_again_ends_the_run_before_any_effect(
    does: str, code: str, at: int
) -> None:
    found = await played({"step": "read", "does": does, "at": at, "times": EVER})
    assert (found.status, found.error["code"], payments(found)) == ("failed", code, [])


async def test_invalid_arguments_once_go_back_to_the_model_and_ever_end_the_run() -> None:
    once = await played({"step": "read", "does": "invalid_arguments", "tool": "look"})
    assert (once.status, payments(once)) == ("succeeded", [1, 2, 3])
    ever = await played({"step": "read", "does": "invalid_arguments", "tool": "look", "times": EVER})
    assert (ever.status, ever.error["code"], payments(ever)) == ("failed", "turns_exhausted", [])


async def test_faults_of_tools_and_models_at_once() -> None:
    found = await played(
        {"step": "read", "does": "rate_limited"},
        {"tool": "look", "does": "timeout"},
        {"tool": "pay", "does": "lost", "at": 2},
        {"tool": "pay", "does": "busy", "at": 4},
    )
    assert (found.status, payments(found)) == ("succeeded", [1, 2, 3])


# ── kills while people decide ──

DECISIONS: dict[str, dict[str, Any]] = {
    "approve": {"decide": "approve"},
    "twice": {"decide": "approve", "again": True},
    "edit": {"decide": "edit", "args": {"amount": 7}},
    "deny": {"decide": "deny", "reason": "too much"},
    "late": {"decide": "approve", "after": 100_000},
}


async def decided(decision: str, *kills: dict[str, Any]) -> Any:
    scenario = Scenario.model_validate(
        {
            "id": "one",
            "input": {"amount": 50},
            "decisions": [DECISIONS[decision]],
            "faults": list(kills),
            "expect": {"status": "succeeded"},
        }
    )
    return await play(STAGE, scenario, [ScriptedModel(TILL_SCRIPT)])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("decision", list(DECISIONS))
async def test_killed_at_any_commit_what_people_said_counts_once(decision: str, when: str) -> None:
    calm = await decided(decision)
    for commit in range(1, 15):
        found = await decided(decision, {"kill": when, "commit": commit})
        shown = (found.status, found.output, found.after)
        assert shown == (calm.status, calm.output, calm.after), f"killed {when} commit {commit}"


@pytest.mark.parametrize("decision", ["approve", "edit"])
async def test_killed_twice_around_a_decision(decision: str) -> None:
    calm = await decided(decision)
    for first in (6, 8, 9):
        kills: list[dict[str, Any]] = [
            {"kill": "before", "commit": first},
            {"kill": "after", "commit": first + 2},
        ]
        found = await decided(decision, *kills)
        assert (found.status, found.output, found.after) == (calm.status, calm.output, calm.after), kills


async def test_a_kill_that_the_scenario_asks_for_is_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await decided("approve", {"kill": "before", "commit": 5}, {"kill": "after", "commit": 8})
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_silent_model_costs_the_time_of_its_request_and_no_more() -> None:
    found = await played({"step": "read", "does": "silent"})
    assert found.status == "succeeded"
    asks = [ask for ask in found.state.asks.values() if ask.error is not None]
    assert ["did not answer within 60 s" in ask.error["what"] for ask in asks] == [True]
    assert 60 <= found.state.usage.to_json()["seconds"] < 75


@pytest.mark.parametrize(("most", "outcome"), [(75, "pass"), (59, "fail")])
async def test_a_run_that_takes_longer_than_it_may_fails_its_scenario(most: float, outcome: str) -> None:
    silent, free = {"step": "read", "does": "silent"}, {"may_change": ["payments"]}
    scenario = Scenario.model_validate(
        {"id": "one", "input": {}, "faults": [silent], "expect": {"seconds": most, "world": free}}
    )
    trial = scored(scenario, await play(THRICE, scenario, [ScriptedModel(SCRIPT)]), None, took=0.0)
    assert trial.outcome == outcome
    if outcome == "fail":
        assert "seconds: expected at most 59, got 6" in str(trial.failures[0])


async def test_a_scenario_that_nears_its_budget_warns_nobody(caplog: pytest.LogCaptureFixture) -> None:
    scarce = replace(THRICE, workflow=thrice(Budget(tool_calls=5)))
    scenario = Scenario.model_validate({"id": "one", "input": {}, "expect": {"status": "succeeded"}})
    with caplog.at_level(logging.WARNING, "surefoot"):
        await play(scarce, scenario, [ScriptedModel(SCRIPT)])
    assert caplog.messages == []
    logging.getLogger("surefoot.budget").warning("%s (till): 80 %% of the budget", "r1234")
    assert caplog.messages == ["r1234 (till): 80 % of the budget"], "of a real run it is said"
