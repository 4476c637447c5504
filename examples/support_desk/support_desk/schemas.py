"""The words of the desk: what comes in, what the shop knows, what was read, ruled and done.

Three kinds of knowledge meet here, and their types keep them apart. `Ticket` is what the mail server
delivered: its sender is known, its text may say anything. `Order` and its parts are facts of the shop.
`Triage`, `Finding` and `Reply` are what a model wrote; nothing of theirs reaches the shop before plain
code has held it against the other two. Money is in euros, two decimals, never a float.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from surefoot import Private

Money = Annotated[Decimal, Field(ge=0, max_digits=9, decimal_places=2)]
Amount = Annotated[Decimal, Field(gt=0, max_digits=9, decimal_places=2)]
"""Money that moves: never nothing, never negative."""

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^[^@\s<>,]+@[^@\s<>,]+$", max_length=254
    ),
    Private("email"),
]
"""Private: logs, lists and traces show a placeholder; the exact address lies sealed beside the journal."""

OrderNumber = Annotated[str, StringConstraints(pattern=r"^SD-[0-9]{4}$")]
NumberOrNone = Annotated[str, StringConstraints(pattern=r"^(SD-[0-9]{4})?$", max_length=7)]
"""As a model writes it. `SD-0000` or nothing is none: a small model that has to leave a blank rather copies
whatever number stands in its instructions, so the instructions name that one."""
Short = Annotated[str, StringConstraints(max_length=300)]

Intent = Literal["track", "cancel", "refund", "other"]
"""What a customer can want of the desk; `other` is everything that only a person can answer."""


class Fact(BaseModel):
    """Frozen, and an unknown field is an error: what does not fit is refused at the door."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ── what came in ─────────────────────────────────────────────────────────────────────────────────


class Ticket(Fact):
    """One mail to the shop. `sender` is the address that the mail server vouches for, not one in the text."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,40}$")]
    sender: Email
    received: AwareDatetime
    subject: Annotated[str, StringConstraints(max_length=200)] = ""
    text: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


# ── what the shop knows ──────────────────────────────────────────────────────────────────────────


class Line(Fact):
    title: str
    quantity: Annotated[int, Field(gt=0)]
    price: Money
    """Of one piece."""


class Shipment(Fact):
    """A parcel. `lost` is the carrier's own word, after its search."""

    carrier: str
    tracking: str
    state: Literal["in_transit", "delivered", "lost"]
    shipped: date
    expected: date
    delivered: date | None = None


class Order(Fact):
    """One order as the shop's books have it now."""

    number: OrderNumber
    email: Email
    name: Annotated[str, Private("name")]
    placed: date
    lines: tuple[Line, ...]
    paid: Money
    refunded: Money
    cancelled: date | None = None
    shipment: Shipment | None = None

    @property
    def items(self) -> str:
        return ", ".join(f"{line.quantity} {line.title}" for line in self.lines)

    @property
    def refundable(self) -> Decimal:
        """What was paid and not given back yet."""
        return self.paid - self.refunded


class Receipt(Fact):
    """Money that went back to the card that paid."""

    receipt: str
    number: OrderNumber
    amount: Amount
    at: datetime


class Cancellation(Fact):
    """An order that will not be sent; `returned` went back to the card with it."""

    number: OrderNumber
    returned: Money
    at: datetime


class Sent(Fact):
    """A mail that left the shop."""

    message_id: str
    to: Email
    subject: str
    at: datetime


# ── what was read ────────────────────────────────────────────────────────────────────────────────


def named(number: str) -> str | None:
    return None if number in ("", "SD-0000") else number


class Triage(Fact):
    """What the model reads in a ticket: what the customer wants, and the order number that it names."""

    intent: Intent
    order_number: NumberOrNone

    @property
    def number(self) -> str | None:
        return named(self.order_number)


class SecondReading(Fact):
    """What the second reader reads in the same ticket. `intent` is None where it is not sure."""

    intent: Intent | None
    numbers: tuple[OrderNumber, ...]
    doubt: str = ""
    """Why it is not sure."""


class Reading(Fact):
    """What both readers agree on, or what a person said the customer wants."""

    intent: Intent
    order_number: OrderNumber | None


class Doubt(Fact):
    """Why the two readings cannot be trusted together; for the colleague who takes over."""

    reason: Short


class Finding(Fact):
    """What the model found in the shop about a ticket without an order number."""

    order_number: NumberOrNone
    note: Annotated[str, StringConstraints(max_length=160)]
    """For the colleague who takes over; no customer ever sees it."""

    @property
    def number(self) -> str | None:
        return named(self.order_number)


class Evidence(Fact):
    """The model's finding beside the facts to hold it against: all orders of the ticket's sender."""

    finding: Finding
    orders: tuple[Order, ...]


# ── what is ruled ────────────────────────────────────────────────────────────────────────────────


class Refund(Fact):
    kind: Literal["refund"] = "refund"
    number: OrderNumber
    amount: Amount


class Cancel(Fact):
    kind: Literal["cancel"] = "cancel"
    number: OrderNumber


class Track(Fact):
    """Tell the customer where the parcel is."""

    kind: Literal["track"] = "track"
    number: OrderNumber


class Decline(Fact):
    """The shop's terms say no; the letter gives the ruling's reason."""

    kind: Literal["decline"] = "decline"


class HandOver(Fact):
    """Only a person can decide this."""

    kind: Literal["hand_over"] = "hand_over"


Decision = Annotated[Refund | Cancel | Track | Decline | HandOver, Field(discriminator="kind")]


class Ruling(Fact):
    """What may be done, and why, in one sentence. With `hand_over` it is for the colleague who takes over;
    with every other decision the customer may read it."""

    decision: Decision
    reason: Short


# ── what was done ────────────────────────────────────────────────────────────────────────────────


class Outcome(Fact):
    """What really happened, in facts that a letter may state. `amount` is money that went back."""

    kind: Literal["refunded", "cancelled", "informed", "declined", "refused", "handed_over"]
    number: OrderNumber | None = None
    amount: Amount | None = None
    shipment: Shipment | None = None
    reason: str = ""

    @classmethod
    def refunded(cls, receipt: Receipt) -> Outcome:
        return cls(kind="refunded", number=receipt.number, amount=receipt.amount)

    @classmethod
    def cancelled(cls, cancellation: Cancellation) -> Outcome:
        return cls(kind="cancelled", number=cancellation.number, amount=cancellation.returned or None)

    @classmethod
    def informed(cls, number: str, shipment: Shipment | None) -> Outcome:
        return cls(kind="informed", number=number, shipment=shipment)

    @classmethod
    def declined(cls, reason: str) -> Outcome:
        """The shop's terms said no."""
        return cls(kind="declined", reason=reason)

    @classmethod
    def refused(cls, number: str, reason: str) -> Outcome:
        """A person or the shop itself said no at the last moment; the reason is for colleagues."""
        return cls(kind="refused", number=number, reason=reason)

    @classmethod
    def handed_over(cls, reason: str) -> Outcome:
        """A colleague took the ticket over and answers it by hand."""
        return cls(kind="handed_over", reason=reason)


class Reply(Fact):
    subject: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=1200)]


class Wording(Fact):
    """The text of a reply as a model would put it."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=1200)]


class Answer(Fact):
    """The end of a run: what was done, and the mail that says so."""

    outcome: Outcome
    reply: Reply
    sent: Sent
