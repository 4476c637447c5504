"""Keeping to the intake's rows inside a transaction: what a claim may take, and how a row is turned.

The usual claim finds every intake open, and learns so by the very statement that finds its runs. Only where
one is not, it asks again, for runs that were begun before; and a workflow whose breaker is due for a trial
gets one new run with them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import astuple
from typing import Any

from .intake import IntakeChange, IntakeRow, Turn, Turned
from .queries import load
from .transaction import Duty, Transaction

_SQL = load("intake")
_DUE = load("leases")["due_runs"]
_ALL = _DUE.replace("/* gate */", "")
_BEGUN = _DUE.replace("/* gate */", "AND epoch > 0").replace(
    "FROM runs WHERE owner", "FROM runs INDEXED BY runs_begun WHERE owner"
)
_NOT_CLOSED = _DUE.replace(
    "/* gate */", "AND (epoch > 0 OR workflow NOT IN (SELECT value FROM json_each(:closed)))"
)
_NEW = _DUE.replace("/* gate */", "AND epoch = 0")

KEPT = 500
"""Changes of a workflow's intake that are kept."""


def due_runs(transaction: Transaction, asked: dict[str, Any]) -> tuple[list[list[Any]], Collection[int]]:
    """The rows that a claim may take now, and which of them are trials."""
    text, gates = transaction.connection.execute(_ALL, asked).fetchone()
    if gates == "[]":
        return json.loads(text), ()
    now = transaction.now
    closed: list[str] = []
    trials: list[tuple[str, int]] = []
    for workflow, mode, trial_at, pause, day_until, is_tried, is_going in json.loads(gates):
        if 0 < day_until <= now:
            transaction.connection.execute(_SQL["new_day"], (workflow,))
            note(transaction, IntakeChange(workflow, now, "day_back", reason="a new day has begun"))
        if mode == "open" and trial_at is None and day_until <= now:
            continue
        closed.append(workflow)
        may_try = mode == "open" and day_until <= now
        if may_try and trial_at is not None and (trial_at <= now or (is_tried and not is_going)):
            trials.append((workflow, pause))
    if not closed:
        return json.loads(text), ()
    if asked["workflow"] is not None:
        text, _ = transaction.connection.execute(_BEGUN, asked).fetchone()
    else:
        text, _ = transaction.connection.execute(
            _NOT_CLOSED, {**asked, "closed": json.dumps(closed)}
        ).fetchone()
    found: list[list[Any]] = json.loads(text)
    tried = set()
    for workflow, pause in trials:
        if len(found) < asked["limit"]:
            one = {**asked, "workflow": workflow, "limit": 1}
            text, _ = transaction.connection.execute(_NEW, one).fetchone()
            for row in json.loads(text):
                found.append(row)
                tried.add(row[0])
                transaction.connection.execute(_SQL["try_run"], (row[0], now + pause, workflow))
                note(transaction, IntakeChange(workflow, now, "trial", reason=f"with the run {row[1]}"))
    return found, tried


def row_of(transaction: Transaction, workflow: str) -> IntakeRow:
    found = transaction.connection.execute(_SQL["intake_row"], (workflow,)).fetchone()
    return IntakeRow(workflow) if found is None else IntakeRow(*found)


def put(transaction: Transaction, row: IntakeRow) -> None:
    transaction.connection.execute(_SQL["put_intake"], astuple(row)[:-1])


def note(transaction: Transaction, change: IntakeChange) -> None:
    connection = transaction.connection
    connection.execute(_SQL["note_change"], astuple(change))
    connection.execute(_SQL["forget_changes"], {"workflow": change.workflow, "keep": KEPT})


def change_of(turned: Turned, now: int) -> IntakeChange | None:
    if turned.what is None:
        return None
    return IntakeChange(turned.row.workflow, now, turned.what, turned.by, turned.reason)


def turn(workflow: str, turn: Turn) -> Duty:
    def do(transaction: Transaction) -> tuple[IntakeRow, IntakeChange | None]:
        row = row_of(transaction, workflow)
        turned = turn(row, transaction.now)
        if turned is None:
            return row, None
        put(transaction, turned.row)
        change = change_of(turned, transaction.now)
        if change is not None:
            note(transaction, change)
        return turned.row, change

    return Duty(do)
