"""A workflow that comes to a point where a person has to say something."""

from __future__ import annotations

from pydantic import BaseModel

from surefoot import Call, Denied, Effect, Retry, Run, Transient, Workflow, approve, step, tool

from .world import World, here, open_world


class Job(BaseModel):
    """`mode` is approval (a call that a person must approve), failing (until the flag "mended" is up) or
    unknown (a call whose outcome nobody knows)."""

    mode: str


def _act(call: Call) -> str:
    world = call.use(World)
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    world.say("done", call.tool, dict(call.arguments), key=call.key, run=call.run)
    return f"{call.tool} {' '.join(str(value) for value in call.arguments.values())}"


@tool(effect=Effect.KEYED)
async def note(call: Call, text: str) -> str:
    return _act(call)


@tool(effect=Effect.KEYED)
async def pay(call: Call, amount: int) -> str:
    return _act(call)


@tool(effect=Effect.ONCE)
async def post(call: Call, text: str) -> str:
    """Lost on the way, or not: the first time nobody knows."""
    world = call.use(World)
    world.say("attempt", call.tool, dict(call.arguments), key=call.key, run=call.run)
    if world.attempts(call.key) == 1:
        raise Transient("the line went dead")
    world.say("done", call.tool, dict(call.arguments), run=call.run)
    return "posted"


@step
async def noted(job: Job, run: Run) -> str:
    here().say("enter", "noted", run=run.id)
    return await run.call(note, text=job.mode)


@step(retry=Retry(attempts=2, base=0.001))
async def acted(job: Job, noted: str, run: Run) -> str:
    here().say("enter", "acted", run=run.id)
    match job.mode:
        case "approval":
            try:
                return await run.call(pay, amount=80)
            except Denied as no:
                return f"denied: {no.reason}"
        case "unknown":
            return await run.call(post, text="a letter")
        case _:
            before = await run.call(note, text="before")
            if not here().flag("mended"):
                raise ValueError("it is broken")
            return before


@step
async def told(acted: str, run: Run) -> str:
    here().say("enter", "told", run=run.id)
    return await run.call(note, text=acted)


flow = Workflow(
    "messages",
    input=Job,
    steps=[noted, acted, told],
    tools=[note, pay, post],
    rules=[approve(pay, by="leads")],
    resources=[open_world],
)
