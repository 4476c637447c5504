"""Worlds: what a scenario's run acts on, and what became of it.

A workflow's project has one factory, an async context manager: it is handed a scenario's `world` (validated
by the type that its parameter is annotated with), makes the outside that the tools will meet, and can show
all of it as tables. Effects are counted here, on the other side, and not in the journal alone: a refund that
the journal knows nothing of is a row that nobody expected.

    @asynccontextmanager
    async def world(state: ShopState, folder: Path) -> AsyncIterator[World]: ...

A factory that takes a `folder` keeps everything there: an empty one is a new world, and one that is not is
the same world again, as it was left. Only with such a world can processes be killed (`surefoot crashtest`).
"""

from __future__ import annotations

import inspect
import marshal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from ..core.workflow import Resource

Row = Mapping[str, Any]
Tables = Mapping[str, Mapping[str, Row]]
"""Table -> key of the row, as text -> column -> JSON value."""


@dataclass(frozen=True)
class World:
    """`resources` stand in for the workflow's own; `snapshot` shows everything that could change."""

    resources: Sequence[Resource]
    snapshot: Callable[[], Awaitable[Tables]]


WorldFactory = Callable[..., AbstractAsyncContextManager[World]]


def lasts(factory: WorldFactory) -> bool:
    """Whether its worlds outlive a process: it takes a folder."""
    return len(inspect.signature(factory).parameters) > 1


def opening(
    factory: WorldFactory, state: Mapping[str, Any], folder: Path
) -> AbstractAsyncContextManager[World]:
    """The state is handed over as the type that the factory asks for."""
    kind = state_type(factory)
    given = dict(state) if kind is None else TypeAdapter(kind).validate_python(dict(state))
    return factory(given, folder) if lasts(factory) else factory(given)


def state_type(factory: WorldFactory) -> Any:
    """What its first parameter is annotated with; None where it is not."""
    function = inspect.unwrap(factory)
    parameters = list(inspect.signature(function).parameters)
    return get_type_hints(function).get(parameters[0]) if parameters else None


def as_json(tables: Tables) -> Tables:
    """As JSON, and a copy: the snapshot may be the living thing itself. Tables that are the same, as nearly
    all are before and after a run, become one object."""
    return {name: _table(table) for name, table in tables.items()}


def _table(table: Any) -> Any:
    try:
        return _unmarshalled(marshal.dumps(table))
    except ValueError:  # dates, decimals and the like
        return _converted(table)


@lru_cache(maxsize=256)
def _unmarshalled(table: bytes) -> Any:
    return _converted(marshal.loads(table))  # noqa: S302  what was marshalled a moment ago


def _converted(table: Any) -> Any:
    return to_jsonable_python(table, fallback=str)


@dataclass(frozen=True, slots=True)
class Change:
    """One row that came, went or changed. `cells` is column -> (before, after) of what differs; of a row that
    came or went the side that does not exist is None."""

    table: str
    row: str
    kind: str
    cells: Mapping[str, tuple[Any, Any]]

    def __str__(self) -> str:
        said = ", ".join(f"{name} {before!r} -> {after!r}" for name, (before, after) in self.cells.items())
        return f"{self.table}[{self.row}] {self.kind}" + (f" ({said})" if self.kind == "changed" else "")


def changes(before: Tables, after: Tables) -> list[Change]:
    """In the order of tables and rows as they stand after; what went comes last."""
    found = []
    for table in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(table, {}), after.get(table, {})
        if old is new:
            continue
        for key, row in new.items():
            was = old.get(key)
            if was == row:  # nearly every row of a world
                continue
            if was is None:
                found.append(
                    Change(table, key, "added", {name: (None, value) for name, value in row.items()})
                )
                continue
            names = [*row, *(name for name in was if name not in row)]
            cells = {n: (was.get(n), row.get(n)) for n in names if was.get(n) != row.get(n)}
            if cells:
                found.append(Change(table, key, "changed", cells))
        for key, row in old.items():
            if key not in new:
                gone = {name: (value, None) for name, value in row.items()}
                found.append(Change(table, key, "removed", gone))
    return found
