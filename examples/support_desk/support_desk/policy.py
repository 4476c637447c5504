"""What the desk may do: pure rules over facts. No model decides anything here.

A rule sees the sender that the mail server vouches for, the reading that two independent readers (or a
person) agree on, the details that plain code found, and the shop's own books. So nothing that a model
writes, and nothing that a customer talks it into, can lead to more than these rules give the sender
anyway. Whatever no rule covers goes to a person. `prompts/terms.md` says the same in words, under the
headings that the rulings name; this module is what holds.
"""

from __future__ import annotations

from datetime import UTC, date, timedelta
from decimal import Decimal

from .facts import Item, Order
from .schemas import (
    Cancel,
    Decision,
    Decline,
    Details,
    Doubt,
    Evidence,
    Exchange,
    HandOver,
    Readdress,
    Reading,
    Refund,
    Ruling,
    SecondReading,
    TakeBack,
    Ticket,
    Track,
    Triage,
)

RETURN_DAYS = 30
"""Until this many days after delivery. The day the customer wrote counts, not the day we read."""
GIFT_DAYS = 60
LATE = timedelta(days=7)
"""A parcel this much later than expected is no longer a matter of telling where it is."""
LEADS_ABOVE = Decimal(50)
"""Refunds above this are for the leads; `workflow.desk` has the rule that asks them."""


def agreed(triage: Triage, second: SecondReading) -> Reading | Doubt:
    """The model's reading, where the second reader came to the same intent and the same number by itself."""
    if second.intent is None:
        return Doubt(
            reason=f"The second reader is not sure: {second.doubt}. The model read '{triage.intent}'."
        )
    if len(second.numbers) > 1:
        return Doubt(reason=f"The ticket names several orders: {', '.join(second.numbers[:5])}.")
    number = second.numbers[0] if second.numbers else None
    if triage.intent != second.intent:
        return Doubt(reason=f"The model read '{triage.intent}', the second reader '{second.intent}'.")
    if triage.number != number:
        read, found = triage.number or "no order", number or "no order"
        return Doubt(reason=f"The model read {read}, the second reader {found}.")
    return Reading(intent=second.intent, order_number=number)


def rule(
    ticket: Ticket, reading: Reading, order: Order | None, details: Details | None, evidence: Evidence | None
) -> Ruling:
    """What may be done about the ticket. `order` is the one that the reading names, as the shop knows it."""
    day = ticket.received.astimezone(UTC).date()
    if reading.intent == "other":
        return _to_person(
            "", "This is nothing that the desk's terms cover, or more than one wish in one mail."
        )
    if reading.order_number is None:
        return _without_number(ticket, reading, evidence, day)
    if order is None or order.email != ticket.sender:
        # One text for both: whether somebody else has such an order is nobody's business.
        reason = f"We found no order {reading.order_number} under the address you wrote from."
        return _decline("whose order", reason)
    if order.number != reading.order_number:
        reason = f"The order at hand is {order.number}, the ticket is about {reading.order_number}."
        return _to_person("whose order", reason)
    known = details or Details(doubt="Nobody has looked at the details of the mail.")
    match reading.intent:
        case "track":
            return _track(order, day)
        case "cancel":
            return _cancel(order, known)
        case "address":
            return _address(order, known)
        case "refund":
            return _refund(order, known, day)
        case "return":
            return _send_back(order, known, day, "returns")
        case "exchange":
            return _send_back(order, known, day, "exchanges")


# ── before it has left ───────────────────────────────────────────────────────────────────────────


def _cancel(order: Order, details: Details) -> Ruling:
    if order.cancelled is not None:
        reason = f"Order {order.number} was already cancelled and what you paid was returned."
        return _decline("cancelling", reason)
    if order.shipment is not None:
        return _decline(
            "cancelling",
            f"Order {order.number} left us on {order.shipment.shipped} and can no longer be cancelled."
            f" You can send it back within {_days(order)} days of delivery.",
        )
    if details.doubt:
        return _to_person("cancelling", details.doubt)
    return _may(Cancel(number=order.number), "cancelling", "The order has not been sent yet.")


def _address(order: Order, details: Details) -> Ruling:
    if order.cancelled is not None:
        return _decline("address", f"Order {order.number} was cancelled, so nothing will be sent.")
    if order.shipment is not None:
        left = f"Order {order.number} left us on {order.shipment.shipped}"
        return _decline("address", f"{left}, and its address can no longer be changed.")
    if details.doubt or details.address is None:
        return _to_person("address", details.doubt or "The mail names no new address.")
    decision = Readdress(number=order.number, address=details.address)
    return _may(decision, "address", "The order has not been sent yet.")


