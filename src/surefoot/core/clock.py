"""Time, handed in. Nothing below the command line reads a clock that it was not given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

MICROS = 1_000_000
"""Times are microseconds since the epoch, UTC: integers, so that every store and hash agrees on them."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    by_hand: bool
    """Moved by a test: it says nothing of whether a process lives, so leases do not lapse by default."""

    def now(self) -> int:
        """Microseconds since the epoch."""
        ...

    def call_at(self, at: int, act: Callable[[], None]) -> Timer: ...

    async def sleep_until(self, at: int) -> None: ...

    async def pause(self, seconds: float) -> None:
        """About so long before looking around again; real time, also where the clock is moved by hand."""
        ...


def micros(seconds: float) -> int:
    return round(seconds * MICROS)


END_OF_TIME = 2**62
"""The latest time that is written down; every store has room for it."""


def after(now: int, seconds: float) -> int:
    """That many seconds later, and at the end of time at the latest."""
    return min(now + micros(seconds), END_OF_TIME)


def iso(at: int | None) -> str | None:
    """UTC, to the microsecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / MICROS, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
