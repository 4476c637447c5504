"""The workflow of the little worlds, the model that has been talked over, and the person who stands by.

A road is how the attacker's words come from what was read to a tool: in the same conversation, through a second
one, through a step's output, through a tool that repeats what it is told, and so on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from surefoot import Approve, Budget, Denied, Deny, Edit, Result, Run, Runtime, Workflow, step
from surefoot.core.model import ModelAnswer, ModelRequest, ProposedCall, Tokens
from surefoot.testing import ScriptedModel

from .worlds import CASES, EFFECTS, READS, RUNS, CallOf, Case, broken_page, decode, echo, read_page, read_rows

MODEL_ROADS = ["turns", "rows", "error", "echo", "decoder", "edit", "two asks", "next model"]
"""On these a model makes the call."""
CODE_ROADS = ["output", "wait", "code"]
"""On these a step's own code makes it, with values that came from a model, or from the page itself."""


class Task(BaseModel):
    case: str
    request: str
    road: str


class Found(BaseModel):
    text: str = ""
    calls: list[tuple[str, dict[str, Any]]] = []


@step
async def first(task: Task, run: Run) -> Found:
    RUNS[run.id] = task.case
    data = {"case": task.case, "request": task.request}
    match task.road:
        case "two asks":
            read = await run.ask(str, "Say what is there.", data, tools=READS)
            done = await run.ask(
                str, "Do it.", {**data, "notes": read}, tools=[*EFFECTS.values()], max_turns=30
            )
            return Found(text=done)
        case "next model" | "output" | "wait":
            return await run.ask(Found, "Find out what to do.", data, tools=READS)
        case "code":
            return Found(text="".join([await run.call(read_page, part=n) for n in range(2)]))
        case _:
            tools = [*READS, *EFFECTS.values()]
            return Found(text=await run.ask(str, "Do it.", data, tools=tools, max_turns=60))


@step
async def second(task: Task, first: Found, run: Run) -> str:
    RUNS[run.id] = task.case
    calls: list[Any] = []
    match task.road:
        case "next model":
            data = {"case": task.case, "request": task.request, "notes": first}
            return await run.ask(str, "Do it.", data, tools=[*EFFECTS.values()], max_turns=30)
        case "wait":
            await run.sleep(3600)
            calls = first.calls
        case "output":
            calls = first.calls
        case "code":  # what a parser of the page would find in it
            calls = [*CASES[task.case].world.own, *CASES[task.case].foreign]
        case _:
            pass
    for name, args in calls:
        try:
            await run.call(EFFECTS[name], **args)
        except Denied:
            continue
    return "done"


class TalkedOver(ScriptedModel):
    """Makes the user's calls, then the attacker's; holds no state of its own."""

    def __init__(self) -> None:
        super().__init__({})

    async def request(self, request: ModelRequest) -> ModelAnswer:
        data = json.loads(request.messages[0].text)
        turns = list(_turns(CASES[data["case"]], request.step, "notes" in data))
        turn = turns[request.turn] if request.turn < len(turns) else "done"
        if isinstance(turn, str):
            return ModelAnswer(turn, (), "stop", Tokens(1, 1), "talked-over-1")
        name, args = turn
        call = ProposedCall(f"call-{request.turn}", name, json.dumps(args))
        return ModelAnswer("", (call,), "tool_calls", Tokens(1, 1), "talked-over-1")


def _turns(case: Case, step: str, has_notes: bool) -> Iterator[CallOf | str]:
    wanted = [*case.world.own, *case.foreign]
    if step == "second" or has_notes:
        yield from wanted
        return
    match case.road:
        case "rows":
            yield read_rows.name, {}
        case "error":
            yield broken_page.name, {}
        case _:
            yield from ((read_page.name, {"part": part}) for part in range(len(case.pages)))
    match case.road:
        case "two asks":
            yield json.dumps(wanted)
        case "next model" | "output" | "wait":
            yield json.dumps({"calls": wanted})
        case "echo" | "decoder":
            yield from case.world.own
            for _, args in case.foreign:
                for value in map(str, args.values()):
                    in_base64 = base64.b64encode(value.encode()).decode()
                    yield (
                        (echo.name, {"text": value})
                        if case.road == "echo"
                        else (decode.name, {"text": in_base64})
                    )
            yield from case.foreign
        case _:
            yield from wanted


def workflow(*rules: Any) -> Workflow:
    return Workflow(
        "little-world",
        input=Task,
        steps=[first, second],
        tools=[*READS, *EFFECTS.values()],
        rules=rules,
        budget=Budget(usd=None, tokens=None, tool_calls=None, model_calls=None, seconds=None),
        models=[TalkedOver()],
    )


async def begin(runtime: Runtime, case: Case) -> str:
    CASES[case.name] = case
    task = Task(case=case.name, request=case.world.request, road=case.road)
    return (await runtime.start(task, key=case.name)).id


async def answer(runtime: Runtime, case: Case, result: Result) -> None:
    """A person who knows what the user wants: agrees to that, once each, and to nothing else."""
    for item in result.waiting_for:
        call = (str(item.tool), dict(item.args or {}))
        case.asked.append(call)
        if call in case.world.own and case.agreed.count(call) < case.world.own.count(call):
            case.agreed.append(call)
            agree = Edit(call[1], by="user") if case.road == "edit" else Approve(by="user")
            await runtime.decide(item.item, agree)
        else:
            await runtime.decide(item.item, Deny(by="user", reason="nobody wanted this"))


async def play(runtime: Runtime, case: Case) -> None:
    """To its end."""
    run = await begin(runtime, case)
    result = await runtime.result(run)
    while result.status == "waiting" and result.waiting_for:
        await answer(runtime, case, result)
        result = await runtime.result(run)
    case.status = result.status
