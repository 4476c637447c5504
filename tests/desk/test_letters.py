"""Letters: the template states the outcome and nothing else, and a model's version of it may not say more."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support_desk import letters
from support_desk.facts import Address, Item, Registered, Shipment
from support_desk.schemas import Decline, Outcome, Ruling, Ticket

TICKET = Ticket(
    id="T-1",
    sender="anna@post.example",
    received=datetime(2026, 11, 20, tzinfo=UTC),
    subject="My lamp\r\nBcc: everybody@post.example",
    text="Please refund SD-1163.",
)
RULING = Ruling(decision=Decline(), reason="Order SD-1163 was delivered too long ago.")
SHIPPED = date(2026, 11, 16)

shipments = st.builds(
    Shipment,
    carrier=st.sampled_from(["Gull Post", "Northline"]),
    tracking=st.from_regex(r"[A-Z]{2}[0-9]{9}", fullmatch=True),
    state=st.just("in_transit"),
    shipped=st.just(SHIPPED),
    expected=st.just(SHIPPED + timedelta(days=5)),
)
amounts = st.integers(1, 99_999).map(lambda cents: Decimal(cents).scaleb(-2))
numbers = st.from_regex(r"SD-[0-9]{4}", fullmatch=True)
outcomes = st.one_of(
    st.builds(Outcome, kind=st.just("refunded"), number=numbers, amount=amounts),
    st.builds(Outcome, kind=st.just("cancelled"), number=numbers, amount=st.one_of(st.none(), amounts)),
    st.builds(Outcome, kind=st.just("informed"), number=numbers, shipment=st.one_of(st.none(), shipments)),
)
REFUNDED = Outcome(kind="refunded", number="SD-1163", amount=Decimal("80.00"))


@given(outcomes)
def test_the_template_holds_every_fact_and_passes_its_own_check(outcome: Outcome) -> None:
    draft = letters.letter(TICKET, RULING, outcome)
    assert letters.faults(draft.text, draft.text, outcome) == []
    for fact in (outcome.number, outcome.amount, outcome.shipment and outcome.shipment.tracking):
        assert fact is None or str(fact) in draft.text


@given(outcomes, st.sampled_from(["5", "SD-1", "1,000.00", "[Name]", "voucher", "www.x.io", "not", "a@b.c"]))
def test_a_word_figure_or_sign_beyond_the_facts_holds_a_letter_back(outcome: Outcome, more: str) -> None:
    draft = letters.letter(TICKET, RULING, outcome)
    if more in draft.text.split():
        return
    assert letters.faults(f"{draft.text}\n{more}", draft.text, outcome)


@given(outcomes, outcomes)
def test_the_letter_of_one_outcome_never_does_for_another(one: Outcome, other: Outcome) -> None:
    draft, foreign = letters.letter(TICKET, RULING, one), letters.letter(TICKET, RULING, other)
    if draft.text != foreign.text:
        assert letters.faults(foreign.text, draft.text, one)


@pytest.mark.parametrize(
    "text",
    [
        "Hello, we have returned 80.00 EUR for order SD-1163 to the card you paid with. Harbour Goods",
        "Hello, thank you for writing. We have refunded 80.00 EUR for your order SD-1163. Kind regards",
        "Dear customer, we are very sorry! We have returned 80.00 EUR for order SD-1163.",
    ],
)
def test_kinder_words_for_the_same_facts_may_go(text: str) -> None:
    draft = letters.letter(TICKET, RULING, REFUNDED)
    assert letters.faults(text, draft.text, REFUNDED) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("We have returned 800.00 EUR for order SD-1163.", "'800.00' is not in the facts"),
        ("We have returned 80.00 EUR for order SD-1164.", "'SD-1163' is missing"),
        ("We have not returned 80.00 EUR for order SD-1163.", "'not' is not in the facts"),
        ("We have returned 80.00 EUR for SD-1163 and a gift.", "'gift' is not in the facts"),
        ("Dear [Customer], 80.00 EUR for order SD-1163.", "'[' is not in the facts"),
        ("We have returned the money for order SD-1163.", "'80.00' is missing"),
    ],
)
def test_a_letter_that_says_something_else_is_held_back(text: str, fault: str) -> None:
    draft = letters.letter(TICKET, RULING, REFUNDED)
    assert fault in letters.faults(text, draft.text, REFUNDED)


REGISTERED = Registered(
    rma="RT-4711",
    number="SD-1163",
    items=(Item(sku="LAMP-BLACK", quantity=1),),
    what="1 Desk lamp Fjord, black",
    at=datetime(2026, 11, 20, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (
            Outcome(
                kind="readdressed",
                number="SD-1163",
                address=Address(street="7 Quay Street", postcode="2093", city="Saltmarsh"),
            ),
            ["SD-1163", "7 Quay Street, 2093 Saltmarsh"],
        ),
        (
            Outcome.expected_back(REGISTERED),
            ["SD-1163", "1 Desk lamp Fjord, black", "RT-4711", "when it arrives"],
        ),
        (
            Outcome.expected_back(
                REGISTERED.model_copy(
                    update={
                        "wanted": "LAMP-WHITE",
                        "wanted_what": "1 Desk lamp Fjord, white",
                        "rma": "EX-4711",
                    }
                )
            ),
            ["SD-1163", "1 Desk lamp Fjord, black", "1 Desk lamp Fjord, white", "EX-4711"],
        ),
    ],
    ids=["address", "return", "exchange"],
)
def test_what_the_customer_has_to_do_is_told_in_the_shops_own_words(
    outcome: Outcome, said: list[str]
) -> None:
    draft = letters.letter(TICKET, RULING, outcome)
    assert [word for word in said if word not in draft.text] == []
    assert letters.faults(draft.text, draft.text, outcome), "no model tells it otherwise"


@pytest.mark.parametrize("kind", ["declined", "refused", "handed_over"])
def test_a_no_is_told_in_the_shops_own_words(kind: str) -> None:
    outcome = Outcome.model_validate({"kind": kind, "number": "SD-1163", "reason": "secret of the house"})
    draft = letters.letter(TICKET, RULING, outcome)
    assert letters.faults(draft.text, draft.text, outcome)
    assert "secret of the house" not in draft.text


def test_no_subject_of_a_customer_adds_a_line_to_the_mails_head() -> None:
    subject = letters.letter(TICKET, RULING, REFUNDED).subject
    assert subject == "Re: My lamp Bcc: everybody@post.example"
