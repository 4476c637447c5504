"""Timeouts of a step, a call, an ask and the whole run: they stop the work, what was under way is unknown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot import Budget, Call, Effect, Retry, Run, Transient, Workflow, approve, step, tool
from surefoot.core.model import ModelRequest
from surefoot.testing import Fail, Say, ScriptedModel

from .rig import Engine, Order, OtherSide, calls, code, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


class Gate:
    """A place where a tool or model stands still until it is let go on, or stopped."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.stopped = False

    async def __call__(self, *_: Any) -> None:
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise


async def test_a_step_that_takes_too_long_is_stopped_and_tried_again(
    engine: Engine, other: OtherSide
) -> None:
    gate = Gate()

    @step(timeout=5, retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> int:
        other.act("try")
        if run.attempt == 1:
            await gate()
        return run.attempt

    runtime, run = await engine.start(Workflow("slow", input=Order, steps=[work]))
    await gate.entered.wait()
    await engine.clock.advance(4.9)
    assert not gate.stopped
    await engine.clock.advance(0.2)
    assert gate.stopped
    assert (await result(runtime, run)).output == 2


async def test_a_step_that_is_too_slow_each_time_fails_with_that(engine: Engine) -> None:
    @step(timeout=5, retry=Retry(2, base=0))
    async def work(order: Order) -> int:
        await asyncio.Event().wait()
        return 1

    runtime, run = await engine.start(Workflow("slow", input=Order, steps=[work]))
    for attempt in (1, 2):
        state = None
        for _ in range(200):
            state = runtime._worker._drives[run].state  # type: ignore[union-attr]
            if state.steps.get("work") and state.steps["work"].attempt == attempt:
                break
            await asyncio.sleep(0.001)
        await engine.clock.advance(5)
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "step_timed_out")
    assert failed.error is not None
    assert "5 s" in failed.error.why


async def test_a_step_cannot_hide_from_its_timeout(engine: Engine) -> None:
    """A body that swallows its cancellation and goes on to a result has still timed out."""

    @step(timeout=5, retry=Retry(1))
    async def work(order: Order) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        return 1

    runtime, run = await engine.start(Workflow("stubborn", input=Order, steps=[work]))
    await until(lambda: runtime._worker._drives)  # type: ignore[union-attr]
    await engine.clock.advance(0)
    await engine.clock.advance(5)
    assert code(await result(runtime, run)) == "step_timed_out"


