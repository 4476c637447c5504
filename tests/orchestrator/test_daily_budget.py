"""The day's money of a workflow: exact over all workers, warned of once, and when it is gone new runs wait
for the next day. And the warnings of a run's own budget."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot import Budget, Call, Effect, Retry, Run, Runtime, Use, Workflow, step, tool
from surefoot.core import events as e
from surefoot.core.model import NANO, ModelAnswer, ModelRequest

from .providers import Provider, asking, come_to, start, statuses
from .rig import DAY, Engine, Order, code, quiet, result

pytestmark = pytest.mark.anyio

TODAY, TOMORROW = "2026-01-01", "2026-01-02"
CENT = NANO // 100


def per_day(usd: str, **more: Any) -> Budget:
    return Budget(usd=None, tokens=None, day_usd=usd, **more)


async def spend_all(engine: Engine, model: Provider, budget: Budget) -> Runtime:
    """Two runs of 40 cents each, and a third that the dollar a day does not allow."""
    runtime = await engine.open(asking(model, budget=budget))
    for run, status in zip(await start(runtime, 3), ("succeeded", "succeeded", "failed"), strict=True):
        found = await result(runtime, run)
        assert found.status == status
    assert code(found) == "budget_exceeded"
    return runtime


async def told(runtime: Runtime, run: str) -> list[e.BudgetWarned]:
    found = [e.decode(one.kind, one.version, one.view) for one in await runtime.store.events(run)]
    return [event for event in found if isinstance(event, e.BudgetWarned)]


# ── the day is gone ──


async def test_when_the_days_money_is_gone_new_runs_wait_for_the_next_day(engine: Engine) -> None:
    model = Provider(costs=40)
    runtime = await spend_all(engine, model, per_day("1"))
    runs = await start(runtime, 2, first=10)
    await quiet(runtime)
    view = await runtime.intake.view()
    assert (view.state, view.waiting) == ("spent", 2)
    await engine.clock.advance(DAY - 1)
    assert await statuses(engine, runs) == ["queued", "queued"], "and none has failed"
    await engine.clock.advance(1)
    await come_to(engine, runs, ["succeeded", "succeeded"], clock=engine.clock)
    assert (await runtime.intake.view()).is_open
    assert (await runtime.store.day("asking", TODAY)).nanousd == 80 * CENT
    assert (await runtime.store.day("asking", TOMORROW)).nanousd == 80 * CENT
    changes = [(change.what, change.by) for change in await engine.keeper.intake_changes("asking")]
    assert changes == [("day_back", ""), ("day_gone", "")]


async def test_a_raised_cap_opens_the_intake_at_once_and_the_same_cap_does_not(engine: Engine) -> None:
    model = Provider(costs=40)
    runtime = await spend_all(engine, model, per_day("1"))
    runs = await start(runtime, 1, first=10)
    await engine.close(runtime)
    same = await engine.open(asking(model, budget=per_day("1")))
    same.begin_driving()
    await quiet(same)
    assert await statuses(engine, runs) == ["queued"]
    await engine.close(same)
    more = await engine.open(asking(model, budget=per_day("2")))
    more.begin_driving()
    await come_to(engine, runs, ["succeeded"], clock=engine.clock)
    changes = await engine.keeper.intake_changes("asking")
    assert [change.what for change in changes] == ["day_back", "day_gone"]


async def test_what_others_give_back_opens_the_intake_again(engine: Engine) -> None:
    """Half a dollar: 40 cents are reserved, so a second run is refused; when they turn out to be 10, there is
    room again."""
    model = Provider(costs=10)
    model.gate = asyncio.Event()
    runtime = await engine.open(asking(model, budget=per_day("0.50")))
    runs = await start(runtime, 2)
    await come_to(engine, runs, ["running", "failed"], clock=engine.clock)
    runs += await start(runtime, 1, first=10)
    await asyncio.sleep(0.01)
    assert await statuses(engine, runs) == ["running", "failed", "queued"]
    model.gate.set()
    await come_to(engine, runs, ["succeeded", "failed", "succeeded"], clock=engine.clock)


async def test_a_run_in_the_middle_that_the_day_refuses_does_what_its_step_declares(engine: Engine) -> None:
    """It was begun, so it does not wait for a day with half of its work done."""

    @step(retry=Retry(1))
    async def first(order: Order, run: Run) -> str:
        return await run.ask(str, "Go on", {"number": order.number}, max_tokens=40)

    @step(retry=Retry(1), fallback=Use("a template"))
    async def second(first: str, run: Run) -> str:
        return await run.ask(str, "Go on", {"first": first}, max_tokens=40)

    workflow = Workflow(
        "asking", input=Order, steps=[first, second], models=[Provider(costs=40)], budget=per_day("0.50")
    )
    found = await engine.run(workflow)
    assert (found.status, found.degraded, found.output) == ("succeeded", True, "a template")


async def test_midnight_of_utc_divides_the_days(engine: Engine) -> None:
    model = Provider(costs=40)
    runtime = await engine.open(asking(model, budget=per_day("0.40")))
    await engine.clock.jump(DAY - 1)
    (one,) = await start(runtime, 1)
    assert (await result(runtime, one)).status == "succeeded"
    await engine.clock.jump(1)
    (two,) = await start(runtime, 1, first=2)
    assert (await result(runtime, two)).status == "succeeded"
    for day in (TODAY, TOMORROW):
        found = await runtime.store.day("asking", day)
        assert (found.nanousd, found.settled_nanousd) == (40 * CENT, 40 * CENT)


async def test_a_death_holds_what_was_reserved_and_says_so(engine: Engine) -> None:
    model = Provider(costs=10)
    model.gate = asyncio.Event()
    runtime = await engine.open(asking(model, budget=per_day("1")))
    runs = await start(runtime, 1)
    for _ in range(1000):
        if model.asked:
            break
        await asyncio.sleep(0.002)
    await engine.crash(runtime)
    model.gate.set()
    runtime = await engine.open(asking(model, budget=per_day("1")))
    runtime.begin_driving()
    await come_to(engine, runs, ["succeeded"], clock=engine.clock)
    day = await runtime.store.day("asking", TODAY)
    assert (day.nanousd, day.settled_nanousd) == (50 * CENT, 10 * CENT), "40 are held, for nobody knows"


# ── warnings of the day ──


async def test_a_day_is_warned_of_once_by_whichever_worker_gets_there(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Nine reservations of 40 cents at the same moment, of at most four dollars."""
    budget = per_day("4", day_tokens=10**9)
    models = [Provider(costs=20) for _ in range(3)]
    gate = asyncio.Event()
    for model in models:
        model.gate = gate
    runtimes = [await engine.open(asking(model, budget=budget)) for model in models]
    runs = [run for number in range(9) for run in await start(runtimes[number % 3], 1, first=number)]
    for _ in range(1000):
        if sum(model.asked for model in models) == 9:
            break
        await asyncio.sleep(0.002)
    gate.set()
    await come_to(engine, runs, ["succeeded"] * 9)
    warned = [one for run in runs for one in await told(runtimes[0], run)]
    assert warned == [e.BudgetWarned("nanousd", 4 * NANO, day=TODAY)]
    assert (await runtimes[0].store.day("asking", TODAY)).warned == ("nanousd",)
    lines = [record for record in caplog.records if "budget of the day" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].levelname == "WARNING"
    assert lines[0].name.startswith("surefoot")
    assert "$4" in lines[0].getMessage()