# ── where it is ──────────────────────────────────────────────────────────────────────────────────


def _track(order: Order, day: date) -> Ruling:
    parcel = order.shipment
    if order.cancelled is not None:
        return _decline("tracking", f"Order {order.number} was cancelled, so no parcel is on its way.")
    if parcel is not None and parcel.state == "lost":
        reason = f"The carrier lost the parcel of {order.number}: offer money back or a new one?"
        return _to_person("tracking", reason)
    if parcel is not None and parcel.state == "in_transit" and day > parcel.expected + LATE:
        reason = f"The parcel of {order.number} was expected on {parcel.expected}: search for it?"
        return _to_person("tracking", reason)
    return _may(Track(number=order.number), "tracking", "The customer asks about an order of their own.")


def _without_number(ticket: Ticket, reading: Reading, evidence: Evidence | None, day: date) -> Ruling:
    """No number in the ticket: the one parcel that is under way to the sender may be told of. No more."""
    if evidence is None:
        return _to_person("", "The ticket names no order, and nothing was found out about it.")
    own = [order for order in evidence.orders if order.email == ticket.sender]
    if reading.intent != "track":
        latest = "; ".join(f"{order.number} ({order.items})" for order in own[:3])
        reason = f"The mail names no order. The sender's latest: {latest or 'none under this address'}."
        return _to_person("", reason[:400])
    under_way = [
        o for o in own if o.cancelled is None and (o.shipment is None or o.shipment.state == "in_transit")
    ]
    found = evidence.finding and evidence.finding.number
    match under_way:
        case [order] if order.number == found:
            return _track(order, day)
        case [order]:
            return _to_person("", f"Probably about {order.number}, but the model did not find that.")
        case _:
            return _to_person(
                "", f"The mail names no order, and {len(under_way)} are under way to the sender."
            )


# ── money back, things back ──────────────────────────────────────────────────────────────────────


def _refund(order: Order, details: Details, day: date) -> Ruling:
    parcel = order.shipment
    if order.cancelled is not None:
        return _decline("refunds", f"Order {order.number} was cancelled and what you paid was returned.")
    if order.refundable <= 0:
        return _decline("refunds", f"What you paid for order {order.number} was already returned.")
    if order.refunded > 0:
        reason = f"{order.refunded} of {order.paid} was already returned for {order.number}."
        return _to_person("refunds", reason)
    if details.paid_twice:
        return _paid_twice(order)
    if order.paid > order.total:
        reason = f"{order.paid} was paid for {order.number}, which cost {order.total}: what is asked for?"
        return _to_person("refunds", reason)
    if any(line.back for line in order.lines):
        reason = f"Pieces of {order.number} are registered for return or exchange: was the money promised?"
        return _to_person("refunds", reason)
    if parcel is None:
        return _to_person(
            "refunds", f"{order.number} was not sent yet: cancel it, or give money back for it?"
        )
    if parcel.state == "lost":
        decision = Refund(number=order.number, amount=order.refundable)
        return _may(decision, "refunds", "The carrier lost the parcel.")
    if parcel.delivered is None or parcel.delivered > day:
        return _to_person("refunds", f"Money back is asked for {order.number}, which was still on its way.")
    if (day - parcel.delivered).days > _days(order):
        return _decline(
            "refunds",
            f"Order {order.number} was delivered on {parcel.delivered}, and money can be returned within"
            f" {_days(order)} days of delivery.",
        )
    if details.doubt or not details.items:
        return _to_person("refunds", details.doubt or "It is not clear what the money is asked for.")
    if wrong := _not_of(order, details.items):
        return _to_person("refunds", wrong)
    if _final_sale(order, details.items):
        return _to_person(
            "final sale", f"A final sale item of {order.number} is said to be faulty: money back?"
        )
    amount = sum((_price(order, item) for item in details.items), Decimal(0))
    if not 0 < amount <= order.refundable:
        return _to_person("refunds", f"{amount} is asked for, and {order.refundable} can be returned.")
    reason = f"Delivered on {parcel.delivered}, within {_days(order)} days."
    return _may(Refund(number=order.number, amount=amount), "refunds", reason)


