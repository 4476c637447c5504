"""What is done inside a transaction beside growing journals: leases, mail, decisions, pruning.

Each function makes a `Duty`. It reads, refuses if it must, and only then writes.
"""

from __future__ import annotations

import json
import os
import platform
from functools import partial
from typing import Any

from ..errors import ItemClosed, ItemNotFound, KeyUnavailable, RunNotFound
from . import gates
from .chain import head_message
from .locks import Locks
from .queries import load
from .rows import Pruned
from .sealing import Keyring
from .store import Claimed, Lease
from .transaction import Duty, Transaction

_SQL = load("leases")

FIRST_LEASE = 30_000_000
"""Microseconds for which a worker counts as living that claims before its first heartbeat."""

FEW = 20
"""A claim of more runs than this is worth a hop to the other thread."""


class LeaseDuties:
    """The duties of one worker; it remembers whether the worker is registered."""

    def __init__(self, worker: str, locks: Locks, keys: Keyring) -> None:
        self._worker = worker
        self._keys = keys
        self._locks = locks
        self._registered = False
        self._host = platform.node()

    @property
    def registered(self) -> bool:
        return self._registered

    def forget(self) -> None:
        self._registered = False

    def register(self, transaction: Transaction, until: int | None = None) -> None:
        """Takes the lock and writes the worker's row. What a former life of the same id held is freed: the
        lock in our hands proves that it has ended."""
        if self._registered:
            return
        self._locks.hold(self._worker)
        now = transaction.now
        row = (self._worker, self._host, os.getpid(), now, until or now + FIRST_LEASE, self._keys.current)
        transaction.connection.execute(_SQL["register"], row)
        self._free(transaction, self._worker)
        transaction.connection.execute(_SQL["end_doubts"], (self._worker,))
        transaction.after.append(self._note_registered)

    def _note_registered(self) -> None:
        self._registered = True

    def heartbeat(self, until: int) -> Duty:
        def beat(transaction: Transaction) -> None:
            if not self._registered:
                self.register(transaction, until)
                return
            transaction.check_ring()  # so that a key can be retired though a worker has nothing to write
            row = (self._worker, self._host, os.getpid(), transaction.now, until, self._keys.current)
            transaction.connection.execute(_SQL["beat"], row)

        return Duty(beat, counts=False)

    def claim(self, limit: int, run: str | None, workflow: str | None, most: int | None) -> Duty:
        def claim(transaction: Transaction) -> list[Claimed]:
            self.register(transaction)
            self.reap(transaction)
            asked: dict[str, Any] = {"now": transaction.now, "limit": limit, "run": run, "workflow": workflow}
            asked["most"] = most
            # One row of JSON, not many rows: each would give up the interpreter's lock (see queries.py).
            if run is None:
                found, trials = gates.due_runs(transaction, asked)
            else:
                (text,) = transaction.connection.execute(_SQL["due_run"], asked).fetchone()
                found, trials = json.loads(text), frozenset()
            claimed = [_claimed(row[0] in trials, *row) for row in found]
            if claimed:
                rows = json.dumps([one.lease.row for one in claimed])
                transaction.connection.execute(_SQL["claim_runs"], (self._worker, rows))
            return claimed

        return Duty(claim, long=limit > FEW)

    def retire(self) -> Duty:
        def retire(transaction: Transaction) -> None:
            connection = transaction.connection
            connection.execute(_SQL["retire_runs_of"], {"worker": self._worker, "now": transaction.now})
            connection.execute(_SQL["end_doubts"], (self._worker,))
            connection.execute(_SQL["remove_worker"], (self._worker,))
            transaction.after.append(self._note_retired)

        return Duty(retire)

    def _note_retired(self) -> None:
        self._registered = False
        self._locks.release(remove=True)

    def reap(self, transaction: Transaction) -> None:
        """Frees the runs of workers that are proved dead, or whose lease has lapsed."""
        (text,) = transaction.connection.execute(_SQL["other_workers"], (self._worker,)).fetchone()
        for worker, until in json.loads(text):
            sign = self._locks.probe(worker)
            if sign == "dead":
                self._free(transaction, worker)
                transaction.connection.execute(_SQL["end_doubts"], (worker,))
                transaction.connection.execute(_SQL["remove_worker"], (worker,))
                transaction.after.append(partial(self._locks.forget, worker))
            elif until < transaction.now:
                (holds,) = transaction.connection.execute(_SQL["holds_any"], (worker,)).fetchone()
                if holds:
                    transaction.connection.execute(_SQL["doubt_runs_of"], (worker,))
                    self._free(transaction, worker)
                if sign == "unknown":  # it writes its row again if it lives after all
                    transaction.connection.execute(_SQL["remove_worker"], (worker,))

    def _free(self, transaction: Transaction, worker: str) -> None:
        asked = {"worker": worker, "now": transaction.now}
        transaction.connection.execute(_SQL["free_runs_of"], asked)


