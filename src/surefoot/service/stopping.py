"""Being told to stop, and keeping to the time for it.

The first SIGTERM or SIGINT asks for an orderly end: whoever serves or drives hears of it and brings what is
under way to an end. A second one is the end. So is the end of the time: then something still acts, or the
process hangs, and only its death proves to others that nothing of it acts any more. A thread sees to that,
for an event loop that hangs would not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from ..orchestrator.runtime import Runtime

log = logging.getLogger("surefoot.service")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
KILLED = 1
"""Exit code of a process that had to be ended."""

TO_CLOSE = 0.2
"""The part of the time that is kept for closing what is open when nothing is under way any more."""

LAST_WORDS = 1.0
"""Seconds that the log may take for the reason, whatever it hangs on."""


class Stopping:
    """`within` are the seconds from the first signal, or from `ask`, to the end of this process."""

    def __init__(self, within: float) -> None:
        self._within = within
        self._asked = asyncio.Event()
        self._asked_at: float | None = None
        self._watchdog: threading.Timer | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for one in SIGNALS:
                # Not the loop's own handlers: those are not called while a step keeps the loop busy.
                with suppress(NotImplementedError):  # Windows' loop has none
                    self._loop.remove_signal_handler(one)
                self._before[one] = signal.signal(one, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        if self._watchdog is not None:
            self._watchdog.cancel()

    def ask(self) -> None:
        """As a first signal does."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._watchdog = threading.Timer(self._within, end_as_if_killed, ["the time for it is over"])
            self._watchdog.daemon = True
            self._watchdog.start()
            self._loop.call_soon_threadsafe(self._asked.set)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._asked_at is not None:
            os._exit(128 + number)
        self.ask()

    async def asked(self) -> None:
        """Until this process is to stop."""
        await self._asked.wait()

    @property
    def is_asked(self) -> bool:
        return self._asked_at is not None

    @property
    def left(self) -> float:
        """Seconds that what is under way may still take."""
        if self._asked_at is None:
            return self._within
        until = self._asked_at + self._within * (1 - TO_CLOSE)
        return max(until - time.monotonic(), 0.0)


async def drive(runtime: Runtime, stopping: Stopping) -> None:
    """Drives whatever is due until `stopping` is asked. Raises what broke the worker."""
    driving = asyncio.create_task(runtime.keep_driving(), name="driving")
    asked = asyncio.create_task(stopping.asked(), name="asked to stop")
    try:
        await asyncio.wait([driving, asked], return_when=asyncio.FIRST_COMPLETED)
        stopping.ask()
        await drain(runtime, stopping)
        await driving
    finally:
        for task in (driving, asked):
            task.cancel()
        await asyncio.gather(driving, asked, return_exceptions=True)


async def drain(runtime: Runtime, stopping: Stopping) -> None:
    """Brings what this process drives to an end, or gives it back; does not return where neither succeeds in
    time."""
    if await runtime.drain(stopping.left):
        return
    for run in runtime.held:
        steps = ", ".join(sorted(runtime.bodies(run))) or "no step of its own"
        log.error("%s is still under way: %s", run, steps)
    end_as_if_killed("something is still under way")


def end_as_if_killed(why: str) -> NoReturn:
    """Others may take over what this process held: its lock on the store falls with it."""
    # In a thread of its own: the log itself may be what hangs.
    words = threading.Thread(
        target=log.error, args=("stopping was not orderly: %s; ended as if killed", why), daemon=True
    )
    words.start()
    words.join(LAST_WORDS)
    os._exit(KILLED)
