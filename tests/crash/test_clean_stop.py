"""A process that is told to stop (SIGTERM, Ctrl-C) lets go of its runs in good order, and at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import pytest

from crash import judge, poison, slow
from crash.processes import Place, until
from surefoot import Runtime, Workflow, step
from surefoot.orchestrator.clock import SystemClock
from surefoot.state.opening import make_store
from surefoot.state.rows import RunFilter

SIGNALS = [signal.SIGTERM, signal.SIGINT]


def _workers(place: Place) -> int:
    """How many the store believes to be living."""

    async def count() -> int:
        store, _ = make_store(place.store, now=SystemClock().now, worker="judge")
        await store.open()
        found = len(await store.workers())
        await store.close()
        return found

    return asyncio.run(count())


@pytest.mark.parametrize("number", SIGNALS, ids=str)
def test_told_to_stop_it_gives_its_runs_back_at_once(number: int, place: Place) -> None:
    inputs = {f"long-{n}": {"name": f"long-{n}", "does": "long"} for n in range(20)}
    first = place.start("serve", program="crash.poison:flow", inputs=inputs, concurrency=10)
    until(lambda: len(place.world.rows("enter")) == 10, "as many as it may hold are under way")
    started = time.perf_counter()
    first.send(number)
    end = first.end()
    assert end.code == 0, end
    print(f"\nstopped in {time.perf_counter() - started:.3f} s")
    for run in judge.read(place.store, poison.flow).values():
        assert (run.row.status, run.row.owner, run.row.claims) == ("queued", None, 0)
        assert run.row.due is not None
        assert run.row.due <= time.time() * 1e6
    assert _workers(place) == 0

    place.world.say("flag", "go")
    assert place.do("work", program="crash.poison:flow").code == 0
    for run in judge.read(place.store, poison.flow).values():
        assert run.row.status == "succeeded"
        assert judge.broken(run, place.world, poison.flow) == []


@pytest.mark.parametrize("number", SIGNALS, ids=str)
@pytest.mark.parametrize("name", ["blind_async", "blind_plain", "keyed_async"])
def test_told_to_stop_it_lets_a_call_come_to_its_end(name: str, number: int, place: Place) -> None:
    """Nothing between intent and outcome is interrupted: nobody has to look afterwards."""
    first = place.start("serve", program=f"crash.slow:{name}", inputs={"one": {"name": "one"}})
    until(lambda: place.world.rows("attempt"), "the tool has begun")
    first.send(number)
    assert first.alive
    place.world.say("flag", "go")
    end = first.end()
    assert end.code == 0, end
    (run,) = judge.read(place.store, slow.flows[name]).values()
    (call,) = run.state.calls.values()
    assert call.status == "returned"
    assert run.row.owner is None

    end = place.do("run", program=f"crash.slow:{name}", key="one", input={"name": "one"})
    assert end.said["output"] == "did one, and told"
    (run,) = judge.read(place.store, slow.flows[name]).values()
    assert judge.broken(run, place.world, slow.flows[name]) == []
    assert {row.pid for row in place.world.rows("attempt")} == {first.pid}


@step
async def greeting(name: str) -> str:
    return f"Hello {name}"


hello = Workflow("hello", input=str, steps=[greeting])


@pytest.mark.anyio
async def test_a_run_goes_on_whose_caller_has_gone_in_the_middle_of_starting_it(tmp_path: Path) -> None:
    async with Runtime(hello, f"sqlite:///{tmp_path}/state.db") as runtime:
        for turns in range(6):
            starting = asyncio.create_task(runtime.start("Kim", key=f"k{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
        runtime.begin_driving()
        deadline = time.monotonic() + 5
        runs = await runtime.store.runs(RunFilter())
        while {run.status for run in runs} != {"succeeded"}:
            assert time.monotonic() < deadline, runs
            await asyncio.sleep(0.005)
            runs = await runtime.store.runs(RunFilter())
        assert len(runs) >= 3


@pytest.mark.anyio
async def test_no_more_runs_are_held_at_once_than_allowed(tmp_path: Path) -> None:
    held: list[int] = []

    @step
    async def counted(number: int) -> int:
        held.append(runtime._worker.busy if runtime._worker else 0)
        await asyncio.sleep(0.001)
        return number

    flow = Workflow("counted", input=int, steps=[counted])
    async with Runtime(flow, f"sqlite:///{tmp_path}/state.db", concurrency=5) as runtime:
        started = await asyncio.gather(*(runtime.start(number) for number in range(40)))
        results = [(await runtime.result(one.id)).output for one in started]
    assert results == list(range(40))
    assert max(held) <= 5
