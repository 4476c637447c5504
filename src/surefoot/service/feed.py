"""Hearing that the store has changed, whoever changed it: one look for all who wait.

A look costs microseconds, and reads no row. Whoever waits reads what it is interested in by itself, from
where it had got to: nothing is pushed, so nothing can be lost between two looks, or told twice.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from ..core.clock import Clock
from ..errors import StoreError
from ..state.store import Store

log = logging.getLogger("surefoot.service")

LOOK = 0.1
"""Seconds between two looks."""


class Feed:
    """Take `count` before you read, and give it to `change`: then nothing falls between the two."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self.count = 0
        """Of changes that were seen."""
        self.ended = False
        """The service is being stopped: streams end."""

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look(), name="feed")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def end(self) -> None:
        """Wakes all who wait, for the last time."""
        self.ended = True
        self._changed.set()

    async def change(self, since: int, within: float) -> bool:
        """Waits until there were more than `since` changes. False after `within` seconds, or when it has
        ended."""
        if self.count == since and not self.ended:
            try:
                async with asyncio.timeout(within):
                    await self._changed.wait()
            except TimeoutError:
                return False
        return not self.ended

    async def _look(self) -> None:
        seen, failing = self._store.version(), False
        while True:
            await self._clock.pause(LOOK)
            try:
                now, failing = self._store.version(), False
            except StoreError as error:
                # It may be back in a moment, and nobody else wakes those who wait.
                if not failing:
                    log.error("nobody hears of changes: %s", error)
                failing = True
                continue
            if now != seen:
                seen = now
                self.count += 1
                waiters, self._changed = self._changed, asyncio.Event()
                waiters.set()
