"""Workers that die, stop, or are thought dead: their runs go on elsewhere, exactly once; and a run that kills its
workers takes neither the service nor its neighbours with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot import Approve, Call, Deny, Done, Effect, Run, Runtime, Workflow, step, tool
from surefoot.state.opening import make_store
from surefoot.state.store import Append

from .rig import LOOK, Engine, JumpClock, Order, OtherSide, busy, calls, code, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


class Slow:
    """A step that makes one call, in which it stays until it is let go on: at the first call only."""

    def __init__(self, other: OtherSide, effect: Effect, reconcile: Any = None) -> None:
        self.entered, self.gate = asyncio.Event(), asyncio.Event()
        self.stopped = 0

        @tool(effect=effect, timeout=30, reconcile=reconcile)
        async def pay(call: Call) -> str:
            told = other.act("pay", call.key, dedupe=effect is Effect.KEYED)
            if other.asked["pay"] == 1:
                self.entered.set()
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.stopped += 1
                    raise
            return told

        @step
        async def work(order: Order, run: Run) -> str:
            return await run.call(pay)

        self.workflow = Workflow("slow", input=Order, steps=[work], tools=[pay])


async def test_a_dead_workers_run_goes_on_at_once(engine: Engine, other: OtherSide) -> None:
    """Its lock is free, which proves its death: nobody waits for its lease to lapse."""
    slow = Slow(other, Effect.KEYED)
    runtime, run = await engine.start(slow.workflow)
    await slow.entered.wait()
    await engine.crash(runtime)
    runtime = await engine.open(slow.workflow)
    assert (await result(runtime, run)).output == "pay #1"
    assert (other.asked["pay"], other.done["pay"]) == (2, 1)


async def test_a_stopped_workers_run_goes_on_when_its_lease_has_lapsed_and_it_writes_nothing_more(
    engine: Engine, other: OtherSide
) -> None:
    """It stands still (its clock does not move), is believed dead, and wakes up in the middle of its call."""
    slow = Slow(other, Effect.KEYED)
    stopped, run = await engine.start(slow.workflow, lease=10.0)
    await slow.entered.wait()
    later = JumpClock(engine.clock.now() + 60_000_000)
    runtime = await engine.open(slow.workflow, clock=later, lease=10.0)
    assert (await result(runtime, run)).output == "pay #1"
    before = await kinds(runtime, run)
    slow.gate.set()  # the call that nobody waits for any more comes back
    await quiet(stopped)
    assert await kinds(runtime, run) == before
    assert other.done["pay"] == 1
    assert (await stopped.look(run)).output == "pay #1"


async def test_a_worker_whose_clock_jumps_gives_up_its_runs_before_they_act_again(
    engine: Engine, other: OtherSide
) -> None:
    acted_after = []

    @tool(effect=Effect.KEYED, timeout=3600)
    async def pay(call: Call) -> str:
        other.act("pay", call.key)
        if other.asked["pay"] == 1:
            await gate.wait()
            acted_after.append("the stopped call went on")
        return "paid"

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    gate = asyncio.Event()
    runtime, run = await engine.start(Workflow("jumping", input=Order, steps=[work], tools=[pay]), lease=10.0)
    await until(lambda: other.asked["pay"])
    await engine.clock.jump(60)
    gate.set()
    done = await result(runtime, run)
    assert (done.status, acted_after) == ("succeeded", [])
    assert (other.asked["pay"], len(other.keys["pay"])) == (2, 1)


async def test_who_drives_until_nothing_is_due_is_not_done_while_its_lease_has_lapsed(
    engine: Engine, other: OtherSide
) -> None:
    @tool(effect=Effect.KEYED, timeout=3600)
    async def pay(call: Call) -> str:
        other.act("pay", call.key)
        if other.asked["pay"] == 1:
            await asyncio.Event().wait()
        return "paid"

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    workflow = Workflow("lapsing", input=Order, steps=[work], tools=[pay])
    async with Runtime(workflow, engine.url, clock=engine.clock, drive=False) as starter:
        run = (await starter.start(Order())).id
    runtime = await engine.open(workflow, lease=10.0)
    idle = asyncio.create_task(runtime.until_idle())
    await until(lambda: other.asked["pay"])
    await engine.clock.jump(60)
    await asyncio.wait_for(idle, 10)
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.status, other.asked["pay"]) == ("succeeded", 2)


async def test_a_run_that_is_claimed_again_before_its_last_drive_has_left_is_still_held(
    engine: Engine, other: OtherSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = asyncio.Event()

    @tool(effect=Effect.KEYED, timeout=3600)
    async def pay(call: Call) -> str:
        other.act("pay", call.key)
        await go.wait()
        return "paid"

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(pay)

    runtime, run = await engine.start(Workflow("again", input=Order, steps=[work], tools=[pay]), lease=10.0)
    await until(lambda: other.asked["pay"])
    driver, store, claimed_again = runtime._worker, runtime.store, asyncio.Event()
    assert driver is not None
    append, take = store.append, driver.take

    async def and_claimed_at_once(given: Append) -> Any:
        grown = await append(given)
        if given.change is not None and given.change.release and not given.records:
            driver.look()
            await claimed_again.wait()
        return grown

    def taking(*given: Any) -> None:
        take(*given)
        claimed_again.set()

    monkeypatch.setattr(store, "append", and_claimed_at_once)
    monkeypatch.setattr(driver, "take", taking)
    await engine.clock.jump(60)
    await until(lambda: other.asked["pay"] == 2)
    await engine.clock.advance(0)  # the first drive has left
    assert busy(runtime) == 1
    closing = asyncio.create_task(engine.close(runtime))
    await engine.clock.advance(0)
    assert not closing.done(), "it lets the call under way come to its end"
    go.set()
    await closing
    row = await engine.keeper.run(run)
    assert row is not None
    assert row.owner is None


@pytest.mark.parametrize("answer", ["reconcile", "person"])
async def test_nobody_settles_an_unrepeatable_call_of_a_worker_that_may_still_act_on_it(
    engine: Engine, other: OtherSide, answer: str
) -> None:
    """Fencing protects the journal, not the world: until the call's deadline has passed, it may happen yet."""
    asked_at: list[int] = []

    async def reconcile(call: Call) -> Any:
        asked_at.append(later.now())
        return Done("found")

    slow = Slow(other, Effect.ONCE, reconcile if answer == "reconcile" else None)
    _, run = await engine.start(slow.workflow, lease=10.0)
    await slow.entered.wait()
    deadline = engine.clock.now() + 30_000_000
    later = JumpClock(engine.clock.now() + 11_000_000)
    runtime = await engine.open(slow.workflow, clock=later, lease=10.0)
    runtime.begin_driving()
    await until(lambda: busy(runtime))
    await later.advance(18)
    assert not asked_at
    assert (await runtime.look(run)).waiting_for == ()
    await later.advance(2)
    done = await result(runtime, run)
    assert other.asked["pay"] == 1
    slow.gate.set()  # it wakes up, and what it has to say comes too late
    if answer == "reconcile":
        assert done.output == "found"
        assert asked_at[0] >= deadline
    else:
        assert [item.kind for item in done.waiting_for] == ["unknown"]


