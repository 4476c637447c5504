"""The shop: orders, parcels, returns and a refund ledger, in a real SQLite database.

This is the outside world of the desk, so it trusts nobody: whatever a caller asks, no order is refunded
beyond what was paid for it, nothing is cancelled or redirected that has left the house, no piece is taken
back twice, none is exchanged twice, and what is asked for twice under one key is done once. Which requests
are granted within these bounds (30 days, 50 EUR) is the policy's business and a person's, not the shop's.

Every write is one transaction, on disk when the method returns. The methods are async because a shop
usually sits behind a network; this one answers in well under a millisecond. The clock is handed in; ids
follow from the keys that callers bring.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from .books import Clock, ShopRefused, looking, now, opened, place, writing
from .facts import (
    Address,
    Cancellation,
    Item,
    Line,
    Order,
    Product,
    Receipt,
    Redirection,
    Registered,
    Shipment,
    Tracked,
    Variant,
)


@asynccontextmanager
async def open_shop(permission: str | None = None) -> AsyncGenerator[Shop]:
    """The desk's resource. A tool whose permission ends in `:read` gets a connection that cannot write."""
    async with shop_at(place(), read_only=permission is not None and permission.endswith(":read")) as shop:
        yield shop


@asynccontextmanager
async def shop_at(path: Path, *, read_only: bool = False, clock: Clock = now) -> AsyncGenerator[Shop]:
    """The shop in `path`."""
    with opened(path, read_only=read_only) as db:
        yield Shop(db, clock)


