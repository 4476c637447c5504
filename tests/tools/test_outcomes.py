"""The outcome table: what follows when a call goes wrong after its intent, for each effect class."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.rig import Engine, Order, OtherSide, code, kinds, quiet, result, until
from surefoot import Approve, Call, CannotTell, Deny, Done, Effect, Run, Settle, Undone, Workflow, step, tool
from surefoot.errors import ItemClosed

from .world import DOUBT, Act, Wrong

pytestmark = pytest.mark.anyio

REPEATABLE = [Effect.READ, Effect.IDEMPOTENT, Effect.KEYED]
EFFECTS = [*REPEATABLE, Effect.ONCE]


@pytest.mark.parametrize("wrong", DOUBT)
@pytest.mark.parametrize("effect", REPEATABLE, ids=lambda effect: effect.value)
async def test_a_call_in_doubt_that_may_be_repeated_is_made_again_with_its_own_key(
    engine: Engine, other: OtherSide, effect: Effect, wrong: Wrong
) -> None:
    runtime, run = await Act(other, effect, wrong).go(engine)
    done = await result(runtime, run)
    assert done.status == "succeeded"
    assert other.asked["pay"] == 2
    assert len(other.keys["pay"]) == 1
    if effect is Effect.KEYED:
        assert other.done["pay"] == 1


@pytest.mark.parametrize("wrong", DOUBT)
async def test_a_call_that_must_not_be_repeated_waits_for_a_person_when_in_doubt(
    engine: Engine, other: OtherSide, wrong: Wrong
) -> None:
    runtime, run = await Act(other, Effect.ONCE, wrong).go(engine)
    waiting = await result(runtime, run)
    assert waiting.status == "waiting"
    (item,) = waiting.waiting_for
    assert (item.kind, item.tool, item.args) == ("unknown", "pay", {"amount": 5})
    assert set(item.choices) == {"settle", "approve", "deny"}
    assert "pay" in item.reason
    assert other.asked["pay"] == 1
    assert (await runtime.state(run)).calls["c1"].status == "unknown"


@pytest.mark.parametrize("wrong", DOUBT)
async def test_a_person_says_that_it_happened_and_gives_its_result(
    engine: Engine, other: OtherSide, wrong: Wrong
) -> None:
    runtime, run = await Act(other, Effect.ONCE, wrong).go(engine)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Settle("paid by phone", by="kim"))
    done = await result(runtime, run)
    assert (done.status, done.output, other.asked["pay"]) == ("succeeded", "paid by phone", 1)
    call = (await runtime.state(run)).calls["c1"]
    assert (call.status, call.settled_by) == ("returned", "kim")


@pytest.mark.parametrize("wrong", DOUBT)
async def test_a_person_says_that_it_did_not_happen_and_it_is_made(
    engine: Engine, other: OtherSide, wrong: Wrong
) -> None:
    runtime, run = await Act(other, Effect.ONCE, wrong, before=True).go(engine)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Approve(by="kim"))
    done = await result(runtime, run)
    assert (done.status, done.output, other.done["pay"]) == ("succeeded", "pay #1", 1)


@pytest.mark.parametrize("wrong", DOUBT)
async def test_a_person_gives_up_and_the_run_fails(engine: Engine, other: OtherSide, wrong: Wrong) -> None:
    runtime, run = await Act(other, Effect.ONCE, wrong).go(engine)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason="too old"))
    failed = await result(runtime, run)
    assert (failed.status, code(failed), other.asked["pay"]) == ("failed", "given_up", 1)
    # The world may have been changed, and whoever reads the error is told so.
    assert failed.error is not None
    assert "pay" in failed.error.remedy


async def test_a_result_given_by_a_person_must_fit_the_tools_output(engine: Engine, other: OtherSide) -> None:
    runtime, run = await Act(other, Effect.ONCE, "exception").go(engine)
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(Exception, match="fit") as refused:
        await runtime.decide(item.item, Settle({"no": "text"}, by="kim"))
    assert refused.value.code == "invalid_input"  # type: ignore[attr-defined]
    assert (await result(runtime, run)).waiting_for == (item,)
    await runtime.decide(item.item, Settle("paid", by="kim"))
    assert (await result(runtime, run)).output == "paid"


async def test_a_doubt_is_settled_once(engine: Engine, other: OtherSide) -> None:
    runtime, run = await Act(other, Effect.ONCE, "exception").go(engine)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Settle("paid", by="kim"))
    with pytest.raises(ItemClosed):
        await runtime.decide(item.item, Approve(by="lee"))
    assert (await result(runtime, run)).output == "paid"
    assert other.asked["pay"] == 1


async def test_a_doubt_may_come_again_after_a_person_said_to_make_the_call(
    engine: Engine, other: OtherSide
) -> None:
    runtime, run = await Act(other, Effect.ONCE, "exception", before=True, times=2).go(engine)
    (first,) = (await result(runtime, run)).waiting_for
    await runtime.decide(first.item, Approve(by="kim"))
    (second,) = (await result(runtime, run)).waiting_for
    assert second.item != first.item
    await runtime.decide(second.item, Approve(by="kim"))
    done = await result(runtime, run)
    assert (done.status, other.done["pay"]) == ("succeeded", 1)


# ── reconcile ──


def asked_about(answer: Any, seen: list[Call]) -> Any:
    async def reconcile(call: Call) -> Any:
        seen.append(call)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return reconcile


@pytest.mark.parametrize("wrong", DOUBT)
async def test_reconcile_finds_that_it_happened(engine: Engine, other: OtherSide, wrong: Wrong) -> None:
    seen: list[Call] = []
    reconcile = asked_about(Done("found in the books"), seen)
    runtime, run = await Act(other, Effect.ONCE, wrong, reconcile=reconcile).go(engine)
    done = await result(runtime, run)
    assert (done.status, done.output, other.asked["pay"]) == ("succeeded", "found in the books", 1)
    assert [(call.key, call.arguments) for call in seen] == [(other.keys["pay"][0], {"amount": 5})]
    assert (await runtime.state(run)).calls["c1"].settled_by == "reconcile"


@pytest.mark.parametrize("wrong", DOUBT)
async def test_reconcile_finds_that_it_did_not_happen_and_it_is_made(
    engine: Engine, other: OtherSide, wrong: Wrong
) -> None:
    reconcile = asked_about(Undone(), [])
    runtime, run = await Act(other, Effect.ONCE, wrong, before=True, reconcile=reconcile).go(engine)
    done = await result(runtime, run)
    assert (done.status, other.done["pay"]) == ("succeeded", 1)


@pytest.mark.parametrize(
    "answer", [CannotTell(), OSError("the books are closed"), "nonsense", None], ids=repr
)
@pytest.mark.parametrize("wrong", ["timeout", "crash"])
async def test_where_reconcile_cannot_tell_a_person_is_asked(
    engine: Engine, other: OtherSide, wrong: Wrong, answer: Any
) -> None:
    runtime, run = await Act(other, Effect.ONCE, wrong, reconcile=asked_about(answer, [])).go(engine)
    waiting = await result(runtime, run)
    assert waiting.status == "waiting"
    (item,) = waiting.waiting_for
    assert (item.kind, other.asked["pay"]) == ("unknown", 1)
    if isinstance(answer, OSError):
        assert "the books are closed" in item.reason


async def test_reconcile_that_answers_with_no_valid_result_leaves_it_to_a_person(
    engine: Engine, other: OtherSide
) -> None:
    reconcile = asked_about(Done(17), [])
    runtime, run = await Act(other, Effect.ONCE, "exception", reconcile=reconcile).go(engine)
    waiting = await result(runtime, run)
    assert [item.kind for item in waiting.waiting_for] == ["unknown"]
    assert other.asked["pay"] == 1


async def test_reconcile_that_hangs_is_stopped_and_a_person_is_asked(
    engine: Engine, other: OtherSide
) -> None:
    hanging = asyncio.Event()

    async def reconcile(call: Call) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    runtime, run = await Act(other, Effect.ONCE, "exception", reconcile=reconcile).go(engine)
    await hanging.wait()
    await engine.clock.advance(10)
    assert [item.kind for item in (await result(runtime, run)).waiting_for] == ["unknown"]


# ── a definite end ──


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.value)
async def test_a_tools_own_no_is_believed(engine: Engine, other: OtherSide, effect: Effect) -> None:
    """NotDone is not transient by itself: it fails the step, and nobody is asked."""
    runtime, run = await Act(other, effect, "not done", before=True).go(engine)
    failed = await result(runtime, run)
    assert (failed.status, code(failed), other.asked["pay"]) == ("failed", "not_done", 0)
    assert failed.error is not None
    assert (failed.error.what, failed.error.why) == ("the card has expired", "since May")
    assert (await runtime.state(run)).effects_of("work") == []


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.value)
async def test_an_invalid_result_means_that_it_happened(
    engine: Engine, other: OtherSide, effect: Effect
) -> None:
    runtime, run = await Act(other, effect, "invalid result", times=9).go(engine)
    failed = await result(runtime, run)
    assert (failed.status, code(failed), other.asked["pay"]) == ("failed", "invalid_result", 1)
    if effect is not Effect.READ:
        assert [call.tool for call in (await runtime.state(run)).effects_of("work")] == ["pay"]


@pytest.mark.parametrize("effect", REPEATABLE, ids=lambda effect: effect.value)
async def test_a_call_that_stays_in_doubt_fails_its_step_in_the_end(
    engine: Engine, other: OtherSide, effect: Effect
) -> None:
    runtime, run = await Act(other, effect, "exception", times=99).go(engine)
    failed = await result(runtime, run)
    assert (failed.status, other.asked["pay"], len(other.keys["pay"])) == ("failed", 4, 1)
    assert code(failed) == ("transient" if effect is Effect.READ else "call_unknown")


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.value)
async def test_intent_is_on_disk_before_the_act(engine: Engine, other: OtherSide, effect: Effect) -> None:
    """A READ needs none: repeating it changes nothing."""
    act = Act(other, effect, "timeout")
    runtime, run = await engine.start(act.workflow)
    await act.entered.wait()
    written = await kinds(runtime, run)
    assert ("call.intended" in written) == (effect is not Effect.READ)
    await engine.crash(runtime)


async def test_what_reconcile_finds_out_later_closes_the_question(engine: Engine, other: OtherSide) -> None:
    """A person who answers it afterwards is told so: "it did not happen" must not pay a second time."""
    answers = [CannotTell(), Done("found in the books")]

    async def reconcile(call: Call) -> Any:
        return answers.pop(0)

    @tool(effect=Effect.ONCE, reconcile=reconcile)
    async def pay(call: Call) -> str:
        other.act("pay")
        raise OSError("lost")

    @step
    async def work(order: Order, run: Run) -> str:
        paid, _ = await asyncio.gather(run.call(pay), run.sleep(3600))
        await run.sleep(3600)
        return str(paid)

    runtime, run = await engine.start(Workflow("paying", input=Order, steps=[work], tools=[pay]))
    (item,) = (await result(runtime, run)).waiting_for
    await quiet(runtime)
    await engine.clock.jump(3600)
    await until(lambda: not answers)
    await quiet(runtime)
    assert (await runtime.look(run)).waiting_for == ()
    with pytest.raises(ItemClosed):
        await runtime.decide(item.item, Approve(by="kim"))
    await engine.clock.jump(3600)
    done = await result(runtime, run)
    assert (done.output, other.asked["pay"]) == ("found in the books", 1)


async def test_a_person_and_reconcile_at_once_settle_it_once(engine: Engine, other: OtherSide) -> None:
    """The person's word was on its way when reconcile found the call: decided first, it has no effect."""
    answers = [CannotTell(), Done("found in the books")]

    async def reconcile(call: Call) -> Any:
        answer = answers.pop(0)
        if not answers:
            await desk.decide(item.item, Approve(by="kim"))
        return answer

    @tool(effect=Effect.ONCE, reconcile=reconcile)
    async def pay(call: Call) -> str:
        other.act("pay")
        raise OSError("lost")

    @step
    async def work(order: Order, run: Run) -> str:
        paid, _ = await asyncio.gather(run.call(pay), run.sleep(3600))
        return str(paid)

    workflow = Workflow("paying", input=Order, steps=[work], tools=[pay])
    runtime, run = await engine.start(workflow)
    desk = await engine.open(workflow, drive=False)
    (item,) = (await result(runtime, run)).waiting_for
    await quiet(runtime)
    await engine.clock.jump(3600)
    done = await result(runtime, run)
    assert (done.output, other.asked["pay"]) == ("found in the books", 1)
