"""Named SQL: the files in `sql/` hold it, this reads them.

A file is a row of statements, each under a line `-- name: the_name`. Statements that take many rows at
once have a `{values}` mark, which `Shaped` fills in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from sqlite3 import Connection
from typing import Any

FOLDER = Path(__file__).parent / "sql"


@cache
def load(name: str) -> dict[str, str]:
    """The statements of `sql/<name>.sql` by their names."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (FOLDER / f"{name}.sql").read_text("utf-8").splitlines():
        if line.startswith("-- name: "):
            current = found.setdefault(line.removeprefix("-- name: ").strip(), [])
        elif line.strip() and not line.startswith("--"):
            current.append(line)
    return {key: "\n".join(lines) for key, lines in found.items()}


def _sizes(most: int) -> list[int]:
    """Four sizes per power of two: at most a fifth is padding, and few statements are compiled."""
    sizes = [1, 2, 3]
    step = 1
    while sizes[-1] < most:
        sizes += [4 * step, 5 * step, 6 * step, 7 * step]
        step *= 2
    return [size for size in sizes if size <= most]


MOST_ROWS = 1024
"""Rows of one statement: with 14 columns well under SQLite's limit of 32,766 parameters."""

_SIZES = _sizes(MOST_ROWS)


class Shaped:
    """A statement over many rows of parameters at once, compiled for few numbers of rows.

    One statement for all rows is the point: SQLite's Python module gives the interpreter lock back at every
    step of a statement, and a thread that competes with a busy event loop gets it again after up to 5 ms.
    """

    def __init__(self, sql: str, columns: int) -> None:
        self._sql = sql
        self._row = "(" + ", ".join("?" * columns) + ")"
        self._columns = columns
        self._texts: dict[int, str] = {}

    def execute(self, connection: Connection, flat: list[Any], *more: Any) -> int:
        """Runs over `flat` (rows one after the other), then `more`; returns how many rows were changed."""
        rows = len(flat) // self._columns
        if rows > MOST_ROWS:
            cut = MOST_ROWS * self._columns
            parts = [flat[start : start + cut] for start in range(0, len(flat), cut)]
            return sum(self.execute(connection, part, *more) for part in parts)
        size = _SIZES[bisect_left(_SIZES, rows)]
        text = self._texts.get(size)
        if text is None:
            text = self._texts[size] = self._sql.replace("{values}", ", ".join([self._row] * size))
        parameters: Sequence[Any] = flat
        if size != rows or more:
            parameters = [*flat, *[None] * ((size - rows) * self._columns), *more]
        return connection.execute(text, parameters).rowcount
