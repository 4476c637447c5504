"""The one road to a tool: what it checks, in which order, and that every refusal is journaled."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator.rig import Engine, Order, OtherSide, calls, code, kinds, quiet, result
from surefoot import (
    Budget,
    Call,
    Effect,
    InvalidArguments,
    Run,
    Tool,
    Workflow,
    approve,
    errors,
    forbid,
    step,
    tool,
)
from surefoot.errors import CallRefused, SurefootError, UnknownTool

pytestmark = pytest.mark.anyio


class Receipt(BaseModel):
    amount: Decimal
    day: date


def one_call(act: Tool[..., Any], *args: Any, **kwargs: Any) -> Any:
    @step
    async def work(order: Order, run: Run) -> str:
        try:
            return repr(await run.call(act, *args, **kwargs))
        except (SurefootError, TypeError) as error:
            return getattr(error, "code", type(error).__name__) + ": " + str(error)

    return work


async def outcome(engine: Engine, act: Tool[..., Any], *args: Any, **kwargs: Any) -> str:
    work = one_call(act, *args, **kwargs)
    done = await engine.run(Workflow("road", input=Order, steps=[work], tools=[act]))
    return str(done.output)


def adding(other: OtherSide, effect: Effect = Effect.KEYED, **options: Any) -> Tool[..., Any]:
    @tool(effect=effect, **options)
    async def add(call: Call, a: int, b: int = 1) -> int:
        other.act(f"add {a} {b}", call.key)
        return a + b

    return add


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1, 2), {}), ((1,), {"b": 2}), ((), {"a": 1, "b": 2}), ((), {"b": 2, "a": 1})],
    ids=str,
)
async def test_arguments_may_be_given_by_place_or_by_name(
    engine: Engine, other: OtherSide, args: Any, kwargs: Any
) -> None:
    assert await outcome(engine, adding(other), *args, **kwargs) == "3"
    assert other.asked == {"add 1 2": 1}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((), {"a": "x"}),
        ((), {"a": 1, "c": 1}),
        ((1, 2, 3), {}),
        ((1,), {"a": 1}),
        ((None,), {}),
        ((), {"a": float("nan")}),
        ((), {"a": object()}),
    ],
    ids=["none", "wrong type", "unknown", "too many", "twice", "null", "nan", "object"],
)
async def test_bad_arguments_are_refused_before_anything_is_done(
    engine: Engine, other: OtherSide, args: Any, kwargs: Any
) -> None:
    told = await outcome(engine, adding(other), *args, **kwargs)
    assert told.startswith("invalid_arguments"), told
    assert not other.asked


async def test_every_refusal_is_journaled_with_its_reason(engine: Engine, other: OtherSide) -> None:
    add = adding(other)
    work = one_call(add, a="x")
    runtime, run = await engine.start(Workflow("road", input=Order, steps=[work], tools=[add]))
    await result(runtime, run)
    ((_, refusal),) = (await runtime.state(run)).refusals
    assert (refusal.tool, refusal.error["code"]) == ("add", "invalid_arguments")
    assert await calls(runtime, run) == []


async def test_a_refusal_is_journaled_once_however_often_the_body_is_entered(
    engine: Engine, other: OtherSide
) -> None:
    add = adding(other)

    @step
    async def work(order: Order, run: Run) -> str:
        for _ in range(3):
            try:
                await run.call(add, a="x")  # type: ignore[arg-type]
            except InvalidArguments:
                await run.sleep(3600)
        return "done"

    runtime, run = await engine.start(Workflow("road", input=Order, steps=[work], tools=[add]))
    for _ in range(3):
        await quiet(runtime)
        await engine.clock.jump(3600)
    assert (await result(runtime, run)).output == "done"
    assert (await kinds(runtime, run)).count("call.refused") == 1


async def test_a_tool_that_the_workflow_does_not_list_is_refused(engine: Engine, other: OtherSide) -> None:
    listed, stranger = adding(other), adding(other, name="other")
    hidden = {"tool": stranger}

    @step
    async def work(order: Order, run: Run) -> str:
        try:
            await run.call(hidden["tool"], a=1)
        except UnknownTool as refused:
            return refused.why
        return "made"

    done = await engine.run(Workflow("road", input=Order, steps=[work], tools=[listed]))
    assert done.output == "listed are ['add']"
    assert not other.asked


async def test_another_tool_of_the_same_name_is_refused(engine: Engine, other: OtherSide) -> None:
    listed, impostor = adding(other), adding(other)
    hidden = {"tool": impostor}

    @step
    async def work(order: Order, run: Run) -> str:
        try:
            await run.call(hidden["tool"], a=1)
        except UnknownTool:
            return "refused"
        return "made"

    done = await engine.run(Workflow("road", input=Order, steps=[work], tools=[listed]))
    assert (done.output, other.asked) == ("refused", {})


@pytest.mark.parametrize(
    ("grants", "narrowed", "starters", "made"),
    [
        (["add"], None, None, True),
        ([], None, None, False),
        (["adds", "ad"], None, None, False),
        (["add"], [], None, False),
        (["add"], ["add", "more"], None, True),
        ([], ["add"], None, False),  # a deployment can only narrow
        (["add"], None, [], False),
        (["add"], None, ["add"], True),
        ([], None, ["add"], False),  # and so can a starter
    ],
)
async def test_a_call_needs_its_permission(
    engine: Engine, other: OtherSide, grants: Any, narrowed: Any, starters: Any, made: bool
) -> None:
    add = adding(other, permission="add")
    workflow = Workflow("road", input=Order, steps=[one_call(add, a=1)], tools=[add], grants=grants)
    runtime = await engine.open(workflow, grants=narrowed)
    started = await runtime.start(Order(), grants=starters)
    done = await result(runtime, started.id)
    assert done.output == "2" if made else done.output.startswith("tool_denied: add needs 'add'")
    assert bool(other.asked) == made


async def test_the_order_of_the_road(engine: Engine, other: OtherSide) -> None:
    """Each fault in the way hides all that come after it: listed, arguments, permission, rules, budget."""
    add = adding(other, permission="add")
    no = forbid(add, reason="no")
    broke = Budget(tool_calls=0)

    async def refused(args: dict[str, Any], **options: Any) -> str:
        work = one_call(add, **args)
        done = await engine.run(Workflow("road", input=Order, steps=[work], tools=[add], **options))
        return str(done.output).partition(":")[0]

    assert await refused({"a": "x"}, rules=[no], budget=broke) == "invalid_arguments"
    assert await refused({"a": 1}, rules=[no], budget=broke) == "tool_denied"
    assert await refused({"a": 1}, rules=[no], budget=broke, grants=["add"]) == "denied"
    assert await refused({"a": 1}, budget=broke, grants=["add"]) == "budget_exceeded"
    assert not other.asked


async def test_a_person_is_not_asked_about_a_call_that_would_be_refused_anyway(
    engine: Engine, other: OtherSide
) -> None:
    add = adding(other, permission="add")
    work = one_call(add, a=1)
    workflow = Workflow("road", input=Order, steps=[work], tools=[add], rules=[approve(add)])
    done = await engine.run(workflow)
    assert done.output.startswith("tool_denied")


# ── results ──


async def test_a_result_is_what_its_type_says_also_on_replay(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.KEYED)
    async def buy(call: Call) -> Receipt:
        other.act("buy")
        return Receipt(amount=Decimal("1.10"), day=date(2026, 1, 2))

    seen = []

    @step
    async def work(order: Order, run: Run) -> Receipt:
        receipt = await run.call(buy)
        seen.append(receipt)
        await run.sleep(60)
        return receipt

    runtime, run = await engine.start(Workflow("road", input=Order, steps=[work], tools=[buy]))
    await quiet(runtime)
    await engine.clock.jump(60)
    done = await result(runtime, run)
    assert done.output == Receipt(amount=Decimal("1.10"), day=date(2026, 1, 2))
    assert seen == [done.output, done.output]
    assert other.asked["buy"] == 1


async def test_a_result_that_is_too_large_is_refused(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.READ, max_bytes=100)
    async def read(call: Call) -> str:
        return "x" * 99

    told = await outcome(engine, read)
    assert told.startswith("invalid_result: read answered with 101 bytes; at most 100 are allowed")


@pytest.mark.parametrize(
    "value",
    [object(), {"a": object()}, float("nan"), "half: \ud800", {1, 2}, b"\xff"],
    ids=["object", "object inside", "nan", "half a pair", "set", "bytes"],
)
async def test_a_result_that_is_no_json_of_its_type_is_refused(
    engine: Engine, other: OtherSide, value: Any
) -> None:
    @tool(effect=Effect.KEYED)
    async def read(call: Call) -> dict[str, int]:
        other.act("read")
        return value  # type: ignore[no-any-return]

    told = await outcome(engine, read)
    assert told.startswith("invalid_result"), told
    assert other.asked["read"] == 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even its text can be had")


class Escape(BaseException):
    pass


@pytest.mark.parametrize("plain", [False, True], ids=["async", "in a thread"])
@pytest.mark.parametrize(
    "error",
    [
        SystemExit(1),
        Escape("out"),
        Unspeakable(),
        StopIteration(),
        asyncio.CancelledError(),
        Exception("\ud800"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_tool_raises_is_its_own_failure_and_leaves_a_doubt(
    engine: Engine, other: OtherSide, error: BaseException, plain: bool
) -> None:
    if plain:

        @tool(effect=Effect.KEYED)
        def act(call: Call) -> str:
            other.act("act")
            raise error

    else:

        @tool(effect=Effect.KEYED)
        async def act(call: Call) -> str:
            other.act("act")
            raise error

    work = one_call(act)
    runtime, run = await engine.start(Workflow("road", input=Order, steps=[work], tools=[act]))
    done = await result(runtime, run)
    assert done.output.startswith("call_unknown: act may have happened"), done
    assert [call.status for call in await calls(runtime, run)] == ["unknown"]
    # And the runtime serves the next run.
    again = await runtime.start(Order(number=2))
    assert (await result(runtime, again.id)).status == "succeeded"


# ── tools from elsewhere ──


SCHEMA = {
    "type": "object",
    "properties": {"q": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["q"],
}


async def test_a_tool_with_a_raw_schema_goes_the_same_road(engine: Engine, other: OtherSide) -> None:
    async def search(call: Call, arguments: dict[str, Any]) -> Any:
        other.act("search", call.key)
        return {"found": [arguments["q"]]}

    output = {"type": "object", "properties": {"found": {"type": "array"}}, "required": ["found"]}
    found = Tool.from_schema("search", "Searches", SCHEMA, search, effect=Effect.READ, output_schema=output)
    assert await outcome(engine, found, q="x") == "{'found': ['x']}"
    assert await outcome(engine, found, {"q": "x", "n": 3}) == "{'found': ['x']}"
    for wrong in ({}, {"q": 1}, {"q": "x", "n": "3"}, {"q": "x", "more": 1}):
        assert (await outcome(engine, found, **wrong)).startswith("invalid_arguments")  # type: ignore[arg-type]
    assert other.asked["search"] == 2


async def test_a_raw_tools_result_must_fit_its_schema(engine: Engine) -> None:
    async def search(call: Call, arguments: dict[str, Any]) -> Any:
        return {"found": "no list"}

    output = {"type": "object", "properties": {"found": {"type": "array"}}, "required": ["found"]}
    found = Tool.from_schema("search", "Searches", SCHEMA, search, effect=Effect.READ, output_schema=output)
    assert (await outcome(engine, found, q="x")).startswith("invalid_result")


async def test_refusals_are_all_of_one_kind() -> None:
    for name in ("InvalidArguments", "UnknownTool", "ToolDenied", "Denied"):
        assert issubclass(getattr(errors, name), CallRefused)


async def test_code_of_a_failed_run_is_that_of_its_call(engine: Engine, other: OtherSide) -> None:
    add = adding(other, permission="add")

    @step
    async def work(order: Order, run: Run) -> int:
        return await run.call(add, a=1)

    failed = await engine.run(Workflow("road", input=Order, steps=[work], tools=[add]))
    assert code(failed) == "tool_denied"
    assert failed.error is not None
    assert "grants" in failed.error.remedy
