"""Exact values are shown to a person who may see them, and never before the journal says that they were."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import pytest
from pydantic import BaseModel

from surefoot import Effect, Private, Run, Workflow, approve, step, tool
from surefoot.errors import KeyUnavailable, NotAllowedToDecide, RunNotFinished, StoreUnavailable, UsageError
from surefoot.orchestrator import revealing
from surefoot.state.audit import verify

from .rig import Engine, kinds, result, until

pytestmark = pytest.mark.anyio

MAIL = "kim@example.org"


class Ticket(BaseModel):
    mail: Annotated[str, Private("email")] = MAIL


@tool(effect=Effect.KEYED, permission="mail:send")
async def send(to: str) -> str:
    """Send it."""
    return f"sent to {to}"


@step
async def sent(ticket: Ticket, run: Run) -> str:
    return await run.call(send, to=ticket.mail)


desk = Workflow("desk", input=Ticket, steps=[sent], tools=[send], grants=["mail:send"])
asking = Workflow(
    "desk",
    input=Ticket,
    steps=[sent],
    tools=[send],
    grants=["mail:send"],
    rules=[approve(send, by="leads", within=timedelta(days=1))],
)


async def test_what_is_shown_is_exact_and_in_the_journal(engine: Engine) -> None:
    runtime, run = await engine.start(desk, Ticket())
    await result(runtime, run)
    before = await runtime.store.run(run)
    shown = await runtime.reveal(run, by="ann", reason=f"{MAIL} asked what we hold")
    assert shown.state.submitted is not None
    assert MAIL in shown.state.submitted.input
    assert MAIL in shown.state.steps["sent"].output
    last = (await runtime.store.events(run))[-1]
    assert last.kind == "private.revealed"
    assert '"to":"ann"' in last.view
    assert MAIL not in last.view, "a reason may name whom it is about"
    after = await runtime.store.run(run)
    assert before is not None
    assert after is not None
    assert (after.status, after.claims, after.due) == (before.status, before.claims, before.due)
    assert await verify(runtime.store, engine.ring, run) == []


async def test_while_a_worker_holds_the_run_it_is_the_worker_that_writes(engine: Engine) -> None:
    go_on = asyncio.Event()

    @step
    async def slow(ticket: Ticket) -> str:
        await go_on.wait()
        return ticket.mail

    workflow = Workflow("slow", input=Ticket, steps=[slow])
    runtime, run = await engine.start(workflow, Ticket())
    onlooker = await engine.open(workflow, drive=False)
    asked = asyncio.create_task(onlooker.reveal(run, by="ann"))
    await until(lambda: not asked.done() or asked.result())
    while not asked.done():
        await engine.clock.advance(3)
        await asyncio.sleep(0.01)
    assert MAIL in str(asked.result().events[0].view)
    assert (await kinds(runtime, run)).count("private.revealed") == 1
    go_on.set()
    assert (await result(runtime, run)).status == "succeeded"


async def test_a_holder_that_dies_over_it_is_not_waited_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = asyncio.Event()

    @step
    async def slow(ticket: Ticket) -> str:
        entered.set()
        await asyncio.Event().wait()
        return ticket.mail

    workflow = Workflow("slow", input=Ticket, steps=[slow])
    runtime, run = await engine.start(workflow, Ticket())
    await entered.wait()
    onlooker = await engine.open(workflow, drive=False)
    # the holder hears of nothing: as if it were stuck in a step that leaves the loop no turn
    runtime.store.on_poke(lambda runs: None)
    monkeypatch.setattr(runtime.store, "changed", lambda: False)
    asked = asyncio.create_task(onlooker.reveal(run, by="ann"))
    while not await onlooker.store.mail(run):
        assert not asked.done(), "nothing is shown before it is written down"
        await asyncio.sleep(0.001)
    await engine.crash(runtime)
    shown = await asyncio.wait_for(asked, 10)
    assert MAIL in str(shown.events[0].view)
    assert await onlooker.store.mail(run) == [], "the message has come to its end"
    assert (await kinds(onlooker, run)).count("private.revealed") == 1


async def test_nothing_is_shown_that_could_not_be_written_down(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, run = await engine.start(desk, Ticket())
    await result(runtime, run)
    await engine.close(runtime)
    onlooker = await engine.open(desk, drive=False)

    async def held(*given: object) -> bool:
        return False

    monkeypatch.setattr(onlooker.store, "note", held)
    with pytest.raises(StoreUnavailable, match="nothing of"):
        await revealing.reveal(onlooker.store, engine.ring, engine.clock, run, by="ann", patience=0.2)
    assert "private.revealed" not in await kinds(onlooker, run)


async def test_only_who_may_sees_it(engine: Engine) -> None:
    people = {"reveal": ["ann"], "leads": ["lou"]}
    runtime, run = await engine.start(asking, Ticket(), people=people)
    waits = await result(runtime, run)
    (item,) = [one.item for one in waits.waiting_for]
    with pytest.raises(NotAllowedToDecide):
        await runtime.reveal(run, by="lou")
    with pytest.raises(UsageError):
        await runtime.reveal(run, by=" ")
    await runtime.reveal(run, by="ann")

    async def look(by: str) -> revealing.Revealed:
        store, ring, clock = runtime.store, engine.ring, engine.clock
        return await revealing.reveal_item(store, ring, clock, item, by=by, people=people)

    for who in ("lou", "ann"):
        shown = await look(who)
        assert shown.item is not None
        assert shown.item.args == {"to": MAIL}
    with pytest.raises(NotAllowedToDecide):
        await look("bo")
    told = [event.view for event in await runtime.store.events(run) if event.kind == "private.revealed"]
    assert [f"item {item}" in view for view in told] == [False, True, True]
    row = await runtime.store.run(run)
    assert row is not None
    assert row.status == "waiting"
    assert (await runtime.look(run)).waiting_for == waits.waiting_for, "looking has moved nothing"


async def test_once_people_are_named_nobody_else_sees_anything(engine: Engine) -> None:
    runtime, run = await engine.start(desk, Ticket(), people={"leads": ["lou"]})
    await result(runtime, run)
    with pytest.raises(NotAllowedToDecide, match="may not see"):
        await runtime.reveal(run, by="lou")


async def test_a_forgotten_run_says_so_to_whoever_asks(engine: Engine) -> None:
    runtime, run = await engine.start(asking, Ticket())
    await result(runtime, run)
    with pytest.raises(RunNotFinished, match="only a run that has ended"):
        await runtime.forget(run)
    await runtime.cancel(run)
    assert (await result(runtime, run)).status == "cancelled"
    done = await runtime.forget(run, by="ann", reason=f"{MAIL} asked for it")
    assert done.first
    assert not (await runtime.forget(run)).first
    for asked in (runtime.look(run), runtime.result(run), runtime.reveal(run, by="ann")):
        with pytest.raises(KeyUnavailable, match="was forgotten"):
            await asked
    events = await runtime.store.events(run)
    assert events[-1].kind == "run.forgotten"
    assert events[-1].sealed is None
    assert MAIL not in events[-1].view
    with pytest.raises(KeyUnavailable, match="was forgotten"):
        await runtime.retry(run)


async def test_a_forgotten_runs_key_does_not_do_the_work_again(engine: Engine) -> None:
    runtime = await engine.open(desk)
    first = await runtime.start(Ticket(), key=f"{MAIL}-1")
    await result(runtime, first.id)
    await runtime.forget(first.id)
    again = await runtime.start(Ticket(mail="lou@example.org"), key=f"{MAIL}-1")
    assert (again.id, again.created) == (first.id, False)
