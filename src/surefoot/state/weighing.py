"""What goes with an append and may be refused: inbox items, mail taken over, charges to a day.

The inbox and the ledger are read once per transaction; each append is weighed against them in the order of
arrival, as left by those before it; what was allowed is written at the end.
"""

from __future__ import annotations

import json

from ..errors import BudgetExceeded, ItemClosed, ItemNotFound, StoreError, SurefootError
from .queries import load
from .store import Append, DayCharge
from .transaction import Pending, Transaction

_SQL = load("journal")

_Place = tuple[str, str]  # workflow, day


class Scales:
    """`weigh` each append, then `take_mail` before and `write` after the heads are moved."""

    def __init__(self, transaction: Transaction, pendings: list[Pending]) -> None:
        self._connection = transaction.connection
        self._allowed: list[Append] = []
        self._days: dict[_Place, tuple[int, int]] = {}
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
        days: dict[_Place, tuple[int, int]] = {}
        for charge in append.charges:
            if refusal is None:
                refusal = self._weigh_charge(charge, days)
        if refusal is not None:
            return refusal
        for item in append.opens:
            self._items[item.id] = (row, "open", None)
        self._days.update(days)
        self._charged.update(days)
        self._allowed.append(append)
        return None

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

    def _weigh_charge(self, charge: DayCharge, days: dict[_Place, tuple[int, int]]) -> BudgetExceeded | None:
        place = (charge.workflow, charge.day)
        money, tokens = days.get(place) or self._days.get(place) or self._read_day(place)
        refusal = _over(charge, "nanousd", money, charge.nanousd, charge.cap_nanousd) or _over(
            charge, "tokens", tokens, charge.tokens, charge.cap_tokens
        )
        if refusal is None:
            days[place] = (money + charge.nanousd, tokens + charge.tokens)
        return refusal

    def _read_day(self, place: _Place) -> tuple[int, int]:
        money, tokens = self._connection.execute(_SQL["day"], place).fetchone() or (0, 0)
        self._days[place] = (money, tokens)
        return money, tokens

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
            self._connection.execute(_SQL["charge_day"], (*place, *self._days[place]))


def _over(charge: DayCharge, unit: str, total: int, more: int, cap: int | None) -> BudgetExceeded | None:
    if more <= 0 or cap is None or total + more <= cap:
        return None
    return BudgetExceeded(
        f"the daily budget of {charge.workflow} for {charge.day} would be exceeded",
        why=f"{total:,} {unit} are spent or reserved, and {more:,} more would pass the cap of {cap:,}",
        remedy="Raise the workflow's daily budget, or wait for the next day (UTC).",
        unit=unit,
        total=total,
        asked=more,
        cap=cap,
    )
