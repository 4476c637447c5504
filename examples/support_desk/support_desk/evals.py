"""The shop in which a scenario plays: the seeded one, with what the scenario says is otherwise.

Each scenario gets a copy of its own, made from one template that is filled once per process, so that a suite
of a hundred takes seconds. Its resources are the desk's own `Shop` and `Outbox` on that copy, with a clock
that stands still and a mail server that does as it is told. A folder that holds a shop already is that shop
again, as a killed process left it (`surefoot crashtest`).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from surefoot.evals.world import Tables, World

from . import seed
from .books import ShopNotNow, ShopRefused, opened
from .facts import Address, Amount, Count, Email, Fact, OrderNumber, Sku
from .outbox import Deliver, Outbox
from .shop import Shop

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When a scenario's run begins, unless it says `now`. What the desk decides hangs on the day a mail came in
and on the shop's books, and not on this; it is only written beside what is done."""

# ── what a scenario may change ───────────────────────────────────────────────────────────────────


class ParcelState(Fact):
    """The parcel of an order. Days are days of the shop; `delivered` makes it a delivered one."""

    shipped: date = seed.TODAY - timedelta(days=3)
    expected: date = seed.TODAY + timedelta(days=2)
    delivered: date | None = None
    lost: bool = False
    carrier_says: str = "On its way."
    """The carrier's words: text from outside."""

    @property
    def state(self) -> str:
        return "delivered" if self.delivered else "lost" if self.lost else "in_transit"


class OrderState(Fact):
    """What is otherwise about an order. A number that the shop does not have is a new order: say `email` and
    `items`."""

    email: Email | None = None
    items: dict[Sku, Count] = Field(default_factory=dict)
    """Instead of what was ordered."""
    placed: date | None = None
    address: Address | None = None
    gift: bool | None = None
    final_sale: bool | None = None
    cancelled: date | None = None
    parcel: ParcelState | None = None
    """Says that it has left, and where it is."""
    refunded: Amount | None = None
    """Was given back at the counter."""
    times_paid: int = Field(default=1, ge=1, le=3)


class ShopState(Fact):
    """`world` of a scenario."""

    orders: dict[OrderNumber, OrderState] = Field(default_factory=dict)
    stock: dict[Sku, int] = Field(default_factory=dict)
    mail_server: Literal["none", "takes", "busy_once", "busy", "refuses", "hangs_up"] = "none"
    """`none`: mails stay in the outbox. `busy` has no time for the mail, `refuses` does not want it, and
    `hangs_up` has got it and does not say whether it took it."""
    clock: datetime = BEGIN
    """What the shop's own clock says. Later than the desk's, it finds that it was asked too late."""


# ── the world ────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def world(state: ShopState, folder: Path) -> AsyncGenerator[World]:
    path = folder / "shop.db"
    if not path.exists():
        draft = folder / "draft.db"
        draft.write_bytes(_template())
        _change(draft, state)
        os.replace(draft, path)  # whole or not at all: a process may die here, too
    deliver = _server(state.mail_server)

    @asynccontextmanager
    async def open_shop(permission: str | None = None) -> AsyncGenerator[Shop]:
        looks = permission is not None and permission.endswith(":read")
        with opened(path, read_only=looks) as db:
            yield Shop(_hasty(db), lambda: state.clock)

    @asynccontextmanager
    async def open_outbox() -> AsyncGenerator[Outbox]:
        with opened(path) as db:
            yield Outbox(_hasty(db), deliver, lambda: state.clock)

    async def snapshot() -> Tables:
        with closing(sqlite3.connect(path)) as db:
            # Most scenarios begin in the seeded shop: it is read once, and known again by its bytes.
            return _seeded() if db.serialize() == _template() else _tables(db)

    yield World([open_shop, open_outbox], snapshot)


