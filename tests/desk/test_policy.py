"""What the policy promises, for any reading, order, details and evidence: it names nothing but the sender's own."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support_desk import policy, second_reader
from support_desk.facts import Address, Item, Line, Order, Shipment, Variant
from support_desk.schemas import (
    Cancel,
    Decline,
    Details,
    Doubt,
    Evidence,
    Exchange,
    Finding,
    HandOver,
    Intent,
    Readdress,
    Reading,
    Refund,
    SecondReading,
    TakeBack,
    Ticket,
    Track,
    Triage,
)

TODAY = date(2026, 11, 20)
PEOPLE = ("anna@post.example", "bob@post.example", "eve@post.example")
NUMBERS = ("SD-1001", "SD-1002", "SD-1003", "SD-9999")
INTENTS = get_args(Intent)

days = st.integers(-5, 60).map(lambda back: TODAY - timedelta(days=back))
cents = st.integers(0, 50_000).map(lambda n: Decimal(n).scaleb(-2))
people = st.sampled_from(PEOPLE)
numbers = st.sampled_from(NUMBERS)
text = st.text(min_size=1, max_size=120)


@st.composite
def shipments(draw: st.DrawFn) -> Shipment:
    state = draw(st.sampled_from(["in_transit", "delivered", "lost"]))
    shipped = draw(days)
    return Shipment(
        carrier="Gull Post",
        tracking="GU123456789",
        state=state,
        shipped=shipped,
        expected=shipped + timedelta(days=5),
        delivered=draw(days) if state == "delivered" else None,
    )


SKUS = ("LAMP-BLACK", "MUG-BLUE", "JUMPER-NAVY-M")


@st.composite
def orders(draw: st.DrawFn) -> Order:
    lines = tuple(
        _line(sku, draw(st.integers(1, 3)), draw) for sku in draw(st.sets(st.sampled_from(SKUS), min_size=1))
    )
    total = sum((line.price * line.quantity for line in lines), Decimal(0))
    paid = draw(st.sampled_from([total, total, total * 2, total + 1]))
    return Order(
        number=draw(numbers),
        email=draw(people),
        name="Somebody",
        placed=TODAY - timedelta(days=70),
        address=HOME,
        lines=lines,
        paid=paid,
        refunded=min(draw(st.one_of(st.just(Decimal(0)), cents)), paid),
        gift=draw(st.booleans()),
        cancelled=draw(st.one_of(st.none(), days)),
        shipment=draw(st.one_of(st.none(), shipments())),
    )


HOME = Address(street="12 Mill Lane", postcode="2041", city="Hillport")
ELSEWHERE = Address(street="7 Quay Street", postcode="2093", city="Saltmarsh")


def _line(sku: str, quantity: int, draw: st.DrawFn) -> Line:
    return Line(
        sku=sku,
        title=sku.lower(),
        quantity=quantity,
        price=draw(st.sampled_from([Decimal(10), Decimal("79.90")])),
        final_sale=draw(st.booleans()),
        back=draw(st.integers(0, quantity)),
        exchanged=draw(st.booleans()),
    )


items = st.builds(Item, sku=st.sampled_from([*SKUS, "NO-SUCH"]), quantity=st.integers(1, 4))
variants = st.builds(
    Variant,
    sku=st.sampled_from([*SKUS, "MUG-GREEN", "JUMPER-NAVY-L"]),
    price=st.sampled_from([Decimal(10), Decimal("79.90"), Decimal(1)]),
    stock=st.integers(0, 3),
)
details = st.builds(
    Details,
    items=st.lists(items, max_size=3).map(tuple),
    wanted=st.one_of(st.none(), variants),
    address=st.one_of(st.none(), st.just(ELSEWHERE)),
    paid_twice=st.booleans(),
    doubt=st.sampled_from(["", "", "something is odd"]),
)
tickets = st.builds(
    Ticket,
    id=st.just("T-1"),
    sender=people,
    received=st.just(datetime(2026, 11, 20, 9, tzinfo=UTC)),
    subject=st.text(max_size=40),
    text=text,
)
readings = st.builds(Reading, intent=st.sampled_from(INTENTS), order_number=st.one_of(st.none(), numbers))
triages = st.builds(
    Triage, intent=st.sampled_from(INTENTS), order_number=st.sampled_from(["", "SD-0000", *NUMBERS])
)
findings = st.builds(Finding, order_number=st.sampled_from(["", *NUMBERS]), note=st.text(max_size=60))
evidences = st.builds(
    Evidence, finding=st.one_of(st.none(), findings), orders=st.lists(orders(), max_size=4).map(tuple)
)


def in_time(order: Order) -> bool:
    parcel = order.shipment
    assert parcel is not None
    assert parcel.delivered is not None
    return 0 <= (TODAY - parcel.delivered).days <= (60 if order.gift else 30)


@given(
    tickets,
    readings,
    st.one_of(st.none(), orders()),
    st.one_of(st.none(), details),
    st.one_of(st.none(), evidences),
)
def test_no_reading_leads_to_an_act_that_the_terms_forbid(
    ticket: Ticket,
    reading: Reading,
    order: Order | None,
    found: Details | None,
    evidence: Evidence | None,
) -> None:
    decision = policy.rule(ticket, reading, order, found, evidence).decision
    match decision:
        case Decline() | HandOver():
            return
        case Track(number=number):
            known = [order, *(evidence.orders if evidence else ())]
            assert any(one and one.number == number and one.email == ticket.sender for one in known)
            assert reading.intent == "track"
            return
        case _:
            pass
    assert order is not None
    assert found is not None
    assert (decision.number, ticket.sender) == (order.number, order.email)
    assert reading.order_number == order.number
    assert order.cancelled is None
    wanted = {
        Refund: "refund",
        Cancel: "cancel",
        Readdress: "address",
        TakeBack: "return",
        Exchange: "exchange",
    }
    assert reading.intent == wanted[type(decision)]
    match decision:
        case Cancel() | Readdress():
            assert order.shipment is None
            assert not found.doubt
        case Refund(amount=amount):
            assert 0 < amount <= order.paid - order.refunded
            assert order.refunded == 0
            if amount != order.paid - order.total and not (order.shipment and order.shipment.state == "lost"):
                assert in_time(order)
                assert amount == sum(price_of(order, item) for item in found.items)
        case TakeBack(items=back):
            assert in_time(order)
            assert order.refunded == 0
            assert all(may_go_back(order, item) for item in back)
        case Exchange(item=item, wanted=sku):
            assert in_time(order)
            assert may_go_back(order, item)
            line = next(line for line in order.lines if line.sku == item.sku)
            assert found.wanted is not None
            assert (sku, line.exchanged) == (found.wanted.sku, False)
            assert (found.wanted.price, found.wanted.stock >= item.quantity) == (line.price, True)
    if isinstance(decision, Readdress):
        assert decision.address == found.address


def price_of(order: Order, item: Item) -> Decimal:
    return next(line.price for line in order.lines if line.sku == item.sku) * item.quantity


def may_go_back(order: Order, item: Item) -> bool:
    line = next(line for line in order.lines if line.sku == item.sku)
    return item.quantity <= line.quantity - line.back and not line.final_sale


@given(tickets, triages)
def test_nothing_that_a_model_says_counts_unless_the_second_reader_says_it_too(
    ticket: Ticket, triage: Triage
) -> None:
    second = second_reader.read(ticket)
    match policy.agreed(triage, second):
        case Reading(intent=intent, order_number=number):
            assert intent == triage.intent == second.intent
            assert number == triage.number
            assert second.numbers == ((number,) if number else ())
        case Doubt(reason=reason):
            assert reason


@given(tickets, orders(), st.sampled_from(INTENTS), details)
def test_what_is_told_of_another_customers_order_is_what_is_told_of_none(
    ticket: Ticket, order: Order, intent: Intent, found: Details
) -> None:
    assume(order.email != ticket.sender)
    reading = Reading(intent=intent, order_number=order.number)
    assert policy.rule(ticket, reading, order, found, None) == policy.rule(ticket, reading, None, None, None)


def given_order(**given: object) -> Order:
    """A lamp of 80.00; `pieces` of it, or `paid` and so on."""
    line = {"sku": "LAMP-BLACK", "title": "Lamp", "quantity": given.pop("pieces", 1), "price": "80"}
    line |= {name: given.pop(name) for name in ("final_sale", "back", "exchanged") if name in given}
    fixed = {"number": "SD-1001", "email": PEOPLE[0], "name": "Anna", "placed": TODAY - timedelta(days=90)}
    paid = {"paid": 80 * int(str(line["quantity"])), "refunded": 0}
    return Order.model_validate({**fixed, **paid, "address": HOME, "lines": [line], **given})


def parcel(state: str, *, days_ago: int = 3) -> Shipment:
    at = TODAY - timedelta(days=days_ago)
    return Shipment.model_validate(
        {
            "carrier": "Gull Post",
            "tracking": "GU1",
            "state": state,
            "shipped": at,
            "expected": at + timedelta(days=5),
            "delivered": at if state == "delivered" else None,
        }
    )


TICKET = Ticket(id="T-1", sender=PEOPLE[0], received=datetime(2026, 11, 20, 23, 59, tzinfo=UTC), text="...")


LAMP = Item(sku="LAMP-BLACK", quantity=1)
WHITE = Variant(sku="LAMP-WHITE", colour="white", price=Decimal(80), stock=1)
ONE = Details(items=(LAMP,), wanted=WHITE, address=ELSEWHERE)
HERE = parcel("delivered")


@pytest.mark.parametrize(
    ("intent", "order", "found", "kind"),
    [
        ("refund", given_order(shipment=HERE), ONE, "refund"),
        ("refund", given_order(shipment=parcel("delivered", days_ago=30)), ONE, "refund"),
        ("refund", given_order(shipment=parcel("delivered", days_ago=31)), ONE, "decline"),
        ("refund", given_order(shipment=parcel("delivered", days_ago=60), gift=True), ONE, "refund"),
        ("refund", given_order(shipment=parcel("delivered", days_ago=61), gift=True), ONE, "decline"),
        ("refund", given_order(shipment=HERE, pieces=2), ONE, "refund"),
        ("refund", given_order(shipment=HERE, pieces=2), Details(doubt="which?"), "hand_over"),
        ("refund", given_order(shipment=HERE), Details(), "hand_over"),
        ("refund", given_order(shipment=HERE), None, "hand_over"),
        ("refund", given_order(shipment=HERE, refunded=10), ONE, "hand_over"),
        ("refund", given_order(shipment=HERE, refunded=80), ONE, "decline"),
        ("refund", given_order(shipment=HERE, final_sale=True), ONE, "hand_over"),
        ("refund", given_order(shipment=HERE, back=1), ONE, "hand_over"),
        ("refund", given_order(shipment=HERE, paid=160), Details(paid_twice=True), "refund"),
        ("refund", given_order(shipment=HERE, paid=160), ONE, "hand_over"),
        ("refund", given_order(shipment=HERE), Details(paid_twice=True), "hand_over"),
        ("refund", given_order(shipment=parcel("lost", days_ago=50), pieces=2), None, "refund"),
        ("refund", given_order(shipment=parcel("in_transit")), ONE, "hand_over"),
        ("refund", given_order(), ONE, "hand_over"),
        ("refund", given_order(shipment=HERE, email=PEOPLE[1]), ONE, "decline"),
        ("cancel", given_order(), Details(), "cancel"),
        ("cancel", given_order(pieces=2), Details(doubt="all of it?"), "hand_over"),
        ("cancel", given_order(shipment=parcel("in_transit")), Details(), "decline"),
        ("cancel", given_order(cancelled=TODAY), Details(), "decline"),
        ("address", given_order(), ONE, "readdress"),
        ("address", given_order(), Details(doubt="which?"), "hand_over"),
        ("address", given_order(), Details(), "hand_over"),
        ("address", given_order(shipment=parcel("in_transit")), ONE, "decline"),
        ("address", given_order(cancelled=TODAY), ONE, "decline"),
        ("return", given_order(shipment=HERE), ONE, "take_back"),
        ("return", given_order(shipment=parcel("delivered", days_ago=31)), ONE, "decline"),
        ("return", given_order(shipment=parcel("delivered", days_ago=31), gift=True), ONE, "take_back"),
        ("return", given_order(shipment=HERE, final_sale=True), ONE, "decline"),
        ("return", given_order(shipment=HERE, back=1), ONE, "hand_over"),
        ("return", given_order(shipment=HERE, refunded=10), ONE, "hand_over"),
        ("return", given_order(shipment=parcel("in_transit")), ONE, "decline"),
        ("return", given_order(shipment=parcel("lost")), ONE, "hand_over"),
        ("return", given_order(), ONE, "hand_over"),
        ("exchange", given_order(shipment=HERE), ONE, "exchange"),
        ("exchange", given_order(shipment=HERE, exchanged=True, back=1), ONE, "decline"),
        ("exchange", given_order(shipment=HERE), ONE.model_copy(update={"wanted": None}), "hand_over"),
        (
            "exchange",
            given_order(shipment=HERE, pieces=2),
            ONE.model_copy(update={"items": (Item(sku="LAMP-BLACK", quantity=2),)}),
            "decline",  # only one is in stock
        ),
        (
            "exchange",
            given_order(shipment=HERE),
            ONE.model_copy(update={"wanted": WHITE.model_copy(update={"price": Decimal(90)})}),
            "hand_over",
        ),
        ("track", given_order(), None, "track"),
        ("track", given_order(shipment=parcel("in_transit")), None, "track"),
        ("track", given_order(shipment=parcel("in_transit", days_ago=20)), None, "hand_over"),
        ("track", given_order(shipment=parcel("lost")), None, "hand_over"),
        ("other", given_order(shipment=HERE), ONE, "hand_over"),
    ],
)
def test_the_terms_of_the_shop(intent: Intent, order: Order, found: Details | None, kind: str) -> None:
    ruling = policy.rule(TICKET, Reading(intent=intent, order_number="SD-1001"), order, found, None)
    assert ruling.decision.kind == kind
    assert ruling.reason
    assert ruling.term in TERMS | {""}


TERMS_TEXT = (Path(policy.__file__).parent / "prompts" / "terms.md").read_text(encoding="utf-8")
TERMS = {line.removeprefix("## ") for line in TERMS_TEXT.splitlines() if line.startswith("## ")}


@pytest.mark.parametrize(
    ("found", "own", "kind"),
    [
        ("SD-1001", [given_order(shipment=parcel("in_transit"))], "track"),
        ("", [given_order(shipment=parcel("in_transit"))], "hand_over"),
        ("SD-1002", [given_order(shipment=parcel("in_transit"))], "hand_over"),
        ("SD-1001", [given_order(shipment=parcel("delivered"))], "hand_over"),
        ("SD-1001", [given_order(shipment=parcel("in_transit"), email=PEOPLE[1])], "hand_over"),
        ("SD-1001", [], "hand_over"),
    ],
)
def test_without_a_number_only_the_one_parcel_under_way_is_told_of(
    found: str, own: list[Order], kind: str
) -> None:
    evidence = Evidence(finding=Finding(order_number=found, note=""), orders=tuple(own))
    ruling = policy.rule(TICKET, Reading(intent="track", order_number=None), None, None, evidence)
    assert ruling.decision.kind == kind


@pytest.mark.parametrize("intent", ["refund", "cancel", "address", "return", "exchange"])
def test_without_a_number_no_money_moves_and_nothing_is_changed(intent: Intent) -> None:
    own = given_order(shipment=None if intent in ("cancel", "address") else HERE)
    evidence = Evidence(finding=Finding(order_number="SD-1001", note=""), orders=(own,))
    ruling = policy.rule(TICKET, Reading(intent=intent, order_number=None), None, ONE, evidence)
    assert ruling.decision.kind == "hand_over"
    assert "SD-1001 (1 Lamp)" in ruling.reason, "the colleague is told which orders there are"


def test_several_numbers_in_one_ticket_go_to_a_person() -> None:
    second = SecondReading(intent="refund", numbers=tuple(f"SD-{n}" for n in range(1001, 1401)))
    assert isinstance(policy.agreed(Triage(intent="refund", order_number="SD-1001"), second), Doubt)
