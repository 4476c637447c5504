"""A run's row, or a clear word that there is none: the one place that says so."""

from __future__ import annotations

from ..errors import RunNotFound
from ..state.store import RunRow, Store


async def row_of(store: Store, run: str, where: str = "the store") -> RunRow:
    """`where` is what the store is called. Raises RunNotFound."""
    row = await store.run(run)
    if row is None:
        raise RunNotFound(
            f"there is no run {run!r} in {where}",
            why="the id is misspelt, or the run lives in another store",
            remedy="See `surefoot runs list`.",
        )
    return row
