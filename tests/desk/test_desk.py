"""The whole desk, from a ticket to the shop's books: what a model says, what people decide, what is true."""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from support_desk import desk, second_reader, tickets
from support_desk.schemas import SecondReading, Ticket
from support_desk.shop import shop_at
from surefoot import Approve, Deny, Edit, Result, Runtime, Settle
from surefoot.testing import Fail, Say, ScriptedModel, Turn, UseTools

pytestmark = pytest.mark.anyio
TICKETS = {name[:2]: ticket for name, ticket in tickets()}
LIMIT = 50
FALSE_LETTER = Say({"text": "We will send you a voucher for 100.00 EUR."})


def model(
    intent: str, number: str, *, reply: Turn = FALSE_LETTER, evidence: Sequence[Turn] = ()
) -> ScriptedModel:
    triage = Say({"intent": intent, "order_number": number})
    return ScriptedModel({"triage": [triage], "reply": [reply], "evidence": evidence})


@asynccontextmanager
async def opened(scripted: ScriptedModel) -> AsyncGenerator[Runtime]:
    async with Runtime(
        desk, "memory:", models=[scripted], people={"leads": ["kim"], "desk": ["lee"]}
    ) as runtime:
        yield runtime


async def worked(runtime: Runtime, ticket: Ticket, **options: Any) -> Result:
    started = await runtime.start(ticket, **options)
    return await runtime.result(started.id)


def refunds(shop_file: Path) -> list[tuple[str, Decimal]]:
    with closing(sqlite3.connect(shop_file)) as db:
        found = db.execute("SELECT number, cents FROM refunds WHERE key NOT LIKE '%:SD-%' ORDER BY rowid")
        return [(number, Decimal(cents) / 100) for number, cents in found]


def cancelled(shop_file: Path) -> list[str]:
    with closing(sqlite3.connect(shop_file)) as db:
        return [
            row[0]
            for row in db.execute(
                "SELECT number FROM orders WHERE cancelled IS NOT NULL AND number <> 'SD-1191'"
            )
        ]


def outbox(shop_file: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(shop_file)) as db:
        return db.execute("SELECT recipient, body FROM outbox ORDER BY id").fetchall()


def orders(shop_file: Path) -> dict[str, list[Any]]:
    """All that the books say of each order."""
    found: dict[str, list[Any]] = {}
    with closing(sqlite3.connect(shop_file)) as db:
        for table in ("orders", "lines", "payments", "shipments", "returns", "refunds"):
            cursor = db.execute(f"SELECT number, * FROM {table} ORDER BY rowid")
            for number, *row in cursor:
                found.setdefault(number, []).append((table, row))
    return found


def nothing_done(shop_file: Path) -> bool:
    return not (refunds(shop_file) or cancelled(shop_file) or outbox(shop_file))


@pytest.fixture
def second_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the second reader say this; how well it reads is tested elsewhere."""

    def script(intent: str | None, *numbers: str, doubt: str = "") -> None:
        said = SecondReading.model_validate({"intent": intent, "numbers": numbers, "doubt": doubt})
        monkeypatch.setattr(second_reader, "read", lambda ticket: said)

    return script


# ── what a model says ──


@pytest.mark.parametrize("ticket", ["09", "10"])
@pytest.mark.parametrize("intent", ["refund", "cancel", "track", "return", "other"])
async def test_a_ticket_that_gives_reason_to_doubt_waits_for_a_person_whatever_the_model_reads(
    shop_file: Path, ticket: str, intent: str, second_reads: Callable[..., None]
) -> None:
    second_reads(None, "SD-1175", doubt="two wishes in one mail")
    async with opened(model(intent, "SD-1175")) as runtime:
        result = await worked(runtime, TICKETS[ticket])
    assert result.status == "waiting"
    (item,) = result.waiting_for
    assert (item.kind, item.by) == ("review", "desk")
    assert "two wishes in one mail" in item.reason
    assert nothing_done(shop_file)


INTENTS = ("refund", "cancel", "track", "address", "return", "exchange", "other")
LIES = [
    *((intent, "SD-1163") for intent in INTENTS),
    ("cancel", "SD-1196"),
    ("address", "SD-1196"),
    ("track", ""),
]


@pytest.mark.parametrize(("intent", "number"), LIES)
async def test_whatever_a_model_reads_nobody_gets_more_than_the_terms_give_them(
    shop_file: Path, intent: str, number: str
) -> None:
    """All tickets against one lying model; an order may change where the second reader says so too, and it is
    the sender's."""
    may: set[str] = set()
    async with shop_at(shop_file) as shop:
        for ticket in TICKETS.values():
            second = second_reader.read(ticket)
            order = await shop.order(number) if number else None
            if (
                (second.intent, second.numbers) == (intent, (number,))
                and order
                and order.email == ticket.sender
            ):
                may.add(number)
    before = orders(shop_file)
    everything = {"order_number": number, "note": "Refund everything."}
    proposal = {"items": [{"sku": "LAMP-BLACK", "quantity": 1}], "wanted_sku": "LAMP-WHITE"}
    script = ScriptedModel(
        {
            "triage": [Say({"intent": intent, "order_number": number})],
            "evidence": [Say(everything)],
            "details": [Say({**proposal, "street": "", "postcode": "", "city": ""})],
        }
    )
    async with opened(script) as runtime:
        runs = [await runtime.start(ticket) for ticket in TICKETS.values()]
        results = [await runtime.result(run.id) for run in runs]
    assert {result.status for result in results} <= {"succeeded", "waiting"}
    after = orders(shop_file)
    assert {one for one in after if after[one] != before[one]} <= may
    assert all(amount <= LIMIT for _, amount in refunds(shop_file))
    answered = [to for to, _ in outbox(shop_file)]
    assert len(answered) == sum(result.status == "succeeded" for result in results)
    assert set(answered) <= {ticket.sender for ticket in TICKETS.values()}


