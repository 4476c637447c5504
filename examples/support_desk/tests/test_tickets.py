"""Every ticket, from the mail to the shop's books: it ends as `tickets/expected.yaml` says, the shop changes
as that says, and nothing else changes. The model is a script: what is tested is the desk, not how well
anybody reads.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from support_desk import Ticket, desk, second_reader, seed, tickets
from support_desk.schemas import SecondReading
from surefoot import Result
from surefoot.testing import Say, ScriptedModel

TICKETS = dict(tickets())
FILE = Path(seed.__file__).parent / "tickets" / "expected.yaml"
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
TABLES = "customers products variants orders lines payments shipments returns refunds outbox".split()


def labelled(name: str) -> tuple[str, list[str]]:
    intent, *numbers = EXPECTED[name]["reads"].split()
    return intent, numbers


def worked(name: str) -> Result:
    intent, numbers = labelled(name)
    found = {"order_number": EXPECTED[name].get("finds", ""), "note": "looked at the sender's orders"}
    script = {
        "triage": [Say({"intent": intent, "order_number": numbers[0] if numbers else ""})],
        "evidence": [Say(found)],
    }
    return desk.run_sync(TICKETS[name], store="memory:", models=[ScriptedModel(script)])


def books(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        return {table: set(db.execute(f"SELECT * FROM {table}")) for table in TABLES}  # noqa: S608  our own names


def changes(before: dict[str, set[tuple[Any, ...]]], after: dict[str, set[tuple[Any, ...]]]) -> list[str]:
    """What is different in the shop, in the words of expected.yaml; what has no words there, as it is."""
    gone = {table: before[table] - after[table] for table in TABLES}
    come = {table: after[table] - before[table] for table in TABLES}
    told: list[str] = []
    paid = {number: cents for _, _, number, cents, _ in come.pop("refunds")}
    for row in sorted(come.pop("orders")):
        number, cancelled = row[0], row[-1]
        was = next(old for old in gone["orders"] if old[0] == number)
        gone["orders"].remove(was)
        if cancelled != was[-1]:
            told.append(f"cancel {number} {paid.pop(number) / 100:.2f}")
        if row[3:6] != was[3:6]:
            told.append(f"address {number} {row[3]}, {row[4]} {row[5]}")
    told += [f"refund {number} {cents / 100:.2f}" for number, cents in paid.items()]
    for _, _, number, sku, quantity, wanted, _ in sorted(come.pop("returns")):
        told.append(
            f"return {number} {quantity} {sku}"
            if wanted is None
            else f"exchange {number} {quantity} {sku} for {wanted}"
        )
        for shelf in [row for row in come["variants"] if row[0] == wanted]:
            come["variants"].remove(shelf)
            gone["variants"].remove((*shelf[:-1], shelf[-1] + quantity))  # one less of it on the shelf
    told += [f"mail {recipient}" for _, _, recipient, _, _, _, _ in come.pop("outbox")]
    return told + [str(row) for rows in (*gone.values(), *come.values()) for row in rows]


def new_books(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    seed.create(path)
    return books(path)


def outcome(result: Result) -> str:
    if result.status == "succeeded":
        return str(result.output.outcome.kind)
    (item,) = result.waiting_for
    return "leads" if item.by == "leads" and item.tool == "refund" else "person"


def test_every_ticket_has_its_expectation() -> None:
    assert list(EXPECTED) == list(TICKETS)
    assert len(TICKETS) >= 60


@pytest.mark.parametrize("name", TICKETS)
def test_a_ticket_that_is_read_right_ends_as_it_should_and_nothing_else_changes(
    name: str, shop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent, numbers = labelled(name)
    second = SecondReading.model_validate({"intent": intent, "numbers": numbers})
    monkeypatch.setattr(second_reader, "read", lambda ticket: second)
    before = new_books(shop_file)
    result = worked(name)
    expected = EXPECTED[name]
    answered = expected["ends"] not in ("person", "leads")
    reason = result.output.outcome.reason if answered else result.waiting_for[0].reason
    assert (outcome(result), expected.get("because", "") in reason) == (expected["ends"], True), reason
    mail = [f"mail {TICKETS[name].sender}"] if answered else []
    assert sorted(changes(before, books(shop_file))) == sorted([*expected.get("world", []), *mail])


@pytest.mark.parametrize("name", TICKETS)
def test_with_the_second_reader_as_it_is_a_ticket_ends_so_or_waits_for_a_person(
    name: str, shop_file: Path
) -> None:
    before = new_books(shop_file)
    result = worked(name)
    if outcome(result) == "person":
        assert changes(before, books(shop_file)) == []
    else:
        assert outcome(result) == EXPECTED[name]["ends"]


def test_a_form_begins_with_a_refund_for_the_leads_and_shows_an_answer_and_a_doubt(shop_file: Path) -> None:
    examples = [Ticket.model_validate(one) for one in Ticket.model_json_schema()["examples"]]
    names = [next(name for name, ticket in TICKETS.items() if ticket == one) for one in examples]
    results = [worked(name) for name in names]
    assert [outcome(one) for one in results] == ["leads", "informed", "person"]
    assert results[0].waiting_for[0].args == {"number": "SD-1163", "amount": "80.00"}


def test_a_mail_of_html_only_is_read_as_its_visible_text() -> None:
    (ticket,) = [ticket for name, ticket in TICKETS.items() if name.endswith("html-with-hidden-text")]
    assert ticket.text.split("\n")[0] == "Hi, when will the mugs of SD-1187 arrive?"
    assert "500 EUR" not in ticket.text
