"""Placeholders in what models propose and in what people write: resolved for their own run, else refused."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, StringConstraints

from surefoot import (
    Approve,
    Call,
    Edit,
    Effect,
    Private,
    Retry,
    Run,
    Settle,
    Transient,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.errors import InvalidArguments
from surefoot.orchestrator import saying
from surefoot.testing import Say, ScriptedModel, UseTools

from .rig import Engine, OtherSide, result

pytestmark = pytest.mark.anyio

Address = Annotated[str, StringConstraints(pattern=r"^[^@\[\]\s]+@[^@\[\]\s]+$")]


class Ticket(BaseModel):
    sender: Annotated[str, Private("email")]


def desk(other: OtherSide, proposed: Any, *, asks: bool = False) -> Workflow:
    @tool(effect=Effect.KEYED)
    async def send(call: Call, to: Address, text: str, extra: dict[str, Any] | None = None) -> str:
        """Sends a mail."""
        return other.act(f"{to}: {text} {extra or ''}".strip(), call.key)

    @step
    async def work(ticket: Ticket, run: Run) -> str:
        return await run.ask(str, "Answer it.", {"ticket": ticket}, tools=[send])

    model = ScriptedModel({"work": [UseTools([("send", proposed)]), Say("done")]})
    rules = [approve(send)] if asks else []
    return Workflow("desk", input=Ticket, steps=[work], tools=[send], rules=rules, models=[model])


TICKET = Ticket(sender="ann@example.org")


@pytest.mark.parametrize(
    ("proposed", "sent"),
    [
        ({"to": "[email-1]", "text": "hi"}, "ann@example.org: hi"),
        ({"to": "[email-1]", "text": "Dear [email-1]"}, "ann@example.org: Dear ann@example.org"),
        ({"to": "[email-1]", "text": "x", "extra": {"[email-1]": ["[email-1]"]}},
         "ann@example.org: x {'ann@example.org': ['ann@example.org']}"),
        ({"to": "kim@example.org", "text": "see [1] and [rfc-822]"}, "kim@example.org: see [1] and [rfc-822]"),
    ],
)  # fmt: skip
async def test_a_model_may_repeat_a_placeholder_of_its_run(
    engine: Engine, other: OtherSide, proposed: Any, sent: str
) -> None:
    assert (await engine.run(desk(other, proposed), TICKET)).status == "succeeded"
    assert dict(other.done) == {sent: 1}


@pytest.mark.parametrize(
    "proposed",
    [
        {"to": "kim@example.org", "text": "[email-9]"},
        {"to": "kim@example.org", "text": "[secret:SHOP_API_KEY]"},
        {"to": "kim@example.org", "text": "x", "extra": {"deep": [{"[card-1]": 1}]}},
        {"to": "[email-7]", "text": "x"},
    ],
)
async def test_a_placeholder_that_stands_for_nothing_here_never_reaches_a_tool(
    engine: Engine, other: OtherSide, proposed: Any
) -> None:
    runtime, run = await engine.start(desk(other, proposed), TICKET)
    assert (await result(runtime, run)).status == "succeeded"
    assert not other.asked
    ((_, refusal),) = (await runtime.state(run)).refusals
    assert refusal.error["code"] == "invalid_arguments"


async def test_a_placeholder_means_its_own_run_and_no_other(engine: Engine, other: OtherSide) -> None:
    workflow = desk(other, {"to": "[email-1]", "text": "hi"})
    runtime = await engine.open(workflow)
    for address in ("ann@example.org", "bob@example.org"):
        await result(runtime, (await runtime.start(Ticket(sender=address))).id)
    assert dict(other.done) == {"ann@example.org: hi": 1, "bob@example.org: hi": 1}


@pytest.mark.parametrize("at_hand", [True, False], ids=["workflow at hand", "store alone"])
async def test_a_person_edits_what_he_was_shown(engine: Engine, other: OtherSide, at_hand: bool) -> None:
    workflow = desk(other, {"to": "ann@example.org", "text": "hi"}, asks=True)
    runtime, run = await engine.start(workflow, TICKET)
    (item,) = (await result(runtime, run)).waiting_for
    row = await runtime.store.item(item.item)
    assert row is not None
    shown = row.view["args"]
    assert shown == {"to": "[email-1]", "text": "hi", "extra": None}
    edit = Edit({**shown, "text": "Dear [email-1], hello"}, by="kim")
    await saying.decide(runtime.store, engine.ring, item.item, edit, workflow=workflow if at_hand else None)
    runtime._look()
    assert (await result(runtime, run)).status == "succeeded"
    assert dict(other.done) == {"ann@example.org: Dear ann@example.org, hello": 1}
    # And the address that the person never typed is hidden in what is kept of the edit.
    assert not [e for e in await runtime.store.events(run) if "ann@example.org" in e.view]


@pytest.mark.parametrize("text", ["[email-4]", "[secret:SHOP_API_KEY]"])
async def test_an_edit_with_what_stands_for_nothing_is_refused_at_once_and_the_question_stays(
    engine: Engine, other: OtherSide, text: str
) -> None:
    workflow = desk(other, {"to": "ann@example.org", "text": "hi"}, asks=True)
    runtime, run = await engine.start(workflow, TICKET)
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(InvalidArguments):
        await runtime.decide(item.item, Edit({"to": "[email-1]", "text": text}, by="kim"))
    assert (await runtime.look(run)).waiting_for[0].item == item.item
    # Whoever has only the store cannot tell; then it is found out when it is used, and asked again.
    edit = Edit({"to": "[email-1]", "text": text}, by="kim")
    await saying.decide(runtime.store, engine.ring, item.item, edit)
    runtime._look()
    again = await result(runtime, run)
    assert again.status == "waiting"
    assert again.waiting_for[0].item != item.item
    assert not other.asked
    await runtime.decide(again.waiting_for[0].item, Approve(by="kim"))
    await result(runtime, run)
    assert dict(other.done) == {"ann@example.org: hi": 1}


async def test_what_a_person_settles_with_is_resolved_too(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.ONCE)
    async def ship(call: Call, to: str) -> str:
        """Ships once."""
        other.act(f"ship {to}")
        raise Transient("the line went dead")

    @step(retry=Retry(attempts=2))
    async def work(ticket: Ticket, run: Run) -> str:
        return await run.call(ship, to=ticket.sender)

    runtime, run = await engine.start(Workflow("w", input=Ticket, steps=[work], tools=[ship]), TICKET)
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(InvalidArguments):
        await runtime.decide(item.item, Settle("sent to [email-3]", by="kim"))
    await runtime.decide(item.item, Settle("sent to [email-1]", by="kim"))
    found = await result(runtime, run)
    assert (found.status, found.output) == ("succeeded", "sent to ann@example.org")
    assert sum(other.asked.values()) == 1
