"""Calls that block (a mail server, a name's resolution), on threads that hold up nothing.

The threads of asyncio's own pool are waited for when a process ends: one that hangs on a dead server would
keep it from ending in time. These are not: what they do is bounded by its own timeouts, and may be cut off.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def on_a_thread(work: Callable[[], T], name: str) -> T:
    """What it gives or raises. When its caller is cancelled, it goes on by itself, and nobody hears of it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # one of the two is there

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  it is raised where it is waited for
            failed = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
