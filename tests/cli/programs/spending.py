"""A workflow with a small daily budget, and one whose provider is down, for the tests of budget and
intake."""

from pydantic import BaseModel

from surefoot import Budget, Retry, Run, Workflow, step
from surefoot.core.model import Price
from surefoot.testing import Fail, Say, ScriptedModel


class Order(BaseModel):
    number: int = 1


@step(retry=Retry(1))
async def think(order: Order, run: Run) -> str:
    return await run.ask(str, "Think.", {"order": order}, max_tokens=100)


PRICED = ScriptedModel({"think": [Say("x" * 200)]}, price=Price(0.0, 10_000_000.0))
"""Half a dollar for an answer; a dollar at most."""

spending = Workflow(
    "spending",
    version="1",
    input=Order,
    steps=[think],
    models=[PRICED],
    budget=Budget(usd=None, tokens=None, day_usd="2.20"),
)
down = Workflow(
    "down", version="1", input=Order, steps=[think], models=[ScriptedModel({"think": [Fail("unavailable")]})]
)
