"""A small till that the tests of the command line run. What it pays stands in paid.txt beside it."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel

from surefoot import Budget, Call, Denied, Effect, Private, Review, Run, Workflow, approve, step, tool
from surefoot.testing import Say, ScriptedModel, UseTools

print("till.py is imported")  # what a module prints must not get between a program and its JSON


class Purchase(BaseModel):
    item: str
    amount: Decimal
    buyer: Annotated[str, Private("email")] = "ann@post.example"
    mode: Literal["plain", "fail", "slow", "review"] = "plain"


class Reading(BaseModel):
    item: str


class Paid(BaseModel):
    text: str
    buyer: Annotated[str, Private("email")]


@tool(effect=Effect.READ, permission="stock:read")
async def stock(call: Call, item: str) -> int:
    """How many of an item are left."""
    print("somebody looks at the stock")
    return 3


@tool(effect=Effect.KEYED, permission="money:pay", timeout=5)
async def pay(call: Call, item: str, amount: Decimal) -> str:
    """Pay for an item."""
    ledger = Path("paid.txt")
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    if not any(line.startswith(call.key) for line in lines):
        with ledger.open("a") as file:
            file.write(f"{call.key} {item} {amount}\n")
    return f"paid {amount} for {item}"


@step
async def reading(purchase: Purchase, run: Run) -> Reading:
    return await run.ask(Reading, "What is bought?", {"mail": purchase.item}, tools=[stock])


@step(fallback=Review("desk"))
async def checked(purchase: Purchase, reading: Reading, run: Run) -> str:
    match purchase.mode:
        case "review":
            raise ValueError(f"nobody can tell what {purchase.buyer} wants")
        case "slow":
            Path("slow.txt").touch()
            for _ in range(600):  # whoever kills it comes sooner
                if Path("hurry.txt").exists():
                    break
                await asyncio.sleep(0.05)
    return reading.item


@step
async def paid(purchase: Purchase, checked: str, run: Run) -> Paid:
    if purchase.mode == "fail":
        raise ZeroDivisionError("the till is broken")
    try:
        text = await run.call(pay, item=checked, amount=purchase.amount)
    except Denied as no:
        text = f"not paid: {no.reason}"
    return Paid(text=text, buyer=purchase.buyer)


model = ScriptedModel({"reading": [UseTools([("stock", {"item": "lamp"})]), Say({"item": "lamp"})]})

till = Workflow(
    "till",
    version="3",
    input=Purchase,
    steps=[reading, checked, paid],
    tools=[stock, pay],
    grants=["stock:read", "money:pay"],
    rules=[
        approve(
            pay,
            when=lambda item, amount: amount > 50,
            by="leads",
            within=timedelta(days=1),
            reason="more than 50 is for the leads",
        )
    ],
    budget=Budget(usd="0.10"),
    models=[model],
)
