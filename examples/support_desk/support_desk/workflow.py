"""The support desk: one ticket in, at most one act in the shop, one mail out.

    triage (model)  ─┐
    second (code)   ─┴─ reading ─┬─ order ── details ─┬─ ruling ── action ── reply ── sent
                                 └─ evidence ─────────┘

Two readers that have nothing in common read the ticket, side by side. Where they agree, plain code finds
the details and rules on what may be done (`details`, `policy`), and only that is done. Where they do not,
or no rule fits, the run waits in the inbox with the reason: a person says what the customer wants (at
`reading`) or what to do (at `ruling`), and the run goes on from there, through the same tools, rules and
checks of the shop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from surefoot import (
    Budget,
    Denied,
    ModelError,
    NotDone,
    Retry,
    Review,
    Run,
    SurefootError,
    Workflow,
    accept,
    approve,
    step,
)
from surefoot.errors import TurnsExhausted

from . import details as mail_details
from . import letters, policy, second_reader
from .facts import Order, Product
from .letters import letter
from .outbox import open_outbox
from .schemas import (
    Answer,
    Cancel,
    Decline,
    Details,
    Doubt,
    Evidence,
    Exchange,
    Finding,
    HandOver,
    Outcome,
    Proposal,
    Readdress,
    Reading,
    Refund,
    Reply,
    Ruling,
    SecondReading,
    TakeBack,
    Ticket,
    Track,
    Triage,
    Wording,
)
from .shop import open_shop
from .tools import (
    cancel_order,
    change_address,
    exchange_item,
    find_order,
    list_products,
    orders_of_customer,
    refund,
    return_items,
    send_reply,
    track_shipment,
)

MOST_LETTERS = 3000
"""Of a customer's own words: what the smallest model reads at once. A longer mail is for a person."""


class ForAPerson(SurefootError):
    """The desk hands a ticket over; the step's `Review` puts it into the inbox."""

    code = "for_a_person"


class LetterUnfit(SurefootError):
    """A model's letter says what the facts do not bear out; the step's fallback writes it."""

    code = "letter_unfit"


# ── what is it about? ────────────────────────────────────────────────────────────────────────────


@step(timeout=180, fallback=Review("desk"))
async def triage(ticket: Ticket, run: Run) -> Triage:
    if len(second_reader.own_words(ticket.text)) > MOST_LETTERS:
        raise ForAPerson(f"The mail is longer than {MOST_LETTERS} letters: too long to be read at once.")
    # The model gets the words of the mail only: who wrote it is not its business.
    return await run.ask(Triage, "prompts/triage.md", _words(ticket), max_tokens=120)


@step
def second(ticket: Ticket) -> SecondReading:
    return second_reader.read(ticket)


@step(fallback=Review("desk"))
def reading(triage: Triage, second: SecondReading) -> Reading:
    match policy.agreed(triage, second):
        case Doubt(reason=reason):
            raise ForAPerson(
                reason, remedy='Say what the customer wants: {"intent": ..., "order_number": ...}.'
            )
        case Reading() as agreed:
            return agreed


# ── what does the shop know? ─────────────────────────────────────────────────────────────────────


@step(retry=Retry(attempts=3))
async def order(reading: Reading, run: Run) -> Order | None:
    if reading.order_number is None:
        return None
    return await run.call(find_order, number=reading.order_number)


@step(timeout=180, fallback=Review("desk"))
async def evidence(ticket: Ticket, reading: Reading, run: Run) -> Evidence | None:
    """No number in the mail: what the sender has ordered. Which parcel they ask about, the model may find."""
    if reading.order_number is not None or reading.intent == "other":
        return None
    orders = await run.call(orders_of_customer, email=ticket.sender)
    if reading.intent != "track" or not orders:
        return Evidence(orders=orders)
    own = [{"number": one.number, "placed": one.placed, "items": one.items} for one in orders[:5]]
    mail, prompt = {**_words(ticket), "orders": own}, "prompts/investigate.md"
    try:
        finding = await run.ask(Finding, prompt, mail, tools=[track_shipment], max_turns=2, max_tokens=120)
    except TurnsExhausted:  # a small model looks at the same parcel for ever; without the tool it answers
        finding = await run.ask(Finding, prompt, mail, max_tokens=120)
    return Evidence(orders=orders, finding=finding)


@step(timeout=180, fallback=Review("desk"))
async def details(ticket: Ticket, reading: Reading, order: Order | None, run: Run) -> Details | None:
    """Which pieces, which variant, which address: found by plain code, or left to a person. For that person a
    model may propose how to read it."""
    if order is None or order.email != ticket.sender or reading.intent in ("track", "other"):
        return None
    products = await run.call(list_products)
    mail = f"{ticket.subject}\n\n{second_reader.own_words(ticket.text)}"
    found = mail_details.find(reading.intent, mail, order, products)
    ruled = policy.rule(ticket, reading, order, found, None)
    if not found.which or not isinstance(ruled.decision, HandOver):
        return found
    known = {**_words(ticket), "order": _lines(order), "catalogue": _others(order, products)}
    try:
        proposal = await run.ask(Proposal, "prompts/details.md", known, repairs=0, max_tokens=200)
    except ModelError:
        return found  # it is for a person anyway, who then has no proposal
    borne_out = mail_details.borne_out(proposal, mail, order, products)
    proposed = policy.rule(ticket, reading, order, borne_out, None)
    if isinstance(proposed.decision, HandOver | Decline):
        return found
    return found.model_copy(update={"proposed": proposed.model_dump_json()})


