"""What the policy promises, for any reading, order and evidence: it names nothing but the sender's own."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support_desk import policy, second_reader
from support_desk.schemas import (
    Cancel,
    Decline,
    Doubt,
    Evidence,
    Finding,
    HandOver,
    Intent,
    Line,
    Order,
    Reading,
    Refund,
    SecondReading,
    Shipment,
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


@st.composite
def orders(draw: st.DrawFn) -> Order:
    paid = draw(cents)
    return Order(
        number=draw(numbers),
        email=draw(people),
        name="Somebody",
        placed=TODAY - timedelta(days=70),
        lines=tuple(draw(st.lists(st.builds(_line, st.integers(1, 3)), min_size=1, max_size=2))),
        paid=paid,
        refunded=min(draw(st.one_of(st.just(Decimal(0)), cents)), paid),
        cancelled=draw(st.one_of(st.none(), days)),
        shipment=draw(st.one_of(st.none(), shipments())),
    )


def _line(quantity: int) -> Line:
    return Line(title="Lamp", quantity=quantity, price=Decimal(10))


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
evidences = st.builds(Evidence, finding=findings, orders=st.lists(orders(), max_size=4).map(tuple))


@given(tickets, readings, st.one_of(st.none(), orders()), st.one_of(st.none(), evidences))
def test_no_reading_leads_to_an_act_that_the_terms_forbid(
    ticket: Ticket, reading: Reading, order: Order | None, evidence: Evidence | None
) -> None:
    decision = policy.rule(ticket, reading, order, evidence).decision
    match decision:
        case Refund(number=number, amount=amount):
            assert order is not None
            assert (number, ticket.sender, reading.intent) == (order.number, order.email, "refund")
            assert reading.order_number == number
            assert 0 < amount <= order.paid - order.refunded
            parcel = order.shipment
            assert parcel is not None
            assert order.cancelled is None
            if parcel.state != "lost":
                assert parcel.delivered is not None
                assert 0 <= (TODAY - parcel.delivered).days <= policy.RETURN_DAYS
        case Cancel(number=number):
            assert order is not None
            assert (number, ticket.sender, reading.intent) == (order.number, order.email, "cancel")
            assert reading.order_number == number
            assert order.shipment is None
            assert order.cancelled is None
        case Track(number=number):
            known = [order, *(evidence.orders if evidence else ())]
            assert any(one and one.number == number and one.email == ticket.sender for one in known)
            assert reading.intent == "track"
        case Decline() | HandOver():
            pass


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


@given(tickets, orders(), st.sampled_from(INTENTS))
def test_what_is_told_of_another_customers_order_is_what_is_told_of_none(
    ticket: Ticket, order: Order, intent: Intent
) -> None:
    assume(order.email != ticket.sender)
    reading = Reading(intent=intent, order_number=order.number)
    assert policy.rule(ticket, reading, order, None) == policy.rule(ticket, reading, None, None)


def given_order(
    *, email: str = PEOPLE[0], shipment: Shipment | None = None, pieces: int = 1, refunded: int = 0
) -> Order:
    return Order(
        number="SD-1001",
        email=email,
        name="Anna",
        placed=TODAY - timedelta(days=50),
        lines=(_line(pieces),),
        paid=Decimal(80),
        refunded=Decimal(refunded),
        shipment=shipment,
    )


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


@pytest.mark.parametrize(
    ("intent", "order", "kind"),
    [
        ("refund", given_order(shipment=parcel("delivered")), "refund"),
        ("refund", given_order(shipment=parcel("delivered", days_ago=30)), "refund"),
        ("refund", given_order(shipment=parcel("delivered", days_ago=31)), "decline"),
        ("refund", given_order(shipment=parcel("delivered"), pieces=2), "hand_over"),
        ("refund", given_order(shipment=parcel("delivered"), refunded=10), "hand_over"),
        ("refund", given_order(shipment=parcel("delivered"), refunded=80), "decline"),
        ("refund", given_order(shipment=parcel("lost", days_ago=50), pieces=2), "refund"),
        ("refund", given_order(shipment=parcel("in_transit")), "hand_over"),
        ("refund", given_order(), "hand_over"),
        ("refund", given_order(shipment=parcel("delivered"), email=PEOPLE[1]), "decline"),
        ("cancel", given_order(), "cancel"),
        ("cancel", given_order(shipment=parcel("in_transit")), "decline"),
        ("track", given_order(), "track"),
        ("track", given_order(shipment=parcel("in_transit")), "track"),
        ("track", given_order(shipment=parcel("in_transit", days_ago=20)), "hand_over"),
        ("track", given_order(shipment=parcel("lost")), "hand_over"),
        ("other", given_order(shipment=parcel("delivered")), "hand_over"),
    ],
)
def test_the_terms_of_the_shop(intent: Intent, order: Order, kind: str) -> None:
    ruling = policy.rule(TICKET, Reading(intent=intent, order_number="SD-1001"), order, None)
    assert ruling.decision.kind == kind
    assert ruling.reason


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
    ruling = policy.rule(TICKET, Reading(intent="track", order_number=None), None, evidence)
    assert ruling.decision.kind == kind


@pytest.mark.parametrize("intent", ["refund", "cancel"])
def test_without_a_number_no_money_moves_and_nothing_is_cancelled(intent: Intent) -> None:
    own = given_order(shipment=parcel("delivered") if intent == "refund" else None)
    evidence = Evidence(finding=Finding(order_number="SD-1001", note=""), orders=(own,))
    ruling = policy.rule(TICKET, Reading(intent=intent, order_number=None), None, evidence)
    assert ruling.decision.kind == "hand_over"


def test_several_numbers_in_one_ticket_go_to_a_person() -> None:
    second = SecondReading(intent="refund", numbers=tuple(f"SD-{n}" for n in range(1001, 1401)))
    assert isinstance(policy.agreed(Triage(intent="refund", order_number="SD-1001"), second), Doubt)
