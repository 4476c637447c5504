"""A run's row, or a clear word that there is none; and what a row tells of how the run stands."""

from __future__ import annotations

from ..errors import RunNotFound
from ..state.rows import RunRow
from ..state.store import Store


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


def waits_for_person(row: RunRow, now: int) -> bool:
    """And is not about to go on by itself: a question that has expired waits for nobody, and nobody has just
    taken the run up."""
    due = row.due is not None and row.due <= now
    waits = row.status == "waiting" and bool(row.summary.get("waiting_for"))
    return waits and not due and row.owner is None
