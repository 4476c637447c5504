"""Every column of every table is tampered with, one by one: the audit finds it, or it is listed here why not.

The store is a real one: runs that succeeded, wait, were decided, were forked, have mail waiting, and spent money.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from surefoot import Approve, Budget, Deny, Effect, Private, Run, Runtime, Workflow, approve, step, tool
from surefoot.core.model import Price
from surefoot.state import schema
from surefoot.state.audit import Finding
from surefoot.state.examine import Examined, Examiner
from surefoot.state.opening import make_store
from surefoot.state.rows import RunFilter
from surefoot.state.sealing import Keyring
from surefoot.testing import ManualClock, Say, ScriptedModel

pytestmark = pytest.mark.anyio

NOT_OURS = {"intake", "intake_changes", "sqlite_sequence", "sqlite_stat1"}

UNSEEN = {
    ("tokens", "*"): "its digest is keyed and over all that it may do: one that was changed opens nothing",
    ("sessions", "*"): "its digest is keyed: one that was made here opens nothing",
    ("endpoints", "*"): "the deployment's settings say them anew at each start",
    ("deliveries", "*"): "for telling alone; what it tells of is read from the journal when it is sent",
    ("workers", "*"): "who lives is true for as long as a lease, and is proved by locks",
    ("doubts", "worker"): "whether that worker is dead is proved by its lock",
    ("runs", "claims"): "counted since the last progress; a claim that came to nothing leaves no event",
    ("mail", "id"): "its order alone counts",
    ("ring", "generation"): "each process reads its ring again when it differs",
    (
        "ring",
        "clean",
    ): "the next proof of forgetting rebuilds the file once more, or reads it for what it looks for",
    ("runs", "trace"): "what is left to be proved; the row says that the run was forgotten",
    ("days", "tokens"): "not charged where the workflow has no cap",
    ("days", "settled_nanousd"): "for the warning alone",
    ("days", "settled_tokens"): "for the warning alone",
    ("days", "cap_nanousd"): "for the warning alone",
    ("days", "cap_tokens"): "for the warning alone",
    ("days", "warned"): "for the warning alone",
}
OTHERS = {
    ("runs", "epoch"): "0",
    ("runs", "updated"): "1",
    ("runs", "due"): "due + 100000000000000",
    ("runs", "owner"): "'nobody'",
    ("runs", "pruned"): "1 - pruned",
    ("runs", "ended"): "ended + 100000000000000",
    ("runs", "forgotten"): "CASE WHEN forgotten IS NULL THEN 1 END",
    ("items", "decided"): "decided + 100000000000000",
    ("ring", "current"): "'00000000'",
    ("ring", "retired"): "'[\"' || (SELECT lower(hex(substr(signature, 1, 4))) FROM runs) || '\"]'",
}
"""How a column is changed where adding to it would not do; a change that only makes a run due earlier, or its
epoch higher, costs a look and no more."""


class Ticket(BaseModel):
    number: int = 1
    mail: Annotated[str, Private("email")] = "kim@post.example"


class Answer(BaseModel):
    text: str


@tool(effect=Effect.KEYED, permission="mail:send")
async def send(to: str, number: int) -> str:
    """Send it."""
    return f"sent {number}"


@step
async def think(ticket: Ticket, run: Run) -> Answer:
    return await run.ask(Answer, "Answer.", {"number": ticket.number})


@step
async def sent(ticket: Ticket, think: Answer, run: Run) -> str:
    return await run.call(send, to=ticket.mail, number=ticket.number)


def workflow() -> Workflow:
    model = ScriptedModel({"think": [Say({"text": "well"})]}, price=Price(1000.0, 2000.0))
    return Workflow(
        "desk", input=Ticket, steps=[think, sent], tools=[send], grants=["mail:send"], models=[model],
        rules=[approve(send, when=lambda to, number: number > 1, by="leads", within=timedelta(days=1))],
        budget=Budget(usd="1", day_usd="50"),
    )  # fmt: skip


@pytest.fixture(scope="module")
async def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    url = f"sqlite:///{folder}/state.db"
    async with Runtime(workflow(), url, clock=ManualClock()) as runtime:
        for number, key in ((1, "kim@post.example-1"), (2, "two"), (3, None), (4, "four"), (5, None)):
            started = await runtime.start(Ticket(number=number), key=key)
            await runtime.result(started.id)
        waiting = list(await runtime.store.items())
        await runtime.decide(waiting[0].id, Approve(by="kim", reason="fine"))
        await runtime.result(waiting[0].run)
        await runtime.decide(waiting[1].id, Deny(by="kim", reason="no"))
        await runtime.result(waiting[1].run)
        first = [row.id for row in await runtime.store.runs(RunFilter()) if row.status == "succeeded"][-1]
        forked = await runtime.fork(first, start_from="sent")
        await runtime.result(forked.id)
        await runtime.reveal(first, by="kim", reason="she asked")
        await runtime.forget(forked.id, by="kim")
        left = waiting[2].id
    async with Runtime(workflow(), url, clock=ManualClock(), drive=False) as runtime:
        await runtime.decide(left, Approve(by="ann"))  # lies in the mailbox
    connection = sqlite3.connect(folder / "state.db")
    connection.execute("INSERT INTO doubts VALUES (1, 'worker')")
    connection.commit()
    connection.close()
    return folder


async def audited(folder: Path, run: str | None = None) -> Examined:
    ring = Keyring.load(folder / "keys.json")
    clock = ManualClock()
    store, _ = make_store(f"sqlite:///{folder}/state.db", now=clock.now, worker="auditor", keyring=ring)
    await store.open()
    try:
        examiner = Examiner(store, ring, clock.now)
        return await (examiner.everything() if run is None else examiner.one(run))
    finally:
        await store.close()


async def after(template: Path, tmp_path: Path, change: Callable[[sqlite3.Connection], Any]) -> list[Finding]:
    for name in ("state.db", "keys.json"):
        shutil.copy(template / name, tmp_path / name)
    connection = sqlite3.connect(tmp_path / "state.db")
    change(connection)
    connection.commit()
    connection.close()
    return (await audited(tmp_path)).findings


def doing(sql: str, row: Any) -> Callable[[sqlite3.Connection], Any]:
    return lambda connection: connection.execute(sql, (row,))


def columns() -> list[tuple[str, str]]:
    """Of all tables, by the migrations."""
    connection = sqlite3.connect(":memory:")
    for _, text in sorted(schema.migrations().items()):
        connection.executescript(text)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = []
    for table in sorted(set(tables) - NOT_OURS):
        found += [(table, column[1]) for column in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return found


async def test_what_nobody_has_touched_is_right(template: Path) -> None:
    found = await audited(template)
    assert found.findings == []
    assert found.runs == 6
    assert found.events > 60


@pytest.mark.parametrize(("table", "column"), columns(), ids=str)
async def test_a_changed_column_is_found(template: Path, tmp_path: Path, table: str, column: str) -> None:
    if (table, column) in UNSEEN or (table, "*") in UNSEEN:
        return
    if table == "ring" and column == "one":
        return  # it can hold no other value
    connection = sqlite3.connect(template / "state.db")
    kind = {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}[column]
    rows = [
        row
        for (row,) in connection.execute(f"SELECT {_id(table)} FROM {table} WHERE {_where(table, column)}")
    ]
    connection.close()
    assert rows, f"no row of {table} has a {column} that could be changed"
    value = (
        OTHERS.get((table, column))
        or {
            "INTEGER": f"{column} + 1000",
            "TEXT": f"CASE WHEN json_valid({column}) AND {column} LIKE '{{%' THEN json_set({column}, '$.x', 1, "
            f"'$.step', 'y', '$.degraded', 1, '$.by', 'z', '$.choice', 'w') ELSE coalesce({column}, '') || 'x' END",
            "BLOB": f"CAST(substr({column}, 1, length({column}) - 1) || "
            f"CASE substr({column}, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB)",
        }[kind]
    )
    missed = []
    for row in rows:
        sql = f"UPDATE {table} SET {column} = {value} WHERE {_id(table)} = ?"
        findings = await after(template, _fresh(tmp_path, row), doing(sql, row))
        if not findings:
            missed.append(row)
    assert missed == []


def _fresh(tmp_path: Path, row: Any) -> Path:
    folder = tmp_path / str(row)
    folder.mkdir()
    return folder


def _id(table: str) -> str:
    return {"days": "day", "doubts": "run"}.get(table, "rowid")


def _where(table: str, column: str) -> str:
    """Rows in which a change of the column means anything; a few of many."""
    match table, column:
        case "events", "sealed":
            return "sealed IS NOT NULL LIMIT 4"
        case "events", _:
            return "seq IN (1, 3, 5) LIMIT 6"
        case "runs", "due":
            # one that waits for a person alone may be looked at, and one with mail is due in any case
            return "due IS NOT NULL AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.run = runs.row) LIMIT 1"
        case "runs", "epoch":
            return "epoch > 0"
        case "kinds", _:
            return "code IN (SELECT kind FROM events)"
        case _:
            return f"{column} IS NOT NULL" if column not in ("forgotten", "pruned", "owner") else "1"


@pytest.mark.parametrize("table", ["events", "mail", "items", "runs", "days", "definitions"])
async def test_a_removed_row_is_found(template: Path, tmp_path: Path, table: str) -> None:
    connection = sqlite3.connect(template / "state.db")
    rows = [row for (row,) in connection.execute(f"SELECT {_id(table)} FROM {table} LIMIT 7")]
    connection.close()
    missed = []
    for row in rows:
        sql = f"DELETE FROM {table} WHERE {_id(table)} = ?"
        if not await after(template, _fresh(tmp_path, row), doing(sql, row)):
            missed.append(row)
    assert missed == ([] if table != "definitions" else rows), "a definition is only for what changes later"


async def test_a_run_removed_with_all_that_is_its_own_shows_in_the_ledger(
    template: Path, tmp_path: Path
) -> None:
    def remove(connection: sqlite3.Connection) -> None:
        for table, column in (("events", "run"), ("items", "run"), ("mail", "run"), ("runs", "row")):
            connection.execute(f"DELETE FROM {table} WHERE {column} = 2")

    assert {one.problem for one in await after(template, tmp_path, remove)} == {"ledger"}


async def test_sealed_values_swapped_between_runs_are_found(template: Path, tmp_path: Path) -> None:
    def swap(connection: sqlite3.Connection) -> None:
        (one,) = connection.execute("SELECT sealed FROM events WHERE run = 1 AND seq = 1").fetchone()
        (two,) = connection.execute("SELECT sealed FROM events WHERE run = 2 AND seq = 1").fetchone()
        connection.execute("UPDATE events SET sealed = ? WHERE run = 1 AND seq = 1", (two,))
        connection.execute("UPDATE events SET sealed = ? WHERE run = 2 AND seq = 1", (one,))

    problems = {(one.problem, one.seq) for one in await after(template, tmp_path, swap)}
    assert {("changed", 1), ("sealed", 1)} <= problems


async def test_data_keys_swapped_between_runs_are_found(template: Path, tmp_path: Path) -> None:
    def swap(connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE runs SET data_key = (SELECT data_key FROM runs AS r WHERE r.row = 3 - runs.row) "
            "WHERE row IN (1, 2)"
        )

    problems = {one.problem for one in await after(template, tmp_path, swap)}
    assert "sealed" in problems


async def test_a_forged_decision_in_the_mailbox_is_found(template: Path, tmp_path: Path) -> None:
    def forge(connection: sqlite3.Connection) -> None:
        (item, run) = connection.execute("SELECT id, run FROM items WHERE status = 'open'").fetchone()
        body = f'{{"item":"{item}","choice":"approve","by":"kim"}}'
        connection.execute("INSERT INTO mail (run, kind, at, body) VALUES (?, 'decision', 1, ?)", (run, body))

    problems = {one.problem for one in await after(template, tmp_path, forge)}
    assert "mail" in problems
    assert "item" in problems