async def test_a_steps_timeout_interrupts_its_call_whose_outcome_is_then_unknown(
    engine: Engine, other: OtherSide
) -> None:
    gate = Gate()

    @tool(effect=Effect.KEYED, timeout=60)
    async def pay(call: Call) -> str:
        told = other.act("pay", call.key, dedupe=True)
        if other.asked["pay"] == 1:
            await gate()
        return told

    @step(timeout=5, retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    runtime, run = await engine.start(Workflow("paying", input=Order, steps=[work], tools=[pay]))
    await gate.entered.wait()
    await engine.clock.advance(5)
    assert gate.stopped
    assert (await result(runtime, run)).output == "pay #1"
    assert (other.asked["pay"], other.done["pay"]) == (2, 1)
    written = await kinds(runtime, run)
    assert written.index("call.unknown") < written.index("step.failed") < written.index("call.returned")


async def test_a_steps_timeout_during_an_unrepeatable_call_leads_to_a_person_and_not_in_circles(
    engine: Engine, other: OtherSide
) -> None:
    gate = Gate()

    @tool(effect=Effect.ONCE, timeout=60)
    async def pay(call: Call) -> str:
        told = other.act("pay", call.key)
        await gate()
        return told

    @step(timeout=5, retry=Retry(3, base=0))
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    runtime, run = await engine.start(Workflow("paying", input=Order, steps=[work], tools=[pay]))
    await gate.entered.wait()
    await engine.clock.advance(5)
    await quiet(runtime)
    waiting = await result(runtime, run)
    assert waiting.status == "waiting"
    assert [item.kind for item in waiting.waiting_for] == ["unknown"]
    assert len(await kinds(runtime, run)) < 20
    assert other.asked["pay"] == 1


async def test_a_call_is_stopped_by_its_own_timeout(engine: Engine, other: OtherSide) -> None:
    gate = Gate()

    @tool(effect=Effect.IDEMPOTENT, timeout=2)
    async def mark(call: Call) -> str:
        other.act("mark", call.key)
        if other.asked["mark"] == 1:
            await gate()
        return "marked"

    @step(timeout=60, retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        return await run.call(mark)

    runtime, run = await engine.start(Workflow("marking", input=Order, steps=[work], tools=[mark]))
    await gate.entered.wait()
    await engine.clock.advance(1.9)
    assert not gate.stopped
    await engine.clock.advance(0.2)
    assert gate.stopped
    assert (await result(runtime, run)).output == "marked"


async def test_a_tool_that_swallows_its_cancellation_is_still_too_late(
    engine: Engine, other: OtherSide
) -> None:
    """It answered after its time was up: nobody may rely on when that was, but what it said is known."""
    entered = asyncio.Event()

    @tool(effect=Effect.KEYED, timeout=2)
    async def pay(call: Call) -> str:
        told = other.act("pay", call.key, dedupe=True)
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        return told

    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    runtime, run = await engine.start(Workflow("paying", input=Order, steps=[work], tools=[pay]))
    await entered.wait()
    await engine.clock.advance(2)
    done = await result(runtime, run)
    assert (done.output, other.done["pay"]) == ("pay #1", 1)


async def test_an_ask_is_stopped_by_its_own_timeout_and_charged_in_full(engine: Engine) -> None:
    gate = Gate()

    async def delay(request: ModelRequest) -> None:
        if not gate.entered.is_set():
            await gate()

    model = ScriptedModel({"work": [Say("hello")]}, delay=delay)

    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Say hello", timeout=3)

    workflow = Workflow("asking", input=Order, steps=[work])
    runtime, run = await engine.start(workflow, models=[model])
    await gate.entered.wait()
    await engine.clock.advance(3)
    assert gate.stopped
    done = await result(runtime, run)
    assert (done.status, done.output) == ("succeeded", "hello")
    first, second = (await runtime.state(run)).asks.values()
    assert (first.status, second.status) == ("held", "answered") or (first.status, second.status) == (
        "failed",
        "answered",
    )
    assert done.usage.tokens_in >= first.tokens


async def test_a_run_that_is_active_for_too_long_is_stopped(engine: Engine) -> None:
    gate = Gate()

    @step
    async def work(order: Order) -> int:
        await gate()
        return 1

    workflow = Workflow("slow", input=Order, steps=[work], budget=Budget(seconds=20))
    runtime, run = await engine.start(workflow)
    await gate.entered.wait()
    await engine.clock.advance(19.9)
    assert not gate.stopped
    await engine.clock.advance(0.2)
    failed = await result(runtime, run)
    assert gate.stopped
    assert (failed.status, code(failed)) == ("failed", "budget_exceeded")
    assert failed.error is not None
    assert "20 s" in failed.error.what


async def test_waiting_is_no_active_time(engine: Engine, other: OtherSide) -> None:
    """A day for a person, an hour's sleep and a long retry: only what was worked counts."""

    @tool(effect=Effect.KEYED)
    async def pay(call: Call) -> str:
        return other.act("pay", call.key)

    @step(retry=Retry(2))
    async def work(order: Order, run: Run) -> str:
        await run.sleep(3600)
        await run.call(pay)
        if run.attempt == 1:
            raise Transient("later", retry_after=3600)
        return "done"

    workflow = Workflow(
        "patient", input=Order, steps=[work], tools=[pay], rules=[approve(pay)], budget=Budget(seconds=10)
    )
    runtime, run = await engine.start(workflow)
    await quiet(runtime)
    await engine.clock.jump(3600)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.clock.jump(86_400)
    from surefoot import Approve

    await runtime.decide(item.item, Approve(by="kim"))
    await until(lambda: other.done["pay"] == 1)
    await quiet(runtime)
    await engine.clock.jump(3600)
    await quiet(runtime)
    await engine.clock.jump(3600)
    done = await result(runtime, run)
    assert (done.status, done.output) == ("succeeded", "done")
    assert done.usage.seconds < 1


async def test_active_time_adds_up_over_waits_and_crashes(engine: Engine) -> None:
    gates = [Gate(), Gate(), Gate()]

    @step(retry=Retry(3))
    async def work(order: Order, run: Run) -> int:
        await gates[0]()
        raise Transient("later", retry_after=3600)

    @step
    async def never(work: int) -> int:
        return work

    workflow = Workflow("adding", input=Order, steps=[work, never], budget=Budget(seconds=20))
    runtime, run = await engine.start(workflow)
    await gates[0].entered.wait()
    await engine.clock.advance(12)
    gates[0].open.set()
    await quiet(runtime)
    gates[0] = gates[1]
    await engine.clock.jump(3600)
    await gates[1].entered.wait()
    await engine.clock.advance(7)
    assert not gates[1].stopped
    await engine.clock.advance(2)
    failed = await result(runtime, run)
    assert gates[1].stopped
    assert (failed.status, code(failed)) == ("failed", "budget_exceeded")


async def test_a_runs_timeout_makes_the_call_under_way_unknown(engine: Engine, other: OtherSide) -> None:
    gate = Gate()

    @tool(effect=Effect.ONCE, timeout=600)
    async def pay(call: Call) -> str:
        other.act("pay", call.key)
        await gate()
        return "paid"

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    workflow = Workflow("paying", input=Order, steps=[work], tools=[pay], budget=Budget(seconds=20))
    runtime, run = await engine.start(workflow)
    await gate.entered.wait()
    await engine.clock.advance(20)
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "budget_exceeded")
    assert [call.status for call in await calls(runtime, run)] == ["unknown"]
    assert other.asked["pay"] == 1


# ── draining ──


async def test_a_failed_sibling_never_interrupts_a_call_under_way(engine: Engine, other: OtherSide) -> None:
    gate = Gate()

    @tool(effect=Effect.ONCE, timeout=60)
    async def pay(call: Call) -> str:
        await gate()
        return other.act("pay", call.key)

    @step
    async def paying(order: Order, run: Run) -> str:
        await run.call(pay)
        other.act("after")
        await run.call(pay)
        return "paid"

    @step
    async def failing(order: Order) -> str:
        await gate.entered.wait()
        raise ValueError("no")

    @step
    async def both(paying: str, failing: str) -> str:
        return paying

    workflow = Workflow("siblings", input=Order, steps=[paying, failing, both], tools=[pay])
    runtime, run = await engine.start(workflow)
    await gate.entered.wait()
    await engine.clock.advance(1)
    assert (await runtime.look(run)).status == "running"
    gate.open.set()
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "step_failed")
    assert not gate.stopped
    assert [call.status for call in await calls(runtime, run)] == ["returned"]
    assert other.asked == {"pay": 1}


