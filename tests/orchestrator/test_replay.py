"""Replay inside a step: a body that was cut off, or waited, is run again and gets the answers it had."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from surefoot import Approve, Call, Deny, Effect, Retry, Run, Transient, Workflow, approve, step, tool
from surefoot.testing import Fail, Say, ScriptedModel

from .rig import Engine, Order, OtherSide, busy, calls, kinds, quiet, result, until

pytestmark = pytest.mark.anyio


class Bank:
    """Tools over one other side: `pay` (KEYED), `look` (READ), and `sign`, for which a person must agree."""

    def __init__(self, other: OtherSide) -> None:
        @tool(effect=Effect.KEYED)
        async def pay(call: Call, who: str, amount: int = 1) -> str:
            return other.act(f"pay {who} {amount}", call.key, dedupe=True)

        @tool(effect=Effect.READ)
        async def look(call: Call, what: str) -> int:
            other.act(f"look {what}", call.key)
            return other.asked[f"look {what}"]

        @tool(effect=Effect.KEYED)
        async def sign(call: Call, what: str) -> str:
            return other.act(f"sign {what}", call.key, dedupe=True)

        self.pay, self.look, self.sign = pay, look, sign

    def workflow(self, *steps: Any, **options: Any) -> Workflow:
        return Workflow(
            "bank",
            input=Order,
            steps=steps,
            tools=[self.pay, self.look, self.sign],
            rules=[approve(self.sign)],
            **options,
        )


@pytest.fixture
def bank(other: OtherSide) -> Bank:
    return Bank(other)


async def after_approval(engine: Engine, workflow: Workflow, **options: Any) -> Any:
    """Runs, is restarted by a crash while it waits, is approved in the new process, and ends."""
    runtime, run = await engine.start(workflow, **options)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.crash(runtime)
    runtime = await engine.open(workflow, **options)
    await runtime.decide(item.item, Approve(by="kim"))
    return await result(runtime, run)


async def test_what_a_body_did_before_it_waited_is_not_done_again(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    entered = []

    @step
    async def work(order: Order, run: Run) -> list[Any]:
        entered.append(run.attempt)
        seen = await run.call(bank.look, what="x")
        paid = await run.call(bank.pay, who="ann")
        return [seen, paid, await run.call(bank.sign, what="it")]

    done = await after_approval(engine, bank.workflow(work))
    assert done.output == [1, "pay ann 1 #1", "sign it #1"]
    assert other.asked == {"look x": 1, "pay ann 1": 1, "sign it": 1}
    assert entered == [1, 1]


async def test_a_models_answer_is_not_asked_for_again(engine: Engine, bank: Bank) -> None:
    model = ScriptedModel({"work": [Say("a poem")]})

    @step
    async def work(order: Order, run: Run) -> str:
        poem = await run.ask(str, "Write a poem")
        await run.call(bank.sign, what=poem)
        return poem

    done = await after_approval(engine, bank.workflow(work), models=[model])
    assert (done.output, len(model.requests), done.usage.model_calls) == ("a poem", 1, 1)


async def test_now_and_uuid_are_the_same_again_and_differ_from_each_other(engine: Engine, bank: Bank) -> None:
    drawn: list[tuple[Any, ...]] = []

    @step
    async def work(order: Order, run: Run) -> str:
        values = (run.now(), run.uuid(), run.uuid())
        drawn.append(values)
        await run.call(bank.sign, what="it")
        return str(values[1])

    workflow = bank.workflow(work)
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.clock.jump(3600)
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    await runtime.decide(item.item, Approve(by="kim"))
    done = await result(runtime, run)
    assert len(drawn) == 2
    assert drawn[0] == drawn[1]
    assert done.output == str(drawn[0][1])
    assert drawn[0][1] != drawn[0][2]
    now = drawn[0][0]
    assert isinstance(now, datetime)
    assert now.utcoffset() == timedelta(0)


async def test_deliberate_duplicates_are_two_effects_with_two_keys(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    @step
    async def work(order: Order, run: Run) -> list[str]:
        paid = [await run.call(bank.pay, who="ann"), await run.call(bank.pay, who="ann")]
        await run.call(bank.sign, what="it")
        return paid

    done = await after_approval(engine, bank.workflow(work))
    assert done.output == ["pay ann 1 #1", "pay ann 1 #2"]
    assert (other.asked["pay ann 1"], len(other.keys["pay ann 1"])) == (2, 2)


async def test_equal_numbers_are_equal_arguments(engine: Engine, other: OtherSide) -> None:
    """5, 5.0 and "5.00" as a Decimal are one amount, so a replay that spells it otherwise agrees."""

    @tool(effect=Effect.KEYED)
    async def pay(call: Call, amount: Decimal) -> str:
        return other.act("pay", call.key)

    spellings = iter([Decimal(5), Decimal("5.00")])

    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        paid = await run.call(pay, amount=next(spellings))
        if run.attempt == 1:
            raise Transient("again")
        return paid

    done = await engine.run(Workflow("spelling", input=Order, steps=[work], tools=[pay]))
    assert (done.status, other.asked["pay"]) == ("succeeded", 1)


@pytest.mark.parametrize("way", ["gather", "TaskGroup"])
async def test_branches_side_by_side_find_their_own_answers(
    engine: Engine, other: OtherSide, bank: Bank, way: str
) -> None:
    """Branches with duplicates among them, that end in another order each time."""
    entered = 0

    @step
    async def work(order: Order, run: Run) -> list[Any]:
        nonlocal entered
        entered += 1

        async def branch(number: int) -> list[Any]:
            if number % 2 == entered % 2:
                await asyncio.sleep(0)
            seen = await run.call(bank.look, what=str(number))
            paid = await run.call(bank.pay, who=f"ann{number}")
            twice = await run.call(bank.pay, who=f"ann{number}")
            return [number, seen, paid, twice]

        if way == "gather":
            found = await asyncio.gather(*(branch(number) for number in range(4)))
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(branch(number)) for number in range(4)]
            found = [task.result() for task in tasks]
        await run.call(bank.sign, what="all")
        return list(found)

    done = await after_approval(engine, bank.workflow(work))
    assert entered == 2
    assert done.output == [[n, 1, f"pay ann{n} 1 #1", f"pay ann{n} 1 #2"] for n in range(4)]
    assert other.asked == {
        **{f"look {n}": 1 for n in range(4)},
        **{f"pay ann{n} 1": 2 for n in range(4)},
        "sign all": 1,
    }


@pytest.mark.parametrize("way", ["gather", "TaskGroup"])
async def test_branches_that_wait_for_people_are_asked_for_together(
    engine: Engine, other: OtherSide, bank: Bank, way: str
) -> None:
    @step
    async def work(order: Order, run: Run) -> list[str]:
        if way == "gather":
            return list(await asyncio.gather(*(run.call(bank.sign, what=str(n)) for n in range(3))))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run.call(bank.sign, what=str(n))) for n in range(3)]
        return [task.result() for task in tasks]

    runtime, run = await engine.start(bank.workflow(work))
    waiting = await result(runtime, run)
    assert [item.args for item in waiting.waiting_for] == [{"what": str(n)} for n in range(3)]
    for left, item in zip((2, 1, 0), waiting.waiting_for, strict=True):
        await runtime.decide(item.item, Approve(by="kim"))
        done = await result(runtime, run)
        assert len(done.waiting_for) == left
    assert done.output == [f"sign {n} #1" for n in range(3)]
    assert sum(other.asked.values()) == 3


async def test_a_body_that_dies_in_its_second_call_does_not_make_its_first_again(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    entered = asyncio.Event()

    @step
    async def work(order: Order, run: Run) -> str:
        paid = await run.call(bank.pay, who="ann")
        if not entered.is_set():
            entered.set()
            await asyncio.Event().wait()
        return paid

    workflow = bank.workflow(work)
    runtime, run = await engine.start(workflow)
    await entered.wait()
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    assert (await result(runtime, run)).output == "pay ann 1 #1"
    assert other.asked["pay ann 1"] == 1


# ── sleep ──


async def test_a_long_sleep_is_in_the_store_and_not_in_memory(engine: Engine, bank: Bank) -> None:
    woke = []

    @step
    async def work(order: Order, run: Run) -> str:
        await run.sleep(timedelta(days=2))
        woke.append(run.now())
        return "awake"

    workflow = bank.workflow(work)
    runtime, run = await engine.start(workflow)
    await quiet(runtime)
    await engine.crash(runtime)
    engine.clock._now += 86_400_000_000
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    await engine.clock.jump(86_400 - 1)
    assert not woke
    await engine.clock.jump(1)
    assert (await result(runtime, run)).output == "awake"


async def test_a_short_sleep_is_slept_to_its_end_by_who_takes_over(engine: Engine, bank: Bank) -> None:
    begun = asyncio.Event()

    @step
    async def work(order: Order, run: Run) -> str:
        begun.set()
        await run.sleep(4)
        return "awake"

    workflow = bank.workflow(work)
    runtime, run = await engine.start(workflow)
    await begun.wait()
    await engine.clock.advance(3)
    await engine.crash(runtime)
    runtime = await engine.open(workflow)
    runtime.begin_driving()
    await until(lambda: busy(runtime) == 1)
    await engine.clock.advance(0.9)
    assert busy(runtime) == 1
    await engine.clock.advance(0.2)
    assert (await result(runtime, run)).output == "awake"


@pytest.mark.parametrize("seconds", [0, -5, 0.0])
async def test_a_sleep_of_no_time_is_none(engine: Engine, bank: Bank, seconds: float) -> None:
    @step
    async def work(order: Order, run: Run) -> str:
        await run.sleep(seconds)
        return "awake"

    assert (await engine.run(bank.workflow(work))).output == "awake"


async def test_sleeps_side_by_side_are_slept_side_by_side(engine: Engine, bank: Bank) -> None:
    @step
    async def work(order: Order, run: Run) -> list[int]:
        async def nap(hours: int) -> int:
            await run.sleep(timedelta(hours=hours))
            return hours

        return list(await asyncio.gather(nap(3), nap(1), nap(2)))

    runtime, run = await engine.start(bank.workflow(work))
    for _ in range(3):
        await quiet(runtime)
        await engine.clock.jump(3600)
    assert (await result(runtime, run)).output == [3, 1, 2]


# ── another attempt ──


async def test_in_a_new_attempt_a_model_is_asked_anew_and_an_effect_is_not_made_again(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    model = ScriptedModel({"work": [Say("yes")]})
    drawn = set()

    @step(retry=Retry(3, base=0))
    async def work(order: Order, run: Run) -> list[str]:
        drawn.add(run.uuid())
        answer = await run.ask(str, "Shall we?")
        seen = await run.call(bank.look, what="x")
        paid = await run.call(bank.pay, who="ann")
        if run.attempt < 3:
            raise Transient("again")
        return [answer, str(seen), paid]

    runtime, run = await engine.start(bank.workflow(work), models=[model])
    done = await result(runtime, run)
    assert done.output == ["yes", "3", "pay ann 1 #1"]
    assert (len(model.requests), len(drawn)) == (3, 3)
    assert other.asked == {"look x": 3, "pay ann 1": 1}


async def test_duplicates_of_an_earlier_attempt_are_found_one_by_one(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> list[str]:
        paid = [await run.call(bank.pay, who="ann") for _ in range(2)]
        if run.attempt == 1:
            raise Transient("again")
        return [*paid, await run.call(bank.pay, who="ann")]

    done = await engine.run(bank.workflow(work))
    assert done.output == ["pay ann 1 #1", "pay ann 1 #2", "pay ann 1 #3"]
    assert other.asked["pay ann 1"] == 3


async def test_a_changed_plan_after_an_effect_asks_a_person_first(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    """The first attempt paid ann; the second wants to pay bob instead, and would have paid both."""

    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        paid = await run.call(bank.pay, who="ann" if run.attempt == 1 else "bob")
        if run.attempt == 1:
            raise Transient("again")
        return paid

    runtime, run = await engine.start(bank.workflow(work))
    waiting = await result(runtime, run)
    (item,) = waiting.waiting_for
    assert (item.kind, item.tool, item.args) == ("approval", "pay", {"who": "bob", "amount": 1})
    assert "already used pay" in item.reason
    assert other.asked == {"pay ann 1": 1}
    await runtime.decide(item.item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "pay bob 1 #1"
    assert other.asked == {"pay ann 1": 1, "pay bob 1": 1}


async def test_a_changed_plan_may_be_denied(engine: Engine, other: OtherSide, bank: Bank) -> None:
    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        paid = await run.call(bank.pay, who="ann" if run.attempt == 1 else "bob")
        if run.attempt == 1:
            raise Transient("again")
        return paid

    runtime, run = await engine.start(bank.workflow(work))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason="ann has it"))
    failed = await result(runtime, run)
    assert (failed.status, other.asked) == ("failed", {"pay ann 1": 1})


async def test_an_attempt_that_claims_the_earlier_effect_first_may_go_on_with_new_ones(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    """Also where they are asked for side by side, the new one first."""

    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> list[str]:
        if run.attempt == 1:
            await run.call(bank.pay, who="ann")
            raise Transient("again")
        return list(await asyncio.gather(run.call(bank.pay, who="bob"), run.call(bank.pay, who="ann")))

    done = await engine.run(bank.workflow(work))
    assert (done.status, done.output) == ("succeeded", ["pay bob 1 #1", "pay ann 1 #1"])
    assert other.asked == {"pay ann 1": 1, "pay bob 1": 1}


async def test_reads_and_refused_calls_are_no_effects_and_change_no_plan(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        await run.call(bank.look, what=str(run.attempt))
        if run.attempt == 1:
            raise Transient("again")
        return await run.call(bank.pay, who="ann")

    assert (await engine.run(bank.workflow(work))).output == "pay ann 1 #1"


async def test_a_models_failure_is_remembered_within_an_attempt_only(engine: Engine, bank: Bank) -> None:
    broken = ScriptedModel({"work": [Fail("refused")]}, name="broken")
    good = ScriptedModel({"work": [Say("fine")]}, name="good")

    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        answer = await run.ask(str, "How is it?")
        await run.call(bank.sign, what="it")
        if run.attempt == 1:
            raise Transient("again")
        return answer

    runtime, run = await engine.start(bank.workflow(work), models=[broken, good])
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Approve(by="kim"))
    done = await result(runtime, run)
    assert done.output == "fine"
    assert (len(broken.requests), len(good.requests)) == (2, 2)


async def test_steps_that_have_ended_are_never_run_again(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    @step
    def first(order: Order) -> int:
        other.act("first")
        return order.number

    @step
    async def second(first: int, run: Run) -> int:
        other.act("second")
        await run.call(bank.sign, what="it")
        return first + 1

    @step
    def third(second: int) -> int:
        other.act("third")
        return second + 1

    workflow = bank.workflow(first, second, third)
    done = await after_approval(engine, workflow)
    assert (done.output, other.asked["first"], other.asked["third"]) == (3, 1, 1)


async def test_nothing_is_asked_of_the_world_by_looking_at_a_run(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    @step
    async def work(order: Order, run: Run) -> str:
        return await run.call(bank.pay, who="ann")

    workflow = bank.workflow(work)
    runtime, run = await engine.start(workflow)
    await result(runtime, run)
    before = await kinds(runtime, run)
    onlooker = await engine.open(workflow, drive=False)
    assert (await onlooker.look(run)).output == "pay ann 1 #1"
    assert [call.status for call in await calls(onlooker, run)] == ["returned"]
    assert await kinds(onlooker, run) == before
    await until(lambda: other.asked["pay ann 1"] == 1)


async def test_sleeps_of_branches_that_come_in_another_order_are_not_mistaken_for_each_other(
    engine: Engine, bank: Bank
) -> None:
    """The first branch looks something up before it sleeps; when it is run again, the answer is there at once."""
    woke: dict[str, int] = {}
    begun = engine.clock.now()

    @step
    async def work(order: Order, run: Run) -> str:
        async def long() -> None:
            await run.call(bank.look, what="x")
            await run.sleep(timedelta(hours=10))
            woke.setdefault("long", engine.clock.now() - begun)

        async def short() -> None:
            await run.sleep(timedelta(hours=1))
            woke.setdefault("short", engine.clock.now() - begun)

        await asyncio.gather(long(), short())
        return "awake"

    runtime, run = await engine.start(bank.workflow(work))
    for _ in range(11):
        await quiet(runtime)
        await engine.clock.jump(3600)
    assert (await result(runtime, run)).output == "awake"
    # A branch that parks stops its siblings too, so each may begin, or go on, later; but never earlier.
    assert woke["short"] >= 3_600_000_000
    assert woke["long"] >= 36_000_000_000


async def test_waiting_branches_that_gather_returns_as_values_have_parked_all_the_same(
    engine: Engine, other: OtherSide, bank: Bank
) -> None:
    @step
    async def work(order: Order, run: Run) -> str:
        found = await asyncio.gather(
            run.call(bank.sign, what="it"), run.call(bank.pay, who="ann"), return_exceptions=True
        )
        return str(found)

    runtime, run = await engine.start(bank.workflow(work))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "['sign it #1', 'pay ann 1 #1']"
    assert other.asked == {"sign it": 1, "pay ann 1": 1}


async def test_a_sleep_of_a_length_drawn_by_chance_is_slept_once(engine: Engine, bank: Bank) -> None:
    lengths = iter([3600.0, 1800.0, 900.0, 450.0])

    @step
    async def work(order: Order, run: Run) -> str:
        await run.sleep(next(lengths))
        return "awake"

    runtime, run = await engine.start(bank.workflow(work))
    await quiet(runtime)
    await engine.clock.jump(3600)
    assert (await result(runtime, run)).output == "awake"
    assert (await kinds(runtime, run)).count("timer.set") == 1
