"""What a step costs does not grow with what lies in the store: no hot statement reads more than it needs."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.state.conformance import Rig
from surefoot.state.queries import MOST_ROWS, Shaped, load
from surefoot.state.schema import connect, prepare
from surefoot.state.store import Append, RunChange

pytestmark = pytest.mark.anyio

TABLES = r"SCAN (runs|events|mail|items|workers|days|doubts|definitions|e|m)\b"
ROW_14 = "(" + ", ".join("?" * 14) + ")"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(f"sqlite:///{tmp_path}/state.db")
    yield rig
    await rig.close()


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    sql = sql.replace("{values}", f"{ROW_14}, {ROW_14}")
    names = dict.fromkeys(("now", "limit", "run", "row", "worker", "before", "workflow", "most"))
    count = sql.count("?")
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", names if ":" in sql else [None] * count).fetchall()
    return [detail for *_, detail in rows]


HOT = {
    "journal": [
        "move_heads",
        "change_runs",
        "fence",
        "last_row",
        "submitted",
        "same_key",
        "take_mail",
        "items_of",
        "day",
    ],
    "leases": [
        "free_runs_of",
        "retire_runs_of",
        "doubt_runs_of",
        "end_doubts",
        "holds_any",
        "due_runs",
        "due_run",
        "claim_runs",
        "run_to_tell",
        "make_due",
        "item_to_decide",
        "decide",
        "prunable",
        "prune_events",
    ],
    "reads": ["mail", "next_due", "suspects", "journals", "events", "day", "definition"],
}


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in HOT.items() for name in names])
def test_no_hot_statement_scans_a_table(file: str, name: str) -> None:
    connection = connect(":memory:")
    prepare(connection, "memory:", memory=True)
    steps = plan(connection, load(file)[name])
    connection.close()
    # The first due ones along their index are as good as a search: the limit ends it.
    scans = [step for step in steps if re.match(TABLES, step) and "INDEX runs_due" not in step]
    assert scans == [], steps


RUNS = 400
"""Enough that the pages of an empty store (160 kB) are not what is measured."""


async def test_a_step_takes_at_most_600_bytes(rig: Rig, tmp_path: Path) -> None:
    store = await rig.store()
    view = (
        '{"step":"triage","attempt":1,"output":{"order_number":"A-10417","intent":"refund","language":"en"}}'
    )
    assert len(view) == 99
    values = {"summary": f'{{"input":{view}}}', "data_key": b"k" * 64}
    leases = await asyncio.gather(*(rig.held(store, **values) for _ in range(RUNS)))
    kinds = ("step.started", "step.finished")
    for _ in range(5):
        steps = [Append(lease, tuple(rig.record(kind, view) for kind in kinds)) for lease in leases]
        await asyncio.gather(*map(store.append, steps))
    change = RunChange(status="succeeded", release=True)
    ends = [rig.append(lease, "run.finished", change=change) for lease in leases]
    await asyncio.gather(*map(store.append, ends))
    await rig.close()
    size = sum(file.stat().st_size for file in tmp_path.glob("state.db*") if file.is_file())
    assert size / (RUNS * 5) <= 600, f"{size / (RUNS * 5):.0f} bytes for a step"


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9, 100, 1000, MOST_ROWS, MOST_ROWS + 1, 3000])
def test_rows_are_written_once_whatever_their_number(rows: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a, b)")
    insert = Shaped("INSERT INTO t SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL AND ? = 7", 2)
    flat = [value for number in range(rows) for value in (number, None)]
    assert insert.execute(connection, flat, 7) == rows
    assert connection.execute("SELECT count(*), count(DISTINCT a), max(a) FROM t").fetchone() == (
        rows,
        rows,
        rows - 1,
    )
    connection.close()


def test_few_statements_are_compiled_for_many_numbers_of_rows() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a)")
    insert = Shaped("INSERT INTO t SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL", 1)
    for rows in range(1, 1025):
        insert.execute(connection, [None] * rows)
    connection.close()
    assert len(insert._texts) < 40
