"""What the shop knows: facts, as its books and its catalogue have them. No model writes any of these.

Money is in euros, two decimals, never a float. Days are the shop's; moments are UTC.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]+(-[A-Z0-9]+)*$", max_length=30)]
"""One variant of a product, as the shop's shelves call it: MUG-BLUE."""
Count = Annotated[int, Field(ge=1, le=99)]


class Fact(BaseModel):
    """Frozen, and an unknown field is an error: what does not fit is refused at the door."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Variant(Fact):
    """One thing on a shelf. `stock` is how many are there now."""

    sku: Sku
    colour: str = ""
    size: str = ""
    price: Money
    stock: int


class Product(Fact):
    title: str
    called: tuple[str, ...]
    """What customers call it: lamp, light."""
    variants: tuple[Variant, ...]


class Line(Fact):
    """So many of one variant in an order. `back` of them are registered for return or exchange."""

    sku: Sku
    title: str
    quantity: Count
    price: Money
    """Of one piece, as it was bought."""
    final_sale: bool = False
    back: int = 0
    exchanged: bool = False

    @property
    def left(self) -> int:
        return self.quantity - self.back


class Item(Fact):
    """So many pieces of one line: what is to be returned, exchanged or paid back."""

    sku: Sku
    quantity: Count


class Address(Fact):
    street: Annotated[str, StringConstraints(min_length=3, max_length=80), Private("street")]
    postcode: Annotated[str, StringConstraints(pattern=r"^[0-9]{4,5}$")]
    city: Annotated[str, StringConstraints(min_length=2, max_length=60)]

    def __str__(self) -> str:
        return f"{self.street}, {self.postcode} {self.city}"


class Shipment(Fact):
    """A parcel, as the shop's books have it. `lost` is the carrier's own word, after its search."""

    carrier: str
    tracking: str
    state: Literal["in_transit", "delivered", "lost"]
    shipped: date
    expected: date
    delivered: date | None = None


class Tracked(Fact):
    """A parcel, and its carrier's words of today, from outside: no rule and no letter uses these."""

    parcel: Shipment
    carrier_says: Annotated[str, StringConstraints(max_length=300)] = ""


class Order(Fact):
    """One order as the shop's books have it now."""

    number: OrderNumber
    email: Email
    name: Annotated[str, Private("name")]
    placed: date
    address: Address
    lines: Annotated[tuple[Line, ...], Field(min_length=1)]
    paid: Money
    """Every payment for it together: more than `total` where somebody was charged twice."""
    refunded: Money
    gift: bool = False
    cancelled: date | None = None
    shipment: Shipment | None = None

    @property
    def items(self) -> str:
        return ", ".join(f"{line.quantity} {line.title}" for line in self.lines)

    @property
    def total(self) -> Decimal:
        return sum((line.price * line.quantity for line in self.lines), Decimal(0))

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


class Redirection(Fact):
    """An order that now goes to `address`."""

    number: OrderNumber
    address: Address


class Registered(Fact):
    """A return or an exchange that the shop expects: its number stands on the label."""

    rma: str
    number: OrderNumber
    items: tuple[Item, ...]
    what: str
    """The items in words."""
    wanted: Sku | None = None
    """What is sent in exchange; `wanted_what` in words."""
    wanted_what: str = ""
    at: datetime


class Sent(Fact):
    """A mail that left the shop."""

    message_id: str
    to: Email
    subject: str
    at: datetime
