"""The support desk: one ticket in, at most one act in the shop, one mail out.

    triage (model)  ─┐
    second (code)   ─┴─ reading ── order ── evidence ── ruling ── action ── reply ── sent

Two readers that have nothing in common read the ticket, side by side. Where they agree, plain code rules
on what may be done (`policy`), and only that is done. Where they do not, or no rule fits, the run waits in
the inbox with the reason: a person says what the customer wants (at `reading`) or what to do (at `ruling`),
and the run goes on from there, through the same tools, rules and checks of the shop.
"""

from __future__ import annotations

from datetime import timedelta

from surefoot import Budget, Denied, NotDone, Retry, Review, Run, SurefootError, Workflow, approve, step
from surefoot.errors import TurnsExhausted

from . import letters, policy, second_reader
from .letters import letter
from .schemas import (
    Answer,
    Cancel,
    Decline,
    Doubt,
    Evidence,
    Finding,
    HandOver,
    Order,
    Outcome,
    Reading,
    Refund,
    Reply,
    Ruling,
    SecondReading,
    Ticket,
    Track,
    Triage,
    Wording,
)
from .shop import open_shop
from .tools import cancel_order, find_order, orders_of_customer, refund, send_reply, track_shipment


class ForAPerson(SurefootError):
    """The desk hands a ticket over; the step's `Review` puts it into the inbox."""

    code = "for_a_person"


class LetterUnfit(SurefootError):
    """A model's letter says what the facts do not bear out; the step's fallback writes it."""

    code = "letter_unfit"


@step(timeout=180, fallback=Review("desk"))
async def triage(ticket: Ticket, run: Run) -> Triage:
    # The model gets the words of the mail only: who wrote it is not its business.
    mail = {"subject": ticket.subject, "mail": second_reader.own_words(ticket.text)}
    return await run.ask(Triage, "prompts/triage.md", mail, max_tokens=120)


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


@step(retry=Retry(attempts=3))
async def order(reading: Reading, run: Run) -> Order | None:
    if reading.order_number is None:
        return None
    return await run.call(find_order, number=reading.order_number)


@step(timeout=180, fallback=Review("desk"))
async def evidence(ticket: Ticket, reading: Reading, run: Run) -> Evidence | None:
    """Which order is meant, where none is named? The model looks, among the sender's own orders only."""
    if reading.order_number is not None or reading.intent != "track":
        return None
    orders = await run.call(orders_of_customer, email=ticket.sender)
    own = [{"number": one.number, "placed": one.placed, "items": one.items} for one in orders[:5]]
    mail = {"subject": ticket.subject, "mail": second_reader.own_words(ticket.text), "orders": own}
    prompt = "prompts/investigate.md"
    try:
        finding = await run.ask(Finding, prompt, mail, tools=[track_shipment], max_turns=2, max_tokens=120)
    except TurnsExhausted:  # a small model looks at the same parcel for ever; without the tool it answers
        finding = await run.ask(Finding, prompt, mail, max_tokens=120)
    return Evidence(finding=finding, orders=orders)


@step(fallback=Review("desk"))
def ruling(ticket: Ticket, reading: Reading, order: Order | None, evidence: Evidence | None) -> Ruling:
    """Plain code rules on what may be done."""
    ruled = policy.rule(ticket, reading, order, evidence)
    if isinstance(ruled.decision, HandOver):
        raise ForAPerson(ruled.reason, remedy='Rule on it: {"decision": {"kind": ...}, "reason": ...}.')
    return ruled


@step
async def action(ruling: Ruling, run: Run) -> Outcome:
    """Does what was ruled, and no more. A refund above the limit waits here for the leads, a day at most."""
    match ruling.decision:
        case Refund(number=number, amount=amount):
            try:
                return Outcome.refunded(await run.call(refund, number=number, amount=amount))
            except Denied as no:
                return Outcome.refused(number, no.reason)
            except NotDone as no:
                return _refused(number, no)
        case Cancel(number=number):
            try:
                return Outcome.cancelled(await run.call(cancel_order, number=number))
            except NotDone as no:
                return _refused(number, no)
        case Track(number=number):
            return Outcome.informed(number, await run.call(track_shipment, number=number))
        case Decline():
            return Outcome.declined(ruling.reason)
        case HandOver():
            return Outcome.handed_over(ruling.reason)


def _refused(number: str, no: NotDone) -> Outcome:
    """The shop's own no: the facts changed since we looked. A shop that is only busy is asked again."""
    if no.transient:
        raise no
    return Outcome.refused(number, no.why)


@step(timeout=180, fallback=letter)
async def reply(ticket: Ticket, ruling: Ruling, action: Outcome, run: Run) -> Reply:
    """The template in the model's words, if they say the same; else the template."""
    draft = letter(ticket, ruling, action)
    if action.kind not in letters.GOOD_NEWS:
        return draft  # a no is told in the shop's own words
    # The customer's mail stays out of it: nothing in it can talk its way into the answer.
    wording = await run.ask(Wording, "prompts/reply.md", {"letter": draft.text}, repairs=0, max_tokens=220)
    if faults := letters.faults(wording.text, draft.text, action):
        raise LetterUnfit("the model's letter says something else", why="; ".join(faults)[:400])
    return draft.model_copy(update={"text": wording.text})


@step
async def sent(ticket: Ticket, reply: Reply, action: Outcome, run: Run) -> Answer:
    mail = await run.call(send_reply, to=ticket.sender, subject=reply.subject, body=reply.text)
    return Answer(outcome=action, reply=reply, sent=mail)


desk = Workflow(
    "support-desk",
    version="1",
    input=Ticket,
    steps=[triage, second, reading, order, evidence, ruling, action, reply, sent],
    tools=[find_order, orders_of_customer, track_shipment, cancel_order, refund, send_reply],
    grants=["orders:read", "orders:write", "refunds:write", "mail:send"],
    rules=[
        approve(
            refund,
            when=lambda number, amount: amount > 50,
            by="leads",
            within=timedelta(days=1),
            reason="refunds above 50 EUR are for the leads to decide",
        )
    ],
    budget=Budget(usd="0.20", tokens=40_000, tool_calls=12, seconds=300),
    resources=[open_shop],
    models=["embedded:smollm2"],
)
