"""Workflows whose one effect takes as long as the test wants, so that a process can be stopped in its
middle.

The other side's flag "go" lets every tool that waits go on. Each workflow is named for its tool:
`once_async`, `keyed_plain`, and so on; `early` ones have acted before they wait.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pydantic import BaseModel

from surefoot import Call, Done, Effect, Run, Transient, Undone, Workflow, step, tool
from surefoot.core.clock import MICROS
from surefoot.core.jsons import loads
from surefoot.core.model import ModelRequest, Price
from surefoot.core.tool import Tool
from surefoot.testing import Say, ScriptedModel

from .world import World, here, open_world

DEADLINE = 1.5
"""Seconds that a tool has."""


class Job(BaseModel):
    name: str


def _begin(call: Call) -> World:
    world = call.use(World)
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    return world


def _act(call: Call, *, keyed: bool) -> str:
    key = call.key if keyed else None
    call.use(World).say("done", call.tool, dict(call.arguments), key=key, run=call.run)
    return f"did {call.arguments['name']}"


async def _until_go(world: World) -> None:
    while not world.flag("go"):
        await asyncio.sleep(0.005)
    # A process may be stopped in the middle of that look, and see the flag when it wakes up. Between two awaits
    # nobody can stop it: what follows the look must be another turn.
    await asyncio.sleep(0)


def _block_until_go(world: World) -> None:
    while not world.flag("go"):
        time.sleep(0.005)


async def look_up(call: Call) -> Done[str] | Undone:
    world = call.use(World)
    world.say("looked", call.tool, dict(call.arguments), run=call.run)
    happened = world.done(call.tool, dict(call.arguments), call.run)
    return Done(f"did {call.arguments['name']}") if happened else Undone()


def _async_tool(name: str, effect: Effect, *, early: bool = False, reconcile: Any = None) -> Tool[..., str]:
    keyed = effect is Effect.KEYED

    @tool(effect=effect, timeout=DEADLINE, name=name, reconcile=reconcile)
    async def act(call: Call, name: str) -> str:
        world = _begin(call)
        if early:
            done = _act(call, keyed=keyed)
            await _until_go(world)
            return done
        await _until_go(world)
        return _act(call, keyed=keyed)

    return act


def _plain_tool(name: str, effect: Effect, *, early: bool = False, reconcile: Any = None) -> Tool[..., str]:
    keyed = effect is Effect.KEYED

    @tool(effect=effect, timeout=DEADLINE, name=name, reconcile=reconcile)
    def act(call: Call, name: str) -> str:
        world = _begin(call)
        if early:
            done = _act(call, keyed=keyed)
            _block_until_go(world)
            return done
        _block_until_go(world)
        if effect is Effect.ONCE and time.time() * MICROS >= call.deadline:
            # Nothing can stop a thread. What must not happen twice looks at its deadline before it acts.
            raise Transient("it is too late")
        return _act(call, keyed=keyed)

    return act


def _flow(one: Tool[..., str]) -> Workflow:
    @step
    async def did(job: Job, run: Run) -> str:
        here().say("enter", "did", run=run.id)
        done = await run.call(one, name=job.name)
        here().say("end", "did", run=run.id)
        return done

    @step
    async def told(did: str) -> str:
        return f"{did}, and told"

    return Workflow(
        one.name.replace("_", "-"), input=Job, steps=[did, told], tools=[one], resources=[open_world]
    )


_TOOLS = [
    make(f"{name}_{kind}{'_early' if early else ''}", effect, early=early, reconcile=reconcile)
    for kind, make in (("async", _async_tool), ("plain", _plain_tool))
    for early in (False, True)
    for name, effect, reconcile in (
        ("idempotent", Effect.IDEMPOTENT, None),
        ("keyed", Effect.KEYED, None),
        ("once", Effect.ONCE, look_up),
        ("blind", Effect.ONCE, None),
    )
]

flows = {one.name: _flow(one) for one in _TOOLS}
globals().update(flows)


# ── a process that is held up in the middle of one call, with others of the same run behind it ──


@tool(effect=Effect.IDEMPOTENT, timeout=DEADLINE)
async def holder(call: Call, name: str) -> str:
    """Holds up the whole process, event loop and all, until it may go on; from when the other has begun."""
    world = _begin(call)
    while not world.rows("attempt", "behind"):
        await asyncio.sleep(0)
    _block_until_go(world)
    return _act(call, keyed=False)


@tool(effect=Effect.ONCE, timeout=DEADLINE, reconcile=look_up)
async def behind(call: Call, name: str) -> str:
    """Its next turn has come when the process is held up; by then it is too late to act."""
    _begin(call)
    await asyncio.sleep(0)
    return _act(call, keyed=False)


@step
async def both(job: Job, run: Run) -> list[str]:
    return list(await asyncio.gather(run.call(holder, name=job.name), run.call(behind, name=job.name)))


held_up = Workflow("held-up", input=Job, steps=[both], tools=[holder, behind], resources=[open_world])


# ── a call in a process of its own ──


def _apart(call: Call, name: str) -> str:
    world = here()  # a process of its own has no resources
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    _block_until_go(world)
    world.say("done", call.tool, dict(call.arguments), run=call.run)
    return f"did {name}"


@tool(effect=Effect.ONCE, timeout=6, reconcile=look_up, isolation="process")
def apart(call: Call, name: str) -> str:
    return _apart(call, name)


isolated = _flow(apart)


# ── plain code that holds up its process, and runs beside it ──


@step
async def worked(job: Job, run: Run) -> list[str]:
    here().say("enter", "worked", run=run.id)
    if job.name.startswith("block"):
        await asyncio.sleep(0.02)
        time.sleep(0.8)  # what nobody should do, and somebody does
        return ["blocked"]
    return [await run.call(quick, name=f"{job.name}-{n}") for n in range(10)]


@tool(effect=Effect.ONCE, timeout=DEADLINE, reconcile=look_up)
async def quick(call: Call, name: str) -> str:
    _begin(call)
    await asyncio.sleep(0.005)
    return _act(call, keyed=False)


crowded = Workflow("crowded", input=Job, steps=[worked], tools=[quick], resources=[open_world])


# ── an ask ──


async def _think(request: ModelRequest) -> None:
    world = here()
    world.say("asked", request.step, request.turn, run=loads(request.messages[0].text)["run"])
    await _until_go(world)


@step
async def said(job: Job, run: Run) -> str:
    return await run.ask(str, "Say something.", {"run": run.id}, max_tokens=16)


asking = Workflow(
    "asking",
    input=Job,
    steps=[said],
    models=[ScriptedModel({"said": [Say("Hm.")]}, price=Price(1_000, 4_000), delay=_think)],
)
