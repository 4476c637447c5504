# pyright: strict
"""Mistakes that an author may make; both checkers find each at the line that is marked. It is never run."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel

from surefoot import (
    Approve,
    Budget,
    Call,
    CannotTell,
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


class Ticket(BaseModel):
    text: str


class Order(BaseModel):
    number: str


class Receipt(BaseModel):
    text: str


@tool(effect=Effect.READ)
async def find_order(call: Call, number: str) -> Order:
    return Order(number=number)


@tool(effect=Effect.KEYED)
async def refund(call: Call, number: str, amount: Decimal) -> Receipt:
    return Receipt(text=number)


@tool(effect=Effect.READ)
def weather(city: str, *, days: int = 1) -> str:
    return city


@tool(effect=Effect.READ)
def route(start: str, end: str = "home") -> str:
    return start


# ── run.call: the arguments, and what comes back ─────────────────────────────────────────────────


@step
async def calls(ticket: Ticket, run: Run) -> Order:
    await run.call(refund, number="17", amount=Decimal(5))
    await run.call(refund, "17", Decimal(5))
    await run.call(refund, number="17")  # E: mypy pyright
    await run.call(refund, number="17", amount="5")  # E: mypy pyright
    await run.call(refund, number=17, amount=Decimal(5))  # E: mypy pyright
    await run.call(refund, nmuber="17", amount=Decimal(5))  # E: mypy pyright
    await run.call(refund, "17", Decimal(5), "more")  # E: mypy pyright
    await run.call(refund, number="17", amount=Decimal(5), call=None)  # E: mypy pyright
    await run.call(weather, "Berlin", 3)  # E: mypy pyright
    await run.call(weather, city="Berlin", days="3")  # E: mypy pyright
    await run.call(ruling, number="17")  # E: mypy pyright
    await run.call("refund", number="17", amount=Decimal(5))  # E: mypy pyright
    receipt: Order = await run.call(refund, number="17", amount=Decimal(5))  # E: mypy pyright
    (await run.call(refund, number="17", amount=Decimal(5))).total.normalize()  # E: mypy pyright
    days: int = await run.call(weather, city="Berlin")  # E: mypy pyright
    (await run.call(weather, city="Berlin")).upper()
    print(receipt, days)
    return await run.call(find_order, number="17")


# ── run.ask: what it gives is of the type that was asked for ─────────────────────────────────────


@step
async def asks(ticket: Ticket, run: Run) -> Order:
    order = await run.ask(Order, "Find it.", {"ticket": ticket}, tools=[find_order, weather], max_turns=4)
    order.number.upper()
    order.text.upper()  # E: mypy pyright
    wrong: Receipt = await run.ask(Order, "Find it.")  # E: mypy pyright
    letter(await run.ask(Order, "Find it."))  # E: mypy pyright
    perhaps = await run.ask(Order | None, "Find it.")
    perhaps.number.upper()  # E: mypy pyright
    (await run.ask(list[Order], "Find them."))[0].number.upper()
    kind: int = await run.ask(Literal["refund", "other"], "Which?")  # E: mypy pyright
    await run.ask(Order, "Find it.", tools=[find_order.function, 5])  # E: mypy pyright
    await run.ask(Order, "Find it.", [ticket])  # E: mypy pyright
    await run.ask(Order)  # E: mypy pyright
    await run.ask(Order, "Find it.", max_turns="4")  # E: mypy pyright
    await run.ask(Order, "Find it.", temperature=0.5)  # E: mypy pyright
    print(wrong, kind)
    return await run.ask(Receipt, "Find it.")  # E: mypy pyright


@step
async def others(ticket: Ticket, run: Run) -> str:
    await run.sleep(timedelta(days=1))
    await run.sleep("a day")  # E: mypy pyright
    moment: str = run.now()  # E: mypy pyright
    name: str = run.uuid()  # E: mypy pyright
    run.cal(find_order, number="17")  # E: mypy pyright
    return moment + name


# ── rules: a predicate takes the tool's arguments and says True or False ─────────────────────────

approve(refund, when=lambda number, amount: amount > 50, by="leads", within=timedelta(days=1))
approve(refund, when=lambda number, amount: amount > "50")  # E: mypy pyright
approve(refund, when=lambda number, amount: amount.upper())  # E: mypy pyright
approve(refund, when=lambda number, amount: number)  # E: mypy pyright
approve(refund, when=lambda number: True)  # E: mypy pyright
approve(refund, when=lambda amount, number: amount > 50)  # E: mypy pyright
approve(route, when=lambda start, end="": end == "abroad")  # what the tool need not be given, nor need this
approve(find_order, when=lambda number, amount: True)  # E: mypy pyright
approve(find_order, when=lambda call, number: True)  # E: mypy pyright
approve(find_order, when=True)  # E: mypy pyright
approve(find_order, within=30)  # E: mypy pyright
approve(calls)  # E: mypy pyright
forbid(find_order, when=lambda number: number == "17")
forbid(find_order, when=lambda number: number + 1)  # E: mypy pyright
forbid(find_order, by="leads")  # E: mypy pyright


def large(number: str, amount: int) -> bool:
    return amount > 50


approve(refund, when=large)  # E: mypy pyright


# ── fallbacks: of the step's own type ────────────────────────────────────────────────────────────


def letter(ticket: Ticket) -> Receipt:
    return Receipt(text=ticket.text)


@step(fallback=letter)
async def fallen(ticket: Ticket, run: Run) -> Receipt:
    return Receipt(text="")


@step(fallback=Use(Receipt(text="")))
async def used(ticket: Ticket, run: Run) -> Receipt:
    return Receipt(text="")


@step(fallback=Use[Receipt | None](None))  # bare, it would be Use[None], and both checkers refuse it here
async def perhaps(ticket: Ticket, run: Run) -> Receipt | None:
    return None


@step(fallback=letter)  # E: mypy pyright
async def wrongly_fallen(ticket: Ticket, run: Run) -> Order:
    return Order(number="")


@step(fallback=Use("17"))  # E: mypy pyright
async def wrongly_used(ticket: Ticket, run: Run) -> Order:
    return Order(number="")


@step(fallback=Use(None))  # E: mypy pyright
def wrongly_nothing(ticket: Ticket) -> Order:
    return Order(number="")


@step(fallback="letter")  # E: mypy pyright
async def named(ticket: Ticket) -> Order:
    return Order(number="")


# ── declarations ─────────────────────────────────────────────────────────────────────────────────


@step(retry=Retry(attempts="3"))  # E: mypy pyright
async def retried(ticket: Ticket) -> None: ...


@step(timeout="30")  # E: mypy pyright
async def timed(ticket: Ticket) -> None: ...


@step(tiemout=30)  # E: mypy pyright
async def misspelled(ticket: Ticket) -> None: ...


@tool(effect="read")  # E: mypy pyright
async def by_name(number: str) -> None: ...


@tool()  # E: mypy pyright
async def without_effect(number: str) -> None: ...


@tool(effect=Effect.READ, isolation="thread")  # E: mypy pyright
def isolated(number: str) -> None: ...


async def settled(call: Call) -> Done[str] | Undone | CannotTell:
    return Done("17")


async def unsure(call: Call) -> bool:
    return False


@tool(effect=Effect.ONCE, reconcile=settled)
async def once(number: str) -> str:
    return number


@tool(effect=Effect.ONCE, reconcile=unsure)  # E: mypy pyright
async def wrongly_settled(number: str) -> str:
    return number


@tool(effect=Effect.READ)
async def resourceful(call: Call) -> int:
    return call.use(Decimal)  # E: mypy pyright


# ── steps are functions still ────────────────────────────────────────────────────────────────────


@step
def ruling(ticket: Ticket, order: Order | None) -> Receipt:
    return Receipt(text=ticket.text)


ruling(Ticket(text=""), None)
ruling(Ticket(text=""))  # E: mypy pyright
ruling(Ticket(text=""), "17")  # E: mypy pyright
ruling(order=None, tickte=Ticket(text=""))  # E: mypy pyright
# Not found by either: what a step gives when it is called by itself is Any, since one type stands for steps
# that must be awaited and for those that must not.
ruled: Order = ruling(Ticket(text=""), None)


async def alone(run: Run) -> str:
    found: Order = await calls(Ticket(text=""), run)
    await calls(run, Ticket(text=""))  # E: mypy pyright
    return f"{found}"


# ── the workflow and its runtime ─────────────────────────────────────────────────────────────────

desk = Workflow(
    "desk", input=Ticket, steps=[calls, asks], tools=[find_order, refund], budget=Budget(usd="0.20")
)
Workflow("desk", input=Ticket, steps=[calls], tools=[find_order.function])  # E: mypy pyright
Workflow("desk", input=Ticket, steps=[calls], rules=[find_order])  # E: mypy pyright
Workflow("desk", input=Ticket, steps=[calls], budget="0.20")  # E: mypy pyright
Workflow("desk", input=Ticket, steps=[calls], timeout=5)  # E: mypy pyright
Workflow("desk", steps=[calls])  # E: mypy pyright
Budget(usd=["0.20"])  # E: mypy pyright
Budget(dollars="0.20")  # E: mypy pyright
Review(5)  # E: mypy pyright


async def drive(runtime: Runtime) -> Result:
    run = await runtime.start(Ticket(text=""), key="order-17")
    result = await runtime.result(run.id)
    await runtime.decide(result.waiting_for[0].item, Approve(by="kim"))
    await runtime.decide(result.waiting_for[0].item, "approve")  # E: mypy pyright
    result.outptu.upper()  # E: mypy pyright
    return run  # E: mypy pyright
