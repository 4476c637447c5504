"""The breaker and a person's word on the intake, through the doors of the Runtime."""

from __future__ import annotations

import asyncio
import logging

import pytest

from surefoot import Approve, Call, Effect, Retry, Run, Runtime, Workflow, approve, step, tool
from surefoot.errors import IntakeClosed, ModelRefused, ModelUnavailable
from surefoot.rails.breaker import BreakerTerms

from .providers import Provider, asking, come_to, start, statuses
from .rig import Engine, Order, kinds, quiet, result

pytestmark = pytest.mark.anyio

TERMS = BreakerTerms(failures=3, within=60, pause=30, longest=900)


def down() -> ModelUnavailable:
    return ModelUnavailable("test: the provider failed", why="HTTP 503", charged=False, status=503)


async def trip(engine: Engine, *models: Provider) -> tuple[Runtime, list[str]]:
    """A runtime whose breaker has opened, and two runs that were started after it."""
    runtime = await engine.open(asking(*models), breaker=TERMS)
    for run in await start(runtime, 3):
        assert (await result(runtime, run)).status == "failed"
    assert (await runtime.intake.view()).state == "tripped"
    return runtime, await start(runtime, 2, first=10)


async def test_when_the_provider_keeps_failing_new_runs_wait_and_none_fails(engine: Engine) -> None:
    model = Provider(failure=down())
    runtime, runs = await trip(engine, model)
    await quiet(runtime)
    assert await statuses(engine, runs) == ["queued", "queued"]
    assert model.asked == 3
    view = await runtime.intake.view()
    assert (view.waiting, view.opens_at) == (2, engine.clock.now() + 30_000_000)


async def test_one_run_is_tried_and_when_it_is_answered_all_go_on(engine: Engine) -> None:
    model = Provider(failure=down())
    runtime, runs = await trip(engine, model)
    model.failure = None
    model.gate = asyncio.Event()
    await engine.clock.advance(29)
    assert model.asked == 3
    await engine.clock.advance(1)
    await come_to(engine, runs, ["running", "queued"], clock=engine.clock)
    assert (await runtime.intake.view()).state == "trying"
    model.gate.set()
    await come_to(engine, runs, ["succeeded", "succeeded"], clock=engine.clock)
    assert (await runtime.intake.view()).is_open
    changes = [change.what for change in await engine.keeper.intake_changes("asking")]
    assert changes == ["closed", "trial", "opened"]


async def test_a_trial_that_fails_makes_the_pause_twice_as_long(engine: Engine) -> None:
    model = Provider(failure=down())
    runtime, runs = await trip(engine, model)
    await engine.clock.advance(30)
    await come_to(engine, runs, ["failed", "queued"], clock=engine.clock)
    view = await runtime.intake.view()
    assert (view.state, view.opens_at) == ("tripped", engine.clock.now() + 60_000_000)
    await engine.clock.advance(59)
    assert await statuses(engine, runs) == ["failed", "queued"]
    model.failure = None
    await engine.clock.advance(1)
    await come_to(engine, runs, ["failed", "succeeded"], clock=engine.clock)


async def test_one_listed_model_that_answers_keeps_the_intake_open(engine: Engine) -> None:
    first, second = Provider("one", failure=down()), Provider("two")
    runtime = await engine.open(asking(first, second), breaker=TERMS)
    for run in await start(runtime, 8):
        assert (await result(runtime, run)).status == "succeeded"
    assert first.asked == 8
    assert (await runtime.intake.view()).is_open
    assert await engine.keeper.intake_changes() == []


async def test_many_runs_that_all_ask_the_first_model_do_not_open_it_before_the_second_is_asked(
    engine: Engine,
) -> None:
    first, second = Provider("one", failure=down()), Provider("two")
    first.gate, second.gate = asyncio.Event(), asyncio.Event()
    runtime = await engine.open(asking(first, second), breaker=TERMS)
    runs = await start(runtime, 8)
    await come_to(engine, runs, ["running"] * 8)
    first.gate.set()
    for _ in range(1000):
        if second.asked == 8:
            break
        await asyncio.sleep(0.002)
    assert (await runtime.intake.view()).is_open
    second.gate.set()
    await come_to(engine, runs, ["succeeded"] * 8)


