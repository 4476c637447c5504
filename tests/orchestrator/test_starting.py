"""Starting runs, waiting for them, and how many are in hand at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot import Approve, Call, Effect, Run, Workflow, approve, step, tool
from surefoot.errors import InvalidInput, KeyConflict, RunNotFound

from .rig import LOOK, Engine, Order, OtherSide, busy, quiet, result, until

pytestmark = pytest.mark.anyio


def counting(other: OtherSide) -> Workflow:
    @step
    async def work(order: Order) -> int:
        other.act(f"run {order.number}")
        return order.number

    return Workflow("counting", input=Order, steps=[work])


# ── keys ──


async def test_the_same_key_and_input_is_the_same_run(engine: Engine, other: OtherSide) -> None:
    runtime = await engine.open(counting(other))
    first = await runtime.start(Order(number=1), key="order-1")
    second = await runtime.start(Order(number=1), key="order-1")
    await result(runtime, first.id)
    third = await runtime.start({"number": 1}, key="order-1")
    assert (first.created, second.created, third.created) == (True, False, False)
    assert first.id == second.id == third.id
    assert other.asked == {"run 1": 1}


async def test_the_same_key_with_another_input_is_refused(engine: Engine, other: OtherSide) -> None:
    runtime = await engine.open(counting(other))
    first = await runtime.start(Order(number=1), key="order-1")
    with pytest.raises(KeyConflict, match=first.id):
        await runtime.start(Order(number=2), key="order-1")
    await result(runtime, first.id)
    with pytest.raises(KeyConflict):
        await runtime.start(Order(number=2), key="order-1")
    assert other.asked == {"run 1": 1}


async def test_starts_at_the_same_moment_with_one_key_are_one_run(engine: Engine, other: OtherSide) -> None:
    workflow = counting(other)
    runtimes = [await engine.open(workflow) for _ in range(3)]
    started = await asyncio.gather(
        *(runtime.start(Order(number=1), key="order-1") for runtime in runtimes for _ in range(5))
    )
    assert len({one.id for one in started}) == 1
    assert sum(one.created for one in started) == 1
    await result(runtimes[0], started[0].id)
    assert other.asked == {"run 1": 1}


async def test_a_key_outlives_the_process(engine: Engine, other: OtherSide) -> None:
    workflow = counting(other)
    runtime = await engine.open(workflow)
    first = await runtime.start(Order(number=1), key="order-1")
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    again = await runtime.start(Order(number=1), key="order-1")
    assert (again.id, again.created) == (first.id, False)
    assert (await result(runtime, first.id)).output == 1


async def test_equal_inputs_without_a_key_are_different_runs(engine: Engine, other: OtherSide) -> None:
    runtime = await engine.open(counting(other))
    first, second = await runtime.start(Order(number=1)), await runtime.start(Order(number=1))
    assert first.id != second.id
    for run in (first, second):
        await result(runtime, run.id)
    assert other.asked == {"run 1": 2}


# ── inputs ──


@pytest.mark.parametrize("given", [{"number": 3}, Order(number=3), {"number": "3"}], ids=repr)
async def test_an_input_may_be_an_object_or_its_json(engine: Engine, other: OtherSide, given: Any) -> None:
    assert (await engine.run(counting(other), given)).output == 3


async def test_an_input_that_does_not_fit_makes_no_run_and_says_what_is_wrong(
    engine: Engine, other: OtherSide
) -> None:
    runtime = await engine.open(counting(other))
    with pytest.raises(InvalidInput, match="number: Input should be a valid integer") as refused:
        await runtime.start({"number": "many"}, key="order-1")
    assert refused.value.data["errors"] == [
        "number: Input should be a valid integer, unable to parse string as an integer"
    ]
    assert sum((await runtime.store.counts()).values()) == 0
    assert (await runtime.start({"number": 1}, key="order-1")).created


async def test_a_run_is_on_disk_when_start_returns(engine: Engine, other: OtherSide) -> None:
    workflow = counting(other)
    runtime = await engine.open(workflow)
    runs = [(await runtime.start(Order(number=n))).id for n in range(5)]
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    assert [(await result(runtime, run)).output for run in runs] == [0, 1, 2, 3, 4]


# ── how many at once ──


class Crowd:
    """Counts how many runs are inside a step at once."""

    def __init__(self) -> None:
        self.inside = self.most = 0

        @step
        async def work(order: Order, run: Run) -> int:
            self.inside += 1
            self.most = max(self.most, self.inside)
            for _ in range(3):
                await asyncio.sleep(0)
            self.inside -= 1
            return order.number

        @step
        async def last(work: int) -> int:
            await asyncio.sleep(0)
            return work

        self.workflow = Workflow("crowd", input=Order, steps=[work, last])


@pytest.mark.parametrize("way", ["one by one", "all at once", "by another process"])
async def test_two_hundred_runs_end_and_no_more_than_ten_are_in_hand_at_once(
    engine: Engine, way: str
) -> None:
    crowd = Crowd()
    runtime = await engine.open(crowd.workflow, concurrency=10)
    desk = await engine.open(crowd.workflow, drive=False) if way == "by another process" else runtime
    orders = [Order(number=n) for n in range(200)]
    if way == "all at once":
        started = await asyncio.gather(*(desk.start(order) for order in orders))
    else:
        started = [await desk.start(order) for order in orders]
    most_held = 0

    async def watch() -> None:
        nonlocal most_held
        while True:
            most_held = max(most_held, busy(runtime))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    outputs = [(await result(runtime, one.id)).output for one in started]
    watching.cancel()
    assert outputs == list(range(200))
    assert crowd.most <= 10
    assert most_held <= 10


async def test_waiting_runs_take_no_place(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.KEYED)
    async def sign(call: Call) -> str:
        return other.act("sign")

    @step
    async def work(order: Order, run: Run) -> int:
        if order.number < 50:
            await run.call(sign)
        return order.number

    workflow = Workflow("waiting", input=Order, steps=[work], tools=[sign], rules=[approve(sign)])
    runtime = await engine.open(workflow, concurrency=2)
    runs = [(await runtime.start(Order(number=n))).id for n in range(51)]
    assert (await result(runtime, runs[50])).output == 50
    await quiet(runtime)
    for run in runs[:50]:
        (item,) = (await result(runtime, run)).waiting_for
        await runtime.decide(item.item, Approve(by="kim"))
    assert [(await result(runtime, run)).output for run in runs[:50]] == list(range(50))
    assert other.asked["sign"] == 50


# ── other processes ──


async def test_a_runtime_that_does_not_drive_waits_for_one_that_does(
    engine: Engine, other: OtherSide
) -> None:
    workflow = counting(other)
    desk = await engine.open(workflow, drive=False)
    run = (await desk.start(Order(number=1))).id
    waiting = asyncio.create_task(result(desk, run))
    await asyncio.sleep(0.03)
    assert not waiting.done()
    assert (await desk.look(run)).status == "queued"
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    assert (await waiting).output == 1


async def test_a_run_that_another_process_started_is_seen_without_being_told(
    engine: Engine, other: OtherSide
) -> None:
    workflow = counting(other)
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    await engine.clock.advance(LOOK)
    desk = await engine.open(workflow, drive=False)
    run = (await desk.start(Order(number=1))).id
    await engine.clock.advance(LOOK)
    assert (await result(desk, run)).output == 1


async def test_a_decision_reaches_a_run_that_another_process_holds(engine: Engine, other: OtherSide) -> None:
    """It is in memory there, because its other branch is at work."""
    gate = asyncio.Event()

    @tool(effect=Effect.KEYED)
    async def sign(call: Call) -> str:
        return other.act("sign")

    @step
    async def signed(order: Order, run: Run) -> str:
        return await run.call(sign)

    @step
    async def slow(order: Order) -> str:
        await gate.wait()
        return "slow"

    @step
    async def both(signed: str, slow: str) -> str:
        return f"{signed}, {slow}"

    workflow = Workflow("both", input=Order, steps=[signed, slow, both], tools=[sign], rules=[approve(sign)])
    runtime, run = await engine.start(workflow)
    desk = await engine.open(workflow, drive=False)
    items: list[Any] = []
    for _ in range(200):
        items = await desk.store.items(run=run)
        if items:
            break
        await asyncio.sleep(0.002)
    await desk.decide(items[0].id, Approve(by="kim"))
    await engine.clock.advance(LOOK)
    await until(lambda: other.asked["sign"] == 1)
    assert busy(runtime) == 1
    gate.set()
    assert (await result(desk, run)).output == "sign #1, slow"


async def test_nobody_can_wait_for_a_run_that_is_not_there(engine: Engine, other: OtherSide) -> None:
    runtime = await engine.open(counting(other))
    for ask in (runtime.result, runtime.look, runtime.state):
        with pytest.raises(RunNotFound):
            await ask("r00000000000000000")


async def test_until_idle_drives_what_is_due_and_returns(engine: Engine, other: OtherSide) -> None:
    workflow = counting(other)
    desk = await engine.open(workflow, drive=False)
    runs = [(await desk.start(Order(number=n))).id for n in range(20)]
    runtime = await engine.open(workflow, concurrency=3)
    await asyncio.wait_for(runtime.until_idle(), 10)
    assert [(await desk.look(run)).output for run in runs] == list(range(20))
    await asyncio.wait_for(runtime.until_idle(), 10)


async def test_many_may_wait_for_one_run(engine: Engine, other: OtherSide) -> None:
    runtime = await engine.open(counting(other))
    run = (await runtime.start(Order(number=7))).id
    outputs = await asyncio.gather(*(result(runtime, run) for _ in range(20)))
    assert {one.output for one in outputs} == {7}
    assert not runtime._waiters


async def test_who_stops_waiting_leaves_nothing_behind(engine: Engine) -> None:
    gate = asyncio.Event()

    @step
    async def work(order: Order) -> int:
        await gate.wait()
        return 1

    runtime, run = await engine.start(Workflow("long", input=Order, steps=[work]))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(runtime.result(run), 0.01)
    assert not runtime._waiters
    gate.set()
    assert (await result(runtime, run)).output == 1