# ── what may be done, and doing it ───────────────────────────────────────────────────────────────


@step(fallback=Review("desk"))
def ruling(
    ticket: Ticket, reading: Reading, order: Order | None, details: Details | None, evidence: Evidence | None
) -> Ruling:
    """Plain code rules on what may be done."""
    ruled = policy.rule(ticket, reading, order, details, evidence)
    if isinstance(ruled.decision, HandOver):
        proposed = details.proposed if details else ""
        how = f"A model proposes: {proposed}" if proposed else '{"decision": {"kind": ...}, "reason": ...}.'
        raise ForAPerson(ruled.reason, remedy=f"Rule on it. {how}")
    return ruled


@step
async def action(ruling: Ruling, run: Run) -> Outcome:
    """Does what was ruled, and no more. A refund above the limit waits here for the leads, a day at most."""
    match ruling.decision:
        case Track(number=number):
            tracked = await run.call(track_shipment, number=number)
            return Outcome.informed(number, tracked.parcel if tracked else None)
        case Decline():
            return Outcome.declined(ruling.reason)
        case HandOver():
            return Outcome.handed_over(ruling.reason)
        case Refund() | Cancel() | Readdress() | TakeBack() | Exchange() as decision:
            try:
                return await _done(decision, run)
            except Denied as no:
                return Outcome.refused(decision.number, no.reason)
            except NotDone as no:
                if no.transient:
                    raise  # the shop is only busy: asked again
                return Outcome.refused(decision.number, no.why)  # the facts have changed since we looked


async def _done(decision: Refund | Cancel | Readdress | TakeBack | Exchange, run: Run) -> Outcome:
    match decision:
        case Refund(number=number, amount=amount):
            return Outcome.refunded(await run.call(refund, number=number, amount=amount))
        case Cancel(number=number):
            return Outcome.cancelled(await run.call(cancel_order, number=number))
        case Readdress(number=number, address=address):
            return Outcome.readdressed(await run.call(change_address, number=number, address=address))
        case TakeBack(number=number, items=items):
            return Outcome.expected_back(await run.call(return_items, number=number, items=items))
        case Exchange(number=number, item=item, wanted=wanted):
            registered = await run.call(exchange_item, number=number, item=item, wanted=wanted)
            return Outcome.expected_back(registered)


# ── telling the customer ─────────────────────────────────────────────────────────────────────────


@step(timeout=180, fallback=letter)
async def reply(ticket: Ticket, ruling: Ruling, action: Outcome, run: Run) -> Reply:
    """The template in the model's words, if they say the same; else the template."""
    draft = letter(ticket, ruling, action)
    if action.kind not in letters.GOOD_NEWS:
        return draft  # a no, and what the customer has to do, is told in the shop's own words
    # The customer's mail stays out of it: nothing in it can talk its way into the answer.
    wording = await run.ask(Wording, "prompts/reply.md", {"letter": draft.text}, repairs=0, max_tokens=220)
    if faults := letters.faults(wording.text, draft.text, action):
        raise LetterUnfit("the model's letter says something else", why="; ".join(faults)[:400])
    return draft.model_copy(update={"text": wording.text})


@step
async def sent(ticket: Ticket, reply: Reply, action: Outcome, run: Run) -> Answer:
    mail = await run.call(send_reply, to=ticket.sender, subject=reply.subject, body=reply.text)
    return Answer(outcome=action, reply=reply, sent=mail)


# ── what a model is told ─────────────────────────────────────────────────────────────────────────


def _words(ticket: Ticket) -> dict[str, Any]:
    """The mail without what was quoted in it."""
    own = second_reader.own_words(ticket.text).strip()
    return {"subject": ticket.subject, "mail": own[:MOST_LETTERS]}


def _lines(order: Order) -> list[dict[str, Any]]:
    return [{"sku": line.sku, "title": line.title, "quantity": line.quantity} for line in order.lines]


def _others(order: Order, products: Sequence[Product]) -> list[dict[str, Any]]:
    """The variants of what was ordered."""
    own = {line.sku for line in order.lines}
    found = [one for one in products if own & {variant.sku for variant in one.variants}]
    return [v.model_dump(include={"sku", "colour", "size"}) for one in found for v in one.variants]


# ── all of it together ───────────────────────────────────────────────────────────────────────────

desk = Workflow(
    "support-desk",
    version="2",
    input=Ticket,
    steps=[triage, second, reading, order, evidence, details, ruling, action, reply, sent],
    tools=[
        *(find_order, orders_of_customer, list_products, track_shipment),
        *(cancel_order, change_address, return_items, exchange_item, refund, send_reply),
    ],
    grants=["orders:read", "orders:write", "returns:write", "refunds:write", "mail:send"],
    rules=[
        approve(
            refund,
            when=lambda number, amount: amount > policy.LEADS_ABOVE,
            by="leads",
            within=timedelta(days=1),
            reason="refunds above 50 EUR are for the leads to decide",
        ),
        # A letter is written after the carrier was asked, and tells its tracking number; `letters` lets no
        # other word of the carrier's through, and the subject is the customer's own.
        accept(send_reply, "subject", "body"),
    ],
    budget=Budget(usd="0.20", tokens=40_000, tool_calls=12, seconds=300),
    resources=[open_shop, open_outbox],
    secrets=["SUPPORT_DESK_SMTP_PASSWORD"],
    models=["embedded:smollm2+support_desk/adapter"],
)
