"""A small workflow, of which many runs are under way when their process is killed."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from surefoot import Budget, Call, Done, Effect, Run, Undone, Workflow, step, tool
from surefoot.core.jsons import loads
from surefoot.core.model import ModelRequest, Price
from surefoot.testing import Say, ScriptedModel

from .world import World, here, open_world

PAUSE = 0.005
"""Seconds that each tool and each answer takes."""


class Job(BaseModel):
    number: int


async def _act(call: Call, *, keyed: bool = False) -> str:
    world = call.use(World)
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    await asyncio.sleep(PAUSE)
    world.say("done", call.tool, dict(call.arguments), key=call.key if keyed else None, run=call.run)
    return f"{call.tool} {call.arguments['number']}"


async def look_up(call: Call) -> Done[str] | Undone:
    happened = call.use(World).done(call.tool, dict(call.arguments), call.run)
    return Done(f"{call.tool} {call.arguments['number']}") if happened else Undone()


@tool(effect=Effect.IDEMPOTENT)
async def put(call: Call, number: int) -> str:
    return await _act(call)


@tool(effect=Effect.KEYED)
async def charge(call: Call, number: int) -> str:
    return await _act(call, keyed=True)


@tool(effect=Effect.ONCE, reconcile=look_up)
async def send(call: Call, number: int) -> str:
    return await _act(call)


class Noted:
    def __init__(self, name: str, run: Run) -> None:
        self._name, self._run = name, run.id

    def __enter__(self) -> None:
        here().say("enter", self._name, run=self._run)

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        if kind is None:
            here().say("end", self._name, run=self._run)


@step
async def thought(job: Job, run: Run) -> str:
    with Noted("thought", run):
        return await run.ask(str, "Say something.", {"number": job.number, "run": run.id}, max_tokens=16)


@step
async def stored(job: Job, run: Run) -> str:
    with Noted("stored", run):
        return await run.call(put, number=job.number)


@step
async def charged(job: Job, thought: str, stored: str, run: Run) -> str:
    with Noted("charged", run):
        return await run.call(charge, number=job.number)


@step
async def sent(job: Job, charged: str, run: Run) -> str:
    with Noted("sent", run):
        await run.sleep(PAUSE)
        return await run.call(send, number=job.number)


@step
async def summed(job: Job, sent: str, run: Run) -> int:
    with Noted("summed", run):
        return job.number


async def _answer(request: ModelRequest) -> None:
    asked = loads(request.messages[0].text)
    here().say("asked", request.step, request.turn, run=asked["run"])
    await asyncio.sleep(PAUSE)


flow = Workflow(
    "many",
    input=Job,
    steps=[thought, stored, charged, sent, summed],
    tools=[put, charge, send],
    resources=[open_world],
    models=[ScriptedModel({"thought": [Say("Hm.")]}, price=Price(1_000, 4_000), delay=_answer)],
    budget=Budget(usd="0.01"),
)


tight = Workflow(
    "tight",
    input=Job,
    steps=[thought],
    # The worst case of an answer is 16 tokens: one can be paid, a second one beside it cannot.
    models=[ScriptedModel({"thought": [Say("Hm.")]}, price=Price(0, 1_000_000), delay=_answer)],
    budget=Budget(usd="0.020"),
)
