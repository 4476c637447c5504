"""What a run has under way in the world: calls and requests between their intent and their outcome.

A cancelled run or a failed sibling never interrupts one: it is drained. A timeout does, and so does
the loss of the lease; its outcome is then unknown.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from ..core.clock import Clock
from ..core.journal import Body
from ..errors import StaleLease

T = TypeVar("T")


class Acts:
    def __init__(self, clock: Clock, holds_lease: Callable[[], bool]) -> None:
        self._clock = clock
        self._holds_lease = holds_lease
        self.lapsed = False
        """Something was not done, or was stopped, for want of a lease: the body must not be believed, even
        one that caught the error."""
        self._bodies: dict[asyncio.Future[Any], Body] = {}
        self._stoppable: dict[asyncio.Future[Any], asyncio.Future[Any]] = {}

    async def undisturbed(self, body: Body, act: Awaitable[T]) -> T:
        task = asyncio.ensure_future(act)
        self._bodies[task] = body
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._bodies.pop(task, None)
        if not task.cancelled():
            task.exception()  # seen here on behalf of a body that was cancelled and no longer looks

    async def stoppable(self, act: Awaitable[T], until: int) -> T:
        if not self._holds_lease():
            if asyncio.iscoroutine(act):
                act.close()
            self.lapsed = True
            raise StaleLease(
                "nothing was done: this worker's lease on the run has lapsed",
                why="it was not renewed in time",
            )
        guarded = act
        if asyncio.iscoroutine(act):
            guarded = _while(lambda: self._holds_lease() and self._clock.now() < until, act)
        acting = asyncio.ensure_future(guarded)
        outer = asyncio.current_task()
        assert outer is not None
        self._stoppable[outer] = acting
        timer = self._clock.call_at(until, acting.cancel)  # type: ignore[arg-type]  # its bool is not needed
        try:
            return await acting
        except asyncio.CancelledError:
            if not self._holds_lease():
                self.lapsed = True
                raise StaleLease(
                    "stopped: this worker's lease on the run has lapsed", why="it was not renewed in time"
                ) from None
            raise TimeoutError("it took longer than it was given") from None
        finally:
            timer.cancel()
            if asyncio.iscoroutine(act):
                act.close()  # one that was stopped before its first turn would be warned of
            self._stoppable.pop(outer, None)

    async def drain(self, body: Body | None = None) -> None:
        """Waits until nothing of `body` (of the whole run, if None) is under way."""
        while acts := [task for task, own in self._bodies.items() if body is None or own is body]:
            await asyncio.wait(acts)

    def interrupt(self, body: Body | None = None) -> None:
        """A timeout, or a lost lease. Once: what an act cleans up after that, it may finish."""
        for task, own in list(self._bodies.items()):
            if (body is None or own is body) and (acting := self._stoppable.pop(task, None)):
                acting.cancel()


async def _while(may_act: Callable[[], bool], act: Coroutine[Any, Any, T]) -> T:
    """Drives `act`, and asks before each of its turns whether it may still act. A process that was stopped,
    or held up by plain code, may have that turn lined up already: no timer comes before it."""
    return await _turns(may_act, act)


@types.coroutine
def _turns(may_act: Callable[[], bool], act: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    value: Any = None
    thrown: BaseException | None = None
    told = False
    while True:
        if thrown is None and not told and not may_act():
            thrown, told = asyncio.CancelledError(), True  # once: what it cleans up after that, it may finish
        try:
            waits_for = act.send(value) if thrown is None else act.throw(thrown)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            raise
        except Exception:
            raise
        except BaseException as error:
            # sys.exit() in somebody's library ends that call, and not the process with all its runs.
            raise RuntimeError(f"it raised {type(error).__name__}") from error
        value = thrown = None
        try:
            value = yield waits_for
        except BaseException as error:  # noqa: BLE001 - it is handed on, whatever it is
            thrown = error
            told = told or not may_act()
