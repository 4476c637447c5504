"""The shop: a real SQLite database with orders, parcels, a refund ledger and an outbox.

This is the outside world of the desk, so it trusts nobody: whatever a caller asks, no order is refunded
beyond what was paid for it, nothing is cancelled that has left the house, and a refund asked for twice
under one key is made once. Every write is one transaction, on disk when the method returns. The methods
are async because a shop usually sits behind a network; this one answers in well under a millisecond.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from . import seed
from .schemas import Cancellation, Line, Order, Receipt, Sent, Shipment

Clock = Callable[[], datetime]
MAIL_DOMAIN = "desk.harbour-goods.example"
BUSY_SECONDS = 2.0
"""How long a write waits for another process's write before it gives up, undone."""


class ShopRefused(Exception):
    """The shop's own no: the request breaks its rules, and nothing was changed."""


class ShopNotNow(Exception):
    """Busy, or asked too late: nothing was changed, and the same request may work when made anew."""


def place() -> Path:
    """Where the shop's database lies: SUPPORT_DESK_SHOP, or .surefoot/shop.db in the current folder."""
    return Path(os.environ.get("SUPPORT_DESK_SHOP") or Path(".surefoot") / "shop.db")


@asynccontextmanager
async def open_shop(permission: str | None = None) -> AsyncGenerator[Shop]:
    """The desk's resource. A tool whose permission ends in `:read` gets a connection that cannot write."""
    async with shop_at(place(), read_only=permission is not None and permission.endswith(":read")) as shop:
        yield shop


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def shop_at(path: Path, *, read_only: bool = False, clock: Clock = _now) -> AsyncGenerator[Shop]:
    """Open the shop in `path`, made and filled by the generator on first use."""
    if not path.exists():
        seed.create(path)
    uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rw'}"
    # Transactions are written out below: isolation_level=None keeps the driver from opening any by itself.
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        if read_only:
            db.execute("PRAGMA query_only = ON")
        yield Shop(db, clock)


