"""A look at the store, for those who ask whether the service is ready: can it be read, can it be written,
does its schema fit?"""

from __future__ import annotations

import asyncio

from ..core.clock import Clock, micros
from ..errors import StoreError, StoreUnavailable
from ..state.store import Store

FRESH = 1.0
"""Seconds for which what was found is told again: nobody makes the store write by asking."""
PATIENCE = 3.0
"""Seconds that the store may take: those who ask wait no longer."""


class Probe:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._looked: int | None = None
        self._found: StoreError | None = None
        self._lock = asyncio.Lock()

    async def look(self) -> StoreError | None:
        """What keeps the store from being used."""
        async with self._lock:
            now = self._clock.now()
            if self._looked is None or now - self._looked >= micros(FRESH):
                self._found = await self._try()
                self._looked = now
            return self._found

    async def _try(self) -> StoreError | None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._store.probe()
        except StoreError as error:
            return error
        except TimeoutError:
            why = f"nothing was written within {PATIENCE:g} seconds"
            return StoreUnavailable("the store does not answer", why=why)
        return None
