"""A project as small as one can be: a model reads a ticket, and a payment is made, after a yes where it is large."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from surefoot import Call, Denied, Effect, Run, Workflow, approve, step, tool
from surefoot.evals.world import World
from surefoot.testing import ScriptedModel


class Ticket(BaseModel):
    amount: int = 5


class Till:
    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}


@asynccontextmanager
async def world(state: dict[str, Any]) -> AsyncIterator[World]:
    till = Till()

    @asynccontextmanager
    async def open_till() -> AsyncIterator[Till]:
        yield till

    async def snapshot() -> Any:
        return {"payments": till.payments}

    yield World([open_till], snapshot)


@tool(effect=Effect.READ, timeout=5)
async def look(call: Call) -> str:
    """Looks."""
    return "seen"


@tool(effect=Effect.KEYED, timeout=5)
async def pay(call: Call, amount: int) -> str:
    """Pays."""
    call.use(Till).payments.setdefault(call.key, {"amount": amount})
    return f"paid {amount}"


@step
async def read(ticket: Ticket, run: Run) -> str:
    return await run.ask(str, "Read it", {"ticket": ticket}, tools=[look])


@step
async def paid(read: str, ticket: Ticket, run: Run) -> str:
    try:
        return f"{read}: {await run.call(pay, amount=ticket.amount)}"
    except Denied as no:
        return f"no: {no.reason}"


flow = Workflow(
    "till",
    input=Ticket,
    steps=[read, paid],
    tools=[look, pay],
    rules=[approve(pay, when=lambda amount: amount > 10, by="leads", within=timedelta(days=1))],
    models=[ScriptedModel({}, name="scripted:x")],
)
