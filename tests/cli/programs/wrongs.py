"""A workflow for each thing that can go wrong in a run, named for the error that it ends with."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, field_validator

from surefoot import (
    Budget,
    Call,
    Effect,
    NotDone,
    Retry,
    Review,
    Run,
    Transient,
    Workflow,
    approve,
    errors,
    forbid,
    step,
    tool,
)
from surefoot.testing import Fail, Say, ScriptedModel, UseTools


class Case(BaseModel):
    number: int = 1


# ── errors of the user's own, below those of ours that we never raise ourselves ──


class OfOurs(errors.SurefootError):
    pass


class BadTicket(errors.InputError):
    pass


class ShopTrouble(errors.ToolError):
    pass


class NotToday(errors.CallRefused):
    pass


class ModelTrouble(errors.ModelError):
    pass


class PocketEmpty(errors.BudgetError):
    pass


class TooSlow(errors.TimedOut):
    pass


class RunTrouble(errors.RunError):
    pass


class DeskTrouble(errors.InboxError):
    pass


# ── tools ──


@tool(effect=Effect.READ)
async def look(call: Call, number: int) -> int:
    return number


@tool(effect=Effect.READ)
async def unlisted(call: Call, number: int) -> int:
    return number


@tool(effect=Effect.READ, permission="vault:open")
async def vault(call: Call, number: int) -> int:
    return number


@tool(effect=Effect.KEYED)
async def forbidden(call: Call, number: int) -> int:
    return number


@tool(effect=Effect.KEYED)
async def asked_for(call: Call, number: int) -> int:
    return number


@tool(effect=Effect.KEYED)
async def guarded(call: Call, number: int) -> int:
    return number


@tool(effect=Effect.KEYED)
async def refusing(call: Call, number: int) -> int:
    raise NotDone("the shop took no order", why="it is closed on Sundays")


@tool(effect=Effect.READ)
async def busy(call: Call, number: int) -> int:
    raise Transient("the shop is busy", why="it said 503")


@tool(effect=Effect.KEYED)
async def lost(call: Call, number: int) -> int:
    raise ConnectionError("the line went dead")


@tool(effect=Effect.ONCE)
async def once(call: Call, number: int) -> int:
    raise ConnectionError("the line went dead")


@tool(effect=Effect.KEYED)
async def odd(call: Call, number: int) -> int:
    return "not a number"  # type: ignore[return-value]


def _breaks(number: int) -> bool:
    raise ZeroDivisionError("a rule of mine is broken")


async def _cannot_tell(call: Call) -> Any:
    raise ZeroDivisionError("my reconcile is broken")


@tool(effect=Effect.ONCE, reconcile=_cannot_tell)
async def unsettled(call: Call, number: int) -> int:
    raise ConnectionError("the line went dead")


TOOLS = [look, vault, forbidden, asked_for, guarded, refusing, busy, lost, once, odd, unsettled]
RULES = [
    forbid(forbidden, reason="nobody may"),
    approve(asked_for, by="leads", reason="the leads are asked"),
    approve(guarded, when=_breaks),
]
SCRIPT = {
    "model_unavailable": [Fail("unavailable")] * 9,
    "model_refused": [Fail("refused")] * 9,
    "output_invalid": [Say("no number at all")] * 9,
    "output_truncated": [Say("123", finish="length")] * 9,
    "turns_exhausted": [UseTools([("look", {"number": 1})])] * 9,
    "budget_exceeded": [Say("1")],
}


# ── one step each ──


@step
async def error(case: Case, run: Run) -> int:
    raise OfOurs("nothing fits", why="it is none of the kinds")


@step
async def input_(case: Case, run: Run) -> int:
    raise BadTicket("the ticket is empty", why="it has no text")


@step
async def tool_(case: Case, run: Run) -> int:
    raise ShopTrouble("the shop is odd", why="it answered in verse")


@step
async def call_refused(case: Case, run: Run) -> int:
    raise NotToday("no orders today", why="it is a holiday")


@step
async def invalid_arguments(case: Case, run: Run) -> int:
    return await run.call(look, number="many")  # type: ignore[arg-type]


@step
async def unknown_tool(case: Case, run: Run) -> int:
    return await run.call(globals()["unlisted"], number=1)


@step
async def tool_denied(case: Case, run: Run) -> int:
    return await run.call(vault, number=1)


@step
async def denied(case: Case, run: Run) -> int:
    return await run.call(forbidden, number=1)


@step
async def broken_rule(case: Case, run: Run) -> int:
    return await run.call(guarded, number=1)


@step
async def waits(case: Case, run: Run) -> int:
    return await run.call(asked_for, number=1)


@step
async def not_done(case: Case, run: Run) -> int:
    return await run.call(refusing, number=1)


@step(retry=Retry(attempts=1))
async def transient(case: Case, run: Run) -> int:
    return await run.call(busy, number=1)


@step(retry=Retry(attempts=1))
async def call_unknown(case: Case, run: Run) -> int:
    return await run.call(lost, number=1)


@step
async def invalid_result(case: Case, run: Run) -> int:
    return await run.call(odd, number=1)


@step
async def given_up(case: Case, run: Run) -> int:
    return await run.call(once, number=1)


@step
async def broken_reconcile(case: Case, run: Run) -> int:
    return await run.call(unsettled, number=1)


@step
async def model(case: Case, run: Run) -> int:
    raise ModelTrouble("the model sulks", why="it was asked too often")


@step(retry=Retry(attempts=1))
async def model_unavailable(case: Case, run: Run) -> int:
    return await run.ask(int, "A number, please.", {})


@step
async def model_refused(case: Case, run: Run) -> int:
    return await run.ask(int, "A number, please.", {})


@step
async def output_invalid(case: Case, run: Run) -> int:
    return await run.ask(int, "A number, please.", {})


@step
async def output_truncated(case: Case, run: Run) -> int:
    return await run.ask(int, "A number, please.", {})


@step
async def turns_exhausted(case: Case, run: Run) -> int:
    return await run.ask(int, "A number, please.", {}, tools=[look], max_turns=2)


@step
async def budget(case: Case, run: Run) -> int:
    raise PocketEmpty("the petty cash is empty", why="it is the end of the month")


@step
async def budget_exceeded(case: Case, run: Run) -> int:
    return await run.ask(int, "A number, please.", {})


@step(retry=Retry(attempts=1))
async def timed_out(case: Case, run: Run) -> int:
    raise TooSlow("the fax took too long", why="it has 100 pages")


@step(timeout=0.05, retry=Retry(attempts=1))
async def step_timed_out(case: Case, run: Run) -> int:
    await asyncio.sleep(60)
    return 1


@step
async def run_(case: Case, run: Run) -> int:
    raise RunTrouble("this run is odd", why="its number is prime")


@step
async def step_failed(case: Case, run: Run) -> int:
    raise ValueError("the step itself is broken")


@step
async def wrong_type_of_its_own(case: Case, run: Run) -> Case:
    return Case.model_validate({"number": "anns-secret-number"})


@step
async def leaves(case: Case, run: Run) -> int:
    raise SystemExit(7)


@step
async def dies(case: Case, run: Run) -> int:
    os._exit(9)


@step
async def inbox(case: Case, run: Run) -> int:
    raise DeskTrouble("the desk is odd", why="nobody sits at it")


@step(fallback=Review("desk"))
async def reviewed(case: Case, run: Run) -> int:
    raise ValueError("a person should look at this")


@step
async def fine(case: Case) -> int:
    return case.number


@step
async def slow(case: Case, run: Run) -> int:
    Path("slow.txt").touch()
    await asyncio.sleep(60)
    return 1


def flow(one: Any, **more: Any) -> Workflow:
    return Workflow(
        one.name.strip("_"),
        input=Case,
        steps=[one],
        tools=TOOLS,
        rules=RULES,
        models=[ScriptedModel(SCRIPT)],
        **more,
    )


ok = flow(fine)
flows = {
    f"w_{one.name.strip('_')}": flow(one)
    for one in (
        error, input_, tool_, call_refused, invalid_arguments, unknown_tool, tool_denied, denied, broken_rule, waits,
        not_done, transient, call_unknown, invalid_result, given_up, broken_reconcile, model, model_unavailable,
        model_refused, output_invalid, output_truncated, turns_exhausted, budget, timed_out, step_timed_out, run_,
        step_failed, wrong_type_of_its_own, leaves, dies, inbox, reviewed, slow,
    )
}  # fmt: skip
globals().update(flows)
w_budget_exceeded = flow(budget_exceeded, budget=Budget(tokens=10))


# ── what is called outside of any step ──


class Picky(BaseModel):
    number: int = 1

    @field_validator("number")
    @classmethod
    def broken(cls, value: int) -> int:
        raise ZeroDivisionError("my validator is broken")


@step
async def picked(case: Picky) -> int:
    return 1


w_model_class = Workflow("model-class", input=Picky, steps=[picked])


@asynccontextmanager
async def broken_factory() -> AsyncIterator[Case]:
    raise ZeroDivisionError("my factory is broken")
    yield Case()


w_factory = Workflow("factory", input=Case, steps=[fine], resources=[broken_factory])


@asynccontextmanager
async def missing_file() -> AsyncIterator[Case]:
    Path("no-such-file.txt").read_text()
    yield Case()


w_missing_file = Workflow("missing-file", input=Case, steps=[fine], resources=[missing_file])
