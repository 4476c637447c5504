"""What tests of a workflow need: a model that says what it is told to, a clock that is moved by hand, and
a process that dies where it is told to.

    desk = support_desk.desk
    model = ScriptedModel({"triage": [Say({"intent": "refund", "order_number": "1001"})]})
    async with Runtime(desk, store="memory:", models=[model], clock=ManualClock()) as runtime: ...
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_json

from .core.clock import MICROS, Timer, micros
from .core.model import (
    FREE,
    Bound,
    ModelAnswer,
    ModelRequest,
    Price,
    ProposedCall,
    Tokens,
    most_tokens,
)
from .errors import ModelRefused, ModelUnavailable, UsageError
from .state.writer import writing

FailKind = Literal["unavailable", "rate_limited", "timeout", "cut_off", "refused", "crash"]


@dataclass(frozen=True)
class Say:
    """The model answers with this text, or with this object as JSON. `finish` "length" cuts it off."""

    what: Any
    finish: Literal["stop", "length", "refused"] = "stop"


@dataclass(frozen=True)
class UseTools:
    """The model proposes these calls: (name, arguments as an object, or raw text as it came)."""

    calls: Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Fail:
    """The provider fails: unavailable (503), rate_limited (429, not charged), timeout and cut_off (charged,
    nobody knows how much), refused (a definite no)."""

    kind: FailKind = "unavailable"
    retry_after: float | None = None


Turn = Say | UseTools | Fail


class ScriptedModel:
    """Answers by script: the turn is chosen by the step and by the number of answers already in the
    conversation. So it holds no state, and a run that is resumed in another process meets the same model.

    `price` is per token (default: free). `delay` is handed the request before each answer, e.g. to wait.
    """

    def __init__(
        self,
        script: Mapping[str, Sequence[Turn]],
        *,
        name: str = "scripted",
        price: Price = FREE,
        delay: Callable[[ModelRequest], Any] | None = None,
    ) -> None:
        self.name = name if ":" in name else f"scripted:{name}"
        self.requests: list[ModelRequest] = []
        """What this object was asked; for assertions only, never for answers."""
        self._script = {step: list(turns) for step, turns in script.items()}
        self._price = price
        self._delay = delay

    def bound(self, request: ModelRequest) -> Bound:
        tokens = most_tokens(request)
        return Bound(tokens, request.max_tokens, self._price.worst(tokens, request.max_tokens))

    def price(self, usage: Tokens) -> int:
        return self._price.of(usage)

    async def request(self, request: ModelRequest) -> ModelAnswer:
        self.requests.append(request)
        if self._delay is not None:
            await self._delay(request)
        turns = self._script.get(request.step, [])
        if request.turn >= len(turns):
            raise ModelRefused(
                f"the script has no turn {request.turn + 1} for step {request.step!r}",
                why=f"it has {len(turns)}",
                remedy="Add one to the ScriptedModel.",
            )
        turn = turns[request.turn]
        usage_in = max(most_tokens(request) // 4, 1)
        match turn:
            case Fail():
                raise self._failure(turn)
            case UseTools(calls=calls):
                proposed = tuple(
                    ProposedCall(
                        f"call-{request.turn}-{n}", name, args if isinstance(args, str) else _json(args)
                    )
                    for n, (name, args) in enumerate(calls)
                )
                size = sum(len(call.arguments) for call in proposed)
                usage = Tokens(usage_in, self._tokens_out(request, size))
                return ModelAnswer("", proposed, "tool_calls", usage, "scripted-1")
            case Say(what=what, finish=finish):
                text = what if isinstance(what, str) else _json(what)
                usage = Tokens(usage_in, self._tokens_out(request, len(text)))
                return ModelAnswer(text, (), finish, usage, "scripted-1")

    def _tokens_out(self, request: ModelRequest, size: int) -> int:
        return min(max(size // 4, 1), request.max_tokens)

    def _failure(self, fail: Fail) -> Exception:
        match fail.kind:
            case "refused":
                return ModelRefused(
                    f"{self.name} refused the request",
                    why="its script says Fail('refused')",
                    remedy="Change the script, or give the step a fallback=.",
                )
            case "rate_limited":
                return ModelUnavailable(
                    f"{self.name} is rate limited",
                    why="its script says so",
                    charged=False,
                    retry_after=fail.retry_after,
                )
            case "unavailable":
                return ModelUnavailable(
                    f"{self.name} is unavailable",
                    why="its script says so",
                    charged=False,
                    retry_after=fail.retry_after,
                )
            case "timeout" | "cut_off":
                return ModelUnavailable(
                    f"{self.name}: the answer never came ({fail.kind})",
                    why="its script says so",
                    charged=True,
                )
            case "crash":
                return RuntimeError("the provider's own code broke")

    async def close(self) -> None:
        pass


def _json(value: Any) -> str:
    return to_json(value).decode()


class ManualClock:
    """Time moves only by `advance`. Begins at a fixed moment, so that what is written is the same again."""

    by_hand = True

    def __init__(self, start: int = 1_767_225_600 * MICROS) -> None:
        self._now = start
        self._due: list[tuple[int, int, _ManualTimer]] = []
        self._count = itertools.count()

    def now(self) -> int:
        return self._now

    def call_at(self, at: int, act: Callable[[], None]) -> Timer:
        timer = _ManualTimer(act)
        if at <= self._now:  # due already: as with a real clock, at the loop's next turn
            asyncio.get_running_loop().call_soon(lambda: None if timer.cancelled else act())
        else:
            heapq.heappush(self._due, (at, next(self._count), timer))
        return timer

    async def sleep_until(self, at: int) -> None:
        if at <= self._now:
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        timer = self.call_at(at, lambda: None if waiter.done() else waiter.set_result(None))
        try:
            await waiter
        finally:
            timer.cancel()

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    async def advance(self, seconds: float) -> None:
        """Fires everything that falls due on the way, in order, and lets what follows from it happen."""
        until = self._now + micros(seconds)
        await _let_things_happen()
        while self._due and self._due[0][0] <= until:
            at, _, timer = heapq.heappop(self._due)
            if timer.cancelled:
                continue
            self._now = max(self._now, at)
            timer.act()
            await _let_things_happen()
        self._now = until
        await _let_things_happen()


class _ManualTimer:
    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


async def _let_things_happen() -> None:
    """Turns of the loop until nothing moves. What is being written is waited for, however slow the machine is
    (ten seconds at most: somebody may hold a lock); what else runs in a thread has two milliseconds."""
    end = time.monotonic() + 10
    await asyncio.sleep(0.002)
    still = 0
    while still < 40:
        await asyncio.sleep(0)
        still += 1
        while writing() and time.monotonic() < end:
            await asyncio.sleep(0.0005)
            still = 0


@contextmanager
def crash_at(point: int | str) -> Iterator[dict[str, str]]:
    """The environment in which a child process dies by SIGKILL right after its n-th durable commit, or with
    "n.before" right before it. For `subprocess.run(..., env=env)`: this very process must not die."""
    number, _, when = str(point).partition(".")
    if not number.isdigit() or int(number) < 1 or when not in ("", "before"):
        raise UsageError(
            f"{point!r} is no crash point",
            why="commits are counted from 1",
            remedy='Give a number from 1 on, or "3.before".',
        )
    yield {**os.environ, "SUREFOOT_TESTING": "1", "SUREFOOT_CRASH_AT": str(point)}


__all__ = ["Fail", "ManualClock", "Say", "ScriptedModel", "Turn", "UseTools", "crash_at"]