async def test_tokens_of_a_day_are_warned_of_apart_from_its_money(engine: Engine) -> None:
    budget = Budget(usd=None, tokens=None, day_usd="1000", day_tokens=50)
    runtime = await engine.open(asking(Provider(costs=1), budget=budget))
    (run,) = await start(runtime, 1)
    await result(runtime, run)
    assert await told(runtime, run) == [e.BudgetWarned("tokens", 50, day=TODAY)]
    (again,) = await start(runtime, 1, first=5)
    await result(runtime, again)
    assert await told(runtime, again) == []
    await engine.clock.advance(DAY)
    (later,) = await start(runtime, 1, first=6)
    await result(runtime, later)
    assert await told(runtime, later) == [e.BudgetWarned("tokens", 50, day=TOMORROW)]


# ── warnings of a run's own budget ──


def working(asks: int, **budget: Any) -> Workflow:
    """So many asks of 10 cents and 10 tokens, with a call before each."""

    @tool(effect=Effect.READ, permission="look")
    async def look(call: Call, number: int) -> int:
        """Look."""
        return number

    @step(retry=Retry(1))
    async def work(order: Order, run: Run) -> int:
        for number in range(asks):
            await run.call(look, number=number)
            await run.ask(str, "Go on", {"number": number}, max_tokens=10)
        return asks

    caps: dict[str, Any] = dict.fromkeys(("usd", "tokens", "tool_calls", "model_calls", "seconds"))
    return Workflow(
        "working", input=Order, steps=[work], tools=[look], grants=["look"], models=[Provider()],
        budget=Budget(**(caps | budget)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "budget"),
    [
        ("nanousd", {"usd": "1"}),
        ("tokens", {"tokens": 100}),
        ("tool_calls", {"tool_calls": 10}),
        ("model_calls", {"model_calls": 10}),
    ],
)
async def test_a_run_is_warned_once_when_most_of_a_cap_is_used(
    engine: Engine, unit: str, budget: dict[str, Any]
) -> None:
    for asks, expected in ((7, 0), (8, 1), (10, 1)):
        runtime, run = await engine.start(working(asks, **budget), Order(number=asks))
        assert (await result(runtime, run)).status == "succeeded"
        warned = await told(runtime, run)
        assert [one.unit for one in warned] == [unit] * expected, asks
        if warned:
            assert warned[0].used == warned[0].cap * 80 / 100
        await engine.close(runtime)


