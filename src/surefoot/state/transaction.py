"""What waits for a commit, and what the parts of one transaction share."""

from __future__ import annotations

import sqlite3
from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from surefoot.state.queries import load
from surefoot.state.store import Append, NewRun, StoreOptions

_JOURNAL = load("journal")


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


class Transaction:
    """What the parts of one transaction share. `now` is its clock, read once the write lock is held."""

    __slots__ = ("_codes", "after", "connection", "new_kinds", "now", "options", "pokes")

    def __init__(
        self, connection: sqlite3.Connection, options: StoreOptions, now: int, codes: dict[str, int]
    ) -> None:
        self.connection = connection
        self.options = options
        self.now = now
        self.pokes: list[str] = []
        self.after: list[Callable[[], None]] = []
        """Called once it is on disk."""
        self._codes = codes
        self.new_kinds: dict[str, int] = {}

    def code(self, kind: str) -> int:
        """The number that stands for a kind in the events table."""
        known = self._codes.get(kind) or self.new_kinds.get(kind)
        if known is not None:
            return known
        for code, name in self.connection.execute(_JOURNAL["kinds"]).fetchall():
            self.new_kinds[name] = code
        if kind not in self.new_kinds:
            added = self.connection.execute(_JOURNAL["add_kind"], (kind,)).lastrowid
            assert added is not None
            self.new_kinds[kind] = added
        return self.new_kinds[kind]
