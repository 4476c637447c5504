"""The real clock. Everything else is handed one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ..core.clock import MICROS, Timer


class SystemClock:
    by_hand = False

    def now(self) -> int:
        return time.time_ns() // 1000

    def call_at(self, at: int, act: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(at - self.now(), 0) / MICROS, act)

    async def sleep_until(self, at: int) -> None:
        # Again where the wall clock was set back meanwhile; at most a minute, so that one set forward shows.
        while (left := at - self.now()) > 0:
            await asyncio.sleep(min(left / MICROS, 60.0))

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
