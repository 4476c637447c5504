"""Cancelling a run: what is under way is let finish, nothing new is started, whatever state it is in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot import (
    Approve,
    Call,
    Deny,
    Effect,
    Retry,
    Review,
    Run,
    Settle,
    Transient,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.errors import ItemClosed, RunNotFinished, RunNotFound, WrongDecision
from surefoot.testing import Say, ScriptedModel

from .rig import LOOK, Engine, Order, OtherSide, busy, calls, code, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


def plain(other: OtherSide) -> Workflow:
    @step
    async def work(order: Order) -> str:
        other.act("work")
        return "done"

    return Workflow("plain", input=Order, steps=[work])


async def cancelled(engine: Engine, runtime: Any, run: str, **options: Any) -> Any:
    await runtime.cancel(run, **options)
    await engine.clock.advance(LOOK)
    return await result(runtime, run)


async def test_a_queued_run_never_begins(engine: Engine, other: OtherSide) -> None:
    workflow = plain(other)
    desk = await engine.open(workflow, drive=False)
    run = (await desk.start(Order())).id
    await desk.cancel(run, by="kim", reason="a mistake")
    runtime = await engine.open(workflow)
    ended = await result(runtime, run)
    assert (ended.status, code(ended), other.asked) == ("cancelled", "run_cancelled", {})
    assert ended.error is not None
    assert (ended.error.what, ended.error.why) == ("the run was cancelled by kim", "a mistake")


async def test_a_running_run_starts_nothing_more(engine: Engine, other: OtherSide) -> None:
    entered = asyncio.Event()
    cut_off = []

    @step
    async def first(order: Order) -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.append("first")
        return "never"

    @step
    async def second(first: str) -> str:
        other.act("second")
        return first

    runtime, run = await engine.start(Workflow("long", input=Order, steps=[first, second]))
    await entered.wait()
    ended = await cancelled(engine, runtime, run)
    assert (ended.status, ended.output, cut_off, other.asked) == ("cancelled", None, ["first"], {})


async def test_a_call_under_way_is_let_finish_and_its_outcome_is_known(
    engine: Engine, other: OtherSide
) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    @tool(effect=Effect.ONCE)
    async def pay(call: Call) -> str:
        entered.set()
        await gate.wait()
        return other.act("pay")

    @step
    async def work(order: Order, run: Run) -> str:
        paid = await run.call(pay)
        other.act("after")
        return paid + await run.call(pay)

    runtime, run = await engine.start(Workflow("paying", input=Order, steps=[work], tools=[pay]))
    await entered.wait()
    await runtime.cancel(run)
    await engine.clock.advance(LOOK)
    assert busy(runtime) == 1
    gate.set()
    ended = await result(runtime, run)
    assert (ended.status, other.asked) == ("cancelled", {"pay": 1})
    assert [call.status for call in await calls(runtime, run)] == ["returned"]


async def test_a_call_under_way_that_times_out_is_told_of_in_the_error(
    engine: Engine, other: OtherSide
) -> None:
    entered = asyncio.Event()

    @tool(effect=Effect.ONCE, timeout=10)
    async def pay(call: Call) -> str:
        other.act("pay")
        entered.set()
        await asyncio.Event().wait()
        return "never"

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    runtime, run = await engine.start(Workflow("paying", input=Order, steps=[work], tools=[pay]))
    await entered.wait()
    await runtime.cancel(run)
    await engine.clock.advance(11)
    ended = await result(runtime, run)
    assert ended.status == "cancelled"
    assert ended.error is not None
    assert "pay" in ended.error.remedy
    assert "nobody knows" in ended.error.remedy
    assert [call.status for call in await calls(runtime, run)] == ["unknown"]


async def test_a_request_under_way_is_let_finish_and_paid(engine: Engine) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def delay(request: Any) -> None:
        entered.set()
        await gate.wait()

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Hello")

    model = ScriptedModel({"work": [Say("hello")]}, delay=delay)
    runtime, run = await engine.start(Workflow("asking", input=Order, steps=[work]), models=[model])
    await entered.wait()
    await runtime.cancel(run)
    await engine.clock.advance(LOOK)
    gate.set()
    ended = await result(runtime, run)
    assert (ended.status, ended.usage.model_calls) == ("cancelled", 1)
    assert ended.usage.tokens_out > 0
    assert (await runtime.state(run)).reserved_tokens == 0


class Waiting:
    """A run that waits: for a person to approve, for a review, in a sleep, or between two attempts."""

    def __init__(self, other: OtherSide, why: str) -> None:
        @tool(effect=Effect.KEYED)
        async def pay(call: Call) -> str:
            return other.act("pay", call.key)

        @step(retry=Retry(2), fallback=Review() if why == "review" else None)
        async def work(order: Order, run: Run) -> str:
            other.act("entered")
            match why:
                case "approval":
                    return await run.call(pay)
                case "review":
                    raise ValueError("no")
                case "sleep":
                    await run.sleep(3600)
                case "retry" if run.attempt == 1:
                    raise Transient("later", retry_after=3600)
            return "done"

        self.workflow = Workflow("waiting", input=Order, steps=[work], tools=[pay], rules=[approve(pay)])


@pytest.mark.parametrize("why", ["approval", "review", "sleep", "retry"])
async def test_a_waiting_run_is_cancelled_at_once(engine: Engine, other: OtherSide, why: str) -> None:
    runtime, run = await engine.start(Waiting(other, why).workflow)
    await until(lambda: other.asked["entered"] == 1)
    await quiet(runtime)
    waiting = await runtime.look(run)
    assert waiting.status == "waiting"
    ended = await cancelled(engine, runtime, run, by="kim")
    assert (ended.status, ended.waiting_for) == ("cancelled", ())
    await quiet(runtime)
    await engine.clock.jump(7200)
    assert (await runtime.look(run)).status == "cancelled"
    assert other.asked["entered"] == 1
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.status, row.owner, row.due) == ("cancelled", None, None)
    assert await runtime.store.items(run=run) == []
    for item in waiting.waiting_for:
        with pytest.raises(ItemClosed):
            await runtime.decide(item.item, Approve(by="kim"))
    assert "pay" not in other.asked


async def test_a_run_in_doubt_is_cancelled_with_its_doubt_told(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.ONCE)
    async def pay(call: Call) -> str:
        other.act("pay")
        raise OSError("lost")

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    runtime, run = await engine.start(Workflow("doubt", input=Order, steps=[work], tools=[pay]))
    assert (await result(runtime, run)).waiting_for
    ended = await cancelled(engine, runtime, run)
    assert ended.error is not None
    assert "Look whether pay happened" in ended.error.remedy


@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled"])
async def test_an_ended_run_cannot_be_cancelled(engine: Engine, other: OtherSide, how: str) -> None:
    @step
    async def work(order: Order) -> str:
        if how == "failed":
            raise ValueError("no")
        return "done"

    workflow = Workflow("ended", input=Order, steps=[work])
    runtime = await engine.open(workflow, drive=how != "cancelled")
    run = (await runtime.start(Order())).id
    if how == "cancelled":
        await runtime.cancel(run)
        runtime = await engine.open(workflow)
    assert (await result(runtime, run)).status == how
    with pytest.raises(WrongDecision, match=how):
        await runtime.cancel(run)
    assert (await runtime.look(run)).status == how


async def test_a_run_that_nobody_knows_cannot_be_cancelled(engine: Engine, other: OtherSide) -> None:
    runtime = await engine.open(plain(other))
    with pytest.raises(RunNotFound):
        await runtime.cancel("r00000000000000000")


async def test_a_cancel_that_comes_as_the_run_ends_changes_nothing(engine: Engine, other: OtherSide) -> None:
    """The run ended between the look and the letter."""
    runtime, run = await engine.start(plain(other))
    assert (await result(runtime, run)).status == "succeeded"
    await runtime.store.post(run, "cancel", '{"by":"kim","reason":"late"}')
    for _ in range(100):
        await engine.clock.advance(LOOK)
        row = await runtime.store.run(run)
        assert row is not None
        if not row.mail and row.owner is None:
            break
    assert (row.status, row.owner, row.mail, row.due) == ("succeeded", None, 0, None)
    assert (await result(runtime, run)).output == "done"


async def test_cancelling_twice_is_cancelling(engine: Engine, other: OtherSide) -> None:
    runtime, run = await engine.start(Waiting(other, "sleep").workflow)
    await quiet(runtime)
    await asyncio.gather(runtime.cancel(run, by="kim"), runtime.cancel(run, by="lee"))
    await engine.clock.advance(LOOK)
    ended = await result(runtime, run)
    assert ended.status == "cancelled"
    assert (await kinds(runtime, run)).count("run.cancelling") == 1
    await quiet(runtime)
    assert (await runtime.store.run(run)).mail == 0  # type: ignore[union-attr]


async def test_a_cancel_reaches_a_run_that_another_process_drives(engine: Engine, other: OtherSide) -> None:
    entered = asyncio.Event()

    @step
    async def work(order: Order) -> str:
        entered.set()
        await asyncio.Event().wait()
        return "never"

    workflow = Workflow("long", input=Order, steps=[work])
    runtime, run = await engine.start(workflow)
    await entered.wait()
    desk = await engine.open(workflow, drive=False)
    await desk.cancel(run)
    await engine.clock.advance(LOOK)
    assert (await result(desk, run)).status == "cancelled"
    assert (await result(runtime, run)).status == "cancelled"


async def test_a_cancel_survives_the_death_of_who_should_carry_it_out(
    engine: Engine, other: OtherSide
) -> None:
    entered = asyncio.Event()

    @step
    async def work(order: Order) -> str:
        entered.set()
        await asyncio.Event().wait()
        return "never"

    workflow = Workflow("long", input=Order, steps=[work])
    runtime, run = await engine.start(workflow)
    await entered.wait()
    desk = await engine.open(workflow, drive=False)
    await desk.cancel(run)
    await engine.crash(runtime)
    entered.clear()
    runtime = await engine.open(workflow)
    assert (await result(runtime, run)).status == "cancelled"
    assert not entered.is_set()


# ── again ──


async def test_a_failed_run_is_taken_up_again_where_it_failed(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.KEYED)
    async def pay(call: Call) -> str:
        return other.act("pay", call.key)

    @step
    async def first(order: Order) -> int:
        other.act("first")
        return 1

    @step
    async def second(first: int, run: Run) -> str:
        paid = await run.call(pay)
        other.act("second")
        if other.asked["second"] == 1:
            raise ValueError("no")
        return paid

    workflow = Workflow("again", input=Order, steps=[first, second], tools=[pay])
    runtime, run = await engine.start(workflow)
    assert (await result(runtime, run)).status == "failed"
    await runtime.retry(run, by="kim", reason="mended")
    done = await result(runtime, run)
    assert (done.status, done.output, done.error) == ("succeeded", "pay #1", None)
    assert other.asked == {"first": 1, "second": 2, "pay": 1}
    state = await runtime.state(run)
    assert state.steps["second"].attempt == 2
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.status, row.summary["error"]) == ("succeeded", None)


@pytest.mark.parametrize("why", ["approval", "review", "sleep", "retry"])
async def test_a_cancelled_run_is_taken_up_again_and_waits_anew(
    engine: Engine, other: OtherSide, why: str
) -> None:
    runtime, run = await engine.start(Waiting(other, why).workflow)
    await until(lambda: other.asked["entered"] == 1)
    await quiet(runtime)
    await cancelled(engine, runtime, run)
    await runtime.retry(run)
    await until(lambda: other.asked["entered"] == 2)
    await quiet(runtime)
    match why:
        case "approval":
            (item,) = (await result(runtime, run)).waiting_for
            await runtime.decide(item.item, Approve(by="kim"))
        case "review":
            (item,) = (await result(runtime, run)).waiting_for
            await runtime.decide(item.item, Settle("done", by="kim"))
        case "sleep":
            assert (await runtime.look(run)).status == "waiting"
            await engine.clock.jump(3600)
    done = await result(runtime, run)
    assert (done.status, done.output) == ("succeeded", "pay #1" if why == "approval" else "done")


async def test_only_what_failed_or_was_cancelled_can_be_taken_up_again(
    engine: Engine, other: OtherSide
) -> None:
    runtime, run = await engine.start(Waiting(other, "sleep").workflow)
    await quiet(runtime)
    with pytest.raises(RunNotFinished, match="waiting"):
        await runtime.retry(run)
    await engine.clock.jump(3600)
    await result(runtime, run)
    with pytest.raises(RunNotFinished, match="succeeded"):
        await runtime.retry(run)
    with pytest.raises(RunNotFound):
        await runtime.retry("r00000000000000000")


async def test_taking_up_again_twice_at_once_is_taking_up_again(engine: Engine, other: OtherSide) -> None:
    @step
    async def work(order: Order) -> str:
        other.act("work")
        if other.asked["work"] == 1:
            raise ValueError("no")
        return "done"

    runtime, run = await engine.start(Workflow("again", input=Order, steps=[work]))
    assert (await result(runtime, run)).status == "failed"
    await asyncio.gather(runtime.retry(run), runtime.retry(run))
    assert (await result(runtime, run)).status == "succeeded"
    await quiet(runtime)
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.status, row.mail, other.asked["work"]) == ("succeeded", 0, 2)


async def test_a_run_that_was_failed_in_a_review_may_be_taken_up_again(
    engine: Engine, other: OtherSide
) -> None:
    runtime, run = await engine.start(Waiting(other, "review").workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim"))
    assert (await result(runtime, run)).status == "failed"
    await runtime.retry(run)
    (again,) = (await result(runtime, run)).waiting_for
    assert again.item != item.item
    assert other.asked["entered"] == 2


# ── fork ──


class Chain:
    """first -> second -> last, with a side step; each counts, `second` fails until it is mended."""

    def __init__(self, other: OtherSide) -> None:
        self.mended = False

        @tool(effect=Effect.KEYED)
        async def pay(call: Call, what: str) -> str:
            return other.act(f"pay {what}", call.key)

        @step
        async def first(order: Order, run: Run) -> str:
            other.act("first")
            return await run.call(pay, what="first")

        @step
        async def side(order: Order) -> str:
            other.act("side")
            return "side"

        @step
        async def second(first: str, run: Run) -> str:
            other.act("second")
            if not self.mended:
                raise ValueError("no")
            return first + await run.call(pay, what="second")

        @step
        async def last(second: str, side: str) -> str:
            other.act("last")
            return f"{second}, {side}"

        self.workflow = Workflow("chain", input=Order, steps=[first, side, second, last], tools=[pay])


async def test_a_fork_takes_over_what_does_not_need_the_step_it_begins_with(
    engine: Engine, other: OtherSide
) -> None:
    chain = Chain(other)
    runtime, run = await engine.start(chain.workflow, Order(number=7))
    assert (await result(runtime, run)).status == "failed"
    before = dict(other.asked)
    assert before["first"] == before["side"] == 1
    chain.mended = True
    forked = await runtime.fork(run, start_from="second")
    assert forked.created
    assert forked.id != run
    done = await result(runtime, forked.id)
    assert (done.status, done.output) == ("succeeded", "pay first #1pay second #1, side")
    assert other.asked["first"] == other.asked["side"] == other.asked["pay first"] == 1
    state = await runtime.state(forked.id)
    assert state.submitted is not None
    assert (state.submitted.forked_from, state.submitted.input) == (run, '{"number":7}')
    assert {name: one.how for name, one in state.steps.items()} == {
        "first": "forked",
        "side": "forked",
        "second": "ok",
        "last": "ok",
    }
    assert (await runtime.look(run)).status == "failed"  # the first is as it was


async def test_a_fork_from_the_first_step_makes_its_effects_under_keys_of_its_own(
    engine: Engine, other: OtherSide
) -> None:
    chain = Chain(other)
    chain.mended = True
    runtime, run = await engine.start(chain.workflow)
    assert (await result(runtime, run)).status == "succeeded"
    forked = await runtime.fork(run, start_from="first")
    assert (await result(runtime, forked.id)).status == "succeeded"
    assert (other.asked["pay first"], len(other.keys["pay first"])) == (2, 2)


async def test_a_fork_of_a_step_that_is_not_there_is_refused(engine: Engine, other: OtherSide) -> None:
    chain = Chain(other)
    runtime, run = await engine.start(chain.workflow)
    await result(runtime, run)
    with pytest.raises(Exception, match="no step 'third'") as refused:
        await runtime.fork(run, start_from="third")
    assert refused.value.code == "usage"  # type: ignore[attr-defined]
    with pytest.raises(RunNotFound):
        await runtime.fork("r00000000000000000", start_from="first")


async def test_a_fork_of_what_no_longer_fits_is_refused_clearly(engine: Engine, other: OtherSide) -> None:
    chain = Chain(other)
    runtime, run = await engine.start(chain.workflow)
    await result(runtime, run)

    @step
    async def first(order: Order) -> int:
        return 1

    @step
    async def last(first: int) -> int:
        return first

    changed = await engine.open(Workflow("chain", input=Order, steps=[first, last]))
    with pytest.raises(Exception, match="first") as refused:
        await changed.fork(run, start_from="last")
    assert refused.value.code == "workflow_changed"  # type: ignore[attr-defined]
