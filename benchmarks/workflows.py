"""The workflows that are measured: trivial on purpose, so that all the time is the engine's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel

from surefoot import Private, Step, Workflow, step

SECRET = "SUREFOOT_BENCH_SECRET"
"""An environment variable that the workflows name as a secret, so that redaction has something to find."""


class Number(BaseModel):
    x: int


class Letter(Number):
    sender: Annotated[str, Private("email")]


class Sum(BaseModel):
    y: int


class SignedSum(Sum):
    sender: Annotated[str, Private("email")]


# ── five trivial steps, async and plain ──


@step
async def added(number: Number) -> Sum:
    return Sum(y=number.x + 1)


@step
async def doubled(added: Sum) -> int:
    return added.y * 2


@step
async def less(doubled: int) -> int:
    return doubled - 1


@step
async def rest(less: int) -> int:
    return less % 97


@step
async def shown(rest: int) -> str:
    return f"{rest}"


@step(name="added")
def plain_added(number: Number) -> Sum:
    return Sum(y=number.x + 1)


@step(name="doubled")
def plain_doubled(added: Sum) -> int:
    return added.y * 2


@step(name="less")
def plain_less(doubled: int) -> int:
    return doubled - 1


@step(name="rest")
def plain_rest(less: int) -> int:
    return less % 97


@step(name="shown")
def plain_shown(rest: int) -> str:
    return f"{rest}"


@step(name="added")
async def signed(letter: Letter) -> SignedSum:
    return SignedSum(y=letter.x + 1, sender=letter.sender)


@step(name="doubled")
async def doubled_signed(added: SignedSum) -> SignedSum:
    return SignedSum(y=added.y * 2, sender=added.sender)


@step(name="less")
async def less_signed(doubled: SignedSum) -> int:
    return doubled.y - 1


FIVE = Workflow("five", input=Number, steps=[added, doubled, less, rest, shown], secrets=[SECRET])
FIVE_PLAIN = Workflow(
    "five-plain",
    input=Number,
    steps=[plain_added, plain_doubled, plain_less, plain_rest, plain_shown],
    secrets=[SECRET],
)


FIVE_PRIVATE = Workflow(
    "five-private",
    input=Letter,
    steps=[signed, doubled_signed, less_signed, rest, shown],
    secrets=[SECRET],
)


async def five_without_durability(x: int) -> str:
    """The same functions, called as Python calls them."""
    first = await added.function(Number(x=x))
    second = await doubled.function(first)
    third = await less.function(second)
    fourth = await rest.function(third)
    return str(await shown.function(fourth))


# ── chains ──

Between = Callable[[], None]
"""What a step's body does: called once, and nothing else."""


def chain(length: int, act: Between, *, is_async: bool = True) -> Workflow:
    """`length` steps, each needing the one before. A parameter's name is what wires it, so that steps made by
    the hundred are made from text."""
    steps: list[Step[..., Any]] = []
    for number in range(length):
        needs = "number: Number" if number == 0 else f"s{number - 1}: int"
        text = f"{'async ' * is_async}def s{number}({needs}) -> int:\n    act()\n    return {number}\n"
        names: dict[str, Any] = {"Number": Number, "act": act}
        exec(text, names)
        steps.append(step(names[f"s{number}"]))
    return Workflow("chain", input=Number, steps=steps, secrets=[SECRET])


def sleeping(steps: int, seconds: float) -> Workflow:
    """A chain whose steps wait, as those that ask a model do."""
    made: list[Step[..., Any]] = []
    for number in range(steps):
        needs = "number: Number" if number == 0 else f"s{number - 1}: int"
        text = f"async def s{number}({needs}) -> int:\n    await sleep(seconds)\n    return {number}\n"
        names: dict[str, Any] = {"Number": Number, "sleep": asyncio.sleep, "seconds": seconds}
        exec(text, names)
        made.append(step(names[f"s{number}"]))
    return Workflow("sleeping", input=Number, steps=made, secrets=[SECRET])


class Marks:
    """When each body of a chain began and ended. `between` happens in the body and is not counted."""

    def __init__(self, between: Between | None = None) -> None:
        self._between = between
        self._left: tuple[float, float] | None = None
        self.walls: list[float] = []
        self.cpus: list[float] = []
        """Seconds from the end of one body to the beginning of the next: a durable step without its body."""

    def __call__(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        if self._left is not None:
            self.walls.append(wall - self._left[0])
            self.cpus.append(cpu - self._left[1])
        if self._between is not None:
            self._between()
        self._left = (time.perf_counter(), time.process_time())

    def begin(self) -> None:
        """A new run: from the last body of the former one there is no way here."""
        self._left = None
