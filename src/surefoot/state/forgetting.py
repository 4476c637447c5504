"""Forgetting a run, and events that are written while nobody holds it.

A run is forgotten when its data key is deleted: nothing that lies sealed in its journal can be opened any
more. The journal itself stays and still verifies, for its views and hashes have not changed. What deleting
means is seen to afterwards (`prove`): the deleted key is in no file of the store, neither in a free page nor
in the write-ahead log. Decision 0034 tells how.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..errors import KeyUnavailable, RunNotFinished, RunNotFound, StoreUnavailable
from .chain import event_hash, head_message
from .duties import LeaseDuties
from .faults import explain, is_busy
from .queries import load
from .rows import ENDED
from .schema import connect
from .store import Record
from .transaction import Duty, Transaction

_SQL = load("forgetting")

_ID, _MARK = 4, 32
"""Bytes of a wrapped key: the id of its master key, and how many from there on a trace remembers."""

_PAUSE = 0.05
_PART = 1 << 24


@dataclass(frozen=True, slots=True)
class Trace:
    """By what a deleted key can be recognised without keeping it: the id of its master key in clear, and a
    hash of its first 32 bytes, which are as good as random."""

    row: int
    run: str
    mark: bytes

    @property
    def master(self) -> bytes:
        return self.mark[:_ID]

    def is_at(self, data: bytes, place: int) -> bool:
        return sha256(data[place : place + _MARK]).digest() == self.mark[_ID:]


def _mark(wrapped: bytes) -> bytes:
    return wrapped[:_ID] + sha256(wrapped[:_MARK]).digest()


def note(leases: LeaseDuties, run: str, record: Record, taken: Sequence[int]) -> Duty:
    def append(transaction: Transaction) -> bool:
        leases.reap(transaction)
        row, seq, head, _, owner, pruned, forgotten, _ = _unheld(transaction, run)
        if pruned:
            raise RunNotFound(
                f"the journal of {run} was deleted",
                why="it was pruned, and its data key with it",
                remedy="There is nothing left to forget.",
            )
        if forgotten is not None:
            raise KeyUnavailable(
                f"the run {run} was forgotten",
                why="its exact values are gone",
                remedy="Nothing brings them back; its redacted journal stays.",
            )
        if owner is not None:
            return False
        transaction.check_ring()
        _add(transaction, row, run, seq, bytes.fromhex(head), record)
        if taken:
            transaction.connection.execute(_SQL["take_mail"], (row, json.dumps(list(taken))))
        return True

    return Duty(append)


def forget(leases: LeaseDuties, run: str, record: Record) -> Duty:
    def delete(transaction: Transaction) -> bool:
        leases.reap(transaction)
        connection = transaction.connection
        row, seq, head, status, owner, pruned, forgotten, key = _unheld(transaction, run)
        if forgotten is not None:
            return False
        if status not in ENDED:
            raise RunNotFinished(
                f"{run} is {status}, and only a run that has ended can be forgotten",
                why="whoever goes on with it needs its exact values",
                remedy=f"Cancel it first: `surefoot runs cancel {run}`, then `surefoot work`.",
            )
        if owner is not None:
            raise RunNotFinished(
                f"{run} is held by a worker at this moment",
                why="it takes messages that came after the run's end",
                remedy="Try again in a moment.",
            )
        transaction.check_ring()
        if pruned:
            message = head_message(run, seq, bytes.fromhex(head), pruned=True, forgotten=True)
            connection.execute(_SQL["sign_pruned"], (transaction.options.keys.sign(message), row))
        else:
            _add(transaction, row, run, seq, bytes.fromhex(head), record)
        wrapped = bytes.fromhex(key or "")
        connection.execute(_SQL["forget_mail"], (row,))
        trace = _mark(wrapped) if len(wrapped) >= _MARK else None
        connection.execute(_SQL["forget_run"], (record.at, trace, row))
        return True

    return Duty(delete)


_Row = tuple[int, int, str, str, str | None, int, int | None, str]
"""row, seq, head, status, owner, pruned, forgotten, data_key"""


def _unheld(transaction: Transaction, run: str) -> _Row:
    found: _Row | None
    found = transaction.connection.execute(_SQL["unheld"], (run,)).fetchone()
    if found is None:
        raise RunNotFound(
            f"there is no run {run}",
            why="the id is misspelt, or the run lives in another store",
            remedy="List the runs with `surefoot runs list`.",
        )
    return found


def _add(transaction: Transaction, row: int, run: str, seq: int, head: bytes, record: Record) -> None:
    """What a claim, an append and a release would do, in one transaction."""
    code, kind, _ = transaction.kind(record.kind)
    place = (seq + 1, record.at, kind, record.version, record.view.encode(), record.sealed)
    digest = event_hash(head, run.encode(), *place)
    event = (row, seq + 1, record.at, code, record.version, record.view, record.sealed, digest)
    connection = transaction.connection
    connection.execute(_SQL["add_event"], event)
    signature = transaction.options.keys.sign(head_message(run, seq + 1, digest))
    connection.execute(_SQL["noted"], (seq + 1, digest, signature, record.at, row))


def mark_proved(traces: Sequence[Trace]) -> Duty:
    def mark(transaction: Transaction) -> None:
        transaction.connection.executemany(_SQL["proved"], [(one.row, one.mark) for one in traces])
        transaction.connection.execute(_SQL["set_clean"])

    return Duty(mark)


# ── the proof ──


def prove(path: Path, traces: Sequence[Trace], patience: float) -> None:
    """Cuts the write-ahead log, and reads every file of the store for the deleted keys. Where the database
    has one in a part of a page that is not in use (a store of an older Surefoot, a page that was split), it
    is rebuilt and read again. Raises StoreUnavailable."""
    connection = _connect(path)
    try:
        (clean,) = connection.execute(_SQL["is_clean"]).fetchone()
        if clean:
            _cut(connection, path, patience)
            if not holding(path, traces):
                return
        _rebuild(connection, path, patience)
        _cut(connection, path, patience)
    except sqlite3.Error as error:
        raise explain(error, f"sqlite:///{path}") from error
    finally:
        connection.close()
    if found := holding(path, traces):
        raise StoreUnavailable(
            f"a deleted key is still to be found in {', '.join(sorted(str(one) for one in found))}",
            why="the file was written by something else than the store, such as a copy or a backup",
            remedy="Delete that file, and run the same command again.",
        )


def clean(path: Path, patience: float) -> None:
    """Rebuilds a file into which an older Surefoot has written, which left deleted bytes where they were.
    Raises StoreUnavailable."""
    connection = _connect(path)
    try:
        (is_clean,) = connection.execute(_SQL["is_clean"]).fetchone()
        if not is_clean:
            _rebuild(connection, path, patience)
            connection.execute(_SQL["set_clean"])
            _cut(connection, path, patience)
    except sqlite3.Error as error:
        raise explain(error, f"sqlite:///{path}") from error
    finally:
        connection.close()


def cut_log(path: Path, patience: float) -> None:
    """Moves all of the write-ahead log into the database and cuts it to nothing. Raises StoreUnavailable."""
    connection = _connect(path)
    try:
        _cut(connection, path, patience)
    except sqlite3.Error as error:
        raise explain(error, f"sqlite:///{path}") from error
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = connect(str(path))
    # Short: while it waits for readers it holds up the writers, whose heartbeats must go on.
    connection.execute("PRAGMA busy_timeout = 100")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _cut(connection: sqlite3.Connection, path: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        if time.monotonic() > until:
            raise _held_up(path)
        time.sleep(_PAUSE)


def _rebuild(connection: sqlite3.Connection, path: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            if time.monotonic() > until:
                raise _held_up(path) from error
            time.sleep(_PAUSE)
        else:
            return


def _held_up(path: Path) -> StoreUnavailable:
    return StoreUnavailable(
        "what was deleted may still lie in the store's write-ahead log",
        why=f"another process has been reading {path} the whole time, so the log could not be cut",
        remedy="It is deleted, and stays so. End what reads the file (a backup, an open `sqlite3`), and run "
        "the same command again for the proof.",
    )


def holding(path: Path, traces: Sequence[Trace]) -> list[Path]:
    """Files of the store that hold one of the deleted keys."""
    masters = {trace.master for trace in traces}
    return [
        file
        for file in sorted(path.parent.glob(f"{path.name}*"))
        if file.is_file() and any(_holds(part, masters, traces) for part in _parts(file))
    ]


def _parts(file: Path) -> Iterator[bytes]:
    """The file in parts that overlap by as much as a mark is long."""
    with file.open("rb") as opened:
        rest = b""
        while part := opened.read(_PART):
            yield rest + part
            rest = part[-_MARK:]


def _holds(data: bytes, masters: set[bytes], traces: Sequence[Trace]) -> bool:
    for master in masters:
        place = data.find(master)
        while place >= 0:
            if any(trace.is_at(data, place) for trace in traces):
                return True
            place = data.find(master, place + 1)
    return False
