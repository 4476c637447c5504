"""A provider that fails when it is told to, for the tests of the breaker and of the daily budget."""

from __future__ import annotations

import asyncio
from typing import Any

from surefoot import Budget, Retry, Run, Workflow, step
from surefoot.core.model import Bound, ModelAnswer, ModelRequest, Price, Tokens
from surefoot.orchestrator.runtime import Runtime
from surefoot.testing import ManualClock

from .rig import Engine, Order

CENT = Price(0.0, 10_000_000.0)
"""A token of an answer costs a cent."""


class Provider:
    """Answers `costs` tokens, or fails with `failure`; `gate` holds requests up until it is set."""

    def __init__(self, name: str = "one", *, failure: Exception | None = None, costs: int = 10) -> None:
        self.name = f"test:{name}"
        self.failure = failure
        self.costs = costs
        self.asked = 0
        self.gate: asyncio.Event | None = None

    def bound(self, request: ModelRequest) -> Bound:
        return Bound(0, request.max_tokens, CENT.worst(0, request.max_tokens))

    def price(self, usage: Tokens) -> int:
        return CENT.of(usage)

    async def request(self, request: ModelRequest) -> ModelAnswer:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return ModelAnswer("fine", usage=Tokens(0, self.costs), version="1")

    async def close(self) -> None:
        pass


def asking(*models: Provider, budget: Budget | None = None, **options: Any) -> Workflow:
    """One ask that may cost 40 cents."""

    @step(retry=Retry(1))
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Go on", {"number": order.number}, max_tokens=40)

    given = budget or Budget(usd=None, tokens=None)
    return Workflow("asking", input=Order, steps=[work], models=list(models), budget=given, **options)


async def start(runtime: Runtime, number: int, *, first: int = 0) -> list[str]:
    return [(await runtime.start(Order(number=first + n))).id for n in range(number)]


async def statuses(engine: Engine, runs: list[str]) -> list[str]:
    found = [await engine.keeper.run(run) for run in runs]
    return [row.status for row in found if row is not None]


async def come_to(
    engine: Engine, runs: list[str], wanted: list[str], *, clock: ManualClock | None = None
) -> None:
    """Until the runs stand like this."""
    found: list[str] = []
    for _ in range(2000):
        found = await statuses(engine, runs)
        if found == wanted:
            return
        if clock is not None:
            await clock.advance(0)
        await asyncio.sleep(0.002)
    raise AssertionError(f"they are {found}, and not {wanted}")
