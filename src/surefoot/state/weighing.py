"""What goes with an append and may be refused: inbox items, mail taken over, charges to a day.

The inbox, the ledger and the intake are read once per transaction, where an append speaks of them; each
append is weighed against them in the order of arrival, as left by those before it; what was allowed is
written at the end. A charge that a day's cap refuses leaves one trace: no new run is taken up until it would
fit (see intake.py).
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, replace

from ..errors import BudgetExceeded, ItemClosed, ItemNotFound, StoreError, SurefootError
from . import gates
from .intake import IntakeChange, IntakeRow, Turned, day_has_room, day_is_gone
from .queries import load
from .store import Append, DayCharge, Grown, Record
from .transaction import Pending, Transaction

_SQL = load("journal")

_Place = tuple[str, str]  # workflow, day

WARNED = {"nanousd": 1, "tokens": 2}
"""Bits of a day's `warned`."""


@dataclass(frozen=True, slots=True)
class _Day:
    nanousd: int = 0
    tokens: int = 0
    settled_nanousd: int = 0
    settled_tokens: int = 0
    cap_nanousd: int | None = None
    cap_tokens: int | None = None
    warned: int = 0

    def total(self, unit: str) -> int:
        return self.nanousd if unit == "nanousd" else self.tokens


class Scales:
    """`weigh` each append, then `take_mail` before and `write` after the heads are moved."""

    def __init__(self, transaction: Transaction, pendings: list[Pending]) -> None:
        self._transaction = transaction
        self._connection = transaction.connection
        self._allowed: list[Append] = []
        self.told: tuple[Record, ...] = ()
        """Warnings that belong to the journal of the append that was weighed last."""
        self.grown: Grown | None = None
        """What else came of it."""
        self._intakes: dict[str, IntakeRow] = {}
        self._turned: set[str] = set()
        self._changes: list[IntakeChange] = []
        self._days: dict[_Place, _Day] = {}
        self._charged: set[_Place] = set()
        self._items: dict[str, tuple[int, str, str | None]] = {}
        """Row of the run, status and who decided, of every item that an append names."""
        ids: list[str] = []
        for pending in pendings:
            append = pending.append
            if append.opens:
                ids += [item.id for item in append.opens]
            if append.closes:
                ids += [item.id for item in append.closes]
        if ids:
            (text,) = self._connection.execute(_SQL["items_of"], (json.dumps(ids),)).fetchone()
            self._items = {item: (row, status, by) for item, row, status, by in json.loads(text)}

    def weigh(self, append: Append) -> SurefootError | None:
        """Why the inbox or the ledger refuses this append; None if they do not, and then it counts."""
        row = append.lease.row
        refusal = self._weigh_items(append, row)
        days: dict[_Place, _Day] = {}
        for charge in append.charges:
            if refusal is None:
                refusal = self._weigh_charge(charge, days)
        if refusal is not None:
            return refusal
        for item in append.opens:
            self._items[item.id] = (row, "open", None)
        self.told, self.grown = (), None
        if append.charges or append.signs:
            self._count(append, days)
        self._allowed.append(append)
        return None

    def _count(self, append: Append, days: dict[_Place, _Day]) -> None:
        """The charges and signs of an append that is allowed."""
        warned = []
        told = []
        for charge in append.charges:
            place = (charge.workflow, charge.day)
            for warning in charge.warnings:
                day = days[place]
                if day.total(warning.unit) >= warning.line and not day.warned & WARNED[warning.unit]:
                    days[place] = replace(day, warned=day.warned | WARNED[warning.unit])
                    warned.append(warning.unit)
                    told.append(warning.record)
        self._days.update(days)
        self._charged.update(days)
        before = len(self._changes)
        for charge in append.charges:
            self._give_back(charge)
        for sign in append.signs:
            self._turn(sign.workflow, sign.turn(self._intake(sign.workflow), self._transaction.now))
        changes = tuple(self._changes[before:])
        if warned or changes:
            self.told, self.grown = tuple(told), Grown(tuple(warned), changes)

    def _weigh_items(self, append: Append, row: int) -> SurefootError | None:
        for opening in append.opens:
            if opening.id in self._items:
                return StoreError(
                    f"the inbox item {opening.id} exists already",
                    why="its id was given out twice",
                    remedy="Drive the run again: the item gets another id.",
                )
        for closing in append.closes:
            found = self._items.get(closing.id)
            if found is None or found[0] != row:
                return ItemNotFound(
                    f"there is no inbox item {closing.id} of this run",
                    why="it belongs to another run, or was never opened",
                    remedy="`surefoot inbox list` shows the items that are open.",
                )
            if found[1] == "decided":
                by = found[2] or ""
                return ItemClosed(f"the inbox item {closing.id} is closed", why=f"{by} has decided it", by=by)
        return None

    def _weigh_charge(self, charge: DayCharge, days: dict[_Place, _Day]) -> BudgetExceeded | None:
        place = (charge.workflow, charge.day)
        day = days.get(place) or self._days.get(place) or self._read_day(place)
        for unit, more, cap in (
            ("nanousd", charge.nanousd, charge.cap_nanousd),
            ("tokens", charge.tokens, charge.cap_tokens),
        ):
            if more > 0 and cap is not None and day.total(unit) + more > cap:
                return self._refuse(charge, unit, day.total(unit), more, cap)
        days[place] = replace(
            day,
            nanousd=day.nanousd + charge.nanousd,
            tokens=day.tokens + charge.tokens,
            settled_nanousd=day.settled_nanousd + charge.settled_nanousd,
            settled_tokens=day.settled_tokens + charge.settled_tokens,
            cap_nanousd=charge.cap_nanousd,
            cap_tokens=charge.cap_tokens,
        )
        return None

    def _read_day(self, place: _Place) -> _Day:
        row = self._connection.execute(_SQL["day"], place).fetchone()
        day = self._days[place] = _Day() if row is None else _Day(*row)
        return day

    def _refuse(self, charge: DayCharge, unit: str, total: int, more: int, cap: int) -> BudgetExceeded:
        why = f"{total:,} {unit} are spent or reserved, and {more:,} more would pass the cap of {cap:,}"
        row, now = self._intake(charge.workflow), self._transaction.now
        change = self._turn(charge.workflow, day_is_gone(row, charge.day, unit, more, cap, why, now))
        return BudgetExceeded(
            f"the daily budget of {charge.workflow} for {charge.day} would be exceeded",
            why=why,
            remedy="Raise the workflow's daily budget, or wait for the next day (UTC).",
            unit=unit,
            total=total,
            asked=more,
            cap=cap,
            change=change,
        )

    def _give_back(self, charge: DayCharge) -> None:
        day = self._days[charge.workflow, charge.day]
        for unit, more, cap in (
            ("nanousd", charge.nanousd, charge.cap_nanousd),
            ("tokens", charge.tokens, charge.cap_tokens),
        ):
            if more < 0:
                row = self._intake(charge.workflow)
                self._turn(charge.workflow, day_has_room(row, charge.day, unit, day.total(unit), cap))

    # ── the intake ──

    def _intake(self, workflow: str) -> IntakeRow:
        row = self._intakes.get(workflow)
        if row is None:
            row = self._intakes[workflow] = gates.row_of(self._transaction, workflow)
        return row

    def _turn(self, workflow: str, turned: Turned | None) -> IntakeChange | None:
        if turned is None:
            return None
        self._intakes[workflow] = turned.row
        self._turned.add(workflow)
        change = gates.change_of(turned, self._transaction.now)
        if change is not None:
            self._changes.append(change)
        return change

    def take_mail(self) -> None:
        """Before the heads move: a run that is given back falls due at once while it has mail."""
        taken = [mail for append in self._allowed for mail in append.taken]
        if taken:
            self._connection.execute(_SQL["take_mail"], (json.dumps(taken),))

    def write(self) -> None:
        opens = [
            [item.id, append.lease.row, item.kind, item.queue, item.view, item.opened, item.expires]
            for append in self._allowed
            for item in append.opens
        ]
        if opens:
            self._connection.execute(_SQL["open_items"], (json.dumps(opens),))
        for append in self._allowed:
            for item in append.closes:
                self._connection.execute(_SQL["close_item"], (item.status, item.id))
            if append.definition is not None:
                self._connection.execute(_SQL["define"], append.definition)
        for place in self._charged:
            self._connection.execute(_SQL["charge_day"], (*place, *astuple(self._days[place])))
        for workflow in self._turned:
            gates.put(self._transaction, self._intakes[workflow])
        for change in self._changes:
            gates.note(self._transaction, change)
