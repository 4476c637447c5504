"""Room in the queue: whether one more run may be taken in.

Counting what waits costs more the more there is of it, and every request to start a run asks. So the count is
read now and then, and what was let in since is added to it; at the limit it is read again, but not for each
of those who are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..core.clock import Clock, micros
from ..errors import QueueFull
from ..state.store import Store

FRESH = 1.0
"""Seconds for which a count holds, with what was let in since."""
FULL = 0.2
"""Seconds for which a full queue is taken to be full: refusing must cost nothing."""
AGAIN = 5.0
"""Seconds after which it is worth trying again."""


class Room:
    """`most` runs may wait. Other processes take runs in too: then it may be passed by what they let in
    within `FRESH` seconds."""

    def __init__(self, store: Store, workflow: str, clock: Clock, most: int) -> None:
        self._store = store
        self._workflow = workflow
        self._clock = clock
        self._most = most
        self._counted = 0
        self._counted_at: int | None = None
        self._full_until = 0
        self._since = 0
        self._coming = 0

    async def is_full(self) -> bool:
        now = self._clock.now()
        if now < self._full_until:
            return True
        old = self._counted_at is None or now - self._counted_at >= micros(FRESH)
        if old or self._counted + self._since >= self._most:
            self._counted = (await self._store.queue(self._workflow)).depth
            self._counted_at, self._since = now, self._coming
        is_full = self._counted + self._since >= self._most
        if is_full:
            self._full_until = now + micros(FULL)
        return is_full

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """While it is being put into the store."""
        self._since += 1
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    def refusal(self) -> QueueFull:
        return QueueFull("the queue is full", why=f"{self._most} runs wait", retry_after=AGAIN)
