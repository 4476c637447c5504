"""Money, tokens and calls: the worst case is reserved before, settled after, released by a definite no, and
held when nobody knows. No cap is ever passed, and nobody fails who would have fitted by waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.rig import DAY, Engine, Order, OtherSide, code, kinds, quiet, result, until
from surefoot import Budget, Call, Effect, Retry, Run, Runtime, Transient, Use, Workflow, step, tool
from surefoot.core.model import Bound, ModelAnswer, ModelRequest, Price, Tokens
from surefoot.errors import BudgetExceeded, PriceUnknown
from surefoot.testing import Fail, Say, ScriptedModel

pytestmark = pytest.mark.anyio

CENT = Price(0.0, 10_000_000.0)  # a cent per token of output, so that max_tokens is the worst case in cents
NANO = 1_000_000_000


class Priced:
    """A model that answers `costs` tokens and takes as long as `gate` says; watches what is reserved."""

    name = "test:priced"

    def __init__(self, costs: int | None = 10, price: Price = CENT) -> None:
        self.costs = costs
        self.tariff = price
        self.requests: list[ModelRequest] = []
        self.entered = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.failure: Exception | None = None

    def bound(self, request: ModelRequest) -> Bound:
        return Bound(0, request.max_tokens, self.tariff.worst(0, request.max_tokens))

    def price(self, usage: Tokens) -> int:
        return self.tariff.of(usage)

    async def request(self, request: ModelRequest) -> ModelAnswer:
        self.requests.append(request)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        usage = None if self.costs is None else Tokens(0, self.costs)
        return ModelAnswer("fine", usage=usage, version="1")

    async def close(self) -> None:
        pass


def asking(
    *, budget: Budget, times: int = 1, max_tokens: int = 40, retry: Retry | None = None, **options: Any
) -> Workflow:
    @step(retry=retry or Retry(1))
    async def work(order: Order, run: Run) -> int:
        for number in range(times):
            await run.ask(str, "Go on", {"number": number}, max_tokens=max_tokens)
        return times

    return Workflow("asking", input=Order, steps=[work], budget=budget, **options)


def cents(nanousd: int) -> float:
    return nanousd / 10_000_000


async def test_the_worst_case_is_reserved_on_disk_before_the_request_and_settled_after_it(
    engine: Engine,
) -> None:
    model = Priced(costs=10)
    model.gate = asyncio.Event()
    runtime, run = await engine.start(asking(budget=Budget(usd="1")), models=[model])
    await model.entered.wait()
    meanwhile = await runtime.state(run)
    assert cents(meanwhile.reserved_nanousd) == 40
    assert (meanwhile.reserved_tokens, meanwhile.usage.nanousd) == (40, 0)
    model.gate.set()
    done = await result(runtime, run)
    state = await runtime.state(run)
    assert (state.reserved_nanousd, state.reserved_tokens) == (0, 0)
    assert (cents(done.usage.nanousd), done.usage.tokens_out, done.usage.model_calls) == (10, 10, 1)
    (ask,) = state.asks.values()
    assert ask.answer is not None
    assert (cents(ask.answer.nanousd), ask.model) == (10, "test:priced")


async def test_what_may_cost_too_much_is_never_asked(engine: Engine) -> None:
    model = Priced()
    runtime, run = await engine.start(asking(budget=Budget(usd="0.39")), models=[model])
    failed = await result(runtime, run)
    assert (failed.status, code(failed)) == ("failed", "budget_exceeded")
    assert failed.error is not None
    assert "$0.39 allowed, $0 used, and this may take $0.4" in failed.error.why
    assert model.requests == []
    assert "ask.reserved" not in await kinds(runtime, run)


async def test_asks_are_made_as_long_as_their_worst_case_fits(engine: Engine) -> None:
    """1 dollar, at most 40 cents and truly 25 each: the fourth might pass the cap, and is not asked."""
    model = Priced(costs=25)
    failed = await engine.run(asking(budget=Budget(usd="1"), times=9), models=[model])
    assert (code(failed), len(model.requests)) == ("budget_exceeded", 3)
    assert cents(failed.usage.nanousd) == 75


@pytest.mark.parametrize(
    ("budget", "made"),
    [(Budget(tokens=85), 5), (Budget(model_calls=2), 2), (Budget(model_calls=0), 0), (Budget(tokens=0), 0)],
    ids=["tokens", "model calls", "no calls", "no tokens"],
)
async def test_every_cap_stops_before_it_is_passed(engine: Engine, budget: Budget, made: int) -> None:
    model = Priced(costs=10, price=Price(0.0, 0.0))
    failed = await engine.run(asking(budget=budget, times=99), models=[model])
    assert (code(failed), len(model.requests)) == ("budget_exceeded", made)


async def test_no_cap_means_none(engine: Engine) -> None:
    budget = Budget(usd=None, tokens=None, tool_calls=None, model_calls=None, seconds=None)
    done = await engine.run(asking(budget=budget, times=60), models=[Priced(costs=40)])
    assert (done.status, done.usage.model_calls) == ("succeeded", 60)


async def test_a_definite_no_releases_what_was_reserved(engine: Engine) -> None:
    budget = Budget(usd="0.50")
    model = ScriptedModel({"work": [Fail("rate_limited")]}, price=CENT)
    runtime, run = await engine.start(asking(budget=budget, retry=Retry(3, base=0)), models=[model])
    failed = await result(runtime, run)
    assert (failed.usage.nanousd, len(model.requests)) == (0, 3)
    assert (await runtime.state(run)).reserved_nanousd == 0


@pytest.mark.parametrize("kind", ["timeout", "cut_off", "crash"])
async def test_what_nobody_knows_is_held_as_spent(engine: Engine, kind: Any) -> None:
    """Two tries of at most 40 cents: the third does not fit into a dollar any more."""
    model = ScriptedModel({"work": [Fail(kind)]}, price=CENT)
    workflow = asking(budget=Budget(usd="1"), retry=Retry(9, base=0))
    failed = await engine.run(workflow, models=[model])
    assert (code(failed), len(model.requests), cents(failed.usage.nanousd)) == ("budget_exceeded", 2, 80)


async def test_an_answer_without_its_usage_is_held_as_spent(engine: Engine) -> None:
    done = await engine.run(asking(budget=Budget(usd="1")), models=[Priced(costs=None)])
    assert (done.status, cents(done.usage.nanousd)) == ("succeeded", 40)


async def test_what_was_reserved_when_the_process_died_counts_as_spent(engine: Engine) -> None:
    model = Priced()
    model.gate = asyncio.Event()
    workflow = asking(budget=Budget(usd="1"))
    for death in (1, 2):
        runtime = await engine.open(workflow, models=[model])
        if death == 1:
            run = (await runtime.start(Order())).id
        runtime.begin_driving()
        await until(lambda death=death: len(model.requests) == death)
        await engine.crash(runtime)
    runtime = await engine.open(workflow, models=[model])
    failed = await result(runtime, run)
    assert (code(failed), len(model.requests), cents(failed.usage.nanousd)) == ("budget_exceeded", 2, 80)
    assert [ask.status for ask in (await runtime.state(run)).asks.values()] == ["held", "held"]


async def test_an_answer_that_was_on_disk_is_paid_once_over_a_crash(engine: Engine) -> None:
    model = Priced(costs=10)
    stay = asyncio.Event()

    @step
    async def work(order: Order, run: Run) -> str:
        answer = await run.ask(str, "Go on", max_tokens=40)
        if not stay.is_set():
            stay.set()
            await asyncio.Event().wait()
        return answer

    workflow = Workflow("asking", input=Order, steps=[work], budget=Budget(usd="0.50"))
    runtime, run = await engine.start(workflow, models=[model])
    await stay.wait()
    await engine.crash(runtime)
    runtime = await engine.open(workflow, models=[model])
    done = await result(runtime, run)
    assert (done.status, cents(done.usage.nanousd), len(model.requests)) == ("succeeded", 10, 1)


# ── side by side ──


class Watched(Priced):
    """Notes the most that was ever spent and reserved at once."""

    def __init__(self, costs: int) -> None:
        super().__init__(costs)
        self.runtime: Runtime | None = None
        self.most = 0

    async def request(self, request: ModelRequest) -> ModelAnswer:
        assert self.runtime is not None
        assert self.runtime._worker is not None
        (drive,) = self.runtime._worker._drives.values()
        self.most = max(self.most, drive.state.usage.nanousd + drive.state.reserved_nanousd)
        await asyncio.sleep(0)
        return await super().request(request)


def branching(branches: int, max_tokens: int, budget: Budget, *, swallow: bool = False) -> Workflow:
    @step(retry=Retry(1))
    async def work(order: Order, run: Run) -> list[str]:
        async def branch(number: int) -> str:
            try:
                return await run.ask(str, "Go on", {"number": number}, max_tokens=max_tokens)
            except BudgetExceeded:
                if not swallow:
                    raise
                return "no money"

        return list(await asyncio.gather(*(branch(number) for number in range(branches))))

    return Workflow("branching", input=Order, steps=[work], budget=budget)


async def test_branches_together_never_reserve_more_than_there_is_and_wait_for_each_other(
    engine: Engine,
) -> None:
    """Eight branches of at most 40 cents, truly 8, in one dollar: two fit at once, all fit in the end."""
    model = Watched(costs=8)
    runtime = await engine.open(branching(8, 40, Budget(usd="1")), models=[model])
    model.runtime = runtime
    run = (await runtime.start(Order())).id
    done = await result(runtime, run)
    assert done.output == ["fine"] * 8
    assert cents(done.usage.nanousd) == 64
    assert 40 < cents(model.most) <= 100


async def test_branches_that_do_not_fit_in_the_end_fail_alone(engine: Engine) -> None:
    model = Watched(costs=40)
    runtime = await engine.open(branching(5, 40, Budget(usd="1"), swallow=True), models=[model])
    model.runtime = runtime
    run = (await runtime.start(Order())).id
    done = await result(runtime, run)
    assert sorted(done.output) == ["fine", "fine", "no money", "no money", "no money"]
    assert cents(done.usage.nanousd) == 80
    assert cents(model.most) == 80


async def test_steps_side_by_side_share_the_runs_money(engine: Engine) -> None:
    model = Watched(costs=5)

    @step
    async def one(order: Order, run: Run) -> str:
        return await run.ask(str, "One", max_tokens=60)

    @step
    async def two(order: Order, run: Run) -> str:
        return await run.ask(str, "Two", max_tokens=60)

    @step
    async def both(one: str, two: str) -> str:
        return one + two

    workflow = Workflow("sharing", input=Order, steps=[one, two, both], budget=Budget(usd="0.70"))
    runtime = await engine.open(workflow, models=[model])
    model.runtime = runtime
    run = (await runtime.start(Order())).id
    assert (await result(runtime, run)).output == "finefine"
    assert cents(model.most) <= 70


async def test_a_branch_that_waits_for_money_which_never_comes_fails(engine: Engine) -> None:
    """What it waits for is held in the end: nobody knows what the other branch cost."""
    model = Priced()
    model.gate = asyncio.Event()
    model.failure = RuntimeError("the line went dead")
    runtime, run = await engine.start(branching(2, 60, Budget(usd="1"), swallow=True), models=[model])
    await model.entered.wait()
    await engine.clock.advance(1)
    assert len(model.requests) == 1
    model.gate.set()
    failed = await result(runtime, run)
    assert (failed.status, code(failed), len(model.requests)) == ("failed", "model_unavailable", 1)


async def test_a_branch_that_waits_for_money_can_be_cancelled(engine: Engine) -> None:
    model = Priced()
    model.gate = asyncio.Event()
    runtime, run = await engine.start(branching(2, 60, Budget(usd="1")), models=[model])
    await model.entered.wait()
    await runtime.cancel(run)
    await engine.clock.advance(3)
    model.gate.set()
    assert (await result(runtime, run)).status == "cancelled"
    assert len(model.requests) == 1


# ── tools ──


@pytest.mark.parametrize("effect", [Effect.READ, Effect.KEYED], ids=lambda effect: effect.value)
async def test_calls_side_by_side_do_not_pass_the_cap_of_calls(
    engine: Engine, other: OtherSide, effect: Effect
) -> None:
    @tool(effect=effect)
    async def act(call: Call, n: int) -> str:
        await asyncio.sleep(0)
        return other.act("act", call.key)

    @step
    async def work(order: Order, run: Run) -> list[Any]:
        found = await asyncio.gather(*(run.call(act, n=n) for n in range(5)), return_exceptions=True)
        return [getattr(one, "code", "done") for one in found]

    workflow = Workflow("calls", input=Order, steps=[work], tools=[act], budget=Budget(tool_calls=3))
    runtime, run = await engine.start(workflow)
    done = await result(runtime, run)
    assert sorted(done.output) == ["budget_exceeded"] * 2 + ["done"] * 3
    assert other.asked["act"] == 3
    assert (await kinds(runtime, run)).count("call.refused") == 2


async def test_calls_that_answer_from_the_journal_cost_nothing(engine: Engine, other: OtherSide) -> None:
    @tool(effect=Effect.KEYED)
    async def act(call: Call) -> str:
        return other.act("act", call.key)

    @step(retry=Retry(3, base=0))
    async def work(order: Order, run: Run) -> str:
        told = await run.call(act)
        if run.attempt < 3:
            raise Transient("again")
        return told

    workflow = Workflow("calls", input=Order, steps=[work], tools=[act], budget=Budget(tool_calls=1))
    done = await engine.run(workflow)
    assert (done.status, done.usage.tool_calls) == ("succeeded", 1)


# ── the price ──


class Unpriced(Priced):
    def bound(self, request: ModelRequest) -> Bound:
        raise PriceUnknown("no price is listed for test:unpriced", remedy="Give one.")


async def test_a_model_without_a_price_is_not_asked(engine: Engine) -> None:
    model = Unpriced()
    failed = await engine.run(asking(budget=Budget()), models=[model])
    assert (failed.status, code(failed), model.requests) == ("failed", "price_unknown", [])


# ── the day ──


async def test_a_days_budget_is_shared_by_all_runs_and_runtimes(engine: Engine) -> None:
    """A dollar a day: 40 cents at most and 40 truly, so two fit, whoever asks. The next one is refused, and those
    after it wait for the next day."""
    workflow = asking(budget=Budget(usd="1", day_usd="1"))
    outcomes = []
    for number in range(3):
        runtime = await engine.open(workflow, models=[Priced(costs=40)])
        run = (await runtime.start(Order(number=number))).id
        outcomes.append(await result(runtime, run))
    assert [one.status for one in outcomes] == ["succeeded", "succeeded", "failed"]
    assert code(outcomes[2]) == "budget_exceeded"
    assert outcomes[2].error is not None
    assert "daily budget" in outcomes[2].error.what
    assert outcomes[2].usage.model_calls == 0
    day = await runtime.store.day("asking", "2026-01-01")
    assert cents(day.nanousd) == 80
    run = (await runtime.start(Order(number=3))).id
    await quiet(runtime)
    assert (await runtime.look(run)).status == "queued"


async def test_runs_at_the_same_moment_do_not_pass_the_days_budget_together(engine: Engine) -> None:
    workflow = asking(budget=Budget(usd="1", day_usd="1"))
    runtimes = [await engine.open(workflow, models=[Priced(costs=30)]) for _ in range(2)]
    runs = [
        (runtime, (await runtime.start(Order(number=number))).id)
        for number in range(3)
        for runtime in runtimes
    ]
    for runtime in runtimes:
        await quiet(runtime)
    outcomes = [await runtime.look(run) for runtime, run in runs]
    spent = sum(one.usage.nanousd for one in outcomes)
    assert cents(spent) == 90
    day = await runtimes[0].store.day("asking", "2026-01-01")
    assert day.nanousd == spent
    # What was under way when the day was gone is refused; what was not begun is not.
    assert [one.status for one in outcomes].count("succeeded") == 3
    assert "failed" in {one.status for one in outcomes} <= {"succeeded", "failed", "queued"}


async def test_a_reservation_is_charged_to_its_own_day_and_settled_there(engine: Engine) -> None:
    model = Priced(costs=10)
    model.gate = asyncio.Event()
    workflow = asking(budget=Budget(usd="1", day_usd="1"))
    await engine.clock.jump(DAY - 10)
    runtime, run = await engine.start(workflow, models=[model])
    await model.entered.wait()
    assert cents((await runtime.store.day("asking", "2026-01-01")).nanousd) == 40
    await engine.clock.jump(20)
    model.gate.set()
    await result(runtime, run)
    assert cents((await runtime.store.day("asking", "2026-01-01")).nanousd) == 10
    assert (await runtime.store.day("asking", "2026-01-02")).nanousd == 0


async def test_a_new_day_has_new_money(engine: Engine) -> None:
    workflow = asking(budget=Budget(usd="1", day_usd="0.50"))
    runtime = await engine.open(workflow, models=[Priced(costs=40)])
    statuses = []
    for number, hours in enumerate((0, 1, 23)):
        await engine.clock.jump(hours * 3600)
        run = (await runtime.start(Order(number=number))).id
        statuses.append((await result(runtime, run)).status)
    assert statuses == ["succeeded", "failed", "succeeded"]


async def test_a_death_with_money_reserved_holds_it_for_the_day(engine: Engine) -> None:
    model = Priced()
    model.gate = asyncio.Event()
    workflow = asking(budget=Budget(usd="1", day_usd="1"))
    runtime, _ = await engine.start(workflow, models=[model])
    await model.entered.wait()
    await engine.crash(runtime)
    runtime = await engine.open(workflow, models=[Priced(costs=1)], drive=False)
    assert cents((await runtime.store.day("asking", "2026-01-01")).nanousd) == 40


async def test_a_definite_no_gives_the_day_its_money_back(engine: Engine) -> None:
    model = ScriptedModel({"work": [Fail("refused")]}, price=CENT)
    workflow = asking(budget=Budget(usd="20", day_usd="20"))
    runtime, run = await engine.start(workflow, models=[model])
    await result(runtime, run)
    assert (await runtime.store.day("asking", "2026-01-01")).nanousd == 0


async def test_a_run_refused_by_the_day_goes_on_soundly(engine: Engine, other: OtherSide) -> None:
    """Two branches, one refused by the day and one not: what the journal says is what memory said, also for
    who takes the run up later."""

    @step(retry=Retry(1), fallback=Use("none"))
    async def dear(order: Order, run: Run) -> str:
        return await run.ask(str, "Dear", max_tokens=90)

    @step
    async def cheap(order: Order, run: Run) -> str:
        await asyncio.sleep(0)
        return await run.ask(str, "Cheap", max_tokens=40)

    @step
    async def both(dear: str, cheap: str, run: Run) -> str:
        await run.sleep(3600)
        return dear + await run.ask(str, "Both", max_tokens=30)

    workflow = Workflow(
        "refused", input=Order, steps=[dear, cheap, both], budget=Budget(usd="2", day_usd="0.80")
    )
    runtime, run = await engine.start(workflow, models=[Priced(costs=10)])
    await quiet(runtime)
    written = await kinds(runtime, run)
    assert written.index("run.claimed") < written.index("ask.reserved")
    await engine.crash(runtime)
    runtime = await engine.open(workflow, models=[Priced(costs=10)])
    runtime.begin_driving()
    await engine.clock.jump(3600)
    done = await result(runtime, run)
    assert (done.status, done.output, done.degraded) == ("succeeded", "nonefine", True)
    state = await runtime.state(run)
    assert [ask.status for ask in state.asks.values()] == ["answered", "answered"]
    assert cents(done.usage.nanousd) == 20


async def test_no_run_spends_what_it_says_it_may_not(engine: Engine) -> None:
    """A sum over everything: whatever happens, what was charged is within the cap."""
    model = ScriptedModel({"work": [Say("fine")]}, price=CENT)
    failed = await engine.run(asking(budget=Budget(usd="0.95"), times=99, max_tokens=10), models=[model])
    assert failed.usage.nanousd <= 0.95 * NANO
