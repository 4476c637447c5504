"""Retries: only what may pass by itself, with backoff and jitter, durable when long, counted on."""

from __future__ import annotations

import pytest

from surefoot import Call, Effect, NotDone, Retry, Run, Transient, Workflow, step, tool

from .rig import DAY, Engine, Order, OtherSide, busy, code, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


def failing(other: OtherSide, times: int, error: Exception, retry: Retry) -> Workflow:
    """A step that fails `times` times with `error`, then gives the number of its attempt."""

    @step(retry=retry)
    async def work(order: Order, run: Run) -> int:
        other.act("try")
        if other.asked["try"] <= times:
            raise error
        return run.attempt

    return Workflow("retries", input=Order, steps=[work])


async def test_a_transient_failure_is_tried_again(engine: Engine, other: OtherSide) -> None:
    result = await engine.run(failing(other, 2, Transient("busy"), Retry(3, base=0)))
    assert (result.status, result.output, other.asked["try"]) == ("succeeded", 3, 3)


@pytest.mark.parametrize("error", [ValueError("no"), NotDone("no money"), KeyError("x"), OSError("down")])
async def test_a_failure_that_is_not_transient_is_not_tried_again(
    engine: Engine, other: OtherSide, error: Exception
) -> None:
    result = await engine.run(failing(other, 9, error, Retry(5, base=0)))
    assert (result.status, other.asked["try"]) == ("failed", 1)


async def test_the_last_attempt_fails_the_run_with_its_own_error(engine: Engine, other: OtherSide) -> None:
    result = await engine.run(failing(other, 9, Transient("busy", why="all lines"), Retry(3, base=0)))
    assert (result.status, code(result), other.asked["try"]) == ("failed", "transient", 3)
    assert result.error is not None
    assert (result.error.what, result.error.why) == ("busy", "all lines")


async def test_backoff_doubles_and_chance_decides_how_much_of_it_is_waited(
    engine: Engine, other: OtherSide
) -> None:
    """Full jitter: anything between nothing and base * 2**n, as the chance that is handed in says."""
    chances = iter([0.0, 0.5, 0.25])
    workflow = failing(other, 3, Transient("busy"), Retry(4, base=4.0))
    runtime, run = await engine.start(workflow, chance=lambda: next(chances))
    await until(lambda: other.asked["try"] == 2)  # 4 s * 0.0
    await engine.clock.advance(3.9)
    assert other.asked["try"] == 2
    await engine.clock.advance(0.2)  # 8 s * 0.5
    await until(lambda: other.asked["try"] == 3)
    await engine.clock.advance(3.5)
    assert other.asked["try"] == 3
    await engine.clock.advance(0.6)  # 16 s * 0.25
    assert (await result(runtime, run)).output == 4


async def test_backoff_ends_at_its_ceiling(engine: Engine, other: OtherSide) -> None:
    workflow = failing(other, 3, Transient("busy"), Retry(4, base=1.0, most=2.0))
    runtime, run = await engine.start(workflow, chance=lambda: 0.999)
    for attempt in (2, 3, 4):
        await until(lambda: busy(runtime) == 1)
        await engine.clock.advance(2.0)
        await until(lambda attempt=attempt: other.asked["try"] == attempt)
    assert (await result(runtime, run)).output == 4


async def test_what_the_other_side_asks_for_is_the_least_that_is_waited(
    engine: Engine, other: OtherSide
) -> None:
    workflow = failing(other, 1, Transient("busy", retry_after=4.0), Retry(2, base=0.1))
    runtime, run = await engine.start(workflow)
    await until(lambda: other.asked["try"] == 1)
    await engine.clock.advance(3.9)
    assert other.asked["try"] == 1
    await engine.clock.advance(0.2)
    assert (await result(runtime, run)).output == 2


async def test_a_long_wait_is_in_the_store_and_not_in_memory(engine: Engine, other: OtherSide) -> None:
    workflow = failing(other, 1, Transient("busy", retry_after=600.0), Retry(2))
    runtime, run = await engine.start(workflow)
    await quiet(runtime)
    row = await runtime.store.run(run)
    assert row is not None
    assert (row.status, row.owner, row.due) == ("waiting", None, engine.clock.now() + 600_000_000)
    await engine.clock.jump(599)
    assert other.asked["try"] == 1
    await engine.clock.jump(1)
    assert (await result(runtime, run)).output == 2


@pytest.mark.parametrize("dies", [True, False], ids=["killed", "closed"])
async def test_attempts_are_counted_over_a_restart(engine: Engine, other: OtherSide, dies: bool) -> None:
    workflow = failing(other, 9, Transient("busy", retry_after=DAY), Retry(3))
    runtime, run = await engine.start(workflow)
    for attempt in (1, 2):
        await until(lambda attempt=attempt: other.asked["try"] == attempt)
        await quiet(runtime)
        await (engine.crash(runtime) if dies else engine.close(runtime))
        engine.clock._now += int(DAY * 1_000_000)
        runtime = await engine.open(workflow)
        runtime.begin_driving()
    failed = await result(runtime, run)
    assert (failed.status, other.asked["try"]) == ("failed", 3)


async def test_a_wait_between_attempts_is_kept_when_the_process_dies_in_it(
    engine: Engine, other: OtherSide
) -> None:
    workflow = failing(other, 1, Transient("busy", retry_after=4.0), Retry(2))
    runtime, run = await engine.start(workflow)
    await until(lambda: other.asked["try"] == 1)
    await engine.clock.advance(1)
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    await engine.clock.advance(2.9)
    assert other.asked["try"] == 1
    await engine.clock.advance(0.2)
    assert (await result(runtime, run)).output == 2


async def test_a_finished_step_is_not_run_again_by_a_retry_after_it(engine: Engine, other: OtherSide) -> None:
    @step
    async def first(order: Order) -> int:
        other.act("first")
        return 7

    @step(retry=Retry(3, base=0))
    async def second(first: int) -> int:
        other.act("second")
        if other.asked["second"] < 3:
            raise Transient("busy")
        return first

    runtime, run = await engine.start(Workflow("two", input=Order, steps=[first, second]))
    assert (await result(runtime, run)).output == 7
    assert other.asked == {"first": 1, "second": 3}
    assert (await kinds(runtime, run)).count("step.failed") == 2


async def test_a_tool_that_says_that_it_may_work_later_is_called_again(
    engine: Engine, other: OtherSide
) -> None:
    @tool(effect=Effect.READ)
    async def look(call: Call) -> str:
        other.act("look", call.key)
        if other.asked["look"] < 3:
            raise Transient("busy", retry_after=2.0)
        return "seen"

    @step(retry=Retry(3, base=0))
    async def work(order: Order, run: Run) -> str:
        return await run.call(look)

    runtime, run = await engine.start(Workflow("reads", input=Order, steps=[work], tools=[look]))
    await until(lambda: other.asked["look"] == 1)
    await engine.clock.advance(1.9)
    assert other.asked["look"] == 1
    await engine.clock.advance(2.2)
    assert (await result(runtime, run)).output == "seen"
    assert len(other.keys["look"]) == 1