@cache
def _template() -> bytes:
    """The seeded shop as the bytes of its file."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        path = Path(folder) / "shop.db"
        seed.fill(path, seed=7)
        with closing(sqlite3.connect(path)) as db:
            # One file, and no log beside it that would have to be copied too.
            db.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()


@cache
def _seeded() -> Tables:
    with closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(_template())
        return _tables(db)


def _hasty(db: sqlite3.Connection) -> sqlite3.Connection:
    # What a killed process wrote is there all the same; only a machine that loses power needs more.
    db.execute("PRAGMA synchronous = OFF")
    return db


def _server(kind: str) -> Deliver | None:
    refused = 0

    def deliver(mail: EmailMessage) -> None:
        nonlocal refused
        refused += 1
        match kind:
            case "busy" | "busy_once" if kind == "busy" or refused == 1:
                raise ShopNotNow("the mail server refused: 451 try again later")
            case "refuses":
                raise ShopRefused("the mail server does not take this mail: 550 no such mailbox")
            case "hangs_up":
                raise ConnectionResetError("the mail server hung up after it had got the mail")
            case _:
                return

    return None if kind == "none" else deliver


# ── all of it, as tables ─────────────────────────────────────────────────────────────────────────

KEYS: Mapping[str, tuple[str, ...]] = {
    "customers": ("email",),
    "products": ("title",),
    "variants": ("sku",),
    "orders": ("number",),
    "lines": ("number", "sku"),
    "payments": ("number",),
    "shipments": ("number",),
    "returns": ("number", "sku"),
    "refunds": ("number",),
    "outbox": ("recipient",),
}
"""By table the columns that name a row to a person; a second row of the same name is `SD-1163 #2`."""


def _tables(db: sqlite3.Connection) -> Tables:
    found: dict[str, Mapping[str, Mapping[str, Any]]] = {}
    for table in KEYS:
        rows = db.execute(f"SELECT * FROM {table} ORDER BY rowid")  # noqa: S608  a name of KEYS
        columns = tuple(column[0] for column in rows.description)
        found[table] = _table(table, columns, tuple(rows))
    return found


@lru_cache(maxsize=64)
def _table(
    table: str, columns: tuple[str, ...], cells: tuple[tuple[Any, ...], ...]
) -> Mapping[str, Mapping[str, Any]]:
    """Kept for the next snapshot: most tables are the same ones in every scenario."""
    found: dict[str, dict[str, Any]] = {}
    for values in cells:
        row = dict(zip(columns, values, strict=True))
        name = " ".join(str(row[part]) for part in KEYS[table])
        if "cents" in row:
            row["eur"] = f"{Decimal(row.pop('cents')).scaleb(-2)}"
        found[_numbered(name, found)] = row
    return found


def _numbered(name: str, taken: Mapping[str, Any]) -> str:
    number, numbered = 1, name
    while numbered in taken:
        number += 1
        numbered = f"{name} #{number}"
    return numbered


# ── what is otherwise ────────────────────────────────────────────────────────────────────────────


def _change(path: Path, state: ShopState) -> None:
    if not (state.orders or state.stock):
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        for sku, stock in state.stock.items():
            db.execute("UPDATE variants SET stock = ? WHERE sku = ?", (stock, sku))
        for number, order in state.orders.items():
            for statement, values in _statements(db, number, order):
                db.execute(statement, values)
        db.execute("COMMIT")


def _statements(
    db: sqlite3.Connection, number: str, order: OrderState
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """SQL and its values. Raises ValueError for a new order of which too little is said."""
    known = db.execute("SELECT 1 FROM orders WHERE number = ?", (number,)).fetchone()
    email = order.email
    if email is not None:
        yield "INSERT OR IGNORE INTO customers VALUES (?, ?)", (email, email.partition("@")[0])
    if known is None:
        if email is None or not order.items:
            raise ValueError(f"{number} is a new order: say its email and items")
        home = ("1 Mill Lane", "2041", "Hillport")
        row = (number, email, (seed.TODAY - timedelta(days=5)).isoformat(), *home, False, None)
        yield "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
    elif email is not None:
        yield "UPDATE orders SET email = ? WHERE number = ?", (email, number)
    if order.items:
        yield "DELETE FROM lines WHERE number = ?", (number,)
        for sku, quantity in order.items.items():
            line = "INSERT INTO lines SELECT ?, sku, ?, cents, 0 FROM variants WHERE sku = ?"
            yield line, (number, quantity, sku)
    if order.address is not None:
        there = (order.address.street, order.address.postcode, order.address.city, number)
        yield "UPDATE orders SET street = ?, postcode = ?, city = ? WHERE number = ?", there
    for column in ("placed", "gift", "cancelled"):
        value = getattr(order, column)
        if value is not None:
            said = value if isinstance(value, bool) else value.isoformat()
            yield f"UPDATE orders SET {column} = ? WHERE number = ?", (said, number)  # noqa: S608
    if order.final_sale is not None:
        yield "UPDATE lines SET final_sale = ? WHERE number = ?", (order.final_sale, number)
    if order.items or order.times_paid > 1:
        yield "DELETE FROM payments WHERE number = ?", (number,)
        for _ in range(order.times_paid):
            pay = (
                "INSERT INTO payments (number, card, cents, paid) SELECT ?, 'card ending 4242',"
                " sum(quantity * cents), '2026-11-15' FROM lines WHERE number = ?"
            )
            yield pay, (number, number)
    if order.refunded is not None:
        given = (f"R-{number}", f"counter:{number}", number, int(order.refunded * 100), BEGIN.isoformat())
        yield "INSERT INTO refunds VALUES (?, ?, ?, ?, ?)", given
    if (parcel := order.parcel) is not None:
        yield "DELETE FROM shipments WHERE number = ?", (number,)
        days = (parcel.shipped, parcel.expected, parcel.delivered)
        said = [None if day is None else day.isoformat() for day in days]
        row = (number, "Gull Post", f"GU{number[3:]}00000", parcel.state, *said, parcel.carrier_says)
        yield "INSERT INTO shipments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row


__all__ = ["OrderState", "ParcelState", "ShopState", "world"]
