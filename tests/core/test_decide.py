"""What a run does next is decided from its state alone, the same each time, and never leaves it hanging."""

import gc
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from surefoot import Review, Run, Use, Workflow, step
from surefoot.core import events as e
from surefoot.core.decide import Expire, FallBack, Finish, Fire, OpenReview, Start, decide
from surefoot.core.fold import RunState
from surefoot.core.jsons import Raw
from surefoot.core.wiring import Plan

from .simulator import BOOM, PLAN, SECOND, by_any_journal, simulate

ANY_TIME = 10**9 * SECOND


def parts(state: RunState) -> dict[str, Any]:
    return {**vars(state), "ready": list(state.ready)}


# ── by any journal ───────────────────────────────────────────────────────────────────────────────


@by_any_journal
def test_deciding_twice_is_the_same_and_changes_nothing(seed: int, moves: int) -> None:
    simulation = simulate(seed, moves)
    for now in (simulation.now, ANY_TIME):
        once = decide(PLAN, simulation.state, now, simulation.active)
        assert decide(PLAN, simulation.state, now, simulation.active) == once
    assert parts(simulation.state) == parts(RunState(PLAN).apply_all(simulation.journal))


@by_any_journal
def test_only_what_is_ready_not_ended_and_not_under_way_is_started_and_once(seed: int, moves: int) -> None:
    simulation = simulate(seed, moves)
    state = simulation.state
    for active in ((), simulation.active):
        actions = decide(PLAN, state, ANY_TIME, active)
        started = [one.step for one in actions if isinstance(one, Start)]
        assert len(started) == len(set(started))
        for name in started:
            assert name not in active
            assert name not in state.steps or state.steps[name].status != "finished"
            assert all(state.steps[need].status == "finished" for need in PLAN.steps[name].needs)


@by_any_journal
def test_a_run_always_has_something_to_do_or_something_to_wait_for(seed: int, moves: int) -> None:
    """Whatever happened, a worker that takes it up now is not left with a run that nobody will ever wake."""
    simulation = simulate(seed, moves)
    simulation.die()
    if simulation.state.is_ended:
        return
    simulation.claim()
    if not decide(PLAN, simulation.state, simulation.now):
        assert simulation.state.next_due() is not None or simulation.state.open_items()


@by_any_journal
def test_every_run_comes_to_an_end_when_nothing_goes_wrong_any_more(seed: int, moves: int) -> None:
    simulation = simulate(seed, moves)
    simulation.finish_run()
    assert simulation.state.is_ended
    assert decide(PLAN, simulation.state, ANY_TIME) == []


@by_any_journal
def test_no_body_is_entered_again_and_again_while_it_waits(seed: int, moves: int) -> None:
    """Between two entries of one attempt something must have happened that its body can see."""
    to_a_body = (e.TimerFired, e.ApprovalDecided, e.ApprovalExpired, e.ReviewResolved, e.CallSettled)
    news = (e.RunClaimed, e.RunRetried, *to_a_body)
    since: Counter[str] = Counter()
    for entry in simulate(seed, moves).journal:
        match entry.event:
            case e.StepStarted(step=name):
                since[name] += 1
                assert since[name] <= 1
            case e.StepFailed(step=name) | e.StepFinished(step=name):
                since[name] = 0
            case event if isinstance(event, news):
                since.clear()


# ── case by case ─────────────────────────────────────────────────────────────────────────────────


def letter(given: int) -> int:
    return given


@step
async def plain(given: int, run: Run) -> int:
    return 1


@step(fallback=Review("desk"))
async def reviewed(given: int, run: Run) -> int:
    return 1


@step(fallback=Use(5))
async def valued(given: int, run: Run) -> int:
    return 1


@step(fallback=letter)
async def lettered(given: int, run: Run) -> int:
    return 1


def state_of(one: Any, *events: e.Event) -> tuple[Plan, RunState]:
    plan = Workflow("case", input=int, steps=[one]).plan
    submitted = e.RunSubmitted(Raw("5"), "case", "1", "print", {}, "rules")
    journal = [e.Entry(n, n * SECOND, event) for n, event in enumerate((submitted, *events), start=1)]
    return plan, RunState(plan).apply_all(journal)


def after(one: Any, *events: e.Event, now: int = 100 * SECOND, active: Any = ()) -> list[Any]:
    plan, state = state_of(one, *events)
    return decide(plan, state, now, active)


CLAIMED = e.RunClaimed("w", 1)


def effect(name: str, effect: str = "keyed") -> e.CallIntended:
    return e.CallIntended("c1", name, 1, "refund", "1", effect, Raw("{}"), "d", "k", 0)


def approval(name: str, expires: int | None = None) -> e.ApprovalRequested:
    return e.ApprovalRequested("i1", name, 1, "refund", "1", Raw("{}"), "d", "why", expires=expires)


def review(name: str | None, about: Any = "step") -> e.ReviewOpened:
    return e.ReviewOpened("i1", "why", ["approve"], about, step=name)


