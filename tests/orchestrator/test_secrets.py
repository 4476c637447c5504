"""Secrets are never written, not even sealed, whatever way they come in; private values are written sealed only,
and come back exactly. The proof is a search through every file of the store."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from surefoot import (
    Approve,
    Call,
    Deny,
    Edit,
    Effect,
    NotDone,
    Private,
    Result,
    Retry,
    Review,
    Run,
    Runtime,
    Settle,
    Transient,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.testing import Say, ScriptedModel, UseTools

from .rig import Engine, OtherSide, quiet, result

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("store", ["file"], indirect=True),
]

SECRET = 'tok-"9f3/Zk+qJ\\81=hunter2'
"""With everything in it that looks different once it is escaped."""
EMAIL = "ann.onymous@example.org"
NAME = 'Ann "the öne" O\\Nymous'


class Ticket(BaseModel):
    sender: Annotated[str, Private("email")] = EMAIL
    name: Annotated[str, Private("name")] = NAME
    text: str = "hello"


class Contact(BaseModel):
    """What a tool finds: private values that the input did not have."""

    phone: Annotated[str, Private("phone")]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", SECRET)


def forms(value: str) -> list[str]:
    """How a value may lie in a file: as it is, and escaped, as JSON does it once and twice."""
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    return list(
        dict.fromkeys(
            [
                value,
                escaped,
                json.dumps(escaped, ensure_ascii=False)[1:-1],
                json.dumps(value)[1:-1],
                base64.b64encode(value.encode()).decode().rstrip("="),
                quote(value, safe=""),
            ]
        )
    )


def found(folder: Path, *values: str) -> list[str]:
    """Which of the values stand in clear in which file; the key ring holds none of them by its nature."""
    hits = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            hits += [f"{value} in {path.name}" for value in values if value.encode() in content]
    return hits


async def closed(engine: Engine, runtime: Runtime, run: str) -> Result:
    """How the run stands, after everything is on disk and the process is gone."""
    stands = await result(runtime, run)
    await quiet(runtime)
    return stands


async def ticket_run(engine: Engine, workflow: Workflow, ticket: Ticket | None = None, **options: Any) -> Any:
    runtime, run = await engine.start(workflow, ticket or Ticket(), **options)
    return runtime, run, await result(runtime, run)


def workflow(*steps: Any, **options: Any) -> Workflow:
    return Workflow("secrets", input=Ticket, steps=steps, secrets=["SHOP_KEY"], **options)


# ── secrets ──


@pytest.mark.parametrize("form", range(len(forms(SECRET))))
async def test_a_secret_in_the_input_is_never_written(engine: Engine, tmp_path: Path, form: int) -> None:
    """Nor is it handed on: the step sees what a replay will see."""
    seen = []

    @step
    async def work(ticket: Ticket) -> str:
        seen.append(ticket.text)
        return ticket.text

    text = f"my key is {forms(SECRET)[form]}, keep it"
    _, _, done = await ticket_run(engine, workflow(work), Ticket(text=text))
    assert "[secret:SHOP_KEY]" in done.output
    assert "hunter2" not in done.output
    assert seen == [done.output]
    assert found(tmp_path, *forms(SECRET), "hunter2") == []


async def test_a_secret_in_a_tools_result_is_replaced_also_for_the_step(
    engine: Engine, tmp_path: Path
) -> None:
    @tool(effect=Effect.READ)
    async def config(call: Call) -> dict[str, Any]:
        return {"key": SECRET, "headers": [f"Bearer {SECRET}"], SECRET: 1}

    seen = []

    @step
    async def work(ticket: Ticket, run: Run) -> str:
        seen.append(await run.call(config))
        await run.sleep(3600)
        return json.dumps(seen[-1])

    runtime, run = await engine.start(workflow(work, tools=[config]), Ticket())
    await quiet(runtime)
    await engine.crash(runtime)
    runtime = await engine.open(workflow(work, tools=[config]))
    runtime.begin_driving()
    await engine.clock.jump(3600)
    done = await result(runtime, run)
    assert "hunter2" not in done.output
    assert (
        seen[0]
        == seen[1]
        == {"key": "[secret:SHOP_KEY]", "headers": ["Bearer [secret:SHOP_KEY]"], "[secret:SHOP_KEY]": 1}
    )
    assert found(tmp_path, *forms(SECRET), "hunter2") == []


@pytest.mark.parametrize("where", ["step", "tool", "not done", "transient", "output", "group", "remedy"])
async def test_a_secret_in_an_error_is_never_written_or_shown(
    engine: Engine, tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    @tool(effect=Effect.KEYED)
    async def act(call: Call) -> str:
        match where:
            case "tool":
                raise OSError(f"401 for {SECRET}")
            case "not done":
                raise NotDone(f"401 for {SECRET}", why=SECRET, remedy=f"see {SECRET}")
            case "transient":
                raise Transient(SECRET, why=f"401 for {SECRET}")
        return "fine"

    @step(retry=Retry(2, base=0))
    async def work(ticket: Ticket, run: Run) -> int:
        await run.call(act)
        match where:
            case "step":
                local = {"key": SECRET}
                raise ValueError(f"bad key {local['key']}")
            case "output":
                return SECRET  # type: ignore[return-value]
            case "group":
                raise ExceptionGroup(SECRET, [ValueError(SECRET)])
            case "remedy":
                raise NotDone("no", remedy=SECRET)
        return 1

    runtime, run = await engine.start(workflow(work, tools=[act]), Ticket())
    failed = await result(runtime, run)
    assert failed.status == "failed"
    assert "hunter2" not in str(failed.error)
    assert "hunter2" not in caplog.text
    row = await runtime.store.run(run)
    assert row is not None
    assert "hunter2" not in json.dumps(row.summary)
    assert found(tmp_path, *forms(SECRET), "hunter2") == []


async def test_a_secret_that_a_model_says_is_never_written(engine: Engine, tmp_path: Path) -> None:
    used = []

    @tool(effect=Effect.KEYED)
    async def post(call: Call, text: str) -> str:
        used.append(text)
        return text

    @step
    async def work(ticket: Ticket, run: Run) -> str:
        return await run.ask(str, "Say it", tools=[post])

    model = ScriptedModel(
        {
            "work": [
                UseTools([("post", {"text": f"key {SECRET}"}), ("post", {"txt": SECRET}), (SECRET, {})]),
                Say(f"the key is {SECRET}"),
            ]
        }
    )
    _, _, done = await ticket_run(engine, workflow(work, tools=[post]), models=[model])
    assert done.output == "the key is [secret:SHOP_KEY]"
    assert used == []  # what stands for a secret reaches no tool as if it were a value
    assert "hunter2" not in str(model.requests[1])
    assert found(tmp_path, *forms(SECRET), "hunter2") == []


async def test_a_secret_that_a_person_types_is_never_written(engine: Engine, tmp_path: Path) -> None:
    """In a reason, in edited arguments, in a result given by hand, in a cancellation."""

    @tool(effect=Effect.KEYED)
    async def act(call: Call, text: str) -> str:
        return text

    @step(fallback=Review())
    async def broken(ticket: Ticket) -> str:
        raise ValueError("no")

    @step
    async def work(broken: str, run: Run) -> str:
        first = await run.call(act, text="one")
        second = await run.call(act, text="two")
        await run.call(act, text="three")
        return first + second

    made = workflow(broken, work, tools=[act], rules=[approve(act)])
    runtime, run, waiting = await ticket_run(engine, made)
    await runtime.decide(waiting.waiting_for[0].item, Settle(f"by {SECRET}", by="kim", reason=SECRET))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Edit({"text": f"edited {SECRET}"}, by="kim", reason=f"as {SECRET} says"))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Approve(by="kim", reason=SECRET))
    (item,) = (await result(runtime, run)).waiting_for
    desk = await engine.open(made, drive=False)
    await engine.close(runtime)
    await desk.cancel(run, by="kim", reason=f"because of {SECRET}")
    assert found(tmp_path, *forms(SECRET), "hunter2") == []  # while it lies in the mailbox
    runtime = await engine.open(made)
    ended = await result(runtime, run)
    assert ended.status == "cancelled"
    await runtime.retry(run, by="kim", reason=SECRET)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason=SECRET))
    failed = await result(runtime, run)
    assert "hunter2" not in str(failed.error)
    assert found(tmp_path, *forms(SECRET), "hunter2") == []


async def test_the_key_of_a_provider_is_a_secret_without_being_listed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-live-0123456789abcdef")

    @step
    async def work(ticket: Ticket) -> str:
        return "sk-live-0123456789abcdef"

    done = await engine.run(Workflow("keys", input=Ticket, steps=[work]), Ticket())
    assert done.output == "[secret:OPENAI_API_KEY]"
    assert found(tmp_path, "sk-live-0123456789abcdef") == []


async def test_the_same_call_has_the_same_digest_with_and_without_a_crash(
    engine: Engine, other: OtherSide, tmp_path: Path
) -> None:
    """A secret in arguments is replaced before the place of the call is fixed, so that it is found again."""

    @tool(effect=Effect.KEYED)
    async def act(call: Call, text: str) -> str:
        return other.act("act", call.key)

    @step
    async def work(ticket: Ticket, run: Run) -> str:
        told = await run.call(act, text=f"key {SECRET}")
        await run.sleep(3600)
        return told

    runtime, run = await engine.start(workflow(work, tools=[act]), Ticket())
    await quiet(runtime)
    await engine.crash(runtime)
    runtime = await engine.open(workflow(work, tools=[act]))
    runtime.begin_driving()
    await engine.clock.jump(3600)
    assert (await result(runtime, run)).output == "act #1"
    assert other.asked["act"] == 1
    assert found(tmp_path, *forms(SECRET), "hunter2") == []


# ── private values ──


PHONE = "+1 555 010 7788"


async def test_private_values_are_written_sealed_only_and_come_back_exactly(
    engine: Engine, tmp_path: Path
) -> None:
    """In the input, wherever they turn up again, and those that a tool finds; over a crash."""
    sent: list[str] = []

    @tool(effect=Effect.READ)
    async def find(call: Call, sender: str) -> Contact:
        assert sender == EMAIL
        return Contact(phone=PHONE)

    @tool(effect=Effect.KEYED)
    async def send(call: Call, text: str) -> str:
        sent.append(text)
        return f"sent: {text}"

    @step
    async def contact(ticket: Ticket, run: Run) -> Contact:
        return await run.call(find, sender=ticket.sender)

    @step
    async def work(ticket: Ticket, contact: Contact, run: Run) -> str:
        told = await run.call(send, text=f"Dear {ticket.name} <{ticket.sender}>, call {contact.phone}")
        await run.sleep(3600)
        return told

    @step
    async def last(work: str, ticket: Ticket, run: Run) -> str:
        answer = await run.ask(str, "Answer", {"ticket": ticket})
        raise_it = f"{answer} and {work} for {ticket.sender}"
        if ticket.text == "fail":
            raise ValueError(raise_it)
        return raise_it

    model = ScriptedModel({"last": [Say(f"I wrote to {EMAIL} of {NAME}")]})
    made = workflow(contact, work, last, tools=[find, send])
    private = [*forms(EMAIL), *forms(NAME), *forms(PHONE)]
    for text in ("hello", "fail"):
        runtime, run = await engine.start(made, Ticket(text=text), models=[model])
        await quiet(runtime)
        await engine.crash(runtime)
        assert found(tmp_path, *private) == []
        runtime = await engine.open(made, models=[model])
        runtime.begin_driving()
        await engine.clock.jump(3600)
        ended = await result(runtime, run)
        expected = f"I wrote to {EMAIL} of {NAME} and sent: Dear {NAME} <{EMAIL}>, call {PHONE} for {EMAIL}"
        if text == "hello":
            assert ended.output == expected
        else:
            assert ended.error is not None
            assert ended.error.why == expected
        assert sent[-1] == f"Dear {NAME} <{EMAIL}>, call {PHONE}"
        assert EMAIL in model.requests[-1].messages[0].text  # models see exact values
        await engine.close(runtime)
    assert found(tmp_path, *private) == []


async def test_views_show_placeholders_of_a_kind(engine: Engine, tmp_path: Path) -> None:
    @step
    async def work(ticket: Ticket) -> str:
        return f"{ticket.sender}, {ticket.name} and {ticket.sender}"

    runtime, run, done = await ticket_run(engine, workflow(work))
    assert done.output == f"{EMAIL}, {NAME} and {EMAIL}"
    views = {entry.kind: json.loads(entry.view) for entry in await runtime.store.events(run)}
    assert views["run.submitted"]["input"]["sender"] == "[email-1]"
    assert views["step.finished"]["output"] == "[email-1], [name-1] and [email-1]"


async def test_the_inbox_shows_placeholders_and_the_one_who_started_the_run_sees_the_values(
    engine: Engine, tmp_path: Path
) -> None:
    @tool(effect=Effect.KEYED)
    async def send(call: Call, to: Annotated[str, Private("email")], text: str) -> str:
        return f"sent to {to}"

    @step
    async def work(ticket: Ticket, run: Run) -> str:
        return await run.call(send, to=ticket.sender, text=f"Dear {ticket.name}")

    made = workflow(work, tools=[send], rules=[approve(send)])
    runtime, run, waiting = await ticket_run(engine, made)
    (item,) = waiting.waiting_for
    assert item.args == {"to": EMAIL, "text": f"Dear {NAME}"}
    row = await runtime.store.item(item.item)
    assert row is not None
    assert row.view["args"] == {"to": "[email-1]", "text": "Dear [name-1]"}
    await runtime.decide(item.item, Edit({"to": "bob@example.net", "text": "Dear Bob"}, by="kim"))
    done = await result(runtime, run)
    assert done.output == "sent to bob@example.net"
    assert found(tmp_path, *forms(EMAIL), *forms(NAME), "bob@example.net") == []


async def test_a_private_value_that_a_person_gives_is_sealed_too(engine: Engine, tmp_path: Path) -> None:
    """The result of a call in doubt, a step's output by hand, and what they say about it."""

    @tool(effect=Effect.ONCE)
    async def find(call: Call) -> Contact:
        raise OSError("lost")

    @step(fallback=Review())
    async def other_contact(ticket: Ticket) -> Contact:
        raise ValueError("no")

    @step
    async def work(other_contact: Contact, ticket: Ticket, run: Run) -> str:
        contact = await run.call(find)
        return f"{contact.phone} {other_contact.phone}"

    made = workflow(other_contact, work, tools=[find])
    runtime, run, waiting = await ticket_run(engine, made)
    await runtime.decide(
        waiting.waiting_for[0].item, Settle({"phone": PHONE}, by="kim", reason=f"{EMAIL} says so")
    )
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Settle({"phone": "+44 20 7946 0999"}, by="kim"))
    done = await result(runtime, run)
    assert done.output == f"+44 20 7946 0999 {PHONE}"
    assert found(tmp_path, PHONE, "+44 20 7946 0999", EMAIL) == []


