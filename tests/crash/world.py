"""The other side: what the program's tools do to it, in a file that no death of ours can take back.

One table, one row for everything that reached it, with the process and the time. `done` rows are the effects
that count; a keyed one is written once per key, as a bank would do it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

VARIABLE = "CRASH_WORLD"
"""The environment variable that names the file."""

_TABLE = """
CREATE TABLE IF NOT EXISTS said (
  n INTEGER PRIMARY KEY, what TEXT NOT NULL, name TEXT NOT NULL, key TEXT, args TEXT, run TEXT, pid INTEGER,
  at INTEGER
);
CREATE UNIQUE INDEX IF NOT EXISTS keys ON said (key) WHERE what = 'done' AND key IS NOT NULL;
"""


@dataclass(frozen=True)
class Row:
    """`what` is enter or end (a step's body), attempt or done (a tool), asked (a model), flag. `at` is in
    microseconds."""

    n: int
    what: str
    name: str
    key: str | None
    args: Any
    run: str | None
    pid: int
    at: int


class World:
    def __init__(self, path: str | Path) -> None:
        # No fsync: what a killed process has written stays, and a power cut is not what is tested here.
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(_TABLE)

    def close(self) -> None:
        self._connection.close()

    # ── what happens to it ──

    def say(
        self, what: str, name: str, args: Any = None, *, key: str | None = None, run: str | None = None
    ) -> bool:
        """False where a `done` of this key was there already."""
        row = (what, name, key, json.dumps(args, sort_keys=True), run, os.getpid(), time.time_ns() // 1000)
        sql = "INSERT OR IGNORE INTO said (what, name, key, args, run, pid, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        return self._connection.execute(sql, row).rowcount == 1

    # ── what is seen of it ──

    def rows(self, what: str | None = None, name: str | None = None, run: str | None = None) -> list[Row]:
        sql = (
            "SELECT n, what, name, key, args, run, pid, at FROM said"
            " WHERE what = coalesce(?, what) AND name = coalesce(?, name) AND (? IS NULL OR run = ?)"
            " ORDER BY n"
        )
        found = self._connection.execute(sql, (what, name, run, run)).fetchall()
        return [
            Row(n, w, who, key, json.loads(args), r, pid, at) for n, w, who, key, args, r, pid, at in found
        ]

    def done(self, name: str, args: Any, run: str) -> bool:
        """Whether this effect of this run has happened."""
        text = json.dumps(args, sort_keys=True)
        sql = "SELECT 1 FROM said WHERE what = 'done' AND name = ? AND args = ? AND run = ?"
        return self._connection.execute(sql, (name, text, run)).fetchone() is not None

    def attempts(self, key: str) -> int:
        sql = "SELECT count(*) FROM said WHERE what = 'attempt' AND key = ?"
        return int(self._connection.execute(sql, (key,)).fetchone()[0])

    def flag(self, name: str) -> bool:
        """Whether the test has raised this flag (`say("flag", name)`)."""
        sql = "SELECT 1 FROM said WHERE what = 'flag' AND name = ?"
        return self._connection.execute(sql, (name,)).fetchone() is not None


@cache
def _open(path: str, pid: int) -> World:
    return World(path)


def here() -> World:
    """This process's door to it."""
    return _open(os.environ[VARIABLE], os.getpid())


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """The resource of the programs' tools."""
    yield here()
