"""What the desk may do: pure rules over facts. No model decides anything here.

A rule sees the sender that the mail server vouches for, the reading that two independent readers (or a
person) agree on, and the shop's own books. So nothing that a model writes, and nothing that a customer
talks it into, can lead to more than these rules give the sender anyway. Whatever no rule covers goes to
a person. `prompts/triage.md` tells the models the same words; this module is what holds.
"""

from __future__ import annotations

from datetime import UTC, date, timedelta

from .schemas import (
    Cancel,
    Decision,
    Decline,
    Doubt,
    Evidence,
    HandOver,
    Order,
    Reading,
    Refund,
    Ruling,
    SecondReading,
    Ticket,
    Track,
    Triage,
)

RETURN_DAYS = 30
"""Money back until this many days after delivery. The day the customer wrote counts, not the day we read."""
LATE = timedelta(days=7)
"""A parcel this much later than expected is no longer a matter of telling where it is."""


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


def rule(ticket: Ticket, reading: Reading, order: Order | None, evidence: Evidence | None) -> Ruling:
    """What may be done about the ticket. `order` is the one that the reading names, as the shop knows it."""
    day = ticket.received.astimezone(UTC).date()
    if reading.intent == "other":
        return _to_person("This is no refund, no cancellation and no question about a parcel.")
    if reading.order_number is None:
        return _without_number(ticket, reading, evidence, day)
    if order is None or order.email != ticket.sender:
        # One text for both: whether somebody else has such an order is nobody's business.
        return _decline(f"We found no order {reading.order_number} under the address you wrote from.")
    if order.number != reading.order_number:
        return _to_person(f"The order at hand is {order.number}, the ticket is about {reading.order_number}.")
    match reading.intent:
        case "refund":
            return _refund(order, day)
        case "cancel":
            return _cancel(order)
        case "track":
            return _track(order, day)


def _refund(order: Order, day: date) -> Ruling:
    parcel = order.shipment
    if order.cancelled is not None:
        return _decline(f"Order {order.number} was cancelled and what you paid was returned.")
    if order.refundable <= 0:
        return _decline(f"What you paid for order {order.number} was already returned.")
    if order.refunded > 0:
        return _to_person(f"{order.refunded} of {order.paid} was already returned for {order.number}.")
    if parcel is None:
        return _to_person(f"{order.number} was not sent yet: cancel it, or give money back for it?")
    if parcel.state == "lost":
        return _may(Refund(number=order.number, amount=order.refundable), "The carrier lost the parcel.")
    if parcel.delivered is None or parcel.delivered > day:
        return _to_person(f"Money back is asked for {order.number}, which was still on its way.")
    if (day - parcel.delivered).days > RETURN_DAYS:
        return _decline(
            f"Order {order.number} was delivered on {parcel.delivered}, and money can be returned within"
            f" {RETURN_DAYS} days of delivery."
        )
    if sum(line.quantity for line in order.lines) > 1:
        return _to_person(f"{order.number} has several pieces: which of them is the refund for?")
    reason = f"Delivered on {parcel.delivered}, within {RETURN_DAYS} days."
    return _may(Refund(number=order.number, amount=order.refundable), reason)


def _cancel(order: Order) -> Ruling:
    if order.cancelled is not None:
        return _decline(f"Order {order.number} was already cancelled and what you paid was returned.")
    if order.shipment is not None:
        return _decline(
            f"Order {order.number} left us on {order.shipment.shipped} and can no longer be cancelled."
            f" You can ask for your money back within {RETURN_DAYS} days of delivery."
        )
    return _may(Cancel(number=order.number), "The order has not been sent yet.")


def _track(order: Order, day: date) -> Ruling:
    parcel = order.shipment
    if order.cancelled is not None:
        return _decline(f"Order {order.number} was cancelled, so no parcel is on its way.")
    if parcel is not None and parcel.state == "lost":
        return _to_person(f"The carrier lost the parcel of {order.number}: offer money back or a new one?")
    if parcel is not None and parcel.state == "in_transit" and day > parcel.expected + LATE:
        return _to_person(f"The parcel of {order.number} was expected on {parcel.expected}: search for it?")
    return _may(Track(number=order.number), "The customer asks about an order of their own.")


def _without_number(ticket: Ticket, reading: Reading, evidence: Evidence | None, day: date) -> Ruling:
    """No number in the ticket: the one parcel that is under way to the sender may be told of. No more."""
    if reading.intent != "track":
        return _to_person(f"The ticket asks for '{reading.intent}' and names no order.")
    if evidence is None:
        return _to_person("The ticket names no order, and nothing was found out about it.")
    own = [order for order in evidence.orders if order.email == ticket.sender]
    under_way = [
        o for o in own if o.cancelled is None and (o.shipment is None or o.shipment.state == "in_transit")
    ]
    match under_way:
        case [order] if order.number == evidence.finding.number:
            return _track(order, day)
        case [order]:
            return _to_person(f"Probably about {order.number}, but the model did not find that.")
        case _:
            return _to_person(f"The ticket names no order, and {len(under_way)} are under way to the sender.")


def _may(decision: Decision, reason: str) -> Ruling:
    return Ruling(decision=decision, reason=reason)


def _decline(reason: str) -> Ruling:
    return Ruling(decision=Decline(), reason=reason)


def _to_person(reason: str) -> Ruling:
    return Ruling(decision=HandOver(), reason=reason)
