"""What SQLite's errors mean, and what to do about each: no raw database error leaves the store."""

from __future__ import annotations

import sqlite3
from types import TracebackType

from ..errors import StoreError, StoreUnavailable

BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_MEANING: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "another process kept it locked for too long",
        "Look for a process that keeps a transaction open (a database tool, a stopped worker), and end it.",
    ),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space, or run `surefoot prune`; nothing was lost."),
    sqlite3.SQLITE_READONLY: (
        "it is read-only for this user",
        "Make the file and its folder writable for the user that runs Surefoot, or choose another --store.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened",
        "Check that the folder exists and that this user may write in it.",
    ),
    sqlite3.SQLITE_PERM: ("this user may not use it", "Check the permissions of the file and its folder."),
    sqlite3.SQLITE_CORRUPT: (
        "the file is damaged",
        "Stop all workers, keep a copy of the file, and restore a backup (or try `sqlite3 FILE .recover`).",
    ),
    sqlite3.SQLITE_NOTADB: (
        "it is not a database, or its start is damaged",
        "Check the path given with --store; if it is right, restore a backup.",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk reported an error",
        "Check the disk and its mount (`dmesg` on Linux); network file systems do not work.",
    ),
}
_MEANING[sqlite3.SQLITE_LOCKED] = _MEANING[sqlite3.SQLITE_BUSY]


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock, so that trying again helps."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in BUSY


def explain(error: sqlite3.Error, where: str) -> StoreError:
    """The same failure as an error of ours; `where` is the store's URL."""
    code = getattr(error, "sqlite_errorcode", 0)
    meaning = _MEANING.get(code & 0xFF)
    if meaning is None:
        return StoreError(
            f"the store {where} refused a statement",
            why=str(error),
            remedy="Run `surefoot doctor`; if it comes again, keep a copy of the store and report this.",
            sqlite=code,
        )
    why, remedy = meaning
    return StoreUnavailable(
        f"the store {where} cannot be used", why=f"{why} ({error})", remedy=remedy, sqlite=code
    )


class Explained:
    """`with explained:` turns SQLite's errors of its block into ours. One object serves all blocks."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._where) from error
