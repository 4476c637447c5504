"""What the roads to tools and models need of a run's journal, and of the step body that they serve.

Both are handed down: the recorder and the driver of `surefoot.orchestrator` implement them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

from .events import Event
from .fold import RunState
from .jsons import Raw
from .schema import Dumps

T = TypeVar("T")


class Parked(BaseException):
    """Thrown through a step's body that has to wait longer than memory is held for, or to stop.

    A BaseException, so that a body's own `except Exception` does not swallow it; one that catches
    even this is stopped at its next `run.*`.
    """


class Journal(Protocol):
    """One run's journal in the hands of the worker that holds the run's lease."""

    run: str
    state: RunState

    def now(self) -> int:
        """Microseconds since the epoch."""
        ...

    def note(self, event: Event) -> None:
        """Takes the event into the journal with the next commit (see events.INFORMING)."""
        ...

    async def write(self, *events: Event) -> None:
        """Done when the events, and all noted before, are on disk. Raises StaleLease, and
        BudgetExceeded where the day's money does not allow the reservation."""
        ...

    def raw(self, shape: Dumps, value: Any) -> Raw:
        """A value as the journal's text: known secrets replaced, private values taken note of.
        Raises ValueError where the value does not fit the shape's JSON."""
        ...

    def scrub(self, text: str) -> str:
        """Text without known secrets."""
        ...

    def resolve(self, value: Any) -> Any:
        """Python data with the exact values of this run where placeholders for them stand. The very same
        object where none does. Raises InvalidArguments for one that stands for nothing of this run."""
        ...

    def resolve_json(self, text: str) -> str:
        """The same for what should be JSON text."""
        ...

    def learn(self, shape: Dumps, value: Any) -> None:
        """Takes note of the private values in it, before text that holds them is written."""
        ...

    def digest(self, text: str) -> str:
        """Keyed with the run's key: nobody without it can guess the text from its digest."""
        ...

    def new_id(self, kind: str) -> str:
        """The next id of this kind in this run: c1, c2 for calls, and so on."""
        ...

    async def settled(self) -> None:
        """Done when some reservation of this run is settled or released."""
        ...


class Body:
    """One entry of a step's body: what it has asked for so far, so that each question finds its answer.

    Matching by occurrence makes branches under `gather` and deliberate duplicates work: the n-th
    question of one kind, name and digest gets the n-th answer.
    """

    def __init__(self, step: str, attempt: int, earlier: frozenset[str] = frozenset()) -> None:
        self.step = step
        self.attempt = attempt
        self.earlier = earlier
        """Calls that changed the world, or may have, before this entry."""
        self.claimed: set[str] = set()
        """Calls of this step, by id, that this body has asked for."""
        self.stopped = False
        self._seen: dict[tuple[str, str, str], int] = {}

    def occurrence(self, kind: str, name: str, digest: str) -> int:
        place = (kind, name, digest)
        found = self._seen.get(place, 0)
        self._seen[place] = found + 1
        return found

    def go_on(self) -> None:
        """Raises Parked where the body shall stop."""
        if self.stopped:
            raise Parked

    def park(self) -> Parked:
        """Stops the body here and at every later `run.*`."""
        self.stopped = True
        return Parked()


class Acts(Protocol):
    """What a run has under way in the world, so that it can be let finish, or stopped."""

    async def undisturbed(self, body: Body, act: Awaitable[T]) -> T:
        """Goes on to its end even when the body that wanted it is cancelled."""
        ...

    async def stoppable(self, act: Awaitable[T], until: int) -> T:
        """Inside an undisturbed act: the part that a timeout interrupts. Raises TimeoutError at `until`
        (microseconds) or when the step's own time is up, StaleLease when this worker lost the run."""
        ...