async def test_of_two_workers_each_run_is_driven_by_one(engine: Engine, other: OtherSide) -> None:
    @step
    async def work(order: Order) -> int:
        other.act(f"run {order.number}")
        await asyncio.sleep(0)
        return order.number

    workflow = Workflow("many", input=Order, steps=[work])
    desk = await engine.open(workflow, drive=False)
    runs = [(await desk.start(Order(number=n))).id for n in range(40)]
    workers = [await engine.open(workflow, concurrency=5) for _ in range(2)]
    for worker in workers:
        worker.begin_driving()
    outputs = [(await result(desk, run)).output for run in runs]
    assert outputs == list(range(40))
    assert other.asked == {f"run {n}": 1 for n in range(40)}


# ── runs that kill their workers ──


async def claimed_in_vain(engine: Engine, workflow: Workflow, run: str, times: int) -> None:
    """Workers take the run up and die before they come to anything."""
    for number in range(times):
        name = f"victim-{number}-of-{times}"
        store, _ = make_store(engine.url, now=engine.clock.now, worker=name, keyring=engine.ring)
        await store.open()
        claimed = await store.claim(10)
        assert [one.lease.run for one in claimed] == [run]
        await store.close()


def harmless(other: OtherSide) -> Workflow:
    @step
    async def work(order: Order) -> str:
        other.act(f"run {order.number}")
        return "done"

    return Workflow("poison", input=Order, steps=[work])


async def waiting_run(engine: Engine, workflow: Workflow) -> str:
    desk = await engine.open(workflow, drive=False)
    return (await desk.start(Order(number=1))).id


@pytest.mark.parametrize("times", [0, 1, 2, 3])
async def test_a_run_that_was_claimed_in_vain_a_few_times_is_tried_again(
    engine: Engine, other: OtherSide, times: int
) -> None:
    workflow = harmless(other)
    run = await waiting_run(engine, workflow)
    await claimed_in_vain(engine, workflow, run, times)
    runtime = await engine.open(workflow)
    assert (await result(runtime, run)).status == "succeeded"


