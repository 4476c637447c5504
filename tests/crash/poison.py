"""A workflow that kills its own process for some inputs, and its neighbours."""

from __future__ import annotations

import asyncio
import os
import signal

from pydantic import BaseModel

from surefoot import Call, Done, Effect, Run, Undone, Workflow, step, tool

from .world import World, here, open_world


class Job(BaseModel):
    """`does` is quick, slow (longer than a process lives that has poison in it), dies_in_step, dies_in_tool,
    dies_late (after an effect that is done), long (until the other side's flag "go"); or `once before`,
    `once after`, `blind before`, `blind after`: the first call dies right before or right after its act."""

    name: str
    does: str


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@tool(effect=Effect.KEYED)
async def fatal(call: Call, name: str) -> str:
    """Dies between intent and outcome."""
    call.use(World).say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    _die()
    return name


@tool(effect=Effect.KEYED)
async def harmless(call: Call, name: str) -> str:
    world = call.use(World)
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    world.say("done", call.tool, dict(call.arguments), key=call.key, run=call.run)
    return name


def _die_once(call: Call, moment: str) -> str:
    world = call.use(World)
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    first = world.attempts(call.key) == 1
    if first and moment == "before":
        _die()
    world.say("done", call.tool, dict(call.arguments), run=call.run)
    if first and moment == "after":
        _die()
    return f"{call.tool} {moment}"


async def look_up(call: Call) -> Done[str] | Undone:
    happened = call.use(World).done(call.tool, dict(call.arguments), call.run)
    return Done(f"{call.tool} {call.arguments['moment']}") if happened else Undone()


@tool(effect=Effect.ONCE, reconcile=look_up)
async def once(call: Call, moment: str) -> str:
    return _die_once(call, moment)


@tool(effect=Effect.ONCE)
async def blind(call: Call, moment: str) -> str:
    return _die_once(call, moment)


@step
async def did(job: Job, run: Run) -> str:
    here().say("enter", job.name, run=run.id)
    match job.does:
        case "slow":
            await asyncio.sleep(0.3)
        case "long":
            while not here().flag("go"):
                await asyncio.sleep(0.005)
        case "dies_in_step":
            await asyncio.sleep(0.02)
            _die()
        case "dies_in_tool":
            await run.call(fatal, name=job.name)
        case "dies_late":
            await run.call(harmless, name=job.name)
            _die()
        case "once before" | "once after" | "blind before" | "blind after":
            name, moment = job.does.split()
            return await run.call(once if name == "once" else blind, moment=moment)
    return await run.call(harmless, name=job.name)


@step
async def told(did: str) -> str:
    return f"{did} is done"


flow = Workflow(
    "poison", input=Job, steps=[did, told], tools=[fatal, harmless, once, blind], resources=[open_world]
)
