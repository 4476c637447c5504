"""A workflow that touches everything that a crash could break: an effect of each class, an ask with a tool
loop that costs money, branches side by side, sleeps, an approval that a person edits, a retry, a fallback,
private data.

Whatever it does it also tells the other side (`world`), so that a test can count.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel

from surefoot import (
    Budget,
    Call,
    Done,
    Effect,
    NotDone,
    Private,
    Retry,
    Run,
    Undone,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.core.jsons import loads
from surefoot.core.model import ModelRequest, Price
from surefoot.testing import Fail, Say, ScriptedModel, UseTools

from .world import World, here, open_world


class Order(BaseModel):
    number: str
    amount: int
    mail: Annotated[str, Private("email")]


class Seen(BaseModel):
    items: list[str]
    owner: Annotated[str, Private("email")]


class Judgement(BaseModel):
    mood: str
    urgent: bool


class Report(BaseModel):
    judgement: Judgement
    wish: str
    packed: list[str]
    napped: bool
    shipped: str
    posted: str
    paid: str


# ── tools ──


def _attempt(call: Call) -> World:
    world = call.use(World)
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    return world


def _done(call: Call) -> str:
    call.use(World).say("done", call.tool, dict(call.arguments), run=call.run)
    return _receipt(call)


def _receipt(call: Call) -> str:
    return f"{call.tool} {' '.join(str(value) for value in call.arguments.values())}"


@tool(effect=Effect.READ, permission="shop:read")
async def find(call: Call, number: str) -> list[str]:
    """The items of an order."""
    _attempt(call)
    return [f"{number}-a", f"{number}-b"]


@tool(effect=Effect.IDEMPOTENT, permission="shop:write")
async def tag(call: Call, item: str, text: str) -> str:
    """Set the tag of an item."""
    _attempt(call)
    await asyncio.sleep(0)
    return _done(call)


@tool(effect=Effect.KEYED, permission="shop:write")
def reserve(call: Call, item: str) -> str:
    """Take an item from the stock; a plain function, which runs in a thread."""
    _attempt(call).say("done", call.tool, dict(call.arguments), key=call.key, run=call.run)
    return _receipt(call)


@tool(effect=Effect.KEYED, permission="shop:write")
async def crane(call: Call, item: str) -> str:
    """Lift an item; busy when it is asked for the first time."""
    world = _attempt(call)
    if world.attempts(call.key) == 1:
        raise NotDone("the crane is busy", transient=True)
    world.say("done", call.tool, dict(call.arguments), key=call.key, run=call.run)
    return _receipt(call)


async def was_it_shipped(call: Call) -> Done[str] | Undone:
    happened = call.use(World).done("ship", dict(call.arguments), call.run)
    return Done(_receipt(call)) if happened else Undone()


@tool(effect=Effect.ONCE, permission="shop:write", reconcile=was_it_shipped)
async def ship(call: Call, number: str) -> str:
    """Send a parcel; whether it went can be looked up."""
    _attempt(call)
    return _done(call)


@tool(effect=Effect.ONCE, permission="shop:write")
async def post(call: Call, number: str) -> str:
    """Send a letter; nobody can look up whether it went."""
    _attempt(call)
    return _done(call)


@tool(effect=Effect.KEYED, permission="money:write")
async def pay(call: Call, who: str, amount: int) -> str:
    """Pay an amount to the owner of an order."""
    _attempt(call).say("done", call.tool, dict(call.arguments), key=call.key, run=call.run)
    return f"paid {amount}"


# ── steps ──


class Noted:
    """Tells the other side that a step's body was entered, and that it came to its end."""

    def __init__(self, name: str, run: Run | None = None) -> None:
        self._name, self._run = name, None if run is None else run.id

    def __enter__(self) -> None:
        here().say("enter", self._name, run=self._run)

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        if kind is None:
            here().say("end", self._name, run=self._run)


@step
async def look(order: Order, run: Run) -> Seen:
    with Noted("look", run):
        run.uuid()
        items = await run.call(find, number=order.number)
        run.now()
        return Seen(items=items, owner=order.mail)


@step
async def think(look: Seen, run: Run) -> Judgement:
    with Noted("think", run):
        return await run.ask(
            Judgement, "How do they feel?", {"seen": look, "run": run.id}, tools=[find, tag], max_tokens=64
        )


def anything(look: Seen) -> str:
    return f"something for {look.items[0]}"


@step(fallback=anything)
async def wish(look: Seen, run: Run) -> str:
    with Noted("wish", run):
        return await run.ask(str, "What do they want?", {"seen": look, "run": run.id}, max_tokens=64)


@step(retry=Retry(attempts=3, base=0.002))
async def packed(look: Seen, run: Run) -> list[str]:
    with Noted("packed", run):
        first, again, tagged, tagged_again = await asyncio.gather(
            run.call(reserve, item=look.items[0]),
            run.call(reserve, item=look.items[1]),
            run.call(tag, item=look.items[0], text="packed"),
            run.call(tag, item=look.items[0], text="packed"),
        )
        return [first, again, tagged, tagged_again, await run.call(crane, item=look.items[0])]


@step
async def napped(look: Seen, run: Run) -> bool:
    with Noted("napped", run):
        await run.sleep(0.003)
        return True


@step
async def shipped(
    order: Order, think: Judgement, wish: str, packed: list[str], napped: bool, run: Run
) -> str:
    with Noted("shipped", run):
        return await run.call(ship, number=order.number)


@step
async def posted(order: Order, shipped: str, run: Run) -> str:
    with Noted("posted", run):
        return await run.call(post, number=order.number)


@step
async def paid(order: Order, posted: str, run: Run) -> str:
    with Noted("paid", run):
        await run.sleep(timedelta(milliseconds=20))
        return await run.call(pay, who=order.mail, amount=order.amount)


@step
def report(
    think: Judgement, wish: str, packed: list[str], napped: bool, shipped: str, posted: str, paid: str
) -> Report:
    with Noted("report"):  # a plain def has no handle, and so no id
        return Report(
            judgement=think,
            wish=wish,
            packed=packed,
            napped=napped,
            shipped=shipped,
            posted=posted,
            paid=paid,
        )


# ── the whole ──


async def _asked(request: ModelRequest) -> None:
    run = loads(request.messages[0].text)["run"]
    here().say("asked", request.step, request.turn, run=run)


MODEL = ScriptedModel(
    {
        "think": [
            UseTools([("find", {"number": "77"}), ("tag", {"item": "77-a", "text": "seen"})]),
            Say("They are angry."),
            Say({"mood": "angry", "urgent": True}),
        ],
        "wish": [Fail("refused")],
    },
    price=Price(input=2_000, output=8_000),
    delay=_asked,
)

flow = Workflow(
    "crash",
    input=Order,
    steps=[look, think, wish, packed, napped, shipped, posted, paid, report],
    tools=[find, tag, reserve, crane, ship, post, pay],
    grants=["shop:read", "shop:write", "money:write"],
    rules=[approve(pay, when=lambda who, amount: amount > 50, by="leads", within=timedelta(days=1))],
    # Room for what the run costs, and for the two largest asks cut off and held.
    budget=Budget(usd="0.025", tokens=20_000),
    resources=[open_world],
    models=[MODEL],
)

ORDER = {"number": "77", "amount": 80, "mail": "kim@example.com"}
