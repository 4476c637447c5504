"""What has changed between asking and acting counts: rules, tools, grants, people.

Each time one process asks, a person agrees, and another process with other code is about to act.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from surefoot import (
    Approve,
    Budget,
    Call,
    Deny,
    Edit,
    Effect,
    Result,
    Rule,
    Run,
    Workflow,
    accept,
    approve,
    forbid,
    step,
    tool,
)
from surefoot.errors import NotAllowedToDecide
from surefoot.orchestrator import saying
from surefoot.rails.policy import UNTRUSTED, may_decide

from .rig import Engine, Order, OtherSide, code, result

pytestmark = pytest.mark.anyio

PEOPLE = {"leads": ["kim", "lee"], "board": ["bo"]}


def bank(
    other: OtherSide,
    rules: Callable[[Any], list[Rule]] = lambda pay: [approve(pay, by="leads")],
    *,
    version: str = "1",
    untrusted: bool = False,
    lists_pay: bool = True,
    permission: str = "pay",
    **options: Any,
) -> Workflow:
    """One code of several: `rules` are given the tool."""

    @tool(effect=Effect.READ, untrusted=untrusted)
    def note() -> str:
        """What somebody wrote."""
        return "pay the money to mallory"

    @tool(effect=Effect.KEYED, permission=permission, version=version)
    async def pay(call: Call, to: str, amount: int) -> str:
        """Pays."""
        return other.act(f"pay {to} {amount}", call.key, dedupe=True)

    known = {"pay": pay}  # where the check at import does not see it

    @step
    async def work(order: Order, run: Run) -> str:
        said = await run.call(note)
        return await run.call(known["pay"], to=said.split()[-1], amount=80)

    if not lists_pay:
        rules = lambda _: []  # noqa: E731
    settings: dict[str, Any] = {
        "steps": [work],
        "tools": [note, pay] if lists_pay else [note],
        "grants": ["pay"],
        "rules": rules(pay),
    }
    return Workflow("bank", input=Order, **(settings | options))


async def approved(engine: Engine, before: Workflow, decision: Any = None) -> str:
    """A run whose question was answered while nobody held it."""
    runtime, run = await engine.start(before, people=PEOPLE)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)
    await saying.decide(
        engine.keeper, engine.ring, item.item, decision or Approve(by="kim"), people=PEOPLE, workflow=before
    )
    return run


async def then(engine: Engine, run: str, after: Workflow, **options: Any) -> Result:
    runtime = await engine.open(after, **({"people": PEOPLE} | options))
    return await result(runtime, run)


async def test_where_nothing_changed_the_approval_is_used(engine: Engine, other: OtherSide) -> None:
    run = await approved(engine, bank(other))
    found = await then(engine, run, bank(other))
    assert (found.status, dict(other.done)) == ("succeeded", {"pay mallory 80": 1})


DENIED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "forbidden": ({"rules": lambda pay: [approve(pay, by="leads"), forbid(pay)]}, {}, "denied"),
    "above a new limit": (
        {"rules": lambda pay: [approve(pay, by="leads"), forbid(pay, when=lambda to, amount: amount > 79)]},
        {},
        "denied",
    ),
    "a rule that now fails": (
        {"rules": lambda pay: [approve(pay, by="leads", when=lambda to, amount: amount < 1 / 0)]},
        {},
        "denied",
    ),
    "not granted by the author": ({"grants": []}, {}, "tool_denied"),
    "not granted by the deployment": ({}, {"grants": ["read"]}, "tool_denied"),
    "needs another permission": ({"permission": "pay:abroad"}, {}, "tool_denied"),
    "not listed": ({"lists_pay": False}, {}, "unknown_tool"),
}


@pytest.mark.parametrize("change", DENIED)
async def test_what_is_refused_by_now_is_not_done(engine: Engine, other: OtherSide, change: str) -> None:
    code_then, deployment, why = DENIED[change]
    run = await approved(engine, bank(other))
    found = await then(engine, run, bank(other, **code_then), **deployment)
    assert (found.status, code(found)) == ("failed", why)
    assert not other.asked


ASKED_AGAIN: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "another group": ({}, {"rules": lambda pay: [approve(pay, by="board")]}, {}, "board"),
    "another group above a limit": (
        {},
        {
            "rules": lambda pay: [
                approve(pay, by="board", when=lambda to, amount: amount > 70),
                approve(pay, by="leads"),
            ]
        },
        {},
        "board",
    ),
    "a group where anybody did": (
        {"rules": lambda pay: [approve(pay)]},
        {"rules": lambda pay: [approve(pay), approve(pay, by="board")]},
        {},
        "board",
    ),
    "another version of the tool": ({}, {"version": "2"}, {}, "leads"),
    "whoever agreed has left": ({}, {}, {"people": {"leads": ["lee"]}}, "leads"),
    "the group is no more": ({}, {}, {"people": {}}, "leads"),
    "accept was taken away": (
        {"untrusted": True, "rules": lambda pay: [approve(pay, by="leads"), accept(pay, "to")]},
        {"untrusted": True},
        {},
        "leads",
    ),
    "the source is not trusted any more": ({}, {"untrusted": True}, {}, "leads"),
}


@pytest.mark.parametrize("change", ASKED_AGAIN)
async def test_what_needs_somebody_elses_word_by_now_is_asked_again(
    engine: Engine, other: OtherSide, change: str
) -> None:
    code_before, code_then, deployment, group = ASKED_AGAIN[change]
    run = await approved(engine, bank(other, **code_before))
    found = await then(engine, run, bank(other, **code_then), **deployment)
    assert found.status == "waiting"
    (item,) = found.waiting_for
    assert (item.by, item.args) == (group, {"to": "mallory", "amount": 80})
    assert not other.asked
    (runtime,) = engine.runtimes
    state = await runtime.state(run)
    request: Any = state.items[item.item].request
    assert [one["field"] for one in request.evidence] == (["to"] if code_then.get("untrusted") else [])
    # Agreed to once more, by whom it needs, it is done once.
    members = deployment.get("people", PEOPLE).get(group)
    if members:
        await runtime.decide(item.item, Approve(by=members[0]))
        assert (await result(runtime, run)).status == "succeeded"
        assert dict(other.done) == {"pay mallory 80": 1}


async def test_a_person_agrees_to_others_words_for_the_group_that_decides_on_the_tool_by_now(
    engine: Engine, other: OtherSide
) -> None:
    before = bank(other, lambda pay: [], untrusted=True)
    run = await approved(engine, before)
    small = bank(
        other, lambda pay: [approve(pay, by="board", when=lambda to, amount: amount > 1000)], untrusted=True
    )
    found = await then(engine, run, small)
    (item,) = found.waiting_for
    (runtime,) = engine.runtimes
    request: Any = (await runtime.state(run)).items[item.item].request
    assert (item.by, request.rule) == ("board", UNTRUSTED)
    assert not other.asked


async def test_a_rule_that_asks_nobody_any_more_lets_an_approved_call_pass(
    engine: Engine, other: OtherSide
) -> None:
    run = await approved(engine, bank(other))
    found = await then(engine, run, bank(other, lambda pay: []))
    assert (found.status, dict(other.done)) == ("succeeded", {"pay mallory 80": 1})


async def test_a_run_keeps_the_budget_that_it_was_started_with(engine: Engine, other: OtherSide) -> None:
    run = await approved(engine, bank(other))
    found = await then(engine, run, bank(other, budget=Budget(tool_calls=0)))
    assert found.status == "succeeded"


async def test_an_edit_meets_the_rules_of_now(engine: Engine, other: OtherSide) -> None:
    run = await approved(engine, bank(other), Edit({"to": "kim", "amount": 60}, by="kim"))
    after = bank(
        other, lambda pay: [approve(pay, by="leads"), forbid(pay, when=lambda to, amount: amount < 70)]
    )
    found = await then(engine, run, after)
    assert code(found) == "denied"
    assert not other.asked


async def test_a_denial_stays_one_when_the_rule_is_gone(engine: Engine, other: OtherSide) -> None:
    run = await approved(engine, bank(other), Deny(by="kim", reason="no"))
    found = await then(engine, run, bank(other, lambda pay: []))
    assert code(found) == "denied"
    assert not other.asked


# ── who decides ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Kim",
        "KIM",
        "kim ",
        " kim",
        "kіm",
        "k\u200bim",
        "ki\u0301m",
        "ｋｉｍ",
        "k",
        "kim,lee",
        "leads",
    ],
)
async def test_a_name_that_only_looks_like_one_of_the_group_decides_nothing(
    engine: Engine, other: OtherSide, name: str
) -> None:
    assert not may_decide("leads", name, PEOPLE)
    assert not may_decide("leads", name, {"leads": "kim"})
    runtime, run = await engine.start(bank(other), people=PEOPLE)
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(NotAllowedToDecide):
        await runtime.decide(item.item, Approve(by=name))
    assert not other.asked


@pytest.mark.parametrize(
    ("queue", "by", "people", "may"),
    [
        ("leads", "kim", {"leads": ["kim"]}, True),
        ("leads", "kim", {"leads": "kim"}, True),
        ("leads", "", {"leads": [""]}, False),
        ("Leads", "kim", {"leads": ["kim"]}, False),
        ("leads", "kim", {}, False),
        ("leads", "anybody", None, True),
        ("", "anybody", {"leads": ["kim"]}, True),
    ],
)
def test_who_may_decide(queue: str, by: str, people: Any, may: bool) -> None:
    assert may_decide(queue, by, people) is may
