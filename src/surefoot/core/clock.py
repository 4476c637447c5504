"""Time, handed in. Nothing below the command line reads a clock that it was not given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

MICROS = 1_000_000
"""Times are microseconds since the epoch, UTC: integers, so that every store and hash agrees on them."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch."""
        ...

    def call_at(self, at: int, act: Callable[[], None]) -> Timer: ...

    async def sleep_until(self, at: int) -> None: ...


def micros(seconds: float) -> int:
    return round(seconds * MICROS)