def test_an_empty_journal_is_no_run_yet() -> None:
    assert decide(PLAN, RunState(PLAN), 0) == []


def test_independent_steps_start_side_by_side() -> None:
    simulation = simulate(0, 0)
    assert decide(PLAN, simulation.state, 0) == [Start("a", 1), Start("b", 1)]
    assert decide(PLAN, simulation.state, 0, ["a"]) == [Start("b", 1)]


def test_a_failed_step_is_tried_again_when_it_is_time() -> None:
    failed = e.StepFailed("plain", 1, BOOM, retry_at=50 * SECOND)
    assert after(plain, failed, now=49 * SECOND) == []
    assert after(plain, failed, now=50 * SECOND) == [Start("plain", 2)]


@pytest.mark.parametrize(
    ("one", "action"),
    [
        (plain, Finish("failed", "plain")),
        (reviewed, OpenReview("reviewed", "desk", "it broke")),
        (valued, FallBack("valued")),
        (lettered, FallBack("lettered")),
    ],
)
def test_a_step_that_has_failed_for_good_does_what_it_declares(one: Any, action: Any) -> None:
    assert after(one, e.StepFailed(one.name, 1, BOOM)) == [action]


@pytest.mark.parametrize("one", [valued, lettered])
@pytest.mark.parametrize(
    "outcome",
    [
        [e.CallReturned("c1", Raw("1"))],
        [e.CallFailed("c1", BOOM, happened=True)],
        [e.CallUnknown("c1", BOOM)],
        [e.CallUnknown("c1", BOOM), e.CallSettled("c1", "given_up", "kim")],
        [],
    ],
)
def test_a_step_that_has_acted_or_may_have_never_falls_back_to_a_value(
    one: Any, outcome: list[e.Event]
) -> None:
    failed = e.StepFailed(one.name, 1, BOOM)
    (action,) = after(one, effect(one.name), *outcome, failed)
    assert isinstance(action, OpenReview)
    assert "refund" in action.reason


@pytest.mark.parametrize(
    "events",
    [
        [effect("valued", "read"), e.CallReturned("c1", Raw("1"))],
        [effect("valued"), e.CallFailed("c1", BOOM)],
        [effect("valued"), e.CallUnknown("c1", BOOM), e.CallSettled("c1", "undone", "reconcile")],
    ],
)
def test_a_step_that_has_surely_not_acted_falls_back(events: list[e.Event]) -> None:
    assert after(valued, *events, e.StepFailed("valued", 1, BOOM)) == [FallBack("valued")]


def test_a_body_that_waits_for_a_person_is_entered_again_only_by_what_they_say() -> None:
    waiting = [CLAIMED, e.StepStarted("plain"), approval("plain")]
    assert after(plain, *waiting) == []
    for decided in (
        e.ApprovalDecided("i1", "approve", "kim"),
        e.ApprovalDecided("i1", "deny", "kim"),
        e.ApprovalExpired("i1"),
    ):
        assert after(plain, *waiting, decided) == [Start("plain", 1)]


def test_another_attempt_still_waits_for_the_person_whom_the_one_before_asked() -> None:
    """Its body meets the same open question and parks without a word in the journal."""
    events = [
        CLAIMED,
        e.StepStarted("plain"),
        approval("plain"),
        e.StepFailed("plain", 1, BOOM, retry_at=1),
        e.StepStarted("plain", 2),
    ]
    assert after(plain, *events) == []


def test_a_worker_that_takes_a_run_up_enters_again_what_was_under_way() -> None:
    begun = [CLAIMED, e.StepStarted("plain"), e.TimerSet("t1", "plain", 1, 500 * SECOND)]
    assert after(plain, *begun) == []
    assert after(plain, *begun, e.RunClaimed("x", 2)) == [Start("plain", 1)]


def test_a_body_that_was_entered_and_is_nowhere_is_entered_again() -> None:
    begun = [CLAIMED, e.StepStarted("plain")]
    assert after(plain, *begun) == [Start("plain", 1)]
    assert after(plain, *begun, active=["plain"]) == []


def test_a_step_that_ended_before_what_feeds_it_now_is_not_started_again() -> None:
    """The plan has changed since: other code goes on with a run whose finished steps still stand."""
    simulation = simulate(0, 0)
    ended = [e.StepFinished("d", Raw("1")), e.StepFinished("a", Raw("1")), e.StepFinished("b", Raw("1"))]
    for event in ended:
        simulation.write(event)
    assert decide(PLAN, simulation.state, 0) == [Start("f", 1), Start("c", 1)]


