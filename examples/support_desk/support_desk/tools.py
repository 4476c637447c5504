"""The tools of the desk: the only ways in which it touches the shop, each with the effect it really has."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from surefoot import Call, CannotTell, Done, Effect, NotDone, Undone, tool

from .books import ShopNotNow, ShopRefused
from .facts import (
    Address,
    Amount,
    Cancellation,
    Email,
    Item,
    Order,
    OrderNumber,
    Product,
    Receipt,
    Redirection,
    Registered,
    Sent,
    Sku,
    Tracked,
)
from .outbox import Outbox, StillSending, message_id
from .shop import Shop

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Items = Annotated[tuple[Item, ...], Field(min_length=1, max_length=20)]
Subject = Annotated[str, Field(min_length=1, max_length=200)]
Body = Annotated[str, Field(min_length=1, max_length=4000)]


@contextmanager
def _undone() -> Generator[None]:
    """What the shop did not do, in the only word that counts after an intent: NotDone."""
    try:
        yield
    except ShopRefused as no:
        raise NotDone("the shop refused", why=str(no)) from no
    except ShopNotNow as later:
        raise NotDone("the shop did not do it now", why=str(later), transient=True) from later


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


@tool(effect=Effect.READ, permission="orders:read", timeout=5)
async def find_order(call: Call, number: OrderNumber) -> Order | None:
    """Look up one order by its number. Null if there is no such order."""
    return await call.use(Shop).order(number)


@tool(effect=Effect.READ, permission="orders:read", timeout=5)
async def orders_of_customer(call: Call, email: Email) -> tuple[Order, ...]:
    """List the orders of a customer by e-mail address, newest first."""
    return await call.use(Shop).orders_of(email)


@tool(effect=Effect.READ, permission="orders:read", timeout=5)
async def list_products(call: Call) -> tuple[Product, ...]:
    """The catalogue: every product with its variants, their prices and what is in stock."""
    return await call.use(Shop).products()


@tool(
    effect=Effect.READ, permission="orders:read", timeout=5, untrusted=True
)  # the carrier's words are in it
async def track_shipment(call: Call, number: OrderNumber) -> Tracked | None:
    """Where the parcel of an order is. Null if it has not been sent."""
    return await call.use(Shop).track(number)


# ── acting ───────────────────────────────────────────────────────────────────────────────────────


@tool(effect=Effect.IDEMPOTENT, permission="orders:write", timeout=10)
async def cancel_order(call: Call, number: OrderNumber) -> Cancellation:
    """Cancel an order that has not been sent, and return what was paid for it."""
    with _undone():
        return await call.use(Shop).cancel(number)


@tool(effect=Effect.IDEMPOTENT, permission="orders:write", timeout=10)
async def change_address(call: Call, number: OrderNumber, address: Address) -> Redirection:
    """Send an order that has not left to another address."""
    with _undone():
        return await call.use(Shop).redirect(number, address)


@tool(effect=Effect.KEYED, permission="returns:write", timeout=10)
async def return_items(call: Call, number: OrderNumber, items: Items) -> Registered:
    """Expect items of a delivered order back; their price is paid back when they arrive."""
    with _undone():
        return await call.use(Shop).take_back(number, items, idempotency_key=call.key)


@tool(effect=Effect.KEYED, permission="returns:write", timeout=10)
async def exchange_item(call: Call, number: OrderNumber, item: Item, wanted: Sku) -> Registered:
    """Expect an item of a delivered order back, and put another variant of it aside for the customer."""
    with _undone():
        return await call.use(Shop).exchange(number, item, wanted, idempotency_key=call.key)


@tool(effect=Effect.KEYED, permission="refunds:write", timeout=10)
async def refund(call: Call, number: OrderNumber, amount: Amount) -> Receipt:
    """Return money to the card that paid for an order."""
    with _undone():
        return await call.use(Shop).refund(number, amount, idempotency_key=call.key)


async def find_in_outbox(call: Call) -> Done[Sent] | Undone | CannotTell:
    """Did this mail leave? Its Message-ID follows from the call's key, so the outbox knows."""
    try:
        sent = await call.use(Outbox).sent(message_id(call.key))
    except (ShopNotNow, StillSending):
        return CannotTell()
    return Undone() if sent is None else Done(sent)


@tool(effect=Effect.ONCE, permission="mail:send", timeout=20, reconcile=find_in_outbox)
async def send_reply(call: Call, to: Email, subject: Subject, body: Body) -> Sent:
    """Send a mail to a customer."""
    not_after = EPOCH + timedelta(microseconds=call.deadline)
    with _undone():
        return await call.use(Outbox).send(
            to, subject, body, message_id=message_id(call.key), not_after=not_after
        )
