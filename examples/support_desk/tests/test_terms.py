"""The terms in words (`prompts/terms.md`) and the rules (`policy.py`) say the same, to the day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from support_desk import desk, policy
from support_desk.facts import Item, Order
from support_desk.schemas import Details, Reading, Ticket
from support_desk.tools import refund

TODAY = date(2026, 11, 20)
TEXT = (Path(policy.__file__).parent / "prompts" / "terms.md").read_text(encoding="utf-8")
TERMS = {line.removeprefix("## ") for line in TEXT.splitlines() if line.startswith("## ")}
TICKET = Ticket(
    id="T-1", sender="anna@post.example", received=datetime(2026, 11, 20, 9, tzinfo=UTC), text="..."
)


def lamp(*, delivered_ago: int, gift: bool = False) -> Order:
    delivered = TODAY - timedelta(days=delivered_ago)
    shipped = delivered - timedelta(days=2)
    return Order.model_validate(
        {
            "number": "SD-1001",
            "email": TICKET.sender,
            "name": "Anna",
            "placed": shipped,
            "address": {"street": "12 Mill Lane", "postcode": "2041", "city": "Hillport"},
            "lines": [{"sku": "LAMP-BLACK", "title": "Lamp", "quantity": 1, "price": "80"}],
            "paid": "80",
            "refunded": "0",
            "gift": gift,
            "shipment": {
                "carrier": "Gull Post",
                "tracking": "GU1",
                "state": "delivered",
                "shipped": shipped,
                "expected": delivered,
                "delivered": delivered,
            },
        }
    )


def test_the_rules_name_every_term_and_the_terms_name_every_number() -> None:
    source = Path(policy.__file__).read_text(encoding="utf-8")
    assert {term for term in TERMS if f'"{term}"' in source} == TERMS - {"gifts"}  # a gift only has more days
    words = " ".join(TEXT.split())
    assert f"within {policy.RETURN_DAYS} days of delivery" in words
    assert f"{policy.GIFT_DAYS} days instead of {policy.RETURN_DAYS}" in words
    assert f"more than {policy.LATE.days} days late" in words
    assert f"above {policy.LEADS_ABOVE} EUR" in words


@pytest.mark.parametrize("intent", ["refund", "return"])
@pytest.mark.parametrize(
    ("days", "gift", "granted"),
    [
        (0, False, True),
        (policy.RETURN_DAYS, False, True),
        (policy.RETURN_DAYS + 1, False, False),
        (policy.GIFT_DAYS, True, True),
        (policy.GIFT_DAYS + 1, True, False),
    ],
)
def test_the_last_day_counts_and_the_day_after_does_not(
    intent: str, days: int, gift: bool, granted: bool
) -> None:
    reading = Reading.model_validate({"intent": intent, "order_number": "SD-1001"})
    found = Details(items=(Item(sku="LAMP-BLACK", quantity=1),))
    ruling = policy.rule(TICKET, reading, lamp(delivered_ago=days, gift=gift), found, None)
    assert (ruling.decision.kind != "decline") == granted
    assert ruling.term in TERMS


@pytest.mark.parametrize(("amount", "asks"), [("50", False), ("50.01", True)])
def test_the_leads_are_asked_from_the_first_cent_above_the_limit(amount: str, asks: bool) -> None:
    (rule,) = [rule for rule in desk.rules if rule.tool is refund]
    assert rule.when is not None
    assert (rule.by, rule.when(number="SD-1001", amount=Decimal(amount))) == ("leads", asks)
