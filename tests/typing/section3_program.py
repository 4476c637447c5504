# pyright: strict
"""The program that the design and the README show, completed just enough to stand alone. Both checkers pass
it at their strictest, and it can be built: see `test_checkers.py`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

from pydantic import BaseModel

from surefoot import (
    Approve,
    Budget,
    Call,
    CannotTell,
    Denied,
    Done,
    Effect,
    Result,
    Retry,
    Review,
    Run,
    Runtime,
    Undone,
    Use,
    Workflow,
    approve,
    forbid,
    step,
    tool,
)

# ── schemas ──────────────────────────────────────────────────────────────────────────────────────


class Ticket(BaseModel):
    sender: str
    text: str


class Triage(BaseModel):
    intent: str
    order_number: str | None = None


class Order(BaseModel):
    number: str
    total: Decimal


class Evidence(BaseModel):
    orders: list[Order]


class Refund(BaseModel):
    number: str
    amount: Decimal


class Nothing(BaseModel):
    why: str


class Ruling(BaseModel):
    decision: Refund | Nothing


class Receipt(BaseModel):
    text: str


class Outcome(BaseModel):
    text: str

    @classmethod
    def refused(cls, reason: str) -> Outcome:
        return cls(text=reason)

    @classmethod
    def done(cls, receipt: Receipt) -> Outcome:
        return cls(text=receipt.text)


class Reply(BaseModel):
    text: str


class Answer(BaseModel):
    sent: bool
    text: str


# ── the shop, as a resource, and its tools ───────────────────────────────────────────────────────


class Shop:
    async def order(self, number: str) -> Order:
        return Order(number=number, total=Decimal(80))

    async def orders_of(self, customer: str) -> list[Order]:
        return [await self.order(customer)]

    async def refund(self, number: str, amount: Decimal, idempotency_key: str) -> Receipt:
        return Receipt(text=f"{amount} for {number} ({idempotency_key})")

    async def send(self, to: str, text: str) -> None: ...


@asynccontextmanager
async def open_shop() -> AsyncGenerator[Shop, None]:
    yield Shop()


@tool(effect=Effect.READ, permission="orders:read", timeout=5)
async def find_order(call: Call, number: str) -> Order:
    """Look up one order by its number."""
    return await call.use(Shop).order(number)


@tool(effect=Effect.READ, permission="orders:read", timeout=5)
async def orders_of_customer(call: Call, customer: str) -> list[Order]:
    """All orders of a customer."""
    return await call.use(Shop).orders_of(customer)


@tool(effect=Effect.READ)
def opening_hours(day: str = "today") -> str:
    """A tool that needs nothing from outside."""
    return "9 to 5"


@tool(effect=Effect.KEYED, permission="refunds:write", timeout=10)
async def refund(call: Call, number: str, amount: Decimal) -> Receipt:
    """Return money to the card that paid for an order."""
    return await call.use(Shop).refund(number, amount, idempotency_key=call.key)


async def was_it_sent(call: Call) -> Done[bool] | Undone | CannotTell:
    return CannotTell()


@tool(effect=Effect.ONCE, permission="mail:send", reconcile=was_it_sent)
async def send_reply(call: Call, to: str, text: str) -> bool:
    """Send a letter to the customer."""
    await call.use(Shop).send(to, text)
    return True


# ── the steps ────────────────────────────────────────────────────────────────────────────────────


def rule(ticket: Ticket, triage: Triage, order: Order | None, evidence: Evidence | None) -> Ruling:
    if order is None:
        return Ruling(decision=Nothing(why=triage.intent))
    return Ruling(decision=Refund(number=order.number, amount=order.total))


def letter(ticket: Ticket, action: Outcome) -> Reply:
    return Reply(text=f"Dear {ticket.sender}, {action.text}")


@step(timeout=30, fallback=Review("desk"))
async def triage(ticket: Ticket, run: Run) -> Triage:
    return await run.ask(Triage, "Read the ticket.", {"ticket": ticket})


@step(retry=Retry(attempts=3))
async def order(triage: Triage, run: Run) -> Order | None:
    if triage.order_number is None:
        return None
    return await run.call(find_order, number=triage.order_number)


@step(fallback=Review("desk"))
async def evidence(ticket: Ticket, triage: Triage, order: Order | None, run: Run) -> Evidence | None:
    if order is not None:
        return None
    return await run.ask(
        Evidence,
        "Find the order that is meant.",
        {"ticket": ticket, "triage": triage},
        tools=[orders_of_customer, opening_hours],
        max_turns=4,
    )


@step
def ruling(ticket: Ticket, triage: Triage, order: Order | None, evidence: Evidence | None) -> Ruling:
    return rule(ticket, triage, order, evidence)


@step
async def action(ruling: Ruling, run: Run) -> Outcome:
    match ruling.decision:
        case Refund(number=number, amount=amount):
            try:
                receipt = await run.call(refund, number=number, amount=amount)
            except Denied as no:
                return Outcome.refused(no.reason)
            return Outcome.done(receipt)
        case Nothing(why=why):
            await run.sleep(timedelta(minutes=5))
            return Outcome.refused(why)


@step(fallback=letter)
async def reply(ticket: Ticket, ruling: Ruling, action: Outcome, run: Run) -> Reply:
    return await run.ask(Reply, "Write the letter.", {"ticket": ticket, "ruling": ruling, "action": action})


@step(fallback=Use(Answer(sent=False, text="")))
async def sent(ticket: Ticket, reply: Reply, action: Outcome, run: Run) -> Answer:
    sent = await run.call(send_reply, ticket.sender, reply.text)
    return Answer(sent=sent, text=f"{run.now():%H:%M} {run.uuid()}")


desk = Workflow(
    "support-desk",
    version="1",
    input=Ticket,
    steps=[triage, order, evidence, ruling, action, reply, sent],
    tools=[find_order, orders_of_customer, opening_hours, refund, send_reply],
    grants=["orders:read", "refunds:write", "mail:send"],
    rules=[
        approve(refund, when=lambda number, amount: amount > 50, by="leads", within=timedelta(days=1)),
        forbid(send_reply, when=lambda to, text: "@" not in to),
    ],
    budget=Budget(usd="0.20", tokens=40_000, tool_calls=12, seconds=300),
    resources=[open_shop],
    models=["openai:some-model", "anthropic:another-model"],
)


async def main() -> str:
    """A step is still its function; a runtime drives the workflow in this process."""
    alone: Ruling = ruling(Ticket(sender="kim", text=""), Triage(intent="refund"), None, None)
    async with Runtime(desk, store="memory:", concurrency=100) as runtime:
        run = await runtime.start(Ticket(sender="kim", text="Where is it?"), key="order-17")
        result: Result = await runtime.result(run.id)
        for item in result.waiting_for:
            await runtime.decide(item.item, Approve(by="kim"))
    return f"{alone} {result.status}"


def script() -> Result:
    return desk.run_sync(Ticket(sender="kim", text="Where is it?"))
