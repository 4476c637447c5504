"""Opening the database file: settings of a connection, and the numbered migrations.

A file that does not exist is made; one of an older schema is brought up in one transaction, safely also when
two processes open it at once; one of a newer schema is refused.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

from ..errors import StoreUnavailable, StoreVersion
from .faults import explain, is_busy
from .queries import FOLDER
from .sealing import Keyring

APPLICATION = 0x53464F54  # "SFOT": marks the file as ours
OLDEST_SQLITE = (3, 38)
"""Strict tables, UPDATE FROM and the JSON arrows."""

PATIENCE = 10.0
"""Seconds that a connection waits for another process's lock."""

KEYS_AS_DIGESTS = 2
"""The migration after which idempotency keys are digests."""


def migrations() -> dict[int, str]:
    """Every migration's SQL by its number."""
    found = {}
    for path in sorted((FOLDER / "migrations").glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_\w+\.sql", path.name)
        if match:
            found[int(match[1])] = path.read_text("utf-8")
    return found


def newest() -> int:
    return max(migrations())


def connect(database: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode that waits for nobody: the callers do their own waiting. Raises
    StoreUnavailable."""
    try:
        return sqlite3.connect(
            database, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=300, uri=uri
        )
    except sqlite3.Error as error:
        raise explain(error, database) from error


Keys = Callable[[], Keyring]


def prepare(
    connection: sqlite3.Connection, where: str, *, memory: bool = False, keys: Keys | None = None
) -> None:
    """Settings and schema; `keys` is asked where a migration needs the key ring. Raises StoreVersion,
    StoreUnavailable, KeyUnavailable."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreUnavailable(
            f"the store {where} cannot be used",
            why=f"this Python has SQLite {sqlite3.sqlite_version}, and 3.38 is needed",
            remedy="Use a Python that was built with a newer SQLite (Debian 12 and Ubuntu 24.04 have one).",
        )
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        if not memory:
            if _version(connection) == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only counts before the first table
            _wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA temp_store = MEMORY")
        # What is deleted is overwritten, in the file too: forgetting relies on it (decision 0034).
        connection.execute("PRAGMA secure_delete = ON")
        if memory and _version(connection) == 0 and not _has_tables(connection):
            _empty_in_memory().backup(connection)  # pages are copied ten times as fast as they are made
        _migrate(connection, where, keys)
        connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as error:
        raise explain(error, where) from error
    except UnicodeDecodeError as error:  # SQLite tells of a name in its schema that is no text
        raise StoreUnavailable(
            f"the store {where} cannot be used",
            why="its schema is damaged",
            remedy="Restore the file from a backup.",
        ) from error


@cache
def _empty_in_memory() -> sqlite3.Connection:
    """A store without runs, which lasts as long as this process."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _migrate(connection, "memory:", None)
    return connection


def changed_schema(connection: sqlite3.Connection) -> list[str]:
    """The names of tables and indexes that are not as the migrations make them."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        for number in sorted(migrations()):
            fresh.executescript(migrations()[number])
        wanted, found = (dict(one.execute(_SCHEMA).fetchall()) for one in (fresh, connection))
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


_SCHEMA = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'"


def _wal(connection: sqlite3.Connection) -> None:
    """Changing to WAL takes the whole file for itself, and SQLite does not wait for that by itself."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise StoreUnavailable(
                "the store cannot be used",
                why=f"its file system does not allow SQLite's write-ahead log (journal mode stayed {mode!r})",
                remedy="Put the database on a local disk.",
            )
        return


def must_be_ours(connection: sqlite3.Connection, where: str) -> None:
    """The schema is the one that this Surefoot knows. Raises StoreVersion."""
    if (found := _version(connection)) != newest():
        raise StoreVersion(
            f"the store {where} has another schema by now",
            why=f"it is at version {found}, and this Surefoot, which has it open, knows {newest()}",
            remedy="Start this process again with the newer Surefoot.",
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, where: str, keys: Keys | None) -> None:
    known = migrations()
    if _version(connection) == max(known) and _application(connection) == APPLICATION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if _application(connection) != APPLICATION and _has_tables(connection):
            raise StoreUnavailable(
                f"the store {where} cannot be used",
                why="the file is a database of another program",
                remedy="Check the path given with --store.",
            )
        if version > max(known):
            raise StoreVersion(
                f"the store {where} has schema {version}, and this Surefoot knows schemas up to {max(known)}",
                why="a newer Surefoot has upgraded it",
                remedy="Upgrade this installation: `pip install --upgrade surefoot`.",
                schema=version,
                known=max(known),
            )
        for number, text in known.items():
            if number > version:
                _script(connection, text)
                if number == KEYS_AS_DIGESTS:
                    _digest_keys(connection, where, keys)
        connection.execute(f"PRAGMA user_version = {max(known)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _digest_keys(connection: sqlite3.Connection, where: str, keys: Keys | None) -> None:
    """The idempotency keys of older stores lay in clear: digests take their place, and lists show the view
    that the journal has of them."""
    asked = (
        "SELECT r.row, r.workflow, r.key, (SELECT e.view FROM events AS e WHERE e.run = r.row AND e.seq = 1) "
        "FROM runs AS r WHERE r.key IS NOT NULL"
    )
    found = connection.execute(asked).fetchall()
    if not found:
        return
    if keys is None:
        raise StoreUnavailable(
            f"the store {where} cannot be upgraded",
            why="its idempotency keys are to be hidden, and the key ring for that is not at hand",
            remedy="Put keys.json beside it, or set SUREFOOT_MASTER_KEY.",
        )
    ring = keys()
    changed = []
    for row, workflow, key, view in found:
        shown = json.loads(view).get("key") if view else None
        changed.append((ring.key_digest(workflow, key), shown, row))
    connection.executemany("UPDATE runs SET key = ?, key_view = ? WHERE row = ?", changed)


def _application(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None


def _script(connection: sqlite3.Connection, text: str) -> None:
    """Statement by statement: `executescript` would commit our transaction first."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def make_file(path: Path) -> None:
    """Makes the folder and an empty file that only its user may read: journals hold customers' words."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"the store sqlite:///{path} cannot be used",
            why=str(error.strerror or error),
            remedy="Check that the path is right and that this user may write there.",
        ) from error


def schema_version(path: Path) -> int | None:
    """The schema of a file, 0 for an empty one, None where there is no file."""
    if not path.exists():
        return None
    connection = connect(str(path))
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        return _version(connection)
    except sqlite3.Error as error:
        raise explain(error, f"sqlite:///{path}") from error
    finally:
        connection.close()


def holds_runs(path: Path) -> bool:
    """Whether the file is a store of ours with a run in it."""
    if not path.exists():
        return False
    connection = connect(str(path))
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        if _application(connection) != APPLICATION:
            return False
        return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM runs)").fetchone()[0])
    except sqlite3.Error as error:
        raise explain(error, f"sqlite:///{path}") from error
    finally:
        connection.close()


def upgrade(path: Path, keys: Keys | None = None) -> tuple[int, int]:
    """Makes or upgrades the file; returns its schema before and after."""
    before = schema_version(path) or 0
    make_file(path)
    connection = connect(str(path))
    try:
        prepare(connection, f"sqlite:///{path}", keys=keys)
        return before, _version(connection)
    finally:
        connection.close()
