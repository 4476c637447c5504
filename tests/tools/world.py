"""Tools of each effect class that go wrong in every way: once, after they have acted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from orchestrator.rig import Engine, Order, OtherSide, until
from surefoot import Call, Effect, NotDone, Retry, Run, Tool, Workflow, step, tool

Wrong = Literal["timeout", "exception", "lost connection", "crash", "not done", "invalid result", "never"]

DOUBT: list[Wrong] = ["timeout", "exception", "lost connection", "crash"]
"""After these nobody knows whether it happened."""


class Act:
    """One tool `pay`, of the given effect, that acts on the other side and then goes wrong at its first call
    (or does so before it has acted, with `before`)."""

    def __init__(
        self,
        other: OtherSide,
        effect: Effect,
        wrong: Wrong,
        *,
        before: bool = False,
        times: int = 1,
        reconcile: Callable[[Call], Awaitable[Any]] | None = None,
    ) -> None:
        self.entered = asyncio.Event()
        self.wrong = wrong
        counted = 0

        @tool(effect=effect, timeout=10, reconcile=reconcile)
        async def pay(call: Call, amount: int) -> str:
            """Pays."""
            nonlocal counted
            counted += 1
            bad = counted <= times
            if not (bad and before):
                told = other.act("pay", call.key, dedupe=effect is Effect.KEYED)
            else:
                told = ""
            return await self._go_wrong(told) if bad else told

        self.tool: Tool[..., Any] = pay

        @step(retry=Retry(4, base=0))
        async def work(order: Order, run: Run) -> str:
            return await run.call(pay, amount=5)

        self.workflow = Workflow("paying", input=Order, steps=[work], tools=[pay])

    async def _go_wrong(self, told: str) -> Any:
        match self.wrong:
            case "timeout" | "crash":
                self.entered.set()
                await asyncio.Event().wait()
            case "exception":
                raise ZeroDivisionError("of the tool's own")
            case "lost connection":
                raise ConnectionResetError("by peer")
            case "not done":
                raise NotDone("the card has expired", why="since May")
            case "invalid result":
                return 17
        return told

    async def go(self, engine: Engine, **options: Any) -> tuple[Any, str]:
        """Starts a run and lets it go wrong; after a crash another runtime has taken over."""
        runtime, run = await engine.start(self.workflow, **options)
        if self.wrong == "timeout":
            await self.entered.wait()
            await engine.clock.advance(10)
        elif self.wrong == "crash":
            await self.entered.wait()
            await engine.crash(runtime)
            runtime = await engine.open(self.workflow, **options)
            runtime.begin_driving()
        else:
            await until(lambda: runtime._worker is not None)
        return runtime, run
