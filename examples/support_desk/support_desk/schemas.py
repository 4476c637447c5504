"""The words of the desk: what comes in, what is read, ruled and done.

Three kinds of knowledge meet here, and their types keep them apart. `Ticket` is what the mail server
delivered: its sender is known, its text may say anything. What the shop knows is in `facts`. `Triage`,
`Finding`, `Proposal` and `Wording` are what a model wrote; nothing of theirs reaches the shop before plain
code or a person has held it against the other two.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator

from surefoot import Private

from .facts import (
    Address,
    Amount,
    Cancellation,
    Email,
    Fact,
    Item,
    Order,
    OrderNumber,
    Receipt,
    Redirection,
    Registered,
    Sent,
    Shipment,
    Sku,
    Variant,
)
from .html_text import plain

NumberOrNone = Annotated[str, StringConstraints(pattern=r"^(SD-[0-9]{4})?$", max_length=7)]
"""As a model writes it. `SD-0000` or nothing is none: a small model that has to leave a blank rather copies
whatever number stands in its instructions, so the instructions name that one."""
Short = Annotated[str, StringConstraints(max_length=400)]

Intent = Literal["track", "cancel", "refund", "address", "return", "exchange", "other"]
"""What a customer can want of the desk. `refund` is money back because something is broken, missing, lost,
not as described or paid twice; `return` is sending back what they do not want; `other` is all that only a
person can answer, also two different wishes in one mail."""


# ── what came in ─────────────────────────────────────────────────────────────────────────────────

EXAMPLES = ("01-lamp-flickers", "05-where-are-my-mugs", "09-two-questions")
"""The tickets that forms and the API's documents begin with: a refund that waits for the leads, a question
that is answered, and a mail that only a person can answer."""


def _with_examples(schema: dict[str, Any]) -> None:
    folder = Path(__file__).parent / "tickets"
    schema["examples"] = [json.loads((folder / f"{name}.json").read_bytes()) for name in EXAMPLES]


class Ticket(Fact):
    """One mail to the shop. `sender` is the address that the mail server vouches for, not one in the text."""

    model_config = ConfigDict(json_schema_extra=_with_examples)

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,40}$")]
    sender: Email
    received: AwareDatetime
    subject: Annotated[str, StringConstraints(max_length=200)] = ""
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    """What everybody here reads. Of a mail that came as HTML only, it is made at the door."""
    html: Annotated[str, StringConstraints(max_length=200_000)] = ""

    @model_validator(mode="before")
    @classmethod
    def _text_of_html(cls, given: Any) -> Any:
        fields = cast(dict[str, Any], given) if isinstance(given, dict) else {}
        html = fields.get("html")
        if isinstance(html, str) and not fields.get("text"):
            return {**fields, "text": plain(html)}
        return cast(Any, given)


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


class Proposal(Fact):
    """A model's own reading of the details. Nothing follows from it but a proposal to a person."""

    items: Annotated[tuple[Item, ...], Field(max_length=8)] = ()
    wanted_sku: Annotated[str, StringConstraints(max_length=30)] = ""
    street: Annotated[str, StringConstraints(max_length=80), Private("street")] = ""
    postcode: Annotated[str, StringConstraints(max_length=10)] = ""
    city: Annotated[str, StringConstraints(max_length=60)] = ""


class Details(Fact):
    """What the mail says beyond intent and number: found by plain code, each one a fact of the order or of
    the catalogue. `doubt` is why a person has to look; `proposed` is the ruling, as JSON, that would follow
    from a model's reading: that person may confirm it."""

    items: tuple[Item, ...] = ()
    wanted: Variant | None = None
    address: Address | None = None
    paid_twice: bool = False
    doubt: Short = ""
    which: bool = False
    """Whether the doubt is only which pieces, variant or address the mail means: a model may propose that."""
    proposed: str = ""


class Finding(Fact):
    """What the model found in the shop about a ticket without an order number."""

    order_number: NumberOrNone
    note: Annotated[str, StringConstraints(max_length=160)]
    """For the colleague who takes over; no customer ever sees it."""

    @property
    def number(self) -> str | None:
        return named(self.order_number)


class Evidence(Fact):
    """All orders of the ticket's sender, and the model's finding to hold against them."""

    orders: tuple[Order, ...]
    finding: Finding | None = None


# ── what is ruled ────────────────────────────────────────────────────────────────────────────────


class Refund(Fact):
    kind: Literal["refund"] = "refund"
    number: OrderNumber
    amount: Amount


class Cancel(Fact):
    kind: Literal["cancel"] = "cancel"
    number: OrderNumber


class Readdress(Fact):
    kind: Literal["readdress"] = "readdress"
    number: OrderNumber
    address: Address


class TakeBack(Fact):
    """Expect these pieces back; the money follows when they arrive."""

    kind: Literal["take_back"] = "take_back"
    number: OrderNumber
    items: Annotated[tuple[Item, ...], Field(min_length=1)]


class Exchange(Fact):
    """Expect this item back, and send `wanted` in its place."""

    kind: Literal["exchange"] = "exchange"
    number: OrderNumber
    item: Item
    wanted: Sku


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


Decision = Annotated[
    Refund | Cancel | Readdress | TakeBack | Exchange | Track | Decline | HandOver,
    Field(discriminator="kind"),
]


class Ruling(Fact):
    """What may be done, and why, in one sentence; `term` is the paragraph of `prompts/terms.md` that says so.
    With `hand_over` the reason is for the colleague who takes over; with every other decision the customer
    may read it."""

    decision: Decision
    reason: Short
    term: str = ""


# ── what was done ────────────────────────────────────────────────────────────────────────────────

OutcomeKind = Literal[
    "refunded",
    "cancelled",
    "readdressed",
    "return_opened",
    "exchange_opened",
    "informed",
    "declined",
    "refused",
    "handed_over",
]


class Outcome(Fact):
    """What really happened, in facts that a letter may state. `amount` is money that went back."""

    kind: OutcomeKind
    number: OrderNumber | None = None
    amount: Amount | None = None
    address: Address | None = None
    registered: Registered | None = None
    shipment: Shipment | None = None
    reason: str = ""

    @classmethod
    def refunded(cls, receipt: Receipt) -> Outcome:
        return cls(kind="refunded", number=receipt.number, amount=receipt.amount)

    @classmethod
    def cancelled(cls, cancellation: Cancellation) -> Outcome:
        return cls(kind="cancelled", number=cancellation.number, amount=cancellation.returned or None)

    @classmethod
    def readdressed(cls, redirection: Redirection) -> Outcome:
        return cls(kind="readdressed", number=redirection.number, address=redirection.address)

    @classmethod
    def expected_back(cls, registered: Registered) -> Outcome:
        kind: OutcomeKind = "return_opened" if registered.wanted is None else "exchange_opened"
        return cls(kind=kind, number=registered.number, registered=registered)

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