@pytest.mark.parametrize(
    ("status", "state"), [(400, "open"), (401, "tripped"), (403, "tripped")], ids=["request", "key", "leave"]
)
async def test_a_bad_key_opens_it_and_a_bad_request_does_not(engine: Engine, status: int, state: str) -> None:
    refusal = ModelRefused("test: the provider refused the request", why=f"HTTP {status}", status=status)
    runtime = await engine.open(asking(Provider(failure=refusal)), breaker=TERMS)
    for run in await start(runtime, 3):
        await result(runtime, run)
    assert (await runtime.intake.view()).state == state


async def test_without_terms_there_is_no_breaker(engine: Engine) -> None:
    runtime = await engine.open(asking(Provider(failure=down())), breaker=None)
    for run in await start(runtime, 8):
        assert (await result(runtime, run)).status == "failed"


async def test_failures_of_all_workers_count_together_and_the_pause_holds_for_all(engine: Engine) -> None:
    models = [Provider(failure=down()) for _ in range(3)]
    runtimes = [await engine.open(asking(model), breaker=TERMS) for model in models]
    for number, runtime in enumerate(runtimes):
        (run,) = await start(runtime, 1, first=number)
        assert (await result(runtime, run)).status == "failed"
    runs = [(await start(runtime, 1, first=10 + number))[0] for number, runtime in enumerate(runtimes)]
    for runtime in runtimes:
        await quiet(runtime)
    assert await statuses(engine, runs) == ["queued"] * 3
    await engine.clock.advance(30)
    await come_to(engine, runs, ["failed", "queued", "queued"], clock=engine.clock)
    assert sum(model.asked for model in models) == 4, "three, and one that was tried"


async def test_a_restart_forgets_neither_the_pause_nor_the_failures_before_it(engine: Engine) -> None:
    model = Provider(failure=down())
    runtime = await engine.open(asking(model), breaker=TERMS)
    for run in await start(runtime, 2):
        await result(runtime, run)
    await engine.crash(runtime)
    runtime = await engine.open(asking(model), breaker=TERMS)
    (run,) = await start(runtime, 1, first=5)
    await result(runtime, run)
    assert (await runtime.intake.view()).state == "tripped", "two before, and one after"
    await engine.crash(runtime)
    runtime = await engine.open(asking(model), breaker=TERMS)
    runs = await start(runtime, 1, first=9)
    await quiet(runtime)
    assert await statuses(engine, runs) == ["queued"]


async def test_a_worker_that_dies_with_the_trial_does_not_keep_the_intake_closed(engine: Engine) -> None:
    model = Provider(failure=down())
    runtime, runs = await trip(engine, model)
    model.failure, model.gate = None, asyncio.Event()
    await engine.clock.advance(30)
    await come_to(engine, runs, ["running", "queued"], clock=engine.clock)
    await engine.crash(runtime)
    model.gate.set()
    runtime = await engine.open(asking(model), breaker=TERMS)
    runtime.begin_driving()
    await come_to(engine, runs, ["succeeded", "succeeded"], clock=engine.clock)
    assert (await runtime.intake.view()).is_open


async def test_a_trial_that_asks_no_model_does_not_keep_the_intake_closed(engine: Engine) -> None:
    """The run parks for a person before it comes to its ask: the next one is tried."""
    model = Provider(failure=down())

    @step(retry=Retry(1))
    async def work(order: Order, run: Run) -> str:
        if order.number == 10:
            await run.sleep(100_000)
        return await run.ask(str, "Go on", {"number": order.number}, max_tokens=40)

    workflow = Workflow("asking", input=Order, steps=[work], models=[model])
    runtime = await engine.open(workflow, breaker=TERMS)
    for run in await start(runtime, 3):
        await result(runtime, run)
    runs = await start(runtime, 2, first=10)
    model.failure = None
    await engine.clock.advance(30)
    await come_to(engine, runs, ["waiting", "succeeded"], clock=engine.clock)