async def test_a_private_value_in_the_reason_of_a_cancellation_is_sealed_too(
    engine: Engine, tmp_path: Path
) -> None:
    @step
    async def work(ticket: Ticket, run: Run) -> str:
        await run.sleep(3600)
        return "done"

    made = workflow(work)
    runtime, run = await engine.start(made, Ticket())
    await quiet(runtime)
    await engine.close(runtime)
    desk = await engine.open(made, drive=False)
    await desk.cancel(run, by="kim", reason=f"{EMAIL} called")
    assert found(tmp_path, EMAIL) == []
    runtime = await engine.open(made)
    ended = await result(runtime, run)
    assert ended.error is not None
    assert ended.error.why == f"{EMAIL} called"
    await runtime.retry(run, by="kim", reason=f"{EMAIL} called again")
    await quiet(runtime)
    assert found(tmp_path, EMAIL) == []


async def test_another_run_does_not_know_the_private_values_of_this_one(
    engine: Engine, tmp_path: Path
) -> None:
    """Each run has a key and a list of its own: the same value is not the same seal."""

    @step
    async def work(ticket: Ticket) -> str:
        return ticket.sender

    made = workflow(work)
    runtime = await engine.open(made)
    seals = []
    for number in range(2):
        run = (await runtime.start(Ticket(text=str(number)))).id
        await result(runtime, run)
        seals += [entry.sealed for entry in await runtime.store.events(run) if entry.sealed]
    assert len(set(seals)) == len(seals) == 4
    await asyncio.sleep(0)
