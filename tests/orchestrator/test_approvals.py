"""Approvals: bound to one exact call, used once, decided once; and nobody in memory while a person thinks."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from typing import Any

import pytest

from surefoot import (
    Approve,
    Call,
    Denied,
    Deny,
    Edit,
    Effect,
    Retry,
    Rule,
    Run,
    Settle,
    Transient,
    Workflow,
    approve,
    forbid,
    step,
    tool,
)
from surefoot.core.journal import Body
from surefoot.errors import InvalidArguments, ItemClosed, ItemNotFound, NotAllowedToDecide, WrongDecision
from surefoot.orchestrator.drive import Drive
from surefoot.testing import Say, ScriptedModel, UseTools

from .rig import DAY, Engine, Order, OtherSide, busy, calls, code, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


class Shop:
    """`refund`, whose step says what became of it, under the rules that a test gives."""

    def __init__(self, other: OtherSide, effect: Effect = Effect.KEYED) -> None:
        @tool(effect=effect, permission="refunds")
        async def refund(call: Call, number: int, amount: int) -> str:
            """Gives money back."""
            return other.act(f"refund {number} {amount}", call.key, dedupe=True)

        @step
        async def work(order: Order, run: Run) -> str:
            try:
                return await run.call(refund, number=order.number, amount=80)
            except Denied as no:
                return f"denied: {no.reason} (by {no.by})"

        self.refund, self.work = refund, work

    def workflow(self, *rules: Rule, **options: Any) -> Workflow:
        settings: dict[str, Any] = {"steps": [self.work], "tools": [self.refund], "grants": ["refunds"]}
        return Workflow("shop", input=Order, rules=rules, **(settings | options))

    def by_leads(self, within: timedelta | None = None) -> Rule:
        return approve(self.refund, when=lambda number, amount: amount > 50, by="leads", within=within)


@pytest.fixture
def shop(other: OtherSide) -> Shop:
    return Shop(other)


async def test_a_call_waits_until_a_person_agrees(engine: Engine, other: OtherSide, shop: Shop) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads(timedelta(days=1))))
    waiting = await result(runtime, run)
    assert waiting.status == "waiting"
    (item,) = waiting.waiting_for
    assert (item.kind, item.tool, item.by) == ("approval", "refund", "leads")
    assert item.args == {"number": 1, "amount": 80}
    assert item.choices == ("approve", "deny", "edit")
    assert item.expires == (await runtime.state(run)).items[item.item].at + int(DAY * 1e6)
    assert not other.asked
    await runtime.decide(item.item, Approve(by="kim"))
    done = await result(runtime, run)
    assert (done.status, done.output) == ("succeeded", "refund 1 80 #1")
    assert [(c.approval, c.status) for c in await calls(runtime, run)] == [(item.item, "returned")]


async def test_a_call_that_no_rule_is_about_waits_for_nobody(engine: Engine, shop: Shop) -> None:
    rule = approve(shop.refund, when=lambda number, amount: amount > 100)
    assert (await engine.run(shop.workflow(rule))).output == "refund 1 80 #1"


async def test_a_denial_reaches_the_step_with_its_reason(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason="too much"))
    done = await result(runtime, run)
    assert done.output == "denied: too much (by kim)"
    assert not other.asked
    assert "call.refused" in await kinds(runtime, run)


async def test_a_denial_that_the_step_does_not_expect_fails_it(engine: Engine, shop: Shop) -> None:
    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(shop.refund, number=1, amount=80)

    runtime, run = await engine.start(shop.workflow(shop.by_leads(), steps=[work]))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason="too much"))
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "denied")
    assert failed.error is not None
    assert failed.error.why == "too much"


# ── edits ──


async def test_an_edited_call_is_made_as_it_was_edited(engine: Engine, other: OtherSide, shop: Shop) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Edit({"number": 1, "amount": 60}, by="kim"))
    done = await result(runtime, run)
    assert (done.output, other.asked) == ("refund 1 60 #1", {"refund 1 60": 1})
    state = await runtime.state(run)
    kept = state.items[item.item]
    assert '"amount":80' in kept.request.args  # type: ignore[union-attr]  # the original, beside the edit
    assert kept.args is not None
    assert '"amount":60' in kept.args
    assert '"amount":60' in next(iter(state.calls.values())).args


async def test_an_edited_call_has_another_key_than_the_unedited_one(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    """So that the other side cannot take the one for a repetition of the other."""

    @step
    async def work(order: Order, run: Run) -> list[str]:
        first = await run.call(shop.refund, number=1, amount=80)
        return [first, await run.call(shop.refund, number=1, amount=60)]

    # In one run: the edit of the first has the arguments that the second proposes in the first place.
    runtime, run = await engine.start(shop.workflow(shop.by_leads(), steps=[work]))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Edit({"number": 1, "amount": 60}, by="kim"))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Approve(by="kim"))
    assert (await result(runtime, run)).status == "succeeded"
    keys = [call.key for call in await calls(runtime, run)]
    assert len(set(keys)) == 2


async def test_an_edit_that_changes_nothing_is_an_approval(engine: Engine, shop: Shop) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Edit({"number": 1, "amount": 80}, by="kim"))
    assert (await result(runtime, run)).output == "refund 1 80 #1"


@pytest.mark.parametrize(
    "args",
    [{"number": 1}, {"number": 1, "amount": "much"}, {"number": 1, "amount": 1, "to": "me"}, {}],
    ids=str,
)
async def test_an_edit_that_is_not_valid_is_refused_and_the_question_stays(
    engine: Engine, other: OtherSide, shop: Shop, args: dict[str, Any]
) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(InvalidArguments):
        await runtime.decide(item.item, Edit(args, by="kim"))
    assert [one.item for one in (await result(runtime, run)).waiting_for] == [item.item]
    await runtime.decide(item.item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "refund 1 80 #1"


async def test_an_edit_passes_every_rule_again(engine: Engine, other: OtherSide, shop: Shop) -> None:
    never = forbid(shop.refund, when=lambda number, amount: amount > 1000, reason="never so much")
    runtime, run = await engine.start(shop.workflow(shop.by_leads(), never))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Edit({"number": 1, "amount": 2000}, by="kim"))
    assert (await result(runtime, run)).output.startswith("denied: never so much")
    assert not other.asked


async def test_an_edit_into_another_groups_hands_asks_that_group(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    rules = (
        approve(shop.refund, when=lambda number, amount: amount > 500, by="chiefs"),
        shop.by_leads(),
    )
    runtime, run = await engine.start(shop.workflow(*rules))
    (item,) = (await result(runtime, run)).waiting_for
    assert item.by == "leads"
    await runtime.decide(item.item, Edit({"number": 1, "amount": 600}, by="kim"))
    (again,) = (await result(runtime, run)).waiting_for
    assert (again.by, again.args) == ("chiefs", {"number": 1, "amount": 600})
    await runtime.decide(again.item, Approve(by="boss"))
    assert (await result(runtime, run)).output == "refund 1 600 #1"
    assert other.asked == {"refund 1 600": 1}


async def test_an_edit_that_no_longer_fits_the_tool_asks_again(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    """It was valid where it was decided, and another version of the program takes the run up."""
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)

    @tool(effect=Effect.KEYED, permission="refunds", name="refund")
    async def newer(call: Call, number: int, amount: int, why: str = "") -> str:
        return other.act(f"refund {number} {amount} {why}", call.key)

    @step(name="work")
    async def newer_work(order: Order, run: Run) -> str:
        return await run.call(newer, number=order.number, amount=80)

    lenient = shop.workflow(approve(newer, by="leads"), steps=[newer_work], tools=[newer])
    onlooker = await engine.open(lenient, drive=False)
    await onlooker.decide(item.item, Edit({"number": 1, "amount": 60, "why": "so"}, by="kim"))
    runtime = await engine.open(shop.workflow(shop.by_leads()))
    (again,) = (await result(runtime, run)).waiting_for
    assert again.item != item.item
    assert (again.kind, again.args) == ("approval", {"number": 1, "amount": 80})
    assert "edited arguments" in again.reason
    assert not other.asked


# ── time ──


async def test_what_nobody_decides_in_time_is_denied(engine: Engine, other: OtherSide, shop: Shop) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads(timedelta(hours=1))))
    (item,) = (await result(runtime, run)).waiting_for
    await engine.clock.jump(3599)
    assert (await runtime.look(run)).status == "waiting"
    await engine.clock.jump(1)
    await until(lambda: not busy(runtime))
    done = await result(runtime, run)
    assert done.output.startswith("denied: nobody decided in time")
    assert not other.asked
    with pytest.raises(ItemClosed):
        await runtime.decide(item.item, Approve(by="kim"))


async def test_a_late_decision_is_refused_although_nobody_has_looked_since(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    workflow = shop.workflow(shop.by_leads(timedelta(hours=1)))
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)
    engine.clock._now += 3_600_000_000
    onlooker = await engine.open(workflow, drive=False)
    with pytest.raises(ItemClosed, match="expired"):
        await onlooker.decide(item.item, Approve(by="kim"))
    runtime = await engine.open(workflow)
    assert (await result(runtime, run)).output.startswith("denied: nobody decided in time")
    assert not other.asked


async def test_a_decision_in_time_counts_although_it_is_taken_up_late(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    workflow = shop.workflow(shop.by_leads(timedelta(hours=1)))
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)
    onlooker = await engine.open(workflow, drive=False)
    await onlooker.decide(item.item, Approve(by="kim"))
    engine.clock._now += int(DAY * 1e6)
    runtime = await engine.open(workflow)
    assert (await result(runtime, run)).output == "refund 1 80 #1"


# ── one decision, used once ──


@pytest.mark.parametrize(
    "second", [Approve(by="lee"), Deny(by="lee"), Edit({"number": 1, "amount": 1}, by="lee")]
)
async def test_the_first_decision_stands(engine: Engine, other: OtherSide, shop: Shop, second: Any) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Approve(by="kim"))
    with pytest.raises(ItemClosed, match="kim decided first"):
        await runtime.decide(item.item, second)
    await result(runtime, run)
    with pytest.raises(ItemClosed):
        await runtime.decide(item.item, second)
    assert other.asked == {"refund 1 80": 1}


async def test_of_decisions_at_the_same_moment_exactly_one_wins(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    """From several processes, as people click."""
    workflow = shop.workflow(shop.by_leads())
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    desks = [await engine.open(workflow, drive=False) for _ in range(3)]
    decisions: list[Any] = [
        Approve(by="kim"),
        Deny(by="lee", reason="no"),
        Edit({"number": 1, "amount": 70}, by="ann"),
    ]
    outcomes = await asyncio.gather(
        *(desk.decide(item.item, decision) for desk, decision in zip(desks, decisions, strict=True)),
        return_exceptions=True,
    )
    won = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    assert len(won) == 1
    assert all(isinstance(outcome, ItemClosed) for n, outcome in enumerate(outcomes) if n not in won)
    await engine.clock.advance(3)
    done = await result(runtime, run)
    expected = ["refund 1 80 #1", "denied: no (by lee)", "refund 1 70 #1"][won[0]]
    assert done.output == expected


async def test_an_approval_is_used_once(engine: Engine, other: OtherSide, shop: Shop) -> None:
    """The same call a second time, in the same step, is another question."""

    @step
    async def work(order: Order, run: Run) -> list[str]:
        return [await run.call(shop.refund, number=1, amount=80) for _ in range(2)]

    runtime, run = await engine.start(shop.workflow(shop.by_leads(), steps=[work]))
    (first,) = (await result(runtime, run)).waiting_for
    await runtime.decide(first.item, Approve(by="kim"))
    (second,) = (await result(runtime, run)).waiting_for
    assert second.item != first.item
    assert other.asked == {"refund 1 80": 1}
    await runtime.decide(second.item, Approve(by="kim"))
    assert (await result(runtime, run)).output == ["refund 1 80 #1", "refund 1 80 #2"]


@pytest.mark.parametrize("edited", [False, True], ids=["approved", "edited"])
@pytest.mark.parametrize("effect", [Effect.KEYED, Effect.IDEMPOTENT], ids=lambda effect: effect.value)
async def test_an_approved_call_that_died_is_made_again_as_the_same_call(
    engine: Engine, other: OtherSide, effect: Effect, edited: bool
) -> None:
    """Same arguments, same key, same approval: the person is not asked a second time, and what they edited
    does not turn into what was proposed."""
    entered = asyncio.Event()

    @tool(effect=effect)
    async def refund(call: Call, amount: int) -> str:
        told = other.act(f"refund {amount}", call.key, dedupe=True)
        if not entered.is_set():
            entered.set()
            await asyncio.Event().wait()
        return told

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(refund, amount=80)

    workflow = Workflow("shop", input=Order, steps=[work], tools=[refund], rules=[approve(refund)])
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Edit({"amount": 60}, by="kim") if edited else Approve(by="kim"))
    await entered.wait()
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    done = await result(runtime, run)
    amount = 60 if edited else 80
    assert (done.status, done.output) == ("succeeded", f"refund {amount} #1")
    assert other.asked == {f"refund {amount}": 2}
    assert len(other.keys[f"refund {amount}"]) == 1


# ── rules that changed meanwhile ──


async def test_the_rules_of_now_are_checked_when_an_approval_is_used(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)
    stricter = shop.workflow(shop.by_leads(), forbid(shop.refund, reason="the shop is closed"))
    runtime = await engine.open(stricter)
    await runtime.decide(item.item, Approve(by="kim"))
    assert (await result(runtime, run)).output.startswith("denied: the shop is closed")
    assert not other.asked


async def test_an_approval_by_one_group_does_not_do_for_another(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)
    runtime = await engine.open(shop.workflow(approve(shop.refund, by="chiefs")))
    await runtime.decide(item.item, Approve(by="kim"))
    (again,) = (await result(runtime, run)).waiting_for
    assert (again.by, again.args) == ("chiefs", {"number": 1, "amount": 80})
    assert not other.asked
    await runtime.decide(again.item, Approve(by="boss"))
    assert (await result(runtime, run)).output == "refund 1 80 #1"


async def test_an_approval_of_another_version_of_the_tool_is_asked_for_again(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)

    @tool(effect=Effect.KEYED, permission="refunds", version="2", name="refund")
    async def newer(call: Call, number: int, amount: int) -> str:
        return other.act(f"new refund {number} {amount}", call.key)

    @step(name="work")
    async def newer_work(order: Order, run: Run) -> str:
        return await run.call(newer, number=order.number, amount=80)

    workflow = shop.workflow(approve(newer, by="leads"), steps=[newer_work], tools=[newer])
    runtime = await engine.open(workflow)
    await runtime.decide(item.item, Approve(by="kim"))
    (again,) = (await result(runtime, run)).waiting_for
    assert not other.asked
    await runtime.decide(again.item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "new refund 1 80 #1"


async def test_a_grant_that_was_taken_away_meanwhile_denies(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    workflow = shop.workflow(shop.by_leads())
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)
    runtime = await engine.open(workflow, grants=[])
    await runtime.decide(item.item, Approve(by="kim"))
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "tool_denied")
    assert not other.asked


async def test_a_rule_that_fails_itself_denies(engine: Engine, other: OtherSide, shop: Shop) -> None:
    def broken(number: int, amount: int) -> bool:
        raise ZeroDivisionError

    done = await engine.run(shop.workflow(approve(shop.refund, when=broken)))
    assert done.output.startswith("denied: the rule")
    assert "ZeroDivisionError" in done.output
    assert not other.asked


async def test_the_strictest_rule_wins(engine: Engine, other: OtherSide, shop: Shop) -> None:
    rules = (shop.by_leads(), forbid(shop.refund, when=lambda number, amount: amount == 80, reason="no 80s"))
    assert (await engine.run(shop.workflow(*rules))).output.startswith("denied: no 80s")


# ── nobody in memory ──


async def test_nobody_is_in_memory_while_people_think(engine: Engine, other: OtherSide, shop: Shop) -> None:
    gc.collect()
    others = {id(one) for one in gc.get_objects() if isinstance(one, (Drive, Body))}
    tasks_before = len(asyncio.all_tasks())
    runtime = await engine.open(shop.workflow(shop.by_leads()))
    runtime.begin_driving()
    await engine.clock.advance(0)
    tasks = len(asyncio.all_tasks())
    runs = [(await runtime.start(Order(number=n))).id for n in range(20)]
    await quiet(runtime)
    await engine.clock.advance(0)
    assert busy(runtime) == 0
    assert len(asyncio.all_tasks()) == tasks
    assert tasks - tasks_before <= 4  # the worker, its heartbeat, its look at the store
    gc.collect()
    assert {id(one) for one in gc.get_objects() if isinstance(one, (Drive, Body))} <= others
    for run in runs:
        (item,) = (await result(runtime, run)).waiting_for
        await runtime.decide(item.item, Approve(by="kim"))
    outputs = {(await result(runtime, run)).output for run in runs}
    assert outputs == {f"refund {n} 80 #1" for n in range(20)}


# ── in a model's hands ──


async def test_a_call_in_a_models_tool_loop_waits_for_a_person_and_the_loop_goes_on(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    model = ScriptedModel(
        {"work": [UseTools([("refund", {"number": 1, "amount": 80})]), Say("I gave 80 back")]}
    )

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Help", {"order": order}, tools=[shop.refund])

    workflow = shop.workflow(shop.by_leads(), steps=[work])
    runtime, run = await engine.start(workflow, models=[model])
    (item,) = (await result(runtime, run)).waiting_for
    assert item.args == {"number": 1, "amount": 80}
    await engine.crash(runtime)
    runtime = await engine.open(workflow, models=[model])
    await runtime.decide(item.item, Approve(by="kim"))
    done = await result(runtime, run)
    assert (done.output, other.asked) == ("I gave 80 back", {"refund 1 80": 1})
    assert len(model.requests) == 2
    assert model.requests[1].messages[-1].text == '"refund 1 80 #1"'


async def test_a_model_is_told_of_a_denial(engine: Engine, other: OtherSide, shop: Shop) -> None:
    model = ScriptedModel({"work": [UseTools([("refund", {"number": 1, "amount": 80})]), Say("sorry")]})

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Help", tools=[shop.refund])

    runtime, run = await engine.start(shop.workflow(shop.by_leads(), steps=[work]), models=[model])
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason="too much"))
    assert (await result(runtime, run)).output == "sorry"
    assert "too much" in model.requests[1].messages[-1].text
    assert not other.asked


# ── who ──


async def test_only_people_of_the_group_decide(engine: Engine, other: OtherSide, shop: Shop) -> None:
    people = {"leads": ["kim", "lee"], "desk": ["ann"]}
    runtime, run = await engine.start(shop.workflow(shop.by_leads()), people=people)
    (item,) = (await result(runtime, run)).waiting_for
    for stranger in ("ann", "", "KIM"):
        with pytest.raises(NotAllowedToDecide, match="leads"):
            await runtime.decide(item.item, Approve(by=stranger))
    await runtime.decide(item.item, Approve(by="lee"))
    assert (await result(runtime, run)).output == "refund 1 80 #1"


async def test_a_group_that_nobody_belongs_to_decides_nothing(engine: Engine, shop: Shop) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()), people={})
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(NotAllowedToDecide):
        await runtime.decide(item.item, Approve(by="kim"))


async def test_an_approval_cannot_be_settled_and_an_unknown_item_not_decided(
    engine: Engine, shop: Shop
) -> None:
    runtime, run = await engine.start(shop.workflow(shop.by_leads()))
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(WrongDecision, match="approve, deny, edit"):
        await runtime.decide(item.item, Settle("refunded", by="kim"))
    with pytest.raises(ItemNotFound):
        await runtime.decide("r0-9", Approve(by="kim"))
    assert (await runtime.look(run)).status == "waiting"


async def test_an_open_question_is_still_open_in_the_next_attempt(
    engine: Engine, other: OtherSide, shop: Shop
) -> None:
    """A branch asked a person, its sibling failed: the next attempt waits for the same answer, once."""

    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        async def fail() -> None:
            for _ in range(50):
                await asyncio.sleep(0.001)
            if run.attempt == 1:
                raise Transient("down")

        async def ask() -> str:
            try:
                return await run.call(shop.refund, number=1, amount=80)
            except BaseException:
                await fail()
                raise

        return await ask()

    runtime, run = await engine.start(shop.workflow(shop.by_leads(), steps=[work]))
    waiting = await result(runtime, run)
    assert len(waiting.waiting_for) == 1
    await quiet(runtime)
    assert len(await kinds(runtime, run)) < 12
    await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "refund 1 80 #1"
    assert other.asked == {"refund 1 80": 1}


@pytest.mark.parametrize("first", [0, 1, 2])
async def test_what_was_approved_is_done_while_the_branches_beside_it_still_wait(
    engine: Engine, other: OtherSide, first: int
) -> None:
    @tool(effect=Effect.KEYED)
    async def sign(call: Call, what: int) -> str:
        return other.act(f"sign {what}", call.key)

    @step
    async def work(order: Order, run: Run) -> list[str]:
        return list(await asyncio.gather(*(run.call(sign, what=n) for n in range(3))))

    workflow = Workflow("signing", input=Order, steps=[work], tools=[sign], rules=[approve(sign)])
    runtime, run = await engine.start(workflow)
    items = [item.item for item in (await result(runtime, run)).waiting_for]
    order = [first, *(n for n in range(3) if n != first)]
    for done, n in enumerate(order, 1):
        await runtime.decide(items[n], Approve(by="kim"))
        await until(lambda n=n: other.asked[f"sign {n}"] == 1)
        assert sum(other.asked.values()) == done
    assert (await result(runtime, run)).output == [f"sign {n} #1" for n in range(3)]