async def test_what_was_begun_and_decided_goes_on_while_new_runs_wait(engine: Engine) -> None:
    paid: list[int] = []

    @tool(effect=Effect.KEYED, permission="pay")
    async def pay(call: Call, number: int) -> int:
        """Pay."""
        paid.append(number)
        return number

    @step
    async def work(order: Order, run: Run) -> int:
        return await run.call(pay, number=order.number)

    workflow = Workflow(
        "paying", input=Order, steps=[work], tools=[pay], grants=["pay"],
        rules=[approve(pay, when=lambda number: True, by="kim")],
    )  # fmt: skip
    runtime = await engine.open(workflow)
    (parked,) = await start(runtime, 1, first=7)
    await result(runtime, parked)
    (item,) = await engine.keeper.items(run=parked)
    await runtime.intake.pause(by="kim", reason="moving house")
    (new,) = await start(runtime, 1, first=8)
    await runtime.decide(item.id, Approve(by="kim"))
    assert (await result(runtime, parked)).output == 7
    assert paid == [7]
    assert await statuses(engine, [new]) == ["queued"]
    await runtime.intake.resume(by="kim")
    await result(runtime, new)
    assert await statuses(engine, [new]) == ["waiting"]


async def test_a_person_who_refuses_new_runs_is_obeyed_at_once_and_until_it_is_taken_back(
    engine: Engine,
) -> None:
    runtime = await engine.open(asking(Provider()))
    known = (await runtime.start(Order(number=1), key="known")).id
    await result(runtime, known)
    await runtime.intake.pause(by="kim", refuse=True)
    with pytest.raises(IntakeClosed):
        await runtime.start(Order(number=2))
    assert (await runtime.start(Order(number=1), key="known")).id == known
    await engine.clock.advance(10 * 86_400)
    with pytest.raises(IntakeClosed):
        await runtime.start(Order(number=2))
    assert (await runtime.intake.view()).state == "refused"
    await runtime.intake.resume()
    (run,) = await start(runtime, 1)
    assert (await result(runtime, run)).status == "succeeded"


async def test_after_a_pause_has_returned_no_worker_begins_another_run(engine: Engine) -> None:
    """Whatever was being claimed at that moment."""
    starter = await engine.open(asking(Provider()), drive=False)
    runs = await start(starter, 120)
    runtimes = [await engine.open(asking(Provider()), concurrency=3) for _ in range(2)]
    for runtime in runtimes:
        runtime.begin_driving()
    for _ in range(1000):
        if "succeeded" in await statuses(engine, runs):
            break
        await asyncio.sleep(0)
    await starter.intake.pause(by="kim")
    begun = [run for run in runs if (await engine.keeper.run(run)).epoch > 0]  # type: ignore[union-attr]
    assert begun
    for runtime in runtimes:
        await quiet(runtime)
    assert [run for run in runs if "run.claimed" in await kinds(starter, run)] == begun
    assert len(begun) < len(runs)
    await starter.intake.resume()
    await come_to(engine, runs, ["succeeded"] * len(runs), clock=engine.clock)


async def test_a_person_may_close_the_breaker_and_a_pause_outlasts_it(engine: Engine) -> None:
    model = Provider(failure=down())
    runtime, runs = await trip(engine, model)
    model.failure = None
    await runtime.intake.pause(by="kim")
    await engine.clock.advance(1000)
    assert await statuses(engine, runs) == ["queued", "queued"]
    await runtime.intake.resume(by="kim")
    await come_to(engine, runs, ["succeeded", "succeeded"], clock=engine.clock)


async def test_each_change_is_logged_and_kept_without_private_data(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "surefoot")
    model = Provider(failure=down())
    runtime, _ = await trip(engine, model)
    await runtime.intake.pause(by="kim", reason="ask bob@post.example")
    changes = await engine.keeper.intake_changes("asking")
    assert [(one.what, one.by) for one in changes] == [("paused", "kim"), ("opened", "")]
    assert "HTTP 503" in changes[1].reason
    assert changes[0].at == engine.clock.now()
    told = [record for record in caplog.records if record.name == "surefoot.intake"]
    assert [record.levelname for record in told] == ["WARNING", "INFO"]
    assert "paused by the breaker" in told[0].getMessage()
    for text in (changes[0].reason, caplog.text):
        assert "bob@post.example" not in text