async def test_a_run_that_was_claimed_in_vain_too_often_is_set_aside(
    engine: Engine, other: OtherSide
) -> None:
    workflow = harmless(other)
    run = await waiting_run(engine, workflow)
    await claimed_in_vain(engine, workflow, run, 4)
    runtime = await engine.open(workflow)
    waiting = await result(runtime, run)
    assert (waiting.status, other.asked) == ("waiting", {})
    (item,) = waiting.waiting_for
    assert (item.kind, item.choices) == ("review", ("approve", "deny"))
    assert item.reason.startswith("4 workers in a row took this run up and died or lost it")
    await quiet(runtime)


async def test_approved_it_is_tried_again_from_the_start_of_its_count(
    engine: Engine, other: OtherSide
) -> None:
    workflow = harmless(other)
    run = await waiting_run(engine, workflow)
    await claimed_in_vain(engine, workflow, run, 4)
    runtime = await engine.open(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)
    desk = await engine.open(workflow, drive=False)
    await desk.decide(item.item, Approve(by="kim"))
    await claimed_in_vain(engine, workflow, run, 2)
    runtime = await engine.open(workflow)
    assert (await result(runtime, run)).status == "succeeded"


async def test_denied_it_fails(engine: Engine, other: OtherSide) -> None:
    workflow = harmless(other)
    run = await waiting_run(engine, workflow)
    await claimed_in_vain(engine, workflow, run, 4)
    runtime = await engine.open(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason="it has done enough"))
    failed = await result(runtime, run)
    assert (failed.status, code(failed), other.asked) == ("failed", "poisoned", {})


async def test_its_last_try_is_alone_in_its_process(engine: Engine, other: OtherSide) -> None:
    """So that nobody dies with it: neighbours wait until it is over, and are driven then."""
    alone: list[int] = []
    gate = asyncio.Event()
    begun = asyncio.Event()

    @step
    async def work(order: Order) -> str:
        if order.number == 1:
            begun.set()
            await gate.wait()
            alone.append(busy(runtime))
        return "done"

    workflow = Workflow("poison", input=Order, steps=[work])
    run = await waiting_run(engine, workflow)
    await claimed_in_vain(engine, workflow, run, 3)
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    await begun.wait()
    others = [(await runtime.start(Order(number=n))).id for n in (2, 3)]
    desk = await engine.open(workflow, drive=False)
    others.append((await desk.start(Order(number=4))).id)
    await engine.clock.advance(LOOK * 2)
    assert busy(runtime) == 1
    gate.set()
    assert [(await result(runtime, one)).status for one in (run, *others)] == ["succeeded"] * 4
    assert alone == [1]


async def test_a_suspect_waits_until_the_neighbours_have_ended(engine: Engine, other: OtherSide) -> None:
    gate = asyncio.Event()
    begun: list[int] = []

    @step
    async def work(order: Order) -> str:
        begun.append(order.number)
        if order.number == 2:
            await gate.wait()
        return "done"

    workflow = Workflow("poison", input=Order, steps=[work])
    run = await waiting_run(engine, workflow)
    await claimed_in_vain(engine, workflow, run, 3)
    runtime, neighbour = await engine.start(workflow, Order(number=2))
    await until(lambda: begun == [2])
    for _ in range(3):
        await engine.clock.advance(LOOK)
    assert begun == [2]
    gate.set()
    assert (await result(runtime, neighbour)).status == "succeeded"
    assert (await result(runtime, run)).status == "succeeded"
    assert begun == [2, 1]


async def test_progress_forgives_the_claims_before_it(engine: Engine, other: OtherSide) -> None:
    """A long run that is claimed often and comes to something each time is no poison."""

    @step
    async def work(order: Order, run: Run) -> int:
        for _ in range(8):
            await run.sleep(3600)
        return other.asked["entered"]

    workflow = Workflow("patient", input=Order, steps=[work])
    runtime, run = await engine.start(workflow)
    for _ in range(8):
        row = None
        while row is None or row.owner is not None or row.due is None or row.due <= engine.clock.now():
            await engine.clock.advance(0)
            row = await runtime.store.run(run)
        await engine.crash(runtime)
        engine.clock._now = row.due
        runtime = await engine.open(workflow)
        runtime.begin_driving()
    assert (await result(runtime, run)).status == "succeeded"


async def test_a_call_that_kills_its_worker_is_made_a_bounded_number_of_times(
    engine: Engine, other: OtherSide
) -> None:
    """The intent is progress, so claims alone do not stop it: an unrepeatable call goes to a person at once."""
    slow = Slow(other, Effect.ONCE)
    runtime, run = await engine.start(slow.workflow)
    await slow.entered.wait()
    await engine.crash(runtime)
    runtime = await engine.open(slow.workflow)
    waiting = await result(runtime, run)
    assert [item.kind for item in waiting.waiting_for] == ["unknown"]
    assert [call.status for call in await calls(runtime, run)] == ["unknown"]
    assert other.asked["pay"] == 1
