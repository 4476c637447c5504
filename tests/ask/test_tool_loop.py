"""A model with tools: its own allowlist, strict arguments, refusals told to it, and an end to its turns."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from orchestrator.rig import Engine, Order, OtherSide, calls, code, kinds, result
from surefoot import Call, Effect, NotDone, Result, Retry, Run, Tool, Workflow, forbid, step, tool
from surefoot.testing import Say, ScriptedModel, UseTools

pytestmark = pytest.mark.anyio


class Tools:
    """`find` and `pay` are for the model, `burn` is the workflow's and not this ask's."""

    def __init__(self, other: OtherSide) -> None:
        @tool(effect=Effect.READ)
        async def find(call: Call, number: int, exact: bool = True) -> dict[str, Any]:
            """Finds an order."""
            other.act(f"find {number}", call.key)
            if number == 404:
                raise NotDone("there is no such order")
            if number == 500:
                raise OSError("the database is down")
            return {"number": number, "exact": exact}

        @tool(effect=Effect.KEYED, permission="pay")
        async def pay(call: Call, amount: int) -> str:
            """Pays."""
            return other.act(f"pay {amount}", call.key, dedupe=True)

        @tool(effect=Effect.ONCE)
        async def burn(call: Call) -> str:
            """Burns the house down."""
            return other.act("burn")

        self.find, self.pay, self.burn = find, pay, burn


@pytest.fixture
def tools(other: OtherSide) -> Tools:
    return Tools(other)


def asking(
    tools: Tools, allowed: list[Tool[..., Any]], retry: Retry | None = None, **options: Any
) -> Workflow:
    @step(retry=retry or Retry(1))
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Help", {"order": order}, tools=allowed, **options)

    return Workflow(
        "helping", input=Order, steps=[work], tools=[tools.find, tools.pay, tools.burn], grants=["pay"]
    )


async def told(engine: Engine, workflow: Workflow, *turns: Any) -> tuple[Result, ScriptedModel]:
    model = ScriptedModel({"work": list(turns)})
    return await engine.run(workflow, models=[model]), model


async def test_a_models_calls_are_made_and_their_results_go_back_to_it(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    done, model = await told(
        engine,
        asking(tools, [tools.find, tools.pay]),
        UseTools([("find", {"number": 7}), ("pay", {"amount": 3})]),
        UseTools([("find", {"number": 8, "exact": False})]),
        Say("done"),
    )
    assert (done.status, done.output) == ("succeeded", "done")
    assert other.asked == {"find 7": 1, "pay 3": 1, "find 8": 1}
    second, third = model.requests[1:]
    assert [(m.role, m.call_id) for m in second.messages[1:]] == [
        ("assistant", None),
        ("tool", "call-0-0"),
        ("tool", "call-0-1"),
    ]
    assert json.loads(second.messages[2].text) == {"number": 7, "exact": True}
    assert json.loads(second.messages[3].text) == "pay 3 #1"
    assert json.loads(third.messages[-1].text) == {"number": 8, "exact": False}
    assert (done.usage.model_calls, done.usage.tool_calls) == (3, 3)


async def test_a_model_sees_only_the_tools_of_its_ask(engine: Engine, tools: Tools) -> None:
    _, model = await told(engine, asking(tools, [tools.find]), Say("done"))
    (spec,) = model.requests[0].tools
    assert (spec.name, spec.description) == ("find", "Finds an order.")
    assert spec.input_schema["required"] == ["number"]
    assert spec.input_schema["additionalProperties"] is False
    assert "call" not in spec.input_schema["properties"]


@pytest.mark.parametrize("name", ["burn", "pay", "rm -rf", "", "find "])
async def test_a_tool_that_is_not_listed_for_the_ask_is_refused(
    engine: Engine, other: OtherSide, tools: Tools, name: str
) -> None:
    model = ScriptedModel({"work": [UseTools([(name, {"amount": 1})]), Say("sorry")]})
    runtime, run = await engine.start(asking(tools, [tools.find]), models=[model])
    done = await result(runtime, run)
    assert (done.output, other.asked) == ("sorry", {})
    assert "is not a tool that may be used here" in model.requests[1].messages[-1].text
    ((_, refusal),) = (await runtime.state(run)).refusals
    assert (refusal.tool, refusal.error["code"]) == (name, "unknown_tool")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ({}, "number: Field required"),
        ({"number": "7"}, "number: Input should be a valid integer"),
        ({"number": 7.5}, "number: Input should be a valid integer"),
        ({"number": True}, "number: Input should be a valid integer"),
        ({"number": None}, "number: Input should be a valid integer"),
        ({"number": 7, "extra": 1}, "extra: Extra inputs are not permitted"),
        ('{"number": 7, "number": 8}', "'number' stands twice"),
        ('{"number": NaN}', "NaN"),
        ('{"number": 7', "Expecting"),
        ('```json\n{"number": 7}\n```', "Expecting value"),
        ("[7]", "object"),
        ("null", "object"),
        ('"number"', "object"),
        ("{" * 3000, "Expecting"),
    ],
    ids=str,
)
async def test_arguments_are_read_strictly_and_never_repaired(
    engine: Engine, other: OtherSide, tools: Tools, args: Any, complaint: str
) -> None:
    done, model = await told(
        engine,
        asking(tools, [tools.find]),
        UseTools([("find", args)]),
        UseTools([("find", {"number": 9})]),
        Say("done"),
    )
    assert (done.output, other.asked) == ("done", {"find 9": 1})
    answer = json.loads(model.requests[1].messages[-1].text)
    assert complaint in answer["why"]


async def test_a_call_without_arguments_may_leave_them_out(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    done, _ = await told(engine, asking(tools, [tools.burn]), UseTools([("burn", "")]), Say("done"))
    assert (done.output, other.asked) == ("done", {"burn": 1})


async def test_a_tools_own_no_is_the_models_to_deal_with(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    done, model = await told(
        engine, asking(tools, [tools.find]), UseTools([("find", {"number": 404})]), Say("none found")
    )
    assert done.output == "none found"
    assert json.loads(model.requests[1].messages[-1].text)["error"] == "there is no such order"


async def test_a_tool_that_breaks_is_the_steps_to_deal_with(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    workflow = asking(tools, [tools.find], retry=Retry(2, base=0))
    failed, model = await told(engine, workflow, UseTools([("find", {"number": 500})]), Say("done"))
    assert (code(failed), len(model.requests), other.asked["find 500"]) == ("transient", 2, 2)


async def test_a_rules_no_is_the_models_to_deal_with(engine: Engine, other: OtherSide, tools: Tools) -> None:
    @step
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Help", tools=[tools.pay])

    rule = forbid(tools.pay, when=lambda amount: amount > 10, reason="at most 10")
    options: dict[str, Any] = {"steps": [work], "tools": [tools.pay], "rules": [rule]}
    model = ScriptedModel(
        {"work": [UseTools([("pay", {"amount": 11})]), UseTools([("pay", {"amount": 10})]), Say("ok")]}
    )
    done = await engine.run(Workflow("helping", input=Order, grants=["pay"], **options), models=[model])
    assert (done.output, other.asked) == ("ok", {"pay 10": 1})
    assert "at most 10" in model.requests[1].messages[-1].text
    # Without the grant it is refused as well, and before any rule.
    model.requests.clear()
    done = await engine.run(Workflow("helping", input=Order, **options), models=[model])
    assert (done.output, other.asked) == ("ok", {"pay 10": 1})
    assert "needs 'pay'" in model.requests[1].messages[-1].text


async def test_a_model_that_never_ends_is_ended(engine: Engine, other: OtherSide, tools: Tools) -> None:
    workflow = asking(tools, [tools.find], max_turns=3)
    failed, model = await told(engine, workflow, *[UseTools([("find", {"number": n})]) for n in range(9)])
    assert (code(failed), len(model.requests)) == ("turns_exhausted", 3)
    assert sum(other.asked.values()) == 3


async def test_turns_are_counted_with_repairs(engine: Engine, tools: Tools) -> None:
    @step(retry=Retry(1))
    async def work(order: Order, run: Run) -> int:
        return await run.ask(int, "Count", max_turns=2, repairs=9)

    model = ScriptedModel({"work": [Say("many")] * 9})
    failed = await engine.run(Workflow("counting", input=Order, steps=[work]), models=[model])
    assert (code(failed), len(model.requests)) == ("turns_exhausted", 2)


async def test_a_call_that_was_cut_off_is_refused_although_it_reads_well(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    from surefoot.core.model import Bound, ModelAnswer, ModelRequest, ProposedCall, Tokens

    class Cut(ScriptedModel):
        def bound(self, request: ModelRequest) -> Bound:
            return Bound(1, 1, 0)

        async def request(self, request: ModelRequest) -> ModelAnswer:
            if request.turn == 0:
                proposed = (ProposedCall("1", "pay", '{"amount": 1}'),)  # of 1000, perhaps
                return ModelAnswer("", proposed, "length", Tokens(1, 1))
            return ModelAnswer("sorry", usage=Tokens(1, 1))

    done = await engine.run(asking(tools, [tools.pay]), models=[Cut({})])
    assert (done.output, other.asked) == ("sorry", {})


async def test_a_loop_that_dies_goes_on_where_it_was(engine: Engine, other: OtherSide, tools: Tools) -> None:
    """Neither its turns are asked again nor its calls made again."""
    entered = asyncio.Event()
    turns = [
        UseTools([("find", {"number": 1}), ("pay", {"amount": 1})]),
        UseTools([("pay", {"amount": 1}), ("pay", {"amount": 2})]),
        Say("done"),
    ]

    async def delay(request: Any) -> None:
        if request.turn == 2 and not entered.is_set():
            entered.set()
            await asyncio.Event().wait()

    workflow = asking(tools, [tools.find, tools.pay])
    first = ScriptedModel({"work": turns}, delay=delay)
    runtime, run = await engine.start(workflow, models=[first])
    await entered.wait()
    await engine.crash(runtime)
    second = ScriptedModel({"work": turns})
    runtime = await engine.open(workflow, models=[second])
    done = await result(runtime, run)
    assert done.output == "done"
    assert other.asked == {"find 1": 1, "pay 1": 2, "pay 2": 1}
    assert (len(first.requests), len(second.requests)) == (3, 1)
    assert second.requests[0] == first.requests[2]


async def test_a_loop_that_is_tried_again_asks_anew_and_does_not_act_anew(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    attempts = 0

    async def delay(request: Any) -> None:
        nonlocal attempts
        if request.turn == 1:
            attempts += 1
            if attempts == 1:
                raise OSError("the line went dead")

    model = ScriptedModel({"work": [UseTools([("pay", {"amount": 1})]), Say("done")]}, delay=delay)
    done = await engine.run(asking(tools, [tools.pay], retry=Retry(2, base=0)), models=[model])
    assert (done.status, done.output, other.asked) == ("succeeded", "done", {"pay 1": 1})
    assert len(model.requests) == 4


async def test_a_model_that_changes_its_plan_in_another_attempt_asks_a_person(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    amounts = iter([1, 2])

    class Fickle(ScriptedModel):
        async def request(self, request: Any) -> Any:
            if request.turn == 0:
                self._script["work"][0] = UseTools([("pay", {"amount": next(amounts)})])
            if request.turn == 1 and len(self.requests) == 1:
                self.requests.append(request)
                raise OSError("the line went dead")
            return await super().request(request)

    model = Fickle({"work": [Say(""), Say("done")]})
    runtime, run = await engine.start(asking(tools, [tools.pay], retry=Retry(2, base=0)), models=[model])
    waiting = await result(runtime, run)
    assert [(item.tool, item.args) for item in waiting.waiting_for] == [("pay", {"amount": 2})]
    assert other.asked == {"pay 1": 1}


async def test_calls_of_a_loop_are_journaled_with_their_time_and_result(
    engine: Engine, other: OtherSide, tools: Tools
) -> None:
    model = ScriptedModel({"work": [UseTools([("pay", {"amount": 1})]), Say("done")]})
    runtime, run = await engine.start(asking(tools, [tools.pay]), models=[model])
    await result(runtime, run)
    (call,) = await calls(runtime, run)
    assert (call.tool, call.args, call.result, call.status) == (
        "pay",
        '{"amount":1}',
        '"pay 1 #1"',
        "returned",
    )
    assert [kind for kind in await kinds(runtime, run) if kind.startswith(("ask", "call"))] == [
        "ask.reserved",
        "ask.answered",
        "call.intended",
        "call.returned",
        "ask.reserved",
        "ask.answered",
    ]
