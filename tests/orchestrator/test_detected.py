"""What nobody declared and only looks like private data or a secret: hidden in every view, the same value by the
same name, and exact where it has to be exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from surefoot import Approve, Call, Effect, Private, Run, Workflow, approve, step, tool
from surefoot.testing import Say, ScriptedModel, UseTools

from .rig import Engine, quiet, result
from .test_secrets import found

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ["file"], indirect=True)]

MAIL = "wilma.r" + "@example.net"
TOKEN = "ghp_" + "R4nd0mLettersAndD1gits5tandH3re01234"
CARD = "5555 5555 5555 4444"
NOTE = f"Hello,\nwrite to {MAIL}, my card is {CARD}.\nThe key is {TOKEN}"
PLANTED = (MAIL, TOKEN, CARD, CARD.replace(" ", ""))


class Ticket(BaseModel):
    text: str = NOTE


class Person(BaseModel):
    name: Annotated[str, Private("name")]
    age: int


async def views_of(engine: Engine, run: str) -> list[dict[str, Any]]:
    return [json.loads(event.view) for event in await engine.keeper.events(run)]


async def test_found_values_are_in_no_file_and_exact_for_code_tools_models_and_the_caller(
    engine: Engine, tmp_path: Path
) -> None:
    seen: list[str] = []

    @tool(effect=Effect.KEYED)
    async def post(call: Call, text: str) -> str:
        seen.append(text)
        return f"posted {text}"

    @step
    async def work(ticket: Ticket, run: Run) -> str:
        seen.append(ticket.text)
        return await run.ask(str, "Post it", {"note": ticket.text}, tools=[post])

    model = ScriptedModel({"work": [UseTools([("post", {"text": NOTE})]), Say(f"done for {MAIL} {TOKEN}")]})
    flow = Workflow("w", input=Ticket, steps=[work], tools=[post], rules=[approve(post, by="leads")])
    runtime, run = await engine.start(flow, Ticket(), models=[model])
    waiting = await result(runtime, run)
    (item,) = await runtime.store.items()
    assert not any(value in json.dumps(item.view) for value in PLANTED)
    await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim", reason=f"as {MAIL} says"))
    done = await result(runtime, run)
    assert done.output == f"done for {MAIL} {TOKEN}"
    assert seen == [NOTE, NOTE, NOTE]  # the body was entered twice
    assert NOTE.splitlines()[1] in str(model.requests[0])
    await quiet(runtime)
    assert found(tmp_path, *PLANTED) == []


async def test_one_value_has_one_placeholder_wherever_it_stands(engine: Engine) -> None:
    @step
    def first(ticket: Ticket) -> str:
        return f"<{MAIL}>"

    @step
    def second(first: str) -> dict[str, str]:
        return {"to": MAIL, "note": f"x {TOKEN}"}

    flow = Workflow("w", input=Ticket, steps=[first, second])
    runtime, run = await engine.start(flow, Ticket())
    assert (await result(runtime, run)).output == {"to": MAIL, "note": f"x {TOKEN}"}
    views = await views_of(engine, run)
    outputs = [view["output"] for view in views if "output" in view]
    assert outputs == ["<[email-1]>", {"to": "[email-1]", "note": "x [github-token-1]"}]


async def test_a_value_that_only_its_field_makes_private_is_hidden_in_the_answer_that_brought_it(
    engine: Engine, tmp_path: Path
) -> None:
    @step
    async def work(ticket: Ticket, run: Run) -> Person:
        return await run.ask(Person, "Who is it?")

    model = ScriptedModel({"work": [Say({"name": "Wilhelmina", "age": 44})]})
    flow = Workflow("w", input=Ticket, steps=[work])
    runtime, run = await engine.start(flow, Ticket(), models=[model])
    assert (await result(runtime, run)).output == Person(name="Wilhelmina", age=44)
    await quiet(runtime)
    assert found(tmp_path, "Wilhelmina") == []


async def test_a_replay_meets_exact_values(engine: Engine) -> None:
    entered: list[str] = []

    @tool(effect=Effect.KEYED)
    async def fetch(call: Call) -> str:
        return NOTE

    @tool(effect=Effect.KEYED)
    async def post(call: Call, text: str) -> str:
        return text

    @step
    async def work(ticket: Ticket, run: Run) -> str:
        entered.append(await run.call(fetch))
        return await run.call(post, text=entered[-1])

    rules = [approve(post, by="leads")]
    flow = Workflow("w", input=Ticket, steps=[work], tools=[fetch, post], rules=rules)
    runtime, run = await engine.start(flow, Ticket())
    waiting = await result(runtime, run)
    await engine.crash(runtime)
    runtime = await engine.open(flow)
    await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim"))
    assert (await result(runtime, run)).output == NOTE
    assert entered == [NOTE, NOTE]
