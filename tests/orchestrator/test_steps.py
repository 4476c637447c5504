"""Steps as a graph: side by side where nothing is between them, each with its own inputs, whatever befalls."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from surefoot import Approve, Call, Effect, Retry, Run, Transient, Workflow, approve, step, tool
from surefoot.errors import InvalidInput

from .rig import Engine, Order, OtherSide, busy, code, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


class Opaque:
    """Nothing that JSON knows; named the same in every process, as parallel test runs need it."""

    def __repr__(self) -> str:
        return "opaque"


OPAQUE = Opaque()


class Basket(BaseModel):
    things: list[str] = []
    notes: dict[str, str] = {}


async def test_steps_that_do_not_need_each_other_run_side_by_side(engine: Engine) -> None:
    met = asyncio.Barrier(3)

    async def meet() -> str:
        await asyncio.wait_for(met.wait(), 5)
        return "met"

    @step
    async def one(order: Order) -> str:
        return await meet()

    @step
    async def two(order: Order) -> str:
        return await meet()

    @step
    async def three(order: Order) -> str:
        return await meet()

    @step
    async def last(one: str, two: str, three: str) -> list[str]:
        return [one, two, three]

    done = await engine.run(Workflow("meeting", input=Order, steps=[one, two, three, last]))
    assert done.output == ["met"] * 3


async def test_a_step_begins_when_what_it_needs_has_ended_and_not_before(
    engine: Engine, other: OtherSide
) -> None:
    order_of: list[str] = []

    def made(name: str, *needs: str) -> Any:
        async def body(**inputs: Any) -> int:
            assert all(f"{need} ended" in order_of for need in needs)
            order_of.append(f"{name} begun")
            await asyncio.sleep(0)
            order_of.append(f"{name} ended")
            return 1

        parameters = ", ".join(f"{need}: int" for need in needs) or "order: Order"
        scope: dict[str, Any] = {"body": body, "Order": Order}
        inputs = ", ".join(f"{need}={need}" for need in needs)
        exec(f"async def {name}({parameters}) -> int:\n    return await body({inputs})", scope)
        return step(scope[name])

    steps = [made("e", "c", "d"), made("d", "b"), made("a"), made("c", "a", "b"), made("b"), made("f", "e")]
    runtime, run = await engine.start(Workflow("diamond", input=Order, steps=steps))
    assert (await result(runtime, run)).output == 1
    assert len(order_of) == 12


async def test_the_last_listed_steps_output_is_the_runs(engine: Engine) -> None:
    @step
    def last(first: int) -> str:
        return f"{first}!"

    @step
    def first(order: Order) -> int:
        return 7

    assert (await engine.run(Workflow("order", input=Order, steps=[first, last]))).output == "7!"
    assert (await engine.run(Workflow("order", input=Order, steps=[last, first]))).output == 7


async def test_a_run_ends_when_all_its_steps_have_ended(engine: Engine, other: OtherSide) -> None:
    """Also those that nobody needs."""
    gate = asyncio.Event()

    @step
    async def aside(order: Order) -> None:
        await gate.wait()
        other.act("aside")

    @step
    async def main(order: Order) -> str:
        return "main"

    runtime, run = await engine.start(Workflow("aside", input=Order, steps=[aside, main]))
    await until(lambda: runtime._worker is not None and runtime._worker.busy)
    await engine.clock.advance(1)
    assert busy(runtime) == 1
    gate.set()
    assert (await result(runtime, run)).output == "main"
    assert other.asked["aside"] == 1


async def test_a_failing_branch_fails_the_run_and_starts_nothing_more(
    engine: Engine, other: OtherSide
) -> None:
    @step
    async def bad(order: Order) -> int:
        raise ValueError("no")

    @step
    async def good(order: Order) -> int:
        await asyncio.Event().wait()
        return 1

    @step
    async def after(good: int) -> int:
        other.act("after")
        return good

    @step
    async def last(bad: int, after: int) -> int:
        other.act("last")
        return bad

    failed = await engine.run(Workflow("branches", input=Order, steps=[bad, good, after, last]))
    assert (failed.status, code(failed), other.asked) == ("failed", "step_failed", {})


async def test_a_step_may_give_none(engine: Engine) -> None:
    @step
    async def nothing(order: Order) -> int | None:
        return None

    @step
    async def told(nothing: int | None) -> str:
        return f"got {nothing}"

    assert (await engine.run(Workflow("nothing", input=Order, steps=[nothing, told]))).output == "got None"


async def test_what_one_step_does_to_its_input_no_other_sees(engine: Engine) -> None:
    @step
    def basket(order: Order) -> Basket:
        return Basket(things=["egg"])

    @step
    def eats(basket: Basket, order: Order) -> str:
        basket.things.clear()
        basket.notes["eaten"] = "all"
        order.number = 99
        return "eaten"

    @step
    async def counts(basket: Basket, order: Order, eats: str) -> list[Any]:
        return [basket.things, basket.notes, order.number]

    @step
    async def again(basket: Basket, counts: list[Any]) -> bool:
        basket.things.append("x")
        return counts == [["egg"], {}, 1]

    done = await engine.run(Workflow("basket", input=Order, steps=[basket, eats, counts, again]))
    assert done.output is True


async def test_what_a_step_changes_after_it_has_ended_nobody_sees(engine: Engine) -> None:
    kept = Basket(things=["egg"])

    @step
    def basket(order: Order) -> Basket:
        return kept

    @step
    def counts(basket: Basket) -> int:
        kept.things.append("stone")
        return len(basket.things)

    @step
    def again(basket: Basket, counts: int) -> list[int]:
        return [counts, len(basket.things)]

    assert (await engine.run(Workflow("basket", input=Order, steps=[basket, counts, again]))).output == [1, 1]


async def test_what_is_changed_in_a_tools_arguments_changes_nothing(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.KEYED)
    async def keep(call: Call, things: list[str]) -> list[str]:
        other.act("keep")
        things.append("by the tool")
        return things

    @step
    async def work(order: Order, run: Run) -> list[list[str]]:
        mine = ["egg"]
        told = await run.call(keep, things=mine)
        told.append("by the step")
        again = await run.call(keep, things=["egg"])
        await run.sleep(60)
        return [mine, again]

    runtime, run = await engine.start(Workflow("keeping", input=Order, steps=[work], tools=[keep]))
    await quiet(runtime)
    await engine.clock.jump(60)
    done = await result(runtime, run)
    assert done.output == [["egg"], ["egg", "by the tool"]]
    assert other.asked["keep"] == 2


@pytest.mark.parametrize(
    "value", ["text", None, {"things": 5}, Order(), [1], OPAQUE, float("nan"), len, Basket], ids=str
)
async def test_an_output_that_is_not_of_its_type_fails_its_step(engine: Engine, value: Any) -> None:
    @step
    async def basket(order: Order) -> Basket:
        return value  # type: ignore[no-any-return]

    failed = await engine.run(Workflow("basket", input=Order, steps=[basket]))
    assert (failed.status, code(failed)) == ("failed", "output_invalid")
    assert failed.error is not None
    assert "'basket'" in failed.error.what


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even its text can be had")


class Escape(BaseException):
    pass


class Odd(Transient):
    def __init__(self) -> None:  # does not call its parent
        self.retry_after = "soon"  # type: ignore[assignment]


@pytest.mark.parametrize("kind", ["async", "plain"])
@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division"),
        Unspeakable(),
        Escape("out"),
        SystemExit(2),
        asyncio.CancelledError(),
        StopIteration(3),
        ExceptionGroup("several", [ValueError("one"), ExceptionGroup("more", [KeyError("two")])]),
        BaseExceptionGroup("worse", [Escape("one")]),
        Exception("half a pair \ud83d"),
        Transient(ValueError("no text")),  # type: ignore[arg-type]
        Transient("for ever", retry_after=float("inf")),
        Odd(),
    ],
    ids=lambda error: type(error).__name__ + str(error.args)[:12],
)
async def test_whatever_a_step_raises_fails_the_step_and_nothing_else(
    engine: Engine, error: BaseException, kind: str
) -> None:
    if kind == "async":

        @step(retry=Retry(2, base=0))
        async def work(order: Order) -> int:
            if order.number == 1:
                raise error
            return 1

    else:

        @step(retry=Retry(2, base=0))
        def work(order: Order) -> int:
            if order.number == 1:
                raise error
            return 1

    runtime, run = await engine.start(Workflow("odd", input=Order, steps=[work]))
    failed = await result(runtime, run)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.what
    assert str(failed.error)
    again = await runtime.start(Order(number=2))
    assert (await result(runtime, again.id)).output == 1


async def test_an_error_in_a_group_of_groups_is_found(engine: Engine, other: OtherSide) -> None:
    @step(retry=Retry(3, base=0))
    async def work(order: Order, run: Run) -> str:
        async def fail() -> None:
            other.act("try")
            raise Transient("busy")

        if run.attempt == 3:
            return "third"
        async with asyncio.TaskGroup() as outer:
            async with asyncio.TaskGroup() as inner:
                inner.create_task(fail())
            outer.create_task(asyncio.sleep(0))
        return "never"

    done = await engine.run(Workflow("groups", input=Order, steps=[work]))
    assert (done.status, done.output, other.asked["try"]) == ("succeeded", "third", 2)


async def test_nobody_sees_a_stack_trace(engine: Engine) -> None:
    @step
    async def work(order: Order) -> int:
        return {}["secret place"]  # type: ignore[no-any-return]

    runtime, run = await engine.start(Workflow("odd", input=Order, steps=[work]))
    failed = await result(runtime, run)
    assert failed.error is not None
    shown = str(failed.error)
    assert "Traceback" not in shown
    assert "test_steps.py" not in shown
    assert "step 'work' raised KeyError" in shown


# ── bodies that do what none should ──


class Guarded:
    """A tool that a person must agree to."""

    def __init__(self, other: OtherSide) -> None:
        @tool(effect=Effect.KEYED)
        async def sign(call: Call, what: str = "it") -> str:
            return other.act(f"sign {what}", call.key)

        self.sign = sign

    def workflow(self, *steps: Any) -> Workflow:
        return Workflow("signing", input=Order, steps=steps, tools=[self.sign], rules=[approve(self.sign)])


@pytest.fixture
def guarded(other: OtherSide) -> Guarded:
    return Guarded(other)


@pytest.mark.parametrize("caught", [BaseException, Exception])
@pytest.mark.parametrize("then", ["return", "call", "raise"])
async def test_a_body_that_swallows_its_parking_has_parked_all_the_same(
    engine: Engine, other: OtherSide, guarded: Guarded, caught: type[BaseException], then: str
) -> None:
    @step
    async def work(order: Order, run: Run) -> str:
        try:
            return await run.call(guarded.sign)
        except caught:
            if then == "return":
                return "never mind"
            if then == "call":
                return await run.call(guarded.sign, what="something else")
            raise ValueError("so what") from None

    runtime, run = await engine.start(guarded.workflow(work))
    waiting = await result(runtime, run)
    assert waiting.status == "waiting"
    assert [item.args for item in waiting.waiting_for] == [{"what": "it"}]
    assert not other.asked
    await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "sign it #1"


async def test_a_body_that_cleans_up_for_long_keeps_nobody_else_waiting(
    engine: Engine, other: OtherSide, guarded: Guarded
) -> None:
    @step
    async def work(order: Order, run: Run) -> str:
        try:
            return await run.call(guarded.sign)
        finally:
            with suppress(BaseException):
                await run.call(guarded.sign, what="in the end")

    runtime, run = await engine.start(guarded.workflow(work))
    waiting = await result(runtime, run)
    assert len(waiting.waiting_for) == 1


async def test_a_task_group_parks_as_a_whole(engine: Engine, other: OtherSide, guarded: Guarded) -> None:
    entered = 0

    @step
    async def work(order: Order, run: Run) -> list[str]:
        nonlocal entered
        entered += 1
        async with asyncio.TaskGroup() as group:
            signed = group.create_task(run.call(guarded.sign))
            slept = group.create_task(asyncio.sleep(3600 if entered == 1 else 0, "slept"))
        return [signed.result(), slept.result()]

    runtime, run = await engine.start(guarded.workflow(work))
    (item,) = (await result(runtime, run)).waiting_for
    await quiet(runtime)
    await runtime.decide(item.item, Approve(by="kim"))
    assert (await result(runtime, run)).output == ["sign it #1", "slept"]


async def test_tasks_that_a_body_leaves_behind_do_nothing_more(
    engine: Engine, other: OtherSide, guarded: Guarded
) -> None:
    @tool(effect=Effect.KEYED)
    async def act(call: Call) -> str:
        return other.act("act")

    go_on = asyncio.Event()
    left: list[asyncio.Task[Any]] = []

    @step
    async def work(order: Order, run: Run) -> str:
        async def later() -> str:
            await go_on.wait()
            return await run.call(act)

        left.append(asyncio.create_task(later()))
        return "gone"

    runtime, run = await engine.start(Workflow("leaving", input=Order, steps=[work], tools=[act]))
    assert (await result(runtime, run)).output == "gone"
    go_on.set()
    (outcome,) = await asyncio.gather(*left, return_exceptions=True)
    assert isinstance(outcome, BaseException)
    assert not other.asked
    assert "call.intended" not in await kinds(runtime, run)


async def test_a_call_that_a_body_did_not_wait_for_is_drained_before_the_step_ends(
    engine: Engine, other: OtherSide
) -> None:
    gate = asyncio.Event()

    @tool(effect=Effect.ONCE)
    async def act(call: Call) -> str:
        await gate.wait()
        return other.act("act")

    left: list[asyncio.Task[Any]] = []

    @step
    async def work(order: Order, run: Run) -> str:
        left.append(asyncio.create_task(run.call(act)))
        await asyncio.sleep(0.01)
        return "gone"

    runtime, run = await engine.start(Workflow("leaving", input=Order, steps=[work], tools=[act]))
    await until(lambda: left)
    await asyncio.sleep(0.03)
    assert (await runtime.look(run)).status == "running"
    gate.set()
    assert (await result(runtime, run)).output == "gone"
    written = await kinds(runtime, run)
    assert written.index("call.returned") < written.index("step.finished")
    await asyncio.gather(*left)


async def test_the_handle_of_an_ended_step_leads_nowhere(engine: Engine, other: OtherSide) -> None:
    kept: list[Run] = []

    @tool(effect=Effect.KEYED)
    async def act(call: Call) -> str:
        return other.act("act")

    @step
    async def first(order: Order, run: Run) -> str:
        kept.append(run)
        return "first"

    @step
    async def second(first: str) -> str:
        for way in (lambda: kept[0].call(act), lambda: kept[0].sleep(0), lambda: kept[0].ask(str, "Hello")):
            with pytest.raises(BaseException):
                await way()
        with pytest.raises(BaseException):
            kept[0].now()
        with pytest.raises(BaseException):
            kept[0].uuid()
        return "second"

    done = await engine.run(Workflow("kept", input=Order, steps=[first, second], tools=[act]))
    assert (done.output, other.asked) == ("second", {})


@pytest.mark.parametrize(
    ("output", "value"),
    [
        (Basket, {"things": ["egg"]}),
        (Decimal, 3),
        (float, 3),
        (tuple[int, ...], [1, 2]),
        (list[Basket], [{}]),
    ],
    ids=str,
)
async def test_what_is_meant_well_is_taken_for_its_type(engine: Engine, output: Any, value: Any) -> None:
    async def work(order: Order) -> Any:
        return value

    work.__annotations__["return"] = output
    done = await engine.run(Workflow("lenient", input=Order, steps=[step(work)]))
    assert done.output == TypeAdapter(output).validate_python(value)


@pytest.mark.parametrize(
    "given", [Basket(things=["egg"]), {"number": "many"}, None, "1", OPAQUE, [1]], ids=str
)
async def test_an_input_that_is_not_of_its_type_is_refused(engine: Engine, given: Any) -> None:
    @step
    async def work(order: Order) -> int:
        return order.number

    runtime = await engine.open(Workflow("strict", input=Order, steps=[work]))
    with pytest.raises(InvalidInput):
        await runtime.start(given)