class Shop:
    """One connection to the books. The clock is handed in; ids follow from the keys that callers bring."""

    def __init__(self, db: sqlite3.Connection, clock: Clock = _now) -> None:
        self._db = db
        self._clock = clock

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    async def order(self, number: str) -> Order | None:
        """One order, or None where the shop has no such number."""
        with self._looking():
            return self._order(number)

    async def orders_of(self, email: str, *, limit: int = 20) -> tuple[Order, ...]:
        """A customer's orders, newest first; empty for an address that the shop does not know."""
        with self._looking():
            rows = self._db.execute(
                "SELECT number FROM orders WHERE email = ? ORDER BY placed DESC, number DESC LIMIT ?",
                (email.strip().lower(), limit),
            ).fetchall()
            found = (self._order(row["number"]) for row in rows)
            return tuple(order for order in found if order is not None)

    async def track(self, number: str) -> Shipment | None:
        """The parcel of an order, or None where none has left (or there is no such order)."""
        with self._looking():
            return self._shipment(number)

    # ── acting ───────────────────────────────────────────────────────────────────────────────────

    async def refund(self, number: str, amount: Decimal, *, idempotency_key: str) -> Receipt:
        """Return `amount` to the card that paid. The same key gives the first receipt, and moves nothing.

        Raises ShopRefused: no such order, more than is left of what was paid, or a key that stands for
        another refund.
        """
        cents = _cents(amount)
        with self._writing():
            first = self._db.execute("SELECT * FROM refunds WHERE key = ?", (idempotency_key,)).fetchone()
            if first is not None:
                if (first["number"], first["cents"]) != (number, cents):
                    raise ShopRefused(
                        f"this key already stands for {_money(first['cents'])} on {first['number']}"
                    )
                return _receipt(first)
            order = self._order(number)
            if order is None:
                raise ShopRefused(f"there is no order {number}")
            if cents <= 0 or cents > _cents(order.refundable):
                raise ShopRefused(f"{number} has {order.refundable} left to refund, not {_money(cents)}")
            return self._pay_back(idempotency_key, number, cents)

    async def cancel(self, number: str) -> Cancellation:
        """Cancel an order that has not left, and return what was paid. Cancelling twice is cancelling once.

        Raises ShopRefused: no such order, or its parcel has left.
        """
        key = f"cancel:{number}"
        with self._writing():
            order = self._order(number)
            if order is None:
                raise ShopRefused(f"there is no order {number}")
            if order.shipment is not None:
                raise ShopRefused(f"{number} left the shop on {order.shipment.shipped}")
            if order.cancelled is None:
                at = self._clock()
                self._db.execute("UPDATE orders SET cancelled = ? WHERE number = ?", (at.isoformat(), number))
                if order.refundable > 0:
                    self._pay_back(key, number, _cents(order.refundable))
            row = self._db.execute(
                "SELECT cancelled, coalesce((SELECT cents FROM refunds WHERE key = ?), 0) AS cents"
                " FROM orders WHERE number = ?",
                (key, number),
            ).fetchone()
            return Cancellation(number=number, returned=_money(row["cents"]), at=row["cancelled"])

    async def send(self, to: str, subject: str, body: str, *, message_id: str, not_after: datetime) -> Sent:
        """Put a mail into the outbox. Like a mail server, it sends again what it is given twice.

        Raises ShopNotNow after `not_after`: whoever asked has been given up by then, and others act for it.
        """
        with self._writing():
            # Inside the transaction: a process that was stopped right here holds the lock, and nobody else
            # can look (see `sent`) or send meanwhile; one that was stopped before is told that it is late.
            if self._clock() > not_after:
                raise ShopNotNow(f"this was to be sent until {not_after:%H:%M:%S}")
            cursor = self._db.execute(
                "INSERT INTO outbox (message_id, recipient, subject, body, at) VALUES (?, ?, ?, ?, ?)",
                (message_id, to, subject, body, self._clock().isoformat()),
            )
            row = self._db.execute("SELECT * FROM outbox WHERE id = ?", (cursor.lastrowid,)).fetchone()
            return _sent(row)

    async def sent(self, message_id: str) -> Sent | None:
        """The first mail that left under `message_id`, if one did; looked up while nobody can be sending.

        Raises ShopNotNow: somebody is.
        """
        with self._writing():
            row = self._db.execute(
                "SELECT * FROM outbox WHERE message_id = ? ORDER BY id LIMIT 1", (message_id,)
            ).fetchone()
            return None if row is None else _sent(row)

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _looking(self) -> Generator[None]:
        """One snapshot for the several queries of one answer."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            # IMMEDIATE: what is checked below cannot be changed by another process before we write.
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise ShopNotNow("another process is writing to the shop") from error
        with self._db:  # commits, or rolls back on any error
            yield

    def _order(self, number: str) -> Order | None:
        row = self._db.execute(
            "SELECT o.number, o.email, c.name, o.placed, o.cancelled, p.cents AS paid,"
            " (SELECT coalesce(sum(cents), 0) FROM refunds r WHERE r.number = o.number) AS refunded"
            " FROM orders o JOIN customers c USING (email) JOIN payments p USING (number) WHERE o.number = ?",
            (number,),
        ).fetchone()
        if row is None:
            return None
        lines = self._db.execute(
            "SELECT title, quantity, cents FROM lines WHERE number = ? ORDER BY position", (number,)
        )
        return Order(
            number=row["number"],
            email=row["email"],
            name=row["name"],
            placed=row["placed"],
            lines=tuple(
                Line(title=line["title"], quantity=line["quantity"], price=_money(line["cents"]))
                for line in lines
            ),
            paid=_money(row["paid"]),
            refunded=_money(row["refunded"]),
            cancelled=None if row["cancelled"] is None else datetime.fromisoformat(row["cancelled"]).date(),
            shipment=self._shipment(number),
        )

    def _shipment(self, number: str) -> Shipment | None:
        row = self._db.execute(
            "SELECT carrier, tracking, state, shipped, expected, delivered FROM shipments WHERE number = ?",
            (number,),
        ).fetchone()
        return None if row is None else Shipment(**dict(row))

    def _pay_back(self, key: str, number: str, cents: int) -> Receipt:
        receipt = "R-" + hashlib.sha256(key.encode()).hexdigest()[:12]
        self._db.execute(
            "INSERT INTO refunds (receipt, key, number, cents, at) VALUES (?, ?, ?, ?, ?)",
            (receipt, key, number, cents, self._clock().isoformat()),
        )
        return _receipt(self._db.execute("SELECT * FROM refunds WHERE key = ?", (key,)).fetchone())


def message_id(key: str) -> str:
    """The Message-ID of the mail that a call with this key sends: how the outbox is asked about it later."""
    return f"<{key}@{MAIL_DOMAIN}>"


def _receipt(row: sqlite3.Row) -> Receipt:
    return Receipt(receipt=row["receipt"], number=row["number"], amount=_money(row["cents"]), at=row["at"])


def _sent(row: sqlite3.Row) -> Sent:
    return Sent(message_id=row["message_id"], to=row["recipient"], subject=row["subject"], at=row["at"])


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _cents(amount: Decimal) -> int:
    cents = amount.scaleb(2)
    if not cents.is_finite() or cents != cents.to_integral_value():
        raise ShopRefused(f"{amount} is not a whole number of cents")
    return int(cents)
