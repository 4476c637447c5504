"""One transaction for all that waits: the heart of the store.

`Committer.commit` takes a batch of what callers have queued and makes it durable as one transaction. What one
caller asked may be refused (a stale lease, a closed item, a cap) without touching the others; what fails as a
whole (disk full, locked) fails for all of them, and the next batch starts afresh.
"""

from __future__ import annotations

import sqlite3
import time
from copy import copy

from ..errors import SurefootError
from .faults import explain, is_busy
from .growth import Growth
from .schema import PATIENCE
from .store import StoreOptions
from .transaction import Duty, Kind, Pending, RingMoved, Transaction


class Locked(Exception):
    """Another process is writing, and the caller did not want to wait."""


class Committer:
    """Commits batches on one connection; used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, options: StoreOptions, where: str) -> None:
        self._connection = connection
        self._options = options
        self._where = where
        self._kinds: dict[str, Kind] = {}
        self._finishing = False
        self.commits = 0
        """Transactions that changed something."""

    def commit(self, batch: list[Pending], *, patient: bool) -> list[str]:
        """Settles every pending of the batch; returns the runs of this worker that got mail.

        Raises only Locked, and that only where `patient` is False.
        """
        try:
            return self._attempt(batch, patient=patient)
        except sqlite3.Error as error:
            failure: BaseException = explain(error, self._where)
            alone = isinstance(
                error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError
            )
        except SurefootError as error:
            failure, alone = error, False
        except Locked:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the caller whose value it was
            failure, alone = error, True
        if alone and len(batch) > 1 and not self._finishing:
            # One of them cannot be written (a value that no column takes): find it, and let the others pass.
            pokes = []
            for pending in batch:
                pending.error = pending.outcome = None
                pokes += self.commit([pending], patient=True)
            return pokes
        for pending in batch:
            pending.error = copy(failure)  # raised in many places, each with its own traceback
        return []

    def _attempt(self, batch: list[Pending], *, patient: bool) -> list[str]:
        connection, crash = self._connection, self._options.crash
        while True:
            self._finishing = False
            self._begin(patient=patient)
            try:
                before = connection.total_changes
                transaction = Transaction(connection, self._options, self._options.now(), self._kinds)
                growth = Growth(transaction, batch)
                stale = growth.write()
                if stale:
                    # Refused alone: the rest is written again without them.
                    connection.execute("ROLLBACK")
                    batch = [pending for pending in batch if pending not in stale]
                    for pending in batch:
                        pending.error = pending.outcome = None
                    continue
                counts = growth.wrote
                for pending in batch:
                    what = pending.what
                    if isinstance(what, Duty):
                        try:
                            pending.outcome = what.do(transaction)
                        except SurefootError as refusal:
                            pending.error = refusal
                        else:
                            counts = counts or what.counts
                changed = connection.total_changes != before
                self._finishing = True
                counted = crash is not None and counts and changed
                if counted and crash is not None:
                    crash("before")
                connection.execute("COMMIT")
                if counted and crash is not None:
                    crash("after")
            except RingMoved as moved:
                connection.rollback()
                self._options.keys.heed(moved.generation, moved.retired)
                for pending in batch:
                    pending.error = pending.outcome = None
                continue
            except BaseException:
                connection.rollback()
                raise
            if changed:
                self.commits += 1
            self._kinds.update(transaction.new_kinds)
            growth.settle()
            for call in transaction.after:
                call()
            return transaction.pokes

    def _begin(self, *, patient: bool) -> None:
        """Takes the write lock. The waiting is ours: SQLite's would hold up the event loop's own commits, and
        sleeps longer than a commit takes."""
        until = 0.0
        pause = 0.0002
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if not patient:
                    raise Locked from error
                now = time.monotonic()
                until = until or now + PATIENCE
                if now > until:
                    raise
                time.sleep(pause)
                pause = min(pause * 1.5, 0.02)
            else:
                return