class Shop:
    """One connection to the books."""

    def __init__(self, db: sqlite3.Connection, clock: Clock = now) -> None:
        self._db = db
        self._clock = clock

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    async def order(self, number: str) -> Order | None:
        """One order, or None where the shop has no such number."""
        with looking(self._db):
            return self._order(number)

    async def orders_of(self, email: str, *, limit: int = 20) -> tuple[Order, ...]:
        """A customer's orders, newest first; empty for an address that the shop does not know."""
        with looking(self._db):
            rows = self._db.execute(
                "SELECT number FROM orders WHERE email = ? ORDER BY placed DESC, number DESC LIMIT ?",
                (email.strip().lower(), limit),
            ).fetchall()
            found = (self._order(row["number"]) for row in rows)
            return tuple(order for order in found if order is not None)

    async def products(self) -> tuple[Product, ...]:
        """The whole catalogue: a small shop."""
        with looking(self._db):
            products = self._db.execute("SELECT title, called FROM products ORDER BY title").fetchall()
            variants = self._db.execute("SELECT * FROM variants ORDER BY sku").fetchall()
        return tuple(
            Product(
                title=product["title"],
                called=tuple(product["called"].split()),
                variants=tuple(_variant(row) for row in variants if row["title"] == product["title"]),
            )
            for product in products
        )

    async def track(self, number: str) -> Tracked | None:
        """The parcel of an order and its carrier's words, or None where none has left (or no such order)."""
        with looking(self._db):
            row = self._db.execute(
                "SELECT carrier_says FROM shipments WHERE number = ?", (number,)
            ).fetchone()
            parcel = self._shipment(number)
        return None if parcel is None else Tracked(parcel=parcel, carrier_says=row["carrier_says"])

    # ── acting ───────────────────────────────────────────────────────────────────────────────────

    async def cancel(self, number: str) -> Cancellation:
        """Cancel an order that has not left, and return what was paid. Cancelling twice is cancelling once.

        Raises ShopRefused: no such order, or its parcel has left.
        """
        key = f"cancel:{number}"
        with writing(self._db):
            order = self._at_home(number)
            if order.cancelled is None:
                self._db.execute("UPDATE orders SET cancelled = ? WHERE number = ?", (self._moment(), number))
                if order.refundable > 0:
                    self._pay_back(key, number, _cents(order.refundable))
            row = self._db.execute(
                "SELECT cancelled, coalesce((SELECT cents FROM refunds WHERE key = ?), 0) AS cents"
                " FROM orders WHERE number = ?",
                (key, number),
            ).fetchone()
            return Cancellation(number=number, returned=_money(row["cents"]), at=row["cancelled"])

    async def redirect(self, number: str, address: Address) -> Redirection:
        """Send an order to another address. The same one again changes nothing.

        Raises ShopRefused: no such order, cancelled, or its parcel has left.
        """
        with writing(self._db):
            order = self._at_home(number)
            if order.cancelled is not None:
                raise ShopRefused(f"{number} was cancelled on {order.cancelled}")
            self._db.execute(
                "UPDATE orders SET street = ?, postcode = ?, city = ? WHERE number = ?",
                (address.street, address.postcode, address.city, number),
            )
        return Redirection(number=number, address=address)

    async def take_back(self, number: str, items: Sequence[Item], *, idempotency_key: str) -> Registered:
        """Expect these pieces back. The same key gives the first registration, and adds nothing.

        Raises ShopRefused: not delivered, final sale, more pieces than are left, or a key that stands for
        something else.
        """
        with writing(self._db):
            return self._register(idempotency_key, number, items, wanted=None)

    async def exchange(self, number: str, item: Item, wanted: str, *, idempotency_key: str) -> Registered:
        """Expect `item` back and put `wanted`, of the same product and price, aside for the customer.

        Raises ShopRefused: as `take_back`; exchanged before, another product or price, or out of stock.
        """
        with writing(self._db):
            return self._register(idempotency_key, number, [item], wanted=wanted)

    async def refund(self, number: str, amount: Decimal, *, idempotency_key: str) -> Receipt:
        """Return `amount` to the card that paid. The same key gives the first receipt, and moves nothing.

        Raises ShopRefused: no such order, more than is left of what was paid, or a key that stands for
        another refund.
        """
        cents = _cents(amount)
        with writing(self._db):
            first = self._db.execute("SELECT * FROM refunds WHERE key = ?", (idempotency_key,)).fetchone()
            if first is not None:
                if (first["number"], first["cents"]) != (number, cents):
                    raise ShopRefused(
                        f"this key already stands for {_money(first['cents'])} on {first['number']}"
                    )
                return _receipt(first)
            order = self._known(number)
            if cents <= 0 or cents > _cents(order.refundable):
                raise ShopRefused(f"{number} has {order.refundable} left to refund, not {_money(cents)}")
            return self._pay_back(idempotency_key, number, cents)

    # ── inside a transaction ─────────────────────────────────────────────────────────────────────

    def _known(self, number: str) -> Order:
        order = self._order(number)
        if order is None:
            raise ShopRefused(f"there is no order {number}")
        return order

    def _at_home(self, number: str) -> Order:
        order = self._known(number)
        if order.shipment is not None:
            raise ShopRefused(f"{number} left the shop on {order.shipment.shipped}")
        return order

    def _register(self, key: str, number: str, items: Sequence[Item], wanted: str | None) -> Registered:
        if first := self._registered(key):
            if (first.number, set(first.items), first.wanted) != (number, set(items), wanted):
                raise ShopRefused(f"this key already stands for {first.rma} on {first.number}")
            return first
        order = self._known(number)
        if order.cancelled is not None or order.shipment is None or order.shipment.state != "delivered":
            raise ShopRefused(f"{number} was not delivered, so nothing of it can come back")
        lines = {line.sku: line for line in order.lines}
        if len({item.sku for item in items}) < len(items):
            raise ShopRefused("a line is named twice")
        for item in items:
            line = lines.get(item.sku)
            if line is None or item.quantity > line.left:
                raise ShopRefused(f"{number} has {line.left if line else 0} of {item.sku} to give back")
            if line.final_sale:
                raise ShopRefused(f"{item.sku} of {number} was a final sale")
            if wanted is not None:
                self._put_aside(line, item, wanted)
        rma = ("RT-" if wanted is None else "EX-") + _digest(key)
        for item in items:
            self._db.execute(
                "INSERT INTO returns VALUES (?, ?, ?, ?, ?, ?, ?)",
                (rma, key, number, item.sku, item.quantity, wanted, self._moment()),
            )
        made = self._registered(key)
        if made is None:
            raise ShopRefused("nothing was to be registered")
        return made

    def _put_aside(self, line: Line, item: Item, wanted: str) -> None:
        if line.exchanged:
            raise ShopRefused(f"{line.sku} was exchanged before")
        rows = self._db.execute(
            "SELECT w.* FROM variants w JOIN variants v USING (title)"
            " WHERE v.sku = ? AND w.sku = ? AND w.sku <> v.sku",
            (line.sku, wanted),
        ).fetchall()
        if not rows or rows[0]["cents"] != _cents(line.price):
            raise ShopRefused(f"{wanted} is no other variant of {line.sku} at its price")
        if rows[0]["stock"] < item.quantity:
            raise ShopRefused(f"{wanted} is out of stock")
        self._db.execute("UPDATE variants SET stock = stock - ? WHERE sku = ?", (item.quantity, wanted))

    def _pay_back(self, key: str, number: str, cents: int) -> Receipt:
        self._db.execute(
            "INSERT INTO refunds (receipt, key, number, cents, at) VALUES (?, ?, ?, ?, ?)",
            (f"R-{_digest(key)}", key, number, cents, self._moment()),
        )
        return _receipt(self._db.execute("SELECT * FROM refunds WHERE key = ?", (key,)).fetchone())

    def _moment(self) -> str:
        return self._clock().isoformat()

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────

    def _order(self, number: str) -> Order | None:
        row = self._db.execute(
            "SELECT o.*, c.name,"
            " (SELECT coalesce(sum(cents), 0) FROM payments p WHERE p.number = o.number) AS paid,"
            " (SELECT coalesce(sum(cents), 0) FROM refunds r WHERE r.number = o.number) AS refunded"
            " FROM orders o JOIN customers c USING (email) WHERE o.number = ?",
            (number,),
        ).fetchone()
        if row is None:
            return None
        lines = self._db.execute(
            "SELECT l.sku, v.title, v.colour, v.size, l.quantity, l.cents, l.final_sale,"
            " coalesce(sum(r.quantity), 0) AS back, count(r.wanted) AS exchanges"
            " FROM lines l JOIN variants v USING (sku)"
            " LEFT JOIN returns r ON r.number = l.number AND r.sku = l.sku"
            " WHERE l.number = ? GROUP BY l.sku ORDER BY l.rowid",
            (number,),
        ).fetchall()
        return Order(
            number=row["number"],
            email=row["email"],
            name=row["name"],
            placed=row["placed"],
            address=Address(street=row["street"], postcode=row["postcode"], city=row["city"]),
            lines=tuple(_line(line) for line in lines),
            paid=_money(row["paid"]),
            refunded=_money(row["refunded"]),
            gift=bool(row["gift"]),
            cancelled=None if row["cancelled"] is None else datetime.fromisoformat(row["cancelled"]).date(),
            shipment=self._shipment(number),
        )

    def _shipment(self, number: str) -> Shipment | None:
        row = self._db.execute(
            "SELECT carrier, tracking, state, shipped, expected, delivered FROM shipments WHERE number = ?",
            (number,),
        ).fetchone()
        return None if row is None else Shipment(**dict(row))

    def _registered(self, key: str) -> Registered | None:
        rows = self._db.execute(
            "SELECT r.*, v.title, v.colour, v.size FROM returns r JOIN variants v USING (sku)"
            " WHERE r.key = ? ORDER BY r.rowid",
            (key,),
        ).fetchall()
        if not rows:
            return None
        first = rows[0]
        wanted = self._db.execute("SELECT * FROM variants WHERE sku = ?", (first["wanted"],)).fetchone()
        return Registered(
            rma=first["rma"],
            number=first["number"],
            items=tuple(Item(sku=row["sku"], quantity=row["quantity"]) for row in rows),
            what="; ".join(f"{row['quantity']} {_title(row)}" for row in rows),
            wanted=first["wanted"],
            wanted_what="" if wanted is None else f"{first['quantity']} {_title(wanted)}",
            at=first["at"],
        )


def _title(row: sqlite3.Row) -> str:
    kind = " ".join(word for word in (row["colour"], row["size"]) if word)
    return f"{row['title']}, {kind}" if kind else str(row["title"])


def _line(row: sqlite3.Row) -> Line:
    return Line(
        sku=row["sku"],
        title=_title(row),
        quantity=row["quantity"],
        price=_money(row["cents"]),
        final_sale=bool(row["final_sale"]),
        back=row["back"],
        exchanged=row["exchanges"] > 0,
    )


def _variant(row: sqlite3.Row) -> Variant:
    price = _money(row["cents"])
    return Variant(sku=row["sku"], colour=row["colour"], size=row["size"], price=price, stock=row["stock"])


def _receipt(row: sqlite3.Row) -> Receipt:
    return Receipt(receipt=row["receipt"], number=row["number"], amount=_money(row["cents"]), at=row["at"])


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _cents(amount: Decimal) -> int:
    cents = amount.scaleb(2)
    if not cents.is_finite() or cents != cents.to_integral_value():
        raise ShopRefused(f"{amount} is not a whole number of cents")
    return int(cents)
