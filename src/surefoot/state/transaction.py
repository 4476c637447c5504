"""What waits for a commit, and what the parts of one transaction share."""

from __future__ import annotations

import json
import sqlite3
from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .queries import load
from .store import Append, NewRun, StoreOptions

_JOURNAL = load("journal")

_NO_PROGRESS = frozenset({"run.claimed", "step.started", "call.intended", "ask.reserved"})
"""Events that do not show that a claim came to anything: the next one would write them again."""

Kind = tuple[int, bytes, bool]
"""A kind of event: its code in the events table, its name in UTF-8, and whether it shows progress."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Anything but growing a journal, done inside the transaction. It refuses (raises a SurefootError) before
    it writes. `counts` is False for what a crash point does not count; `long` keeps it off the loop's thread.
    """

    do: Callable[[Transaction], Any]
    counts: bool = True
    long: bool = False


class Pending:
    """One thing that a caller waits for, and how it came out."""

    __slots__ = ("error", "future", "outcome", "what")

    def __init__(self, what: Append | NewRun | Duty, future: Future[Any]) -> None:
        self.what = what
        self.future = future
        self.outcome: Any = None
        self.error: BaseException | None = None

    @property
    def append(self) -> Append:
        assert isinstance(self.what, Append)
        return self.what

    @property
    def new_run(self) -> NewRun:
        assert isinstance(self.what, NewRun)
        return self.what


class RingMoved(Exception):
    """The store's key ring is of another generation than this process knows: it reads its keys again, and the
    transaction is begun anew."""

    def __init__(self, generation: int, retired: list[str]) -> None:
        super().__init__(generation)
        self.generation = generation
        self.retired = retired


class Transaction:
    """What the parts of one transaction share. `now` is its clock, read once the write lock is held."""

    __slots__ = ("_kinds", "after", "connection", "new_kinds", "now", "options", "pokes")

    def __init__(
        self, connection: sqlite3.Connection, options: StoreOptions, now: int, kinds: dict[str, Kind]
    ) -> None:
        self.connection = connection
        self.options = options
        self.now = now
        self.pokes: list[str] = []
        self.after: list[Callable[[], None]] = []
        """Called once it is on disk."""
        self._kinds = kinds
        self.new_kinds: dict[str, Kind] = {}

    def check_ring(self) -> None:
        """Before a duty signs. Appends and submits have it in their own statements. Raises RingMoved."""
        generation, retired = self.connection.execute(_JOURNAL["generation"]).fetchone()
        if generation != self.options.keys.generation:
            raise RingMoved(generation, json.loads(retired))

    def kind(self, name: str) -> Kind:
        return self._kinds.get(name) or self.new_kinds.get(name) or self._look_up(name)

    def _look_up(self, name: str) -> Kind:
        for code, known in self.connection.execute(_JOURNAL["kinds"]).fetchall():
            self.new_kinds[known] = _kind(code, known)
        if name not in self.new_kinds:
            code = self.connection.execute(_JOURNAL["add_kind"], (name,)).lastrowid
            assert code is not None
            self.new_kinds[name] = _kind(code, name)
        return self.new_kinds[name]


def _kind(code: int, name: str) -> Kind:
    return code, name.encode(), name not in _NO_PROGRESS
