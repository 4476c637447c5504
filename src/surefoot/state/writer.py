"""The road to the disk: a queue, group commit, and the choice of the cheaper thread.

Everything that is queued goes into the next transaction. Under load a thread of its own commits while the
event loop works, and hands results back with one call per batch. Where exactly one thing waits and the disk
is quick, the loop commits it itself: it has nothing better to do than to hop to a thread and back (decision
0012). The store in memory has no disk to wait for and always does so.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Literal
from weakref import WeakSet

from .commit import Committer, Locked
from .store import Append, NewRun
from .transaction import Duty, Pending

INLINE_BELOW = 0.001
"""Seconds: the loop commits by itself while commits take less than this on average."""

MOST = 2000
"""Things in one transaction: an upper bound for how long another process waits for its turn."""

_writers: WeakSet[Writer] = WeakSet()


def writing() -> bool:
    """Whether something of the running loop is on its way to a disk: for a clock that is moved by hand."""
    loop = asyncio.get_running_loop()
    return any(writer._busy for writer in _writers if writer._loop is loop)


class Writer:
    """Queues in the loop's thread; commits there or in its own. `threaded` is False for memory."""

    def __init__(self, committer: Committer, *, threaded: bool) -> None:
        self._committer = committer
        self._threaded = threaded
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Pending] = deque()
        self._busy = False
        self._average = 0.0
        self._thread: threading.Thread | None = None
        self._wake: SimpleQueue[Literal["work", "end"]] = SimpleQueue()
        self._idle = asyncio.Event()
        self._idle.set()
        self.poke: Callable[[Sequence[str]], None] | None = None
        _writers.add(self)

    def put(self, what: Append | NewRun | Duty) -> asyncio.Future[Any]:
        """Queues it; the future is done when it is on disk, or refused."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.append(Pending(what, future))
        if not self._busy:
            # At the end of this turn of the loop, so that all that this turn queues is committed together.
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._flush)
        return future

    async def close(self) -> None:
        """Commits what is queued and ends the thread."""
        await self._idle.wait()
        if self._thread is not None:
            self._wake.put("end")
            self._thread.join()
            self._thread = None

    def _flush(self) -> None:
        queue = self._queue
        if self._threaded and (len(queue) > 1 or self._average > INLINE_BELOW or _is_long(queue[0])):
            self._hand_over()
            return
        batch = list(queue)
        queue.clear()
        started = time.perf_counter()
        try:
            pokes = self._committer.commit(batch, patient=not self._threaded)
        except Locked:
            queue.extendleft(reversed(batch))
            self._hand_over()
            return
        self._measure(time.perf_counter() - started)
        self._deliver(batch, pokes, idle=True)

    def _hand_over(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="surefoot-writer", daemon=True)
            self._thread.start()
        self._wake.put("work")

    def _work(self) -> None:
        queue = self._queue
        while self._wake.get() == "work":
            idle = False
            while not idle:
                batch = [queue.popleft() for _ in range(min(len(queue), MOST))]
                started = time.perf_counter()
                try:
                    pokes = self._committer.commit(batch, patient=True)
                except BaseException as error:  # noqa: BLE001 - nobody else is there to hand it to
                    pokes = []
                    for pending in batch:
                        pending.error = error
                if len(batch) == 1:
                    self._measure(time.perf_counter() - started)
                idle = not queue
                try:
                    self._loop.call_soon_threadsafe(self._deliver, batch, pokes, idle)
                except RuntimeError:  # the loop was closed under us: nobody waits any more
                    return

    def _deliver(self, batch: list[Pending], pokes: list[str], idle: bool) -> None:
        for pending in batch:
            future = pending.future
            if future.done():
                continue  # its waiter was cancelled; what it asked for stands
            if pending.error is None:
                future.set_result(pending.outcome)
            else:
                future.set_exception(pending.error)
        if pokes and self.poke is not None:
            self.poke(pokes)
        if idle:
            if self._queue:
                self._hand_over() if self._thread is not None else self._loop.call_soon(self._flush)
            else:
                self._busy = False
                self._idle.set()

    def _measure(self, seconds: float) -> None:
        self._average += (seconds - self._average) * 0.1


def _is_long(pending: Pending) -> bool:
    return isinstance(pending.what, Duty) and pending.what.long
