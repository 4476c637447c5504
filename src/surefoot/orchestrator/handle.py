"""The handle that a step's body holds: `Run`, over one entry of one attempt."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core import events as e
from ..core.clock import MICROS, Clock, after, micros
from ..core.journal import Body, Journal
from ..core.run import Run
from ..core.states import TimerState
from ..core.step import Step
from ..core.tool import Tool
from ..models.ask import ModelRoad
from ..tools.gateway import Gateway
from .asking import Question, ask
from .prompts import Prompts


class Handle(Run):
    def __init__(
        self,
        step: Step[..., Any],
        body: Body,
        journal: Journal,
        road: ModelRoad,
        gateway: Gateway,
        prompts: Prompts,
        clock: Clock,
        uuids: Callable[[], uuid.UUID],
        park_after: float,
    ) -> None:
        self.id = journal.run
        self.step = body.step
        self.attempt = body.attempt
        self._step = step
        self._body = body
        self._journal = journal
        self._road = road
        self._gateway = gateway
        self._prompts = prompts
        self._clock = clock
        self._uuids = uuids
        self._park_after = park_after

    async def ask(
        self,
        output: Any,
        prompt: str,
        data: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Tool[..., Any]] = (),
        max_turns: int = 8,
        repairs: int = 2,
        max_tokens: int = 1024,
        timeout: float = 60.0,
    ) -> Any:
        self._body.go_on()
        instructions = self._prompts.text(self._step.function, prompt)
        question = Question(
            output, prompt, instructions, data or {}, tools, max_turns, repairs, max_tokens, timeout
        )
        return await ask(self._journal, self._road, self._gateway, self._body, question)

    async def call(self, tool: Tool[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return await self._gateway.call(self._body, tool, arguments=tool.bind(args, kwargs))

    async def sleep(self, duration: float | timedelta, /) -> None:
        self._body.go_on()
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
        timer = await self._timer(max(seconds, 0.0))
        if timer.fired:
            return
        if timer.due - self._journal.now() > micros(self._park_after):
            raise self._body.park()
        await self._clock.sleep_until(timer.due)
        self._body.go_on()
        if not timer.fired:
            self._journal.note(e.TimerFired(timer.id))

    async def _timer(self, seconds: float) -> TimerState:
        """The timer that this sleep set when the body was run before, else a new one.

        Found by its length, because branches may come in another order this time. Where no length fits (it
        was drawn by chance), it is the first that nobody else asks for.
        """
        length, claimed = micros(seconds), self._body.claimed
        left: list[TimerState] = []
        fitting: list[TimerState] = []
        for _ in range(8):  # branches that run side by side get a few turns to ask for theirs first
            left = [timer for timer in self._timers() if timer.id not in claimed]
            fitting = [timer for timer in left if timer.length == length]
            if fitting or not left:
                break
            await asyncio.sleep(0)
            self._body.go_on()
        for timer in fitting or left:
            claimed.add(timer.id)
            return timer
        name = self._journal.new_id("t")
        claimed.add(name)
        due = after(self._journal.now(), seconds)
        number = len(self._timers())
        await self._journal.write(e.TimerSet(name, self.step, self.attempt, due, number, length))
        return self._journal.state.timers[name]

    def _timers(self) -> list[TimerState]:
        """Of this attempt, in the order in which they were set."""
        state = self._journal.state
        found: list[TimerState] = []
        while name := state.timer_at.get((self.step, self.attempt, len(found))):
            found.append(state.timers[name])
        return found

    def now(self) -> datetime:
        at = self._drawn("now", str(self._journal.now()))
        return datetime.fromtimestamp(int(at) / MICROS, UTC)

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(self._drawn("uuid", str(self._uuids())))

    def _drawn(self, name: Any, fresh: str) -> str:
        self._body.go_on()
        occurrence = self._body.occurrence("value", name, "")
        known = self._journal.state.values.get((self.step, self.attempt, name, occurrence))
        if known is None:
            known = fresh
            self._journal.note(e.ValueDrawn(self.step, self.attempt, name, known, occurrence))
        return known
