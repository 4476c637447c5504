"""What happens when a step fails for good is declared: a function of its inputs, a value, a person, or a
clear
failure. A step that has acted, or may have, never falls back to a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import (
    Approve,
    Call,
    Deny,
    Edit,
    Effect,
    NotDone,
    Retry,
    Review,
    Run,
    Settle,
    Transient,
    Use,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.errors import InvalidInput, NotAllowedToDecide, WrongDecision

from .rig import Engine, Order, OtherSide, busy, code, kinds, quiet, result

pytestmark = pytest.mark.anyio


class Letter(BaseModel):
    text: str


class Broken:
    """A step that fails until `works` is set, after what `before` does."""

    def __init__(self, before: Callable[[Run], Any] | None = None) -> None:
        self.works = False
        self.entered = 0
        self.before = before

    def step(self, **options: Any) -> Any:
        @step(retry=Retry(3, base=0), **options)
        async def letter(order: Order, run: Run) -> Letter:
            self.entered += 1
            if self.before is not None:
                await self.before(run)
            if not self.works:
                raise ValueError("no words")
            return Letter(text="written")

        return letter

    def workflow(self, fallback: Any, **options: Any) -> Workflow:
        @step
        async def sent(letter: Letter) -> str:
            return f"sent: {letter.text}"

        return Workflow("letters", input=Order, steps=[self.step(fallback=fallback), sent], **options)


def template(order: Order) -> Letter:
    return Letter(text=f"template {order.number}")


def constant() -> Letter:
    return Letter(text="constant")


def failing(order: Order) -> Letter:
    raise KeyError("template")


def exiting(order: Order) -> Letter:
    raise SystemExit(1)


def wrong(order: Order) -> Letter:
    return "no letter"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("fallback", "text"),
    [(template, "template 7"), (constant, "constant"), (Use(Letter(text="used")), "used")],
)
async def test_a_fallback_takes_the_place_of_a_failed_step(engine: Engine, fallback: Any, text: str) -> None:
    runtime, run = await engine.start(Broken().workflow(fallback), Order(number=7))
    done = await result(runtime, run)
    assert (done.status, done.output, done.degraded) == ("succeeded", f"sent: {text}", True)
    state = await runtime.state(run)
    assert (state.steps["letter"].how, state.steps["sent"].how) == ("fallback", "ok")
    row = await runtime.store.run(run)
    assert row is not None
    assert row.summary["degraded"] is True


async def test_a_step_that_works_needs_no_fallback(engine: Engine) -> None:
    broken = Broken()
    broken.works = True
    done = await engine.run(broken.workflow(constant))
    assert (done.output, done.degraded) == ("sent: written", False)


async def test_a_fallback_comes_after_the_last_attempt(engine: Engine, other: OtherSide) -> None:
    @step(retry=Retry(3, base=0), fallback=Use(0))
    async def count(order: Order) -> int:
        other.act("try")
        raise Transient("busy")

    done = await engine.run(Workflow("counting", input=Order, steps=[count]))
    assert (done.output, other.asked["try"]) == (0, 3)


async def test_without_a_fallback_the_run_fails_with_the_steps_own_error(engine: Engine) -> None:
    failed = await engine.run(Broken().workflow(None))
    assert (failed.status, code(failed), failed.output) == ("failed", "step_failed", None)
    assert failed.error is not None
    assert failed.error.what == "step 'letter' raised ValueError"
    assert failed.error.why == "no words"


@pytest.mark.parametrize("fallback", [failing, wrong, exiting])
async def test_a_fallback_that_fails_itself_is_set_aside_for_a_person(engine: Engine, fallback: Any) -> None:
    runtime, run = await engine.start(Broken().workflow(fallback))
    waiting = await result(runtime, run)
    (item,) = waiting.waiting_for
    assert (waiting.status, item.kind) == ("waiting", "review")
    assert "fallback failed too" in item.reason
    await runtime.decide(item.item, Settle({"text": "by hand"}, by="kim"))
    assert (await result(runtime, run)).output == "sent: by hand"


# ── never after an effect ──


def acting(other: OtherSide, effect: Effect, how: str) -> tuple[Any, Callable[[Run], Any]]:
    @tool(effect=effect)
    async def act(call: Call) -> str:
        other.act("act", call.key)
        match how:
            case "not done":
                raise NotDone("no")
            case "invalid":
                return 17  # type: ignore[return-value]
            case "lost":
                raise OSError("lost")
        return "done"

    async def before(run: Run) -> None:
        await run.call(act)

    return act, before


@pytest.mark.parametrize("how", ["done", "invalid", "lost"])
@pytest.mark.parametrize("fallback", [template, Use(Letter(text="used"))], ids=["function", "value"])
@pytest.mark.parametrize("effect", [Effect.KEYED, Effect.IDEMPOTENT], ids=lambda effect: effect.value)
async def test_a_step_that_has_acted_or_may_have_never_falls_back_to_a_value(
    engine: Engine, other: OtherSide, effect: Effect, fallback: Any, how: str
) -> None:
    act, before = acting(other, effect, how)
    runtime, run = await engine.start(Broken(before).workflow(fallback, tools=[act]))
    waiting = await result(runtime, run)
    (item,) = waiting.waiting_for
    assert (waiting.status, item.kind) == ("waiting", "review")
    assert "has used act before" in item.reason
    assert not waiting.degraded


@pytest.mark.parametrize(("effect", "how"), [(Effect.READ, "done"), (Effect.KEYED, "not done")])
async def test_a_read_or_a_call_that_was_not_done_is_no_act(
    engine: Engine, other: OtherSide, effect: Effect, how: str
) -> None:
    act, before = acting(other, effect, how)
    done = await engine.run(Broken(before).workflow(template, tools=[act]))
    assert (done.status, done.output) == ("succeeded", "sent: template 1")


async def test_a_call_that_a_person_gave_up_on_may_have_happened(engine: Engine, other: OtherSide) -> None:
    act, before = acting(other, Effect.ONCE, "lost")
    runtime, run = await engine.start(Broken(before).workflow(template, tools=[act]))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim"))
    (review,) = (await result(runtime, run)).waiting_for
    assert (review.kind, "has used act before" in review.reason) == ("review", True)


async def test_the_error_of_a_run_that_failed_after_acting_says_so(engine: Engine, other: OtherSide) -> None:
    act, before = acting(other, Effect.KEYED, "done")
    failed = await engine.run(Broken(before).workflow(None, tools=[act]))
    assert failed.error is not None
    assert "It has used act before it failed" in failed.error.remedy


# ── reviews ──


async def test_a_review_waits_for_a_person_of_its_queue(engine: Engine) -> None:
    people = {"desk": ["kim"]}
    runtime, run = await engine.start(Broken().workflow(Review("desk")), people=people)
    waiting = await result(runtime, run)
    (item,) = waiting.waiting_for
    assert (item.kind, item.by, item.choices) == ("review", "desk", ("settle", "approve", "deny"))
    assert item.reason == "step 'letter' raised ValueError"
    await quiet(runtime)
    assert busy(runtime) == 0
    with pytest.raises(NotAllowedToDecide):
        await runtime.decide(item.item, Approve(by="lee"))
    with pytest.raises(WrongDecision):
        await runtime.decide(item.item, Edit({}, by="kim"))
    await runtime.decide(item.item, Settle(Letter(text="by hand"), by="kim"))
    done = await result(runtime, run)
    assert (done.output, done.degraded) == ("sent: by hand", True)
    assert (await runtime.state(run)).steps["letter"].how == "by_hand"


async def test_approving_a_review_tries_again(engine: Engine) -> None:
    broken = Broken()
    runtime, run = await engine.start(broken.workflow(Review()))
    (first,) = (await result(runtime, run)).waiting_for
    await runtime.decide(first.item, Approve(by="kim"))
    (second,) = (await result(runtime, run)).waiting_for
    assert second.item != first.item
    assert broken.entered == 2
    broken.works = True
    await runtime.decide(second.item, Approve(by="kim"))
    done = await result(runtime, run)
    assert (done.output, done.degraded) == ("sent: written", False)
    assert (await runtime.state(run)).steps["letter"].attempt == 3


async def test_approving_a_review_tries_again_as_often_as_the_step_says(
    engine: Engine, other: OtherSide
) -> None:
    """Attempts that are used up stay so; each try by hand is one more."""

    @step(retry=Retry(2, base=0), fallback=Review())
    async def count(order: Order) -> int:
        other.act("try")
        raise Transient("busy")

    runtime, run = await engine.start(Workflow("counting", input=Order, steps=[count]))
    (item,) = (await result(runtime, run)).waiting_for
    assert other.asked["try"] == 2
    await runtime.decide(item.item, Approve(by="kim"))
    (again,) = (await result(runtime, run)).waiting_for
    assert other.asked["try"] == 3
    assert again.item != item.item


async def test_denying_a_review_fails_the_run(engine: Engine) -> None:
    broken = Broken()
    runtime, run = await engine.start(broken.workflow(Review("desk")))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim", reason="hopeless"))
    failed = await result(runtime, run)
    assert (failed.status, code(failed), broken.entered) == ("failed", "step_failed", 1)
    assert failed.error is not None
    assert "a person decided" in failed.error.why


@pytest.mark.parametrize("given", ["a letter", {"txt": "x"}, None, {"text": 5}, [1]], ids=str)
async def test_an_output_given_by_hand_must_fit(engine: Engine, given: Any) -> None:
    runtime, run = await engine.start(Broken().workflow(Review("desk")))
    (item,) = (await result(runtime, run)).waiting_for
    with pytest.raises(InvalidInput, match="letter"):
        await runtime.decide(item.item, Settle(given, by="kim"))
    assert (await result(runtime, run)).waiting_for == (item,)
    await runtime.decide(item.item, Settle({"text": "fits"}, by="kim"))
    assert (await result(runtime, run)).output == "sent: fits"


async def test_an_output_that_fits_where_it_was_given_but_not_where_it_is_used_is_asked_for_again(
    engine: Engine,
) -> None:
    """Two versions of the program: what the one's desk lets through, the other's worker does not take."""
    broken = Broken()
    workflow = broken.workflow(Review("desk"))
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await engine.close(runtime)

    @step(name="letter", fallback=Review("desk"))
    async def lax(order: Order, run: Run) -> Any:
        return None

    onlooker = await engine.open(Workflow("letters", input=Order, steps=[lax]), drive=False)
    await onlooker.decide(item.item, Settle("anything", by="kim"))
    runtime = await engine.open(workflow)
    (again,) = (await result(runtime, run)).waiting_for
    assert again.item != item.item
    assert (again.kind, again.by) == ("review", "desk")
    assert "did not fit" in again.reason


async def test_a_step_by_hand_is_not_run_again(engine: Engine) -> None:
    broken = Broken()
    runtime, run = await engine.start(broken.workflow(Review()))
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Settle(Letter(text="by hand"), by="kim"))
    await result(runtime, run)
    assert broken.entered == 1
    assert (await kinds(runtime, run)).count("step.started") == 2  # letter, sent


async def test_a_review_of_one_branch_does_not_hold_up_the_other(engine: Engine, other: OtherSide) -> None:
    broken = Broken()
    letter = broken.step(fallback=Review())

    @step
    async def stamp(order: Order) -> str:
        other.act("stamp")
        return "stamp"

    @step
    async def posted(letter: Letter, stamp: str) -> str:
        return f"{letter.text} with {stamp}"

    runtime, run = await engine.start(Workflow("post", input=Order, steps=[letter, stamp, posted]))
    (item,) = (await result(runtime, run)).waiting_for
    assert other.asked["stamp"] == 1
    await runtime.decide(item.item, Settle(Letter(text="by hand"), by="kim"))
    assert (await result(runtime, run)).output == "by hand with stamp"
    assert other.asked["stamp"] == 1


async def test_a_review_after_an_effect_goes_on_without_making_it_again(
    engine: Engine, other: OtherSide
) -> None:
    act, before = acting(other, Effect.KEYED, "done")
    broken = Broken(before)
    runtime, run = await engine.start(broken.workflow(Review(), tools=[act]))
    (item,) = (await result(runtime, run)).waiting_for
    broken.works = True
    await runtime.decide(item.item, Approve(by="kim"))
    assert (await result(runtime, run)).output == "sent: written"
    assert (broken.entered, other.asked["act"]) == (2, 1)


async def test_a_denied_approval_may_fall_back(engine: Engine, other: OtherSide) -> None:
    """Nothing has happened, so a value may stand in for it."""

    @tool(effect=Effect.KEYED)
    async def act(call: Call) -> str:
        return other.act("act")

    @step(fallback=Use("left alone"))
    async def work(order: Order, run: Run) -> str:
        return await run.call(act)

    workflow = Workflow("asking", input=Order, steps=[work], tools=[act], rules=[approve(act)])
    runtime, run = await engine.start(workflow)
    (item,) = (await result(runtime, run)).waiting_for
    await runtime.decide(item.item, Deny(by="kim"))
    done = await result(runtime, run)
    assert (done.status, done.output, done.degraded) == ("succeeded", "left alone", True)