def _paid_twice(order: Order) -> Ruling:
    if order.paid <= order.total:
        reason = (
            f"The customer says that {order.number} was paid twice; the books have {order.paid} for it, once."
        )
        return _to_person("refunds", reason)
    decision = Refund(number=order.number, amount=order.paid - order.total)
    return _may(decision, "refunds", f"{order.paid} was paid for an order of {order.total}.")


def _send_back(order: Order, details: Details, day: date, term: str) -> Ruling:
    """Returns and exchanges: the same conditions, then what each asks for."""
    parcel, days = order.shipment, _days(order)
    what = "returned" if term == "returns" else "exchanged"
    if order.cancelled is not None:
        return _decline(term, f"Order {order.number} was cancelled, so there is nothing to send back.")
    if order.refunded > 0:
        reason = (
            f"{order.refunded} of {order.paid} was already returned for {order.number}: what is left of it?"
        )
        return _to_person(term, reason)
    if parcel is None:
        return _to_person(term, f"{order.number} was not sent yet: change or cancel it?")
    if parcel.state == "lost":
        return _to_person(term, f"The carrier lost the parcel of {order.number}: what should come back?")
    if parcel.delivered is None or parcel.delivered > day:
        reason = (
            f"Order {order.number} is still on its way. Once delivered it can be {what} within {days} days."
        )
        return _decline(term, reason)
    if (day - parcel.delivered).days > days:
        return _decline(
            term,
            f"Order {order.number} was delivered on {parcel.delivered}, and items can be {what} within"
            f" {days} days of delivery.",
        )
    if details.doubt or not details.items:
        return _to_person(term, details.doubt or "It is not clear what is to be sent back.")
    named = [line for line in order.lines if line.sku in {item.sku for item in details.items}]
    if term == "exchanges" and any(line.exchanged for line in named):
        reason = f"{named[0].title} of order {order.number} was exchanged before, which is possible once."
        return _decline(term, reason)
    if wrong := _not_of(order, details.items):
        return _to_person(term, wrong)
    if _final_sale(order, details.items):
        return _decline("final sale", f"Final sale items, as in order {order.number}, cannot be {what}.")
    if term == "returns":
        decision = TakeBack(number=order.number, items=details.items)
        return _may(decision, term, f"Delivered on {parcel.delivered}, within {days} days.")
    return _exchange(order, details)


def _exchange(order: Order, details: Details) -> Ruling:
    item, wanted = details.items[0], details.wanted
    line = next(line for line in order.lines if line.sku == item.sku)
    if wanted is None or len(details.items) != 1 or wanted.sku == item.sku:
        return _to_person("exchanges", "It is not clear for what it is to be exchanged.")
    if wanted.price != line.price:
        reason = f"{wanted.sku} costs {wanted.price}, {item.sku} was bought for {line.price}: who pays?"
        return _to_person("exchanges", reason)
    if wanted.stock < item.quantity:
        kind = f"{wanted.colour} {wanted.size}".strip()
        return _decline(
            "exchanges",
            f"We have no {kind} of it in stock at the moment. You can send yours back within {_days(order)}"
            " days of delivery.",
        )
    decision = Exchange(number=order.number, item=item, wanted=wanted.sku)
    return _may(decision, "exchanges", "Delivered, not exchanged before, and in stock.")


# ── small words ──────────────────────────────────────────────────────────────────────────────────


def _days(order: Order) -> int:
    return GIFT_DAYS if order.gift else RETURN_DAYS


def _not_of(order: Order, items: tuple[Item, ...]) -> str:
    """Why these pieces cannot be pieces of the order that are still to be sent back; "" where they can."""
    left = {line.sku: line.left for line in order.lines}
    for item in items:
        if item.quantity > left.get(item.sku, 0):
            return (
                f"{order.number} has {left.get(item.sku, 0)} of {item.sku} to send back, not {item.quantity}."
            )
    return "" if len({item.sku for item in items}) == len(items) else "A line is named twice."


def _price(order: Order, item: Item) -> Decimal:
    return next(line.price * item.quantity for line in order.lines if line.sku == item.sku)


def _final_sale(order: Order, items: tuple[Item, ...]) -> bool:
    return any(line.final_sale for line in order.lines if line.sku in {item.sku for item in items})


def _may(decision: Decision, term: str, reason: str) -> Ruling:
    return Ruling(decision=decision, term=term, reason=reason)


def _decline(term: str, reason: str) -> Ruling:
    return Ruling(decision=Decline(), term=term, reason=reason)


def _to_person(term: str, reason: str) -> Ruling:
    return Ruling(decision=HandOver(), term=term, reason=reason)