def _claimed(
    trial: bool,
    row: int,
    run: str,
    epoch: int,
    seq: int,
    claims: int,
    head: str,
    data_key: str,
    fingerprint: str,
    version: str,
    workflow: str,
    doubt: int,
) -> Claimed:
    lease = Lease(run, row, epoch + 1, seq, bytes.fromhex(head), doubt=bool(doubt))
    return Claimed(lease, claims + 1, bytes.fromhex(data_key), fingerprint, version, workflow, trial)


def forget_claims(run: str) -> Duty:
    def forget(transaction: Transaction) -> None:
        if transaction.connection.execute(_SQL["forget_claims"], (run,)).rowcount == 0:
            raise _no_run(run)

    return Duty(forget)


def post(run: str, kind: str, body: str, sealed: bytes | None) -> Duty:
    def put(transaction: Transaction) -> None:
        found = transaction.connection.execute(_SQL["run_to_tell"], (run,)).fetchone()
        if found is None:
            raise _no_run(run)
        row, owner, forgotten = found
        if forgotten is not None:
            raise _forgotten(run)
        _tell(transaction, row, run, owner, kind, body, sealed)

    return Duty(put)


def decide(item: str, decision: str, by: str, body: str, sealed: bytes | None) -> Duty:
    def settle(transaction: Transaction) -> None:
        connection = transaction.connection
        found = connection.execute(_SQL["item_to_decide"], (item,)).fetchone()
        if found is None:
            raise ItemNotFound(
                f"there is no inbox item {item}",
                why="the id is misspelt, or the item lives in another store",
                remedy="List the open ones with `surefoot inbox list`.",
            )
        row, run, owner, status, expires, decided_by = found
        if status == "decided":
            raise ItemClosed(
                f"the inbox item {item} is closed", why=f"{decided_by} decided first", by=decided_by
            )
        late = expires is not None and transaction.now >= expires
        if status != "open" or late:
            why = "it expired before this decision" if late or status == "expired" else "its run has moved on"
            raise ItemClosed(f"the inbox item {item} is closed", why=why, by="")
        connection.execute(_SQL["decide"], (transaction.now, by, decision, item))
        _tell(transaction, row, run, owner, "decision", body, sealed)

    return Duty(settle)


def _tell(
    transaction: Transaction,
    row: int,
    run: str,
    owner: str | None,
    kind: str,
    body: str,
    sealed: bytes | None,
) -> None:
    """Puts mail, and sees that somebody reads it: the holder is poked, an unheld run falls due."""
    transaction.connection.execute(_SQL["post"], (row, kind, transaction.now, body, sealed))
    if owner is None:
        transaction.connection.execute(_SQL["make_due"], {"now": transaction.now, "row": row})
    elif owner == transaction.options.worker:
        transaction.pokes.append(run)


def prune(before: int, limit: int) -> Duty:
    """Deletes the journals of at most `limit` runs that ended before then."""

    def cut(transaction: Transaction) -> Pruned:
        connection = transaction.connection
        (text,) = connection.execute(_SQL["prunable"], {"before": before, "limit": limit}).fetchone()
        found = json.loads(text)
        if not found:
            return Pruned(0, 0)
        transaction.check_ring()
        rows = json.dumps([row for row, *_ in found])
        events = connection.execute(_SQL["prune_events"], (rows,)).rowcount
        connection.execute(_SQL["prune_items"], (rows,))
        connection.execute(_SQL["prune_doubts"], (rows,))
        for row, run, seq, head, forgotten in found:
            message = head_message(run, seq, bytes.fromhex(head), pruned=True, forgotten=bool(forgotten))
            connection.execute(_SQL["mark_pruned"], (transaction.options.keys.sign(message), row))
        return Pruned(len(found), events)

    return Duty(cut, long=True)


def _forgotten(run: str) -> KeyUnavailable:
    return KeyUnavailable(
        f"the run {run} was forgotten",
        why="its exact values are gone, so nothing can go on with it",
        remedy="Start a new run, with a key of its own.",
    )


def _no_run(run: str) -> RunNotFound:
    return RunNotFound(
        f"there is no run {run}",
        why="the id is misspelt, or the run lives in another store",
        remedy="List the runs with `surefoot runs list`.",
    )
