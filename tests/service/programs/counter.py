"""A workflow that counts: what its tool did stands in counted.txt beside it, a line for each time."""

import asyncio
import os
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from surefoot import Call, Effect, Run, Workflow, step, tool


class Number(BaseModel):
    number: int
    seconds: float = 0.02
    where: Literal["step", "call", "loop"] = "step"
    """What takes so long, once: the next process finds `quick.txt`."""


class Counted(BaseModel):
    number: int


def left(number: Number, where: str) -> float:
    if number.where != where or Path("quick.txt").exists():
        return 0.0
    Path(f"waiting-{number.number}").touch()
    return number.seconds


@tool(effect=Effect.KEYED, permission="count", timeout=900)
async def count(call: Call, number: Number) -> int:
    """Count a number; the same key counts once."""
    await asyncio.sleep(left(number, "call"))
    handle = os.open("counted.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(handle, f"{call.key} {number.number}\n".encode())
    finally:
        os.close(handle)
    return number.number


@step
async def waited(number: Number) -> float:
    await asyncio.sleep(left(number, "step"))
    time.sleep(left(number, "loop"))
    return number.seconds


@step
async def counted(number: Number, waited: float, run: Run) -> Counted:
    return Counted(number=await run.call(count, number=number))


counter = Workflow("counter", input=Number, steps=[waited, counted], tools=[count], grants=["count"])
