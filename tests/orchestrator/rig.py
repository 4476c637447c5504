"""What the tests of the engine share.

A store (on a file and in memory), a clock that is moved by hand, runtimes that can die without a word, and
`OtherSide`: what the tools of these tests act on, which counts what has really happened to it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import Result, Runtime, Workflow
from surefoot.core.clock import micros
from surefoot.core.fold import CallState, RunState
from surefoot.state.opening import make_store
from surefoot.testing import ManualClock

DAY = 86_400.0

LOOK = 2.0
"""Seconds that the clock is moved by between two looks at how things stand."""


class Order(BaseModel):
    """The input of most workflows here."""

    number: int = 1


class OtherSide:
    """The world that tools act on. `asked` counts requests, `done` what they came to: one for each key, where
    the other side deduplicates by it."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.keys: dict[str, list[str]] = {}

    def act(self, what: str, key: str = "", *, dedupe: bool = False) -> str:
        self.asked[what] += 1
        seen = self.keys.setdefault(what, [])
        if not (dedupe and key in seen):
            self.done[what] += 1
        if key not in seen:
            seen.append(key)
        return f"{what} #{self.done[what]}"


class JumpClock(ManualClock):
    """Also jumps: what falls due on the way happens at the end, as after a laptop's sleep."""

    async def jump(self, seconds: float) -> None:
        self._now += micros(seconds)
        await self.advance(0)


class Engine:
    """Opens runtimes on one store, closes them at the end of the test, or kills them in the middle."""

    def __init__(self, url: str, clock: JumpClock) -> None:
        self.url = url
        self.clock = clock
        self.runtimes: list[Runtime] = []
        self.keeper, self.ring = make_store(url, now=clock.now, worker="keeper")

    async def open(self, workflow: Workflow, **options: Any) -> Runtime:
        # A lease that no jump of the clock makes lapse; tests of lapsed leases give their own.
        settings: dict[str, Any] = {
            "clock": self.clock,
            "lease": 1e7,
            "chance": lambda: 0.5,
            "keyring": self.ring,
        }
        runtime = Runtime(workflow, self.url, **(settings | options))
        await runtime.__aenter__()
        self.runtimes.append(runtime)
        return runtime

    async def start(self, workflow: Workflow, input: Any = None, **options: Any) -> tuple[Runtime, str]:
        runtime = await self.open(workflow, **options)
        started = await runtime.start(Order() if input is None else input)
        return runtime, started.id

    async def run(self, workflow: Workflow, input: Any = None, **options: Any) -> Result:
        """To its end, or to where a person is needed."""
        runtime, run = await self.start(workflow, input, **options)
        return await result(runtime, run)

    async def close(self, runtime: Runtime) -> None:
        self.runtimes.remove(runtime)
        await runtime.__aexit__(None, None, None)

    async def crash(self, runtime: Runtime) -> None:
        """As SIGKILL leaves it: nothing more is done or written, nothing is given back, the lock is free."""
        self.runtimes.remove(runtime)
        await runtime.die()

    async def end(self) -> None:
        for runtime in list(self.runtimes):
            await self.close(runtime)
        await self.keeper.close()


@pytest.fixture
def clock() -> JumpClock:
    return JumpClock()


@pytest.fixture
def other() -> OtherSide:
    return OtherSide()


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db" if request.param == "file" else f"memory:{tmp_path.name}"


@pytest.fixture
async def engine(store: str, clock: JumpClock) -> AsyncIterator[Engine]:
    engine = Engine(store, clock)
    await engine.keeper.open()  # a store in memory lives as long as somebody has it open
    yield engine
    await engine.end()


# ── looking ──


async def until(condition: Callable[[], Any], what: str = "", *, seconds: float = 5) -> None:
    """Lets things happen until `condition` holds; so many seconds at most, in a failing test."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it never came to this: {what or condition}")
        await asyncio.sleep(0.001)


async def result(runtime: Runtime, run: str, *, seconds: float = 10) -> Result:
    return await asyncio.wait_for(runtime.result(run), seconds)


async def quiet(runtime: Runtime, *, seconds: float = 10) -> None:
    """Until this process holds no run and none is due: all have ended, or wait outside of memory."""
    driver = runtime._worker
    assert driver is not None

    def idle() -> bool:
        return not driver.busy and not driver.expected

    end = time.monotonic() + seconds
    while True:
        if idle():
            due = await runtime.store.next_due()
            if (due is None or due > runtime.deployment.clock.now()) and idle():
                return
        if time.monotonic() > end:
            raise AssertionError(f"{busy(runtime)} runs are still in memory, or due")
        await asyncio.sleep(0.001)


def busy(runtime: Runtime) -> int:
    assert runtime._worker is not None
    return runtime._worker.busy


async def kinds(runtime: Runtime, run: str) -> list[str]:
    return [event.kind for event in await runtime.store.events(run)]


async def calls(runtime: Runtime, run: str) -> list[CallState]:
    return list((await runtime.state(run)).calls.values())


def code(result: Result) -> str:
    """Of the error that a run failed with."""
    assert result.error is not None, result
    return result.error.code


def attempts(state: RunState) -> dict[str, int]:
    return {name: step.attempt for name, step in state.steps.items()}
