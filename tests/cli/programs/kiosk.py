"""A small workflow that meets everything once: a secret of its own, private fields, free text, a model with a
tool, an approval, a long sleep, a print and a log line. The tests of the canary make it leak."""

import logging
import os
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints

from surefoot import Call, Effect, Private, Run, Workflow, approve, step, tool
from surefoot.testing import ScriptedModel


class Wish(BaseModel):
    sender: Annotated[str, Private("email")]
    name: Annotated[str, Private("name")]
    text: str
    code: Annotated[str, StringConstraints(pattern=r"^K-[0-9]{4}$")]
    urgent: Literal["yes", "no"] = "no"


class Read(BaseModel):
    code: Annotated[str, StringConstraints(pattern=r"^K-[0-9]{4}$")]
    note: str


class Stock(BaseModel):
    left: int
    keeper: Annotated[str, Private("name")]
    remark: str


@tool(effect=Effect.READ, permission="stock")
async def stock(call: Call, code: str) -> Stock:
    """What is left, and who keeps it."""
    raise AssertionError("the canary must not call me")


@tool(effect=Effect.KEYED, permission="send")
async def send(call: Call, to: str, text: str) -> str:
    """Sends it."""
    raise AssertionError("the canary must not call me")


@step
async def read(wish: Wish, run: Run) -> Read:
    return await run.ask(Read, "What is wished?", {"wish": wish}, tools=[stock])


@step
async def kept(read: Read, run: Run) -> Stock:
    await run.sleep(timedelta(days=2))
    return await run.call(stock, code=read.code)


@step
async def sent(wish: Wish, read: Read, kept: Stock, run: Run) -> str:
    print(f"to {wish.sender}: {read.note}")
    logging.getLogger("kiosk").info("%s keeps it", kept.keeper, extra={"remark": kept.remark})
    told = await run.call(send, to=wish.sender, text=f"Dear {wish.name}, {kept.keeper} has it. {read.note}")
    return f"{told} {os.environ['KIOSK_KEY']}"


kiosk = Workflow(
    "kiosk",
    input=Wish,
    steps=[read, kept, sent],
    tools=[stock, send],
    grants=["stock", "send"],
    rules=[approve(send)],
    secrets=["KIOSK_KEY"],
    models=[ScriptedModel({})],
)