async def test_a_failed_sibling_never_interrupts_a_request_under_way(engine: Engine) -> None:
    gate = Gate()
    model = ScriptedModel({"asking": [Say("hello"), Fail()]}, delay=gate)

    @step
    async def asking(order: Order, run: Run) -> str:
        return await run.ask(str, "Say hello")

    @step
    async def failing(order: Order) -> str:
        await gate.entered.wait()
        raise ValueError("no")

    @step
    async def both(asking: str, failing: str) -> str:
        return asking

    workflow = Workflow("siblings", input=Order, steps=[asking, failing, both])
    runtime, run = await engine.start(workflow, models=[model])
    await gate.entered.wait()
    await engine.clock.advance(1)
    gate.open.set()
    assert (await result(runtime, run)).status == "failed"
    assert [ask.status for ask in (await runtime.state(run)).asks.values()] == ["answered"]


async def test_a_failed_branch_of_a_task_group_never_interrupts_a_call_of_another(
    engine: Engine, other: OtherSide
) -> None:
    gate = Gate()

    @tool(effect=Effect.ONCE, timeout=60)
    async def pay(call: Call) -> str:
        await gate()
        return other.act("pay", call.key)

    @step
    async def work(order: Order, run: Run) -> str:
        async def fail() -> None:
            await gate.entered.wait()
            raise ValueError("no")

        async with asyncio.TaskGroup() as group:
            paid = group.create_task(run.call(pay))
            group.create_task(fail())
        return paid.result()

    runtime, run = await engine.start(Workflow("groups", input=Order, steps=[work], tools=[pay]))
    await gate.entered.wait()
    await engine.clock.advance(1)
    assert (await runtime.look(run)).status == "running"
    gate.open.set()
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "step_failed")
    assert [call.status for call in await calls(runtime, run)] == ["returned"]
    assert not gate.stopped


async def test_closing_the_runtime_drains_what_is_under_way_and_starts_nothing(
    engine: Engine, other: OtherSide
) -> None:
    gate = Gate()

    @tool(effect=Effect.ONCE, timeout=60)
    async def pay(call: Call) -> str:
        await gate()
        return other.act("pay", call.key)

    @step
    async def work(order: Order, run: Run) -> str:
        first = await run.call(pay)
        other.act("between")
        return first + await run.call(pay)

    workflow = Workflow("closing", input=Order, steps=[work], tools=[pay])
    runtime, run = await engine.start(workflow)
    await gate.entered.wait()
    closing = asyncio.create_task(engine.close(runtime))
    await engine.clock.advance(1)
    assert not closing.done()
    gate.open.set()
    await closing
    assert not gate.stopped
    assert other.asked == {"pay": 1}
    runtime = await engine.open(workflow)
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.status, row.owner) == ("queued", None)
    done = await result(runtime, run)
    assert (done.status, other.asked["pay"], other.asked["between"]) == ("succeeded", 2, 1)


@pytest.mark.parametrize("end", ["timeout", "crash"])
async def test_what_a_stopped_tool_cleans_up_it_may_finish(
    engine: Engine, other: OtherSide, end: str
) -> None:
    """It is told once that it has to stop, and not a second time in the middle of its cleaning."""
    entered = asyncio.Event()

    @tool(effect=Effect.ONCE, timeout=5)
    async def pay(call: Call) -> str:
        try:
            entered.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            other.act("cleaned up")
        return "never"

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    runtime, run = await engine.start(Workflow("cleaning", input=Order, steps=[work], tools=[pay]))
    await entered.wait()
    if end == "timeout":
        await engine.clock.advance(5)
        await result(runtime, run)
    else:
        await engine.crash(runtime)
    assert other.asked == {"cleaned up": 1}
