"""Reading rows into the protocol's values.

Reads go straight to SQLite in the loop's thread, on a connection of their own: in WAL mode they wait for no
writer, and a hop to another thread would cost more than the query.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from sqlite3 import Connection
from typing import Any, get_args

from .access import SessionRow, TokenRow
from .deliveries import DeliveryRow, DeliveryStatus, EndpointRow
from .forgetting import Trace
from .intake import IntakeChange, IntakeRow
from .queries import load
from .rows import (
    DayRow,
    ItemRow,
    ItemStatus,
    KeyUse,
    Mail,
    OpenItems,
    Queue,
    RingRow,
    RunFilter,
    RunRow,
    Status,
    StoredEvent,
    Stray,
    WorkerRow,
)
from .schema import changed_schema
from .weighing import WARNED

_SQL = load("reads")
_INTAKE = load("intake")
_ACCESS = load("access")
_DELIVERIES = load("deliveries")
_NO_LIMIT = -1


class Reader:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._names: dict[int, str] = {}

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> Any:
        # fetchall, because a statement that is not read to its end keeps its snapshot open
        rows = self._connection.execute(sql, values).fetchall()
        return rows[0] if rows else None

    def mail(self, run: str) -> list[Mail]:
        return [Mail(*row) for row in self._all(_SQL["mail"], run)]

    def pending_mail(self, worker: str) -> list[str]:
        return [run for (run,) in self._all(_SQL["pending_mail"], worker)]

    def suspects(self, most: int, now: int, workflow: str | None) -> list[str]:
        asked = {"most": most, "now": now, "workflow": workflow}
        return [run for (run,) in self._connection.execute(_SQL["suspects"], asked).fetchall()]

    # ── intake ──

    def intakes(self, workflow: str | None) -> list[IntakeRow]:
        rows = self._connection.execute(_INTAKE["intakes"], {"workflow": workflow}).fetchall()
        return [IntakeRow(*row) for row in rows]

    def intake_changes(self, workflow: str | None, limit: int) -> list[IntakeChange]:
        asked = {"workflow": workflow, "limit": limit}
        return [IntakeChange(*row) for row in self._connection.execute(_INTAKE["changes"], asked).fetchall()]

    def waiting_to_begin(self, workflow: str | None) -> dict[str, int]:
        asked = {"workflow": workflow}
        return dict(self._connection.execute(_INTAKE["waiting_to_begin"], asked).fetchall())

    def next_due(self, workflow: str | None, now: int) -> int | None:
        closed = [row for row in self.intakes(workflow) if not row.is_open(now)]
        if not closed:
            return self._next_of_all(workflow)
        # What was begun goes on; a new run may have to wait until its intake opens.
        asked = {"workflow": workflow, "closed": json.dumps([row.workflow for row in closed])}
        ((due,),) = self._connection.execute(_INTAKE["next_let_in"], asked).fetchall()
        dues = [] if due is None else [due]
        for row in closed:
            opens = row.opens_at()
            if opens is not None and self._one(_INTAKE["any_to_begin"], row.workflow)[0]:
                dues.append(opens)
        return min(dues, default=None)

    def _next_of_all(self, workflow: str | None) -> int | None:
        (row,) = self._connection.execute(_SQL["next_due"], {"workflow": workflow}).fetchall()
        due: int | None = row[0]
        return due

    # ── journals ──

    def journals(self, runs: Iterable[str]) -> dict[str, list[StoredEvent]]:
        asked = list(runs)
        found: dict[str, list[StoredEvent]] = {run: [] for run in asked}
        for row in self._all(_SQL["journals"], json.dumps(asked)):
            event = self._event(row)
            found[event.run].append(event)
        return found

    def events(self, run: str, after: int, limit: int | None) -> list[StoredEvent]:
        rows = self._all(_SQL["events"], run, after, _NO_LIMIT if limit is None else limit)
        return [self._event(row) for row in rows]

    def _event(self, row: tuple[Any, ...]) -> StoredEvent:
        run, seq, at, code, version, view, sealed, digest = row
        kind = self._names.get(code)
        if kind is None:
            self._names = dict(self._all(_SQL["kinds"]))
            kind = self._names.get(code, f"unknown.{code}")
        return StoredEvent(run, seq, at, kind, version, view, sealed, digest)

    # ── runs ──

    def run(self, run: str) -> RunRow | None:
        row = self._one(_SQL["runs"].replace("{where}", "WHERE id = ?"), run)
        return None if row is None else _run_row(row)

    def find_key(self, workflow: str, key: str) -> RunRow | None:
        row = self._one(_SQL["runs"].replace("{where}", "WHERE workflow = ? AND key = ?"), workflow, key)
        return None if row is None else _run_row(row)

    def runs(self, wanted: RunFilter) -> list[RunRow]:
        """Newest first. Several statuses are read one by one, each along its index, and merged."""
        conditions = []
        values: list[Any] = []
        if wanted.workflow is not None:
            conditions.append("workflow = ?")
            values.append(wanted.workflow)
        if wanted.since is not None:
            conditions.append("created >= ?")
            values.append(wanted.since)
        if wanted.before is not None:
            conditions.append("row < (SELECT row FROM runs WHERE id = ?)")
            values.append(wanted.before)
        if not wanted.status:
            return [_run_row(row[1:]) for row in self._page(conditions, values, wanted.limit)]
        found: list[Any] = []
        for status in set(wanted.status):
            found += self._page(["status = ?", *conditions], [status, *values], wanted.limit)
        found.sort(key=lambda row: -row[0])
        return [_run_row(row[1:]) for row in found[: wanted.limit]]

    def _page(self, conditions: list[str], values: list[Any], limit: int) -> list[Any]:
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = _SQL["runs"].replace("SELECT id", "SELECT row, id", 1)
        return self._all(sql.replace("{where}", f"{where} ORDER BY row DESC LIMIT ?"), *values, limit)

    def counts(self) -> dict[Status, int]:
        found: dict[Status, int] = dict.fromkeys(get_args(Status), 0)
        found.update(self._all(_SQL["counts"]))
        return found

    # ── the rest ──

    def item(self, item: str) -> ItemRow | None:
        row = self._one(_SQL["items"].replace("{where}", "WHERE items.id = ?"), item)
        return None if row is None else _item_row(row)

    def items(
        self, status: ItemStatus | None, run: str | None, after: str | None, limit: int
    ) -> list[ItemRow]:
        """Longest waiting first."""
        conditions = ["items.status = ?"] if status is not None else []
        values: list[Any] = [status] if status is not None else []
        if run is not None:
            conditions.append("items.run = (SELECT row FROM runs WHERE id = ?)")
            values.append(run)
        if after is not None:
            conditions.append("(items.opened, items.rowid) > (SELECT opened, rowid FROM items WHERE id = ?)")
            values.append(after)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = _SQL["items"].replace("{where}", f"{where} ORDER BY items.opened, items.rowid LIMIT ?")
        return [_item_row(row) for row in self._all(sql, *values, limit)]

    def queue(self, workflow: str | None) -> Queue:
        return Queue(*self._connection.execute(_SQL["queue"], {"workflow": workflow}).fetchall()[0])

    def open_items(self) -> list[OpenItems]:
        return [OpenItems(*row) for row in self._all(_SQL["open_items"])]

    def workers(self) -> list[WorkerRow]:
        return [WorkerRow(*row) for row in self._all(_SQL["workers"])]

    def day(self, workflow: str, day: str) -> DayRow:
        row = self._one(_SQL["day"], workflow, day)
        return DayRow(workflow, day, 0, 0) if row is None else _day_row(row)

    def days(self) -> list[DayRow]:
        return [_day_row(row) for row in self._all(_SQL["days"])]

    def ring(self) -> RingRow:
        generation, current, retired = self._one(_SQL["ring"])
        return RingRow(generation, current, tuple(json.loads(retired)))

    def definitions(self) -> list[tuple[str, str]]:
        return self._all(_SQL["definitions"])

    def strays(self) -> list[Stray]:
        return [Stray(*row) for row in self._all(_SQL["strays"])]

    def damage(self) -> list[str]:
        lines = [str(row[0]) for row in self._all("PRAGMA integrity_check(20)") if row[0] != "ok"]
        return lines + [f"the schema of {name} is another one" for name in changed_schema(self._connection)]

    def traces(self) -> list[Trace]:
        return [Trace(*row) for row in self._all(_SQL["traces"])]

    def key_uses(self, now: int) -> list[KeyUse]:
        runs = dict(self._all(_SQL["key_uses"]))
        workers: dict[str, list[str]] = {}
        for worker, master, until in self._all(_SQL["worker_keys"]):
            if master and until > now:
                workers.setdefault(master, []).append(worker)
        keys = sorted(runs.keys() | workers.keys())
        return [KeyUse(key, runs.get(key, 0), tuple(workers.get(key, ()))) for key in keys]

    def definition(self, fingerprint: str) -> str | None:
        row = self._one(_SQL["definition"], fingerprint)
        return None if row is None else str(row[0])

    # ── access and deliveries ──

    def token(self, token: str) -> TokenRow | None:
        row = self._one(_ACCESS["token"], token)
        return None if row is None else _token_row(row)

    def tokens(self) -> list[TokenRow]:
        return [_token_row(row) for row in self._all(_ACCESS["tokens"])]

    def session(self, digest: str) -> SessionRow | None:
        row = self._one(_ACCESS["session"], digest)
        return None if row is None else SessionRow(*row)

    def endpoints(self) -> list[EndpointRow]:
        rows = self._all(_DELIVERIES["endpoints"])
        return [EndpointRow(name, url, tuple(json.loads(types)), at) for name, url, types, at in rows]

    def deliveries(self, status: DeliveryStatus | None, before: int | None, limit: int) -> list[DeliveryRow]:
        """Newest first."""
        where = "WHERE (? IS NULL OR d.status = ?) AND (? IS NULL OR d.id < ?) ORDER BY d.id DESC LIMIT ?"
        sql = _DELIVERIES["deliveries"].replace("{where}", where)
        return [DeliveryRow(*row) for row in self._all(sql, status, status, before, before, limit)]

    def delivery_counts(self) -> dict[DeliveryStatus, int]:
        found: dict[DeliveryStatus, int] = dict.fromkeys(get_args(DeliveryStatus), 0)
        found.update(self._all(_DELIVERIES["counts"]))
        return found

    def any_delivery_due(self, endpoint: str, now: int) -> bool:
        return bool(self._one(_DELIVERIES["any_due"], endpoint, now)[0])

    def next_delivery(self, endpoint: str) -> int | None:
        due: int | None = self._one(_DELIVERIES["next_delivery"], endpoint)[0]
        return due

    def data_version(self) -> int:
        return int(self._one("PRAGMA data_version")[0])


def _token_row(row: tuple[Any, ...]) -> TokenRow:
    name, person, scopes, *rest = row
    return TokenRow(name, person, tuple(json.loads(scopes)), *rest)


def _day_row(row: tuple[Any, ...]) -> DayRow:
    *values, warned = row
    values.append(tuple(unit for unit, bit in WARNED.items() if warned & bit))
    return DayRow(*values)


def _run_row(row: tuple[Any, ...]) -> RunRow:
    *start, summary, data_key, pruned, mail, forgotten, key, digest, ended = row
    values = [*start, json.loads(summary), data_key, mail, bool(pruned), forgotten, key, digest, ended]
    return RunRow(*values)


def _item_row(row: tuple[Any, ...]) -> ItemRow:
    item, run, kind, queue, status, view, *rest = row
    return ItemRow(item, run, kind, queue, status, json.loads(view), *rest)
