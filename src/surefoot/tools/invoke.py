"""Running a tool's function so that a timeout really stops it: a task, a thread, or a process.

* async: the task is cancelled and waited for.
* a plain def: runs in a thread, which nothing can stop. Its slot stays taken until it ends, and whoever
  wants to do the same call again waits for that first.
* isolation="process": a child process, killed with all its children.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..core.tool import Call, Tool
from .isolated import run_isolated


class Invoker:
    """Shared by all runs of a process. `threads` is how many plain tools may run at once."""

    def __init__(self, threads: int = 16) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._left_over: dict[str, asyncio.Future[Any]] = {}

    async def invoke(
        self, tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any], seconds: float
    ) -> Any:
        """The function's own result or exception. Being cancelled stops it (see the module). Where this whole
        process is held up, nobody cancels: after `seconds` no thread begins, and a process ends."""
        last = time.monotonic() + seconds
        if tool.isolation == "process":
            return await run_isolated(tool.function, call if tool.takes_call else None, dict(arguments), last)
        if tool.is_async:
            return await tool.invoke(call, arguments)
        await self.last_of(call.key)

        def act() -> Any:
            if time.monotonic() >= last:
                raise TimeoutError("its time was up before a thread was free")
            return tool.invoke(call, arguments)

        return await self._in_thread(call.key, act)

    async def _in_thread(self, key: str, act: Callable[[], Any]) -> Any:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="surefoot-tool")
        scope = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: scope.run(_portable(act)))
        self._left_over[key] = future
        future.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(future)

    def _forget(self, key: str, done: asyncio.Future[Any]) -> None:
        if self._left_over.get(key) is done:
            del self._left_over[key]
        if not done.cancelled():
            done.exception()  # looked at, so that a thread nobody waits for any more makes no noise

    async def last_of(self, key: str) -> None:
        """Waits until a thread that was given up on for this call has really ended."""
        future = self._left_over.get(key)
        if future is not None:
            await asyncio.wait([future])

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _portable(act: Callable[[], Any]) -> Callable[[], Any]:
    def acting() -> Any:
        try:
            return act()
        except StopIteration as error:
            # No future carries one: whoever waits for the thread would wait for ever.
            raise RuntimeError("it raised StopIteration") from error

    return acting
