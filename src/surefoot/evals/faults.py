"""Faults of a scenario: a tool or a provider that goes wrong where the scenario says so.

They sit between the engine and the outside, where a real fault would come from: the invoker in front of the
tools' functions, and a model in front of the model. The engine knows nothing of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from ..core.clock import micros
from ..core.error_view import error_of
from ..core.jsons import Raw, dumps, loads
from ..core.model import Bound, Model, ModelAnswer, ModelRequest, Price, ProposedCall, Tokens
from ..core.tool import Call, Effect, Tool
from ..errors import ModelRefused, ModelUnavailable, NotDone
from ..models.recordings import Stand
from ..tools.invoke import Invoker
from .recording import ToolTurn
from .scenario import ModelFault, ToolFault

GARBAGE = {"surefoot_fault": "garbage"}


class Busy:
    """What is under way outside right now: time must not jump while it is."""

    def __init__(self) -> None:
        self.acts = 0
        self.hangs: list[tuple[int, str]] = []
        """Of what will never answer: deadline, in microseconds, and step."""

    async def hang(self, deadline: int, step: str) -> NoReturn:
        """Until the engine gives up."""
        self.hangs.append((deadline, step))
        try:
            while True:
                await asyncio.Event().wait()
        finally:
            self.hangs.remove((deadline, step))


Act = Callable[[], Awaitable[Any]]
Spoil = Callable[[Tool[..., Any], Call, Mapping[str, Any], Act], Awaitable[Any]]
"""Is handed a call and the act itself, and gives a result: the act's, or another one."""


class ToolTape:
    """Answers of tools from a recording: by tool and arguments, equal ones in their order, each once; a READ
    call may be answered again, because reading twice sees the same."""

    def __init__(self, turns: Sequence[ToolTurn]) -> None:
        self._left: dict[str, list[ToolTurn]] = {}
        self._last: dict[str, ToolTurn] = {}
        self.misses: list[str] = []
        for turn in turns:
            self._left.setdefault(turn.key, []).append(turn)

    def answer(self, tool: Tool[..., Any], call: Call) -> Any:
        """Raises NotDone for a call that was not recorded, and notes it."""
        args = loads(tool.parameters.dump(dict(call.arguments)))
        key = ToolTurn(tool.name, args).key
        left = self._left.get(key, [])
        turn = left.pop(0) if left else self._last.get(key) if tool.effect is Effect.READ else None
        if turn is None:
            self.misses.append(f"{tool.name}({dumps(args)})")
            raise NotDone(
                f"{tool.name}: no recording answers this call",
                why="its arguments are not among those that were recorded",
            )
        self._last[key] = turn
        if turn.error is not None:
            raise error_of(dict(turn.error))
        return tool.output.load(Raw(dumps(turn.result)))


class FaultyInvoker(Invoker):
    """Counts each tool's calls in one run, over all its runtimes, and lets the chosen ones go wrong."""

    def __init__(
        self,
        faults: Sequence[ToolFault],
        busy: Busy,
        counted: Counter[str],
        spoil: Spoil | None = None,
        tape: ToolTape | None = None,
    ) -> None:
        super().__init__()
        self._spoil = spoil
        self._tape = tape
        self._faults = faults
        self._busy = busy
        self._counted = counted

    async def invoke(
        self, tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any], seconds: float
    ) -> Any:
        self._counted[tool.name] += 1
        fault = _of(self._faults, self._counted[tool.name], lambda one: one.tool == tool.name)
        if fault is None:
            return await self._really(tool, call, arguments, seconds)
        match fault.does:
            case "timeout":
                await self._busy.hang(call.deadline, call.step)
            case "error":
                raise ConnectionError("the connection was refused (a fault of this scenario)")
            case "lost":
                await self._really(tool, call, arguments, seconds)
                raise ConnectionResetError("the answer was lost (a fault of this scenario)")
            case "busy":
                raise NotDone(f"{tool.name} is busy", why="503 (a fault of this scenario)", transient=True)
            case "refuse":
                raise NotDone(f"{tool.name} refused", why="a fault of this scenario")
            case "garbage":
                await self._really(tool, call, arguments, seconds)
                return GARBAGE

    async def _really(
        self, tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any], seconds: float
    ) -> Any:
        async def act() -> Any:
            if self._tape is not None:
                return self._tape.answer(tool, call)
            return await super(FaultyInvoker, self).invoke(tool, call, arguments, seconds)

        self._busy.acts += 1
        try:
            return await (act() if self._spoil is None else self._spoil(tool, call, arguments, act))
        finally:
            self._busy.acts -= 1


class FaultyModel(Stand):
    """Passes requests on, but for those that the scenario spoils. Counts requests by step, over all
    models. With a `price` it costs that, and not its own."""

    def __init__(
        self,
        model: Model,
        faults: Sequence[ModelFault],
        busy: Busy,
        counted: Counter[str],
        now: Callable[[], int],
        price: Price | None = None,
    ) -> None:
        super().__init__(model)
        self._now = now
        self._price = price
        self._faults = faults
        self._busy = busy
        self._counted = counted

    def bound(self, request: ModelRequest) -> Bound:
        bound = super().bound(request)
        if self._price is None:
            return bound
        return replace(bound, nanousd=self._price.worst(bound.tokens_in, bound.tokens_out))

    def price(self, usage: Tokens) -> int:
        return super().price(usage) if self._price is None else self._price.of(usage)

    async def request(self, request: ModelRequest) -> ModelAnswer:
        self._counted[request.step] += 1
        fault = _of(self._faults, self._counted[request.step], lambda one: one.step == request.step)
        if fault is None:
            return await self._really(request)
        spoilt = ModelAnswer("", (), "stop", Tokens(1, 1), "fault")
        match fault.does:
            case "unavailable":
                raise ModelUnavailable(
                    f"{self.name} is unavailable", why="500 (a fault of this scenario)", charged=False
                )
            case "rate_limited":
                raise ModelUnavailable(
                    f"{self.name} is rate limited", why="429 (a fault of this scenario)", charged=False
                )
            case "cut_off":
                raise ModelUnavailable(
                    f"{self.name}: the connection broke", why="a fault of this scenario", charged=True
                )
            case "silent":
                await self._busy.hang(self._now() + micros(request.timeout), request.step)
            case "refused":
                raise ModelRefused(f"{self.name} refused the request", why="a fault of this scenario")
            case "garbage":
                return replace(spoilt, text="~~ certainly! here is {what you: asked for")
            case "truncated":
                return replace(spoilt, text='{"half": "an answ', finish="length")
            case "invalid_arguments":
                call = ProposedCall(f"fault-{request.turn}", fault.tool or "", dumps(GARBAGE))
                return replace(spoilt, calls=(call,), finish="tool_calls")

    async def _really(self, request: ModelRequest) -> ModelAnswer:
        self._busy.acts += 1
        try:
            return await self._model.request(request)
        finally:
            self._busy.acts -= 1


F = TypeVar("F", ToolFault, ModelFault)


def _of(faults: Sequence[F], number: int, about: Callable[[F], bool]) -> F | None:
    for fault in faults:
        if about(fault) and fault.at <= number < fault.at + fault.times:
            return fault
    return None
