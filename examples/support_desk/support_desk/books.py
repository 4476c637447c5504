"""The shop's books as a file: where it lies, how it is opened, and what a transaction on it promises.

Whoever looks sees one moment of it; whoever writes is alone, and what was written is on disk when the
transaction ends. Two words say that nothing was changed: `ShopRefused` and `ShopNotNow`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from . import seed

Clock = Callable[[], datetime]
BUSY_SECONDS = 2.0
"""How long a write waits for another process's write before it gives up, undone."""


class ShopRefused(Exception):
    """The shop's own no: the request breaks its rules, and nothing was changed."""


class ShopNotNow(Exception):
    """Busy, or asked too late: nothing was changed, and the same request may work when made anew."""


def place() -> Path:
    """Where the shop's database lies: SUPPORT_DESK_SHOP, or .surefoot/shop.db in the current folder."""
    return Path(os.environ.get("SUPPORT_DESK_SHOP") or Path(".surefoot") / "shop.db")


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def opened(path: Path, *, read_only: bool = False) -> Generator[sqlite3.Connection]:
    """A connection to the books in `path`, which the generator makes and fills on first use."""
    if not path.exists():
        seed.create(path)
    uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rw'}"
    # Transactions are written out below: isolation_level=None keeps the driver from opening any by itself.
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        if read_only:
            db.execute("PRAGMA query_only = ON")
        yield db


@contextmanager
def looking(db: sqlite3.Connection) -> Generator[None]:
    """One snapshot for the several queries of one answer."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


@contextmanager
def writing(db: sqlite3.Connection) -> Generator[None]:
    """All of it or nothing. Raises ShopNotNow where another process is writing."""
    try:
        # IMMEDIATE: what is checked inside cannot be changed by another process before we write.
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise ShopNotNow("another process is writing to the shop") from error
    with db:  # commits, or rolls back on any error
        yield