def test_what_falls_due_is_fired_or_expires() -> None:
    begun = [CLAIMED, e.StepStarted("plain"), e.TimerSet("t1", "plain", 1, 50 * SECOND)]
    assert after(plain, *begun, now=49 * SECOND) == []
    assert after(plain, *begun, now=50 * SECOND) == [Fire("t1")]
    asked = [CLAIMED, e.StepStarted("plain"), approval("plain", expires=50 * SECOND)]
    assert after(plain, *asked, now=49 * SECOND) == []
    assert after(plain, *asked, now=50 * SECOND) == [Expire("i1")]


def test_a_run_under_review_stands_still_until_somebody_decides() -> None:
    waiting = [CLAIMED, review(None, "poisoned")]
    assert after(plain, *waiting) == []
    assert after(plain, *waiting, e.ReviewResolved("i1", "approve", "kim")) == [Start("plain", 1)]
    assert after(plain, *waiting, e.ReviewResolved("i1", "deny", "kim")) == [Finish("failed")]


def test_a_step_under_review_is_tried_again_settled_or_failed() -> None:
    waiting = [CLAIMED, e.StepStarted("reviewed"), e.StepFailed("reviewed", 1, BOOM), review("reviewed")]
    assert after(reviewed, *waiting) == []
    assert after(reviewed, *waiting, e.ReviewResolved("i1", "approve", "kim")) == [Start("reviewed", 2)]
    assert after(reviewed, *waiting, e.ReviewResolved("i1", "deny", "kim")) == [Finish("failed", "reviewed")]
    by_hand = e.StepFinished("reviewed", Raw("5"), 1, how="by_hand")
    assert after(reviewed, *waiting, e.ReviewResolved("i1", "settle", "kim"), by_hand) == [
        Finish("succeeded")
    ]


def test_a_cancelled_run_starts_nothing() -> None:
    assert after(plain, CLAIMED, e.RunCancelling("kim")) == [Finish("cancelled")]


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_an_ended_run_does_nothing_more(status: Any) -> None:
    assert after(plain, CLAIMED, e.RunFinished(status), e.RunClaimed("x", 2)) == []


def test_a_run_that_is_taken_up_again_after_a_review_was_closed_with_it_is_not_stuck() -> None:
    """The review ended with the run; the step that it was about fails again, and is reviewed again."""
    ended = [
        CLAIMED,
        e.StepStarted("reviewed"),
        e.StepFailed("reviewed", 1, BOOM),
        review("reviewed"),
        e.RunCancelling("kim"),
        e.RunFinished("cancelled", BOOM),
        e.RunClaimed("x", 2),
        e.RunRetried("kim"),
    ]
    assert after(reviewed, *ended) == [Start("reviewed", 2)]
    failed_again = [e.StepStarted("reviewed", 2), e.StepFailed("reviewed", 2, BOOM)]
    assert after(reviewed, *ended, *failed_again) == [OpenReview("reviewed", "desk", "it broke")]


def test_a_run_that_is_taken_up_again_is_running_and_not_ended() -> None:
    _, state = state_of(
        plain, CLAIMED, e.RunFinished("failed", BOOM), e.RunClaimed("x", 2), e.RunRetried("kim")
    )
    assert (state.status, state.ended, state.error) == ("running", 0, None)


# ── what it costs ────────────────────────────────────────────────────────────────────────────────


def operations(act: Any) -> int:
    """How many bytecodes `act` takes, with all that it calls."""
    count = 0

    def trace(frame: FrameType, what: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += what == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # what it might find to finalise is not part of the cost
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def row(length: int) -> Plan:
    """Steps in a row, each of which takes what the one before it gave."""
    steps = []
    for n in range(length):
        source = "given: int" if n == 0 else f"s{n - 1}: int"
        scope: dict[str, Any] = {}
        exec(f"async def s{n}({source}) -> int: return 0", scope)
        steps.append(step(scope[f"s{n}"]))
    return Plan("row", int, steps)


def test_deciding_and_folding_cost_the_same_at_step_ten_as_at_step_one_thousand() -> None:
    costs = []
    for length in (10, 1000):
        plan = row(length)
        state = RunState(plan)
        submitted = e.RunSubmitted(Raw("5"), "row", "1", "print", {}, "rules")
        events: list[e.Event] = [submitted, CLAIMED]
        for n in range(length - 2):
            events += [e.StepStarted(f"s{n}"), e.StepFinished(f"s{n}", Raw("1"))]
        state.apply_all(e.Entry(n, n, event) for n, event in enumerate(events, start=1))
        name = f"s{length - 2}"
        assert decide(plan, state, 0) == [Start(name, 1)]
        costs.append(
            [
                operations(lambda plan=plan, state=state: decide(plan, state, 0)),
                operations(lambda state=state, name=name: state.apply(e.Entry(1, 1, e.StepStarted(name)))),
                operations(
                    lambda state=state, name=name: state.apply(e.Entry(1, 1, e.StepFinished(name, Raw("1"))))
                ),
                operations(lambda plan=plan, state=state: decide(plan, state, 0)),
            ]
        )
    assert costs[0] == costs[1]
    assert min(costs[0]) > 20  # or nothing was counted