async def test_a_run_is_warned_when_most_of_its_time_is_over_and_only_once(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    model = Provider()
    model.gate = asyncio.Event()
    workflow = asking(model, budget=Budget(usd=None, tokens=None, seconds=50))
    runtime, run = await engine.start(workflow)
    for _ in range(1000):
        if model.asked:
            break
        await asyncio.sleep(0.002)
    await engine.clock.advance(39)
    assert "most" not in caplog.text
    assert [record for record in caplog.records if "80 %" in record.getMessage()] == []
    await engine.clock.advance(2)
    assert len([record for record in caplog.records if "80 %" in record.getMessage()]) == 1
    model.gate.set()
    assert (await result(runtime, run)).status == "succeeded"
    (warned,) = await told(runtime, run)
    assert (warned.unit, warned.cap, warned.used) == ("seconds", 50, 40)


class Stalls(Provider):
    """Its fifth answer never comes."""

    async def request(self, request: ModelRequest) -> ModelAnswer:
        if self.asked == 4:
            self.gate = asyncio.Event()
        return await super().request(request)


async def test_a_run_that_was_warned_is_not_warned_again_after_a_death(engine: Engine) -> None:
    """Five calls are allowed; the fourth warns, and the fifth is cut off, which counts it as used."""
    model = Stalls()

    @step(retry=Retry(1))
    async def work(order: Order, run: Run) -> None:
        for number in range(5):
            await run.ask(str, "Go on", {"number": number}, max_tokens=40)

    budget = Budget(usd=None, tokens=None, model_calls=5)
    workflow = Workflow("asking", input=Order, steps=[work], models=[model], budget=budget)
    runtime, run = await engine.start(workflow)
    for _ in range(1000):
        if model.asked == 5:
            break
        await asyncio.sleep(0.002)
    assert [(one.unit, one.used) for one in await told(runtime, run)] == [("model_calls", 4)]
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    assert code(await result(runtime, run)) == "budget_exceeded"
    assert len(await told(runtime, run)) == 1
