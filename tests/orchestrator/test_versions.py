"""Other code than the one that began a run goes on with it where its finished steps still stand, and says so; else
the run is set aside with the list of what has changed, and nothing is done until a person approves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import Approve, Budget, Call, Deny, Effect, Run, Workflow, approve, step, tool

from .rig import Engine, Order, OtherSide, busy, code, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


class Longer(BaseModel):
    """An input that asks for more than Order has."""

    number: int
    street: str


@step
async def first(order: Order) -> int:
    return order.number


@step
async def second(first: int, run: Run) -> int:
    await run.sleep(3600)
    return first + 1


@step
async def last(second: int) -> str:
    return f"old {second}"


def old(version: str = "1") -> Workflow:
    return Workflow("versions", version=version, input=Order, steps=[first, second, last])


async def asleep(engine: Engine, workflow: Workflow | None = None) -> str:
    """A run of the old code with its first step finished, waiting in its second; nobody drives it any more."""
    runtime, run = await engine.start(workflow or old(), Order(number=7))
    await quiet(runtime)
    await engine.close(runtime)
    return run


async def woken(engine: Engine, workflow: Workflow, run: str) -> Any:
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    await engine.clock.jump(3600)
    return runtime, await result(runtime, run)


@step(name="last")
async def new_last(second: int, first: int) -> str:
    return f"new {second} {first}"


@step
async def extra(first: int) -> str:
    return f"extra {first}"


@step(name="last")
async def last_with_extra(second: int, extra: str) -> str:
    return f"new {second} {extra}"


@step(name="second")
async def new_second(first: int, run: Run) -> int:
    await run.sleep(3600)
    return first + 100


@pytest.mark.parametrize(
    ("steps", "output"),
    [
        ([first, second, new_last], "new 8 7"),  # what has not begun may change
        ([first, second, extra, last_with_extra], "new 8 extra 7"),  # a step may be added
        ([first, new_second, last], "old 107"),  # also one that has begun
    ],
    ids=["not begun", "added", "begun"],
)
async def test_other_code_goes_on_where_the_finished_steps_still_stand(
    engine: Engine, steps: list[Any], output: str
) -> None:
    run = await asleep(engine)
    runtime, done = await woken(engine, Workflow("versions", version="2", input=Order, steps=steps), run)
    assert (done.status, done.output) == ("succeeded", output)
    state = await runtime.state(run)
    row = await runtime.store.run(run)
    assert row is not None
    assert state.submitted is not None
    assert (state.submitted.workflow_version, state.workflow_version, row.version) == ("1", "2", "2")
    assert state.fingerprint == row.fingerprint != state.submitted.fingerprint


async def test_the_journal_says_which_code_went_on(engine: Engine) -> None:
    run = await asleep(engine)
    workflow = Workflow("versions", version="2", input=Order, steps=[first, second, new_last])
    runtime, _ = await woken(engine, workflow, run)
    claims = [entry.view for entry in await runtime.store.events(run) if entry.kind == "run.claimed"]
    assert ["workflow_version" in claim for claim in claims] == [False, True]
    assert '"workflow_version":"2"' in claims[1]


async def test_the_same_code_under_another_name_of_its_version_goes_on(engine: Engine) -> None:
    run = await asleep(engine)
    _, done = await woken(engine, old("1.0.1"), run)
    assert (done.status, done.output) == ("succeeded", "old 8")


@step(name="first")
async def first_as_text(order: Order) -> str:
    return str(order.number)


@step(name="second")
async def second_of_text(first: str, run: Run) -> int:
    await run.sleep(3600)
    return int(first)


@step
async def before(order: Order) -> int:
    return 1


@step(name="first")
async def first_after(before: int) -> int:
    return before


@step(name="second")
async def second_alone(order: Order, run: Run) -> int:
    await run.sleep(3600)
    return order.number


@step(name="first")
async def first_of_longer(order: Longer) -> int:
    return order.number


HINDRANCES: list[tuple[Any, list[Any], list[str]]] = [
    (Order, [second_alone, last], ["step 'first' has finished and is no longer there"]),
    (Order, [first_as_text, second_of_text, last], ["what step 'first' gave does not fit its type any more"]),
    (
        Order,
        [before, first_after, second, last],
        ["step 'first' has finished, and now takes {'before': 'before'} instead of {'order': '<input>'}"],
    ),
    (Longer, [first_of_longer, second, last], ["the input does not fit its type any more"]),
]


@pytest.mark.parametrize(
    ("input", "steps", "lines"), HINDRANCES, ids=["removed", "output type", "rewired", "input"]
)
async def test_a_run_whose_finished_steps_do_not_stand_any_more_is_set_aside_with_the_reasons(
    engine: Engine, other: OtherSide, input: Any, steps: list[Any], lines: list[str]
) -> None:
    run = await asleep(engine)
    changed = Workflow("versions", version="2", input=input, steps=steps)
    runtime, waiting = await woken(engine, changed, run)
    assert waiting.status == "waiting"
    (item,) = waiting.waiting_for
    assert (item.kind, item.choices) == ("review", ("approve", "deny"))
    assert item.reason.startswith("the workflow has changed")
    for line in lines:
        assert line in item.reason
    await quiet(runtime)
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.version, row.status) == ("1", "waiting")


async def test_a_run_that_is_set_aside_stays_so_without_anybody_working_on_it(engine: Engine) -> None:
    """Its own timer is long past, which is no reason to look at it again and again."""
    run = await asleep(engine)
    changed = Workflow("versions", version="2", input=Order, steps=[second_alone, last])
    runtime, _ = await woken(engine, changed, run)
    await quiet(runtime)
    before_ = len(await kinds(runtime, run))
    for _ in range(5):
        await engine.clock.jump(3600)
        await quiet(runtime)
    assert len(await kinds(runtime, run)) == before_
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.owner, row.due) == (None, None)


async def test_approved_after_a_fitting_deploy_it_goes_on(engine: Engine) -> None:
    run = await asleep(engine)
    changed = Workflow("versions", version="2", input=Order, steps=[second_alone, last])
    runtime, waiting = await woken(engine, changed, run)
    await engine.close(runtime)
    fitting = Workflow("versions", version="3", input=Order, steps=[first, second, new_last])
    runtime = await engine.open(fitting)
    assert (await result(runtime, run)).waiting_for == waiting.waiting_for
    await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim", reason="rolled forward"))
    done = await result(runtime, run)
    assert (done.status, done.output) == ("succeeded", "new 8 7")


async def test_approved_without_a_fitting_deploy_it_is_set_aside_again(engine: Engine) -> None:
    run = await asleep(engine)
    changed = Workflow("versions", version="2", input=Order, steps=[second_alone, last])
    runtime, waiting = await woken(engine, changed, run)
    await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim"))
    again = await result(runtime, run)
    assert again.status == "waiting"
    assert again.waiting_for[0].item != waiting.waiting_for[0].item
    await quiet(runtime)
    assert busy(runtime) == 0


async def test_approved_where_the_old_code_is_back_it_goes_on(engine: Engine) -> None:
    run = await asleep(engine)
    changed = Workflow("versions", version="2", input=Order, steps=[second_alone, last])
    runtime, waiting = await woken(engine, changed, run)
    await engine.close(runtime)
    runtime = await engine.open(old())
    await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "old 8"


async def test_denied_it_fails_with_the_reason(engine: Engine) -> None:
    run = await asleep(engine)
    changed = Workflow("versions", version="2", input=Order, steps=[second_alone, last])
    runtime, waiting = await woken(engine, changed, run)
    await runtime.decide(waiting.waiting_for[0].item, Deny(by="kim", reason="not worth it"))
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "workflow_changed")
    assert failed.error is not None
    assert (failed.error.what, failed.error.why) == ("kim failed the run in a review", "not worth it")


async def test_a_run_that_has_not_begun_takes_any_code_that_its_input_fits(engine: Engine) -> None:
    desk = await engine.open(old(), drive=False)
    run = (await desk.start(Order(number=7))).id
    changed = Workflow("versions", version="2", input=Order, steps=[before])
    runtime = await engine.open(changed)
    assert (await result(runtime, run)).output == 1


async def test_a_step_that_has_acted_may_not_vanish(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.KEYED)
    async def pay(call: Call) -> str:
        return other.act("pay", call.key)

    @step(name="second")
    async def paying(first: int, run: Run) -> int:
        await run.call(pay)
        await run.sleep(3600)
        return first

    run = await asleep(engine, Workflow("versions", input=Order, steps=[first, paying, last], tools=[pay]))

    @step(name="last")
    async def alone(first: int) -> str:
        return f"alone {first}"

    changed = Workflow("versions", version="2", input=Order, steps=[first, alone], tools=[pay])
    _, waiting = await woken(engine, changed, run)
    assert waiting.status == "waiting"
    assert "step 'second' has made effects and is no longer there" in waiting.waiting_for[0].reason


async def test_a_finished_run_is_shown_by_code_that_has_moved_on(engine: Engine) -> None:
    """Nobody goes on with it, so nothing hinders; what no longer fits is not shown as something else."""
    runtime, run = await engine.start(old(), Order(number=7))
    await quiet(runtime)
    await engine.clock.jump(3600)
    assert (await result(runtime, run)).output == "old 8"
    changed = await engine.open(
        Workflow("versions", version="2", input=Order, steps=[first, second, new_last])
    )
    assert (await changed.look(run)).output == "old 8"
    await until(lambda: not busy(changed))


async def test_the_runs_own_budget_stays_and_the_rules_are_those_of_now(
    engine: Engine, other: OtherSide
) -> None:
    @tool(effect=Effect.KEYED)
    async def pay(call: Call) -> str:
        return other.act("pay", call.key)

    @step(name="last")
    async def paying(second: int, run: Run) -> str:
        return await run.call(pay) + await run.call(pay)

    def made(**options: Any) -> Workflow:
        return Workflow("versions", input=Order, steps=[first, second, paying], tools=[pay], **options)

    run = await asleep(engine, made(budget=Budget(tool_calls=1)))
    runtime, waiting = await woken(
        engine, made(version="2", budget=Budget(tool_calls=9), rules=[approve(pay)]), run
    )
    (item,) = waiting.waiting_for  # nobody had to be asked under the rules of then
    await runtime.decide(item.item, Approve(by="kim"))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Approve(by="kim"))
    failed = await result(runtime, run)
    assert (code(failed), other.asked["pay"]) == ("budget_exceeded", 1)