# ── people ──


async def test_a_refund_above_the_limit_waits_for_the_leads_and_is_made_once_when_they_agree(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("refund", "SD-1163")
    async with opened(model("refund", "SD-1163")) as runtime:
        result = await worked(runtime, TICKETS["01"], key="T-01")
        (item,) = result.waiting_for
        assert (item.kind, item.by, item.tool) == ("approval", "leads", "refund")
        assert item.args == {"number": "SD-1163", "amount": "80.00"}
        assert nothing_done(shop_file)
        await runtime.decide(item.item, Approve(by="kim"))
        result = await runtime.result(result.run)
        assert result.output.outcome.kind == "refunded"
        assert (await worked(runtime, TICKETS["01"], key="T-01")).run == result.run
    assert refunds(shop_file) == [("SD-1163", Decimal("80.00"))]
    assert len(outbox(shop_file)) == 1
    assert "80.00 EUR" in outbox(shop_file)[0][1]


async def test_a_refund_that_the_leads_deny_is_not_made_and_the_letter_does_not_say_it_was(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("refund", "SD-1163")
    async with opened(model("refund", "SD-1163")) as runtime:
        result = await worked(runtime, TICKETS["01"])
        await runtime.decide(result.waiting_for[0].item, Deny(by="kim", reason="call them first"))
        result = await runtime.result(result.run)
    assert (result.output.outcome.kind, result.output.outcome.reason) == ("refused", "call them first")
    assert refunds(shop_file) == []
    ((_, body),) = outbox(shop_file)
    assert "returned" not in body
    assert "call them first" not in body


async def test_a_refund_that_the_leads_edit_is_made_as_edited(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("refund", "SD-1163")
    async with opened(model("refund", "SD-1163")) as runtime:
        result = await worked(runtime, TICKETS["01"])
        edit = Edit({"number": "SD-1163", "amount": "40.00"}, by="kim", reason="half of it")
        await runtime.decide(result.waiting_for[0].item, edit)
        result = await runtime.result(result.run)
    assert result.output.outcome.amount == 40
    assert refunds(shop_file) == [("SD-1163", Decimal(40))]


async def test_what_the_shop_refuses_at_the_last_moment_is_told_as_refused(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    """While the refund waited for the leads, somebody else returned the money."""
    second_reads("refund", "SD-1163")
    async with opened(model("refund", "SD-1163")) as runtime:
        result = await worked(runtime, TICKETS["01"])
        async with shop_at(shop_file) as shop:
            await shop.refund("SD-1163", Decimal(80), idempotency_key="at the counter")
        await runtime.decide(result.waiting_for[0].item, Approve(by="kim"))
        result = await runtime.result(result.run)
    assert result.status == "succeeded"
    assert result.output.outcome.kind == "refused"
    assert refunds(shop_file) == [("SD-1163", Decimal(80))]


async def test_a_person_says_what_the_customer_wants_and_the_policy_still_rules(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    """The mail of 07 is read as a question by the model; the order is not the sender's."""
    second_reads("refund", "SD-1168")
    async with opened(model("track", "SD-1168")) as runtime:
        result = await worked(runtime, TICKETS["07"])
        said = {"intent": "refund", "order_number": "SD-1168"}
        await runtime.decide(result.waiting_for[0].item, Settle(said, by="lee"))
        result = await runtime.result(result.run)
    assert result.output.outcome.kind == "declined"
    assert refunds(shop_file) == []
    ((_, body),) = outbox(shop_file)
    assert "found no order SD-1168 under the address you wrote from" in body


async def test_a_person_who_rules_goes_through_the_same_approval(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("other", "SD-1163")
    ticket = TICKETS["09"].model_copy(update={"text": "I need an invoice for SD-1163.", "subject": ""})
    async with opened(model("other", "SD-1163")) as runtime:
        result = await worked(runtime, ticket.model_copy(update={"sender": "anna.berg@post.example"}))
        (item,) = result.waiting_for
        ruled = {"decision": {"kind": "refund", "number": "SD-1163", "amount": "80"}, "reason": "Goodwill."}
        await runtime.decide(item.item, Settle(ruled, by="lee"))
        result = await runtime.result(result.run)
        assert [(one.kind, one.tool) for one in result.waiting_for] == [("approval", "refund")]
    assert nothing_done(shop_file)


# ── letters and evidence ──


async def test_a_letter_of_the_model_goes_out_when_all_of_it_is_true(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("refund", "SD-1171")
    text = "Hello, we have refunded 20.00 EUR for your order SD-1171.\n\nHarbour Goods"
    letter = Say({"text": text})
    async with opened(model("refund", "SD-1171", reply=letter)) as runtime:
        result = await worked(runtime, TICKETS["02"])
    assert not result.degraded
    assert outbox(shop_file) == [("tom.okafor@post.example", text)]


@pytest.mark.parametrize(
    "reply",
    [
        FALSE_LETTER,
        Say({"text": "We have refunded 200.00 EUR for order SD-1171."}),
        Say({"text": "We have refunded 20.00 EUR for SD-1171, see www.prize.com"}),
        Say({"text": ""}),
        Say("no JSON at all"),
        Say({"text": "cut"}, finish="length"),
        Fail("refused"),
    ],
)
async def test_any_other_letter_is_replaced_by_the_template(
    shop_file: Path, reply: Turn, second_reads: Callable[..., None]
) -> None:
    second_reads("refund", "SD-1171")
    async with opened(model("refund", "SD-1171", reply=reply)) as runtime:
        result = await worked(runtime, TICKETS["02"])
    assert result.status == "succeeded"
    assert result.degraded
    ((_, body),) = outbox(shop_file)
    assert "we have returned 20.00 EUR for order SD-1171" in body


async def test_a_question_without_a_number_is_answered_where_the_finding_is_the_only_parcel(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("track")
    looks = [
        UseTools([("track_shipment", {"number": "SD-1189"})]),
        Say({"order_number": "SD-1189", "note": "The coat hooks are under way."}),
    ]
    async with opened(model("track", "", evidence=looks)) as runtime:
        result = await worked(runtime, TICKETS["06"])
    assert result.output.outcome.kind == "informed"
    assert result.output.outcome.number == "SD-1189"


async def test_a_model_that_looks_around_cannot_act(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("track")
    looks = [
        UseTools([("orders_of_customer", {"email": "anna.berg@post.example"})]),
        UseTools([("refund", {"number": "SD-1189", "amount": "37.50"})]),
        UseTools([("send_reply", {"to": "eve@mail.example", "subject": "x", "body": "y"})]),
        UseTools([("cancel_order", {"number": "SD-1196"})]),
        Say({"order_number": "SD-1196", "note": ""}),
    ]
    async with opened(model("track", "", evidence=looks)) as runtime:
        result = await worked(runtime, TICKETS["06"])
    assert result.status == "waiting"
    assert nothing_done(shop_file)


async def test_a_model_that_fails_leaves_the_ticket_to_a_person(shop_file: Path) -> None:
    async with opened(ScriptedModel({"triage": [Fail("refused")]})) as runtime:
        result = await worked(runtime, TICKETS["02"])
    assert [item.kind for item in result.waiting_for] == ["review"]
    assert nothing_done(shop_file)


async def test_a_mail_that_is_too_long_to_be_read_at_once_is_read_by_a_person(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("refund", "SD-1171")
    ticket = TICKETS["02"].model_copy(update={"text": "Please refund SD-1171. " + "I am so angry. " * 300})
    async with opened(ScriptedModel({})) as runtime:
        result = await worked(runtime, ticket)
        (item,) = result.waiting_for
        assert "too long" in item.reason
        said = Settle({"intent": "refund", "order_number": "SD-1171"}, by="lee")
        await runtime.decide(item.item, said)
        result = await runtime.result(result.run)
    assert result.output.outcome.kind == "refunded"
    assert refunds(shop_file) == [("SD-1171", Decimal(20))]


async def test_words_of_the_carrier_reach_no_letter(
    shop_file: Path, second_reads: Callable[..., None]
) -> None:
    second_reads("track", "SD-1186")
    (ticket,) = [ticket for name, ticket in tickets() if name.endswith("odd-note-of-the-carrier")]
    script = model(
        "track", "SD-1186", reply=Say({"text": "Left the depot. The recipient is owed 500.00 EUR."})
    )
    async with opened(script) as runtime:
        result = await worked(runtime, ticket)
    assert result.output.outcome.kind == "informed"
    ((_, body),) = outbox(shop_file)
    assert "depot" not in body
    assert "500" not in body
