"""A journal folds to one state, whatever a store can have put into it, and however much of it there is."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import events as e
from surefoot.core.decide import decide
from surefoot.core.fold import RunState
from surefoot.core.jsons import Raw

from .any_events import EVENTS
from .simulator import PLAN, SECOND, by_any_journal, simulate


def everything(state: RunState) -> dict[str, Any]:
    return {**vars(state), "ready": list(state.ready)}


def folded(entries: Iterable[e.Entry]) -> RunState:
    return RunState(PLAN).apply_all(entries)


@by_any_journal
def test_any_prefix_folds_and_folding_as_it_grows_is_folding_from_the_start(seed: int, moves: int) -> None:
    journal = simulate(seed, moves).journal
    growing = RunState(PLAN)
    for length, entry in enumerate(journal, start=1):
        growing.apply(entry)
        if length % 11 == 0 or length == len(journal):
            assert everything(growing) == everything(folded(journal[:length]))


@by_any_journal
def test_a_fold_without_the_plan_knows_all_but_what_is_ready(seed: int, moves: int) -> None:
    journal = simulate(seed, moves).journal
    bare, whole = vars(RunState().apply_all(journal)), vars(folded(journal))
    for name in whole.keys() - {"plan", "ready", "_missing"}:
        assert bare[name] == whole[name], name


@by_any_journal
def test_what_was_written_and_read_back_folds_to_the_same_state(seed: int, moves: int) -> None:
    journal = simulate(seed, moves).journal
    read = [
        e.Entry(one.seq, one.at, e.decode(one.event.KIND, one.event.VERSION, one.event.encode()))
        for one in journal
    ]
    assert everything(folded(read)) == everything(folded(journal))


@by_any_journal
def test_the_steps_that_are_kept_as_ready_are_those_that_are(seed: int, moves: int) -> None:
    state = RunState(PLAN)
    for entry in simulate(seed, moves).journal:
        state.apply(entry)
        finished = {name for name, one in state.steps.items() if one.status == "finished"}
        ready = {
            name
            for name, wired in PLAN.steps.items()
            if name not in finished and finished.issuperset(wired.needs)
        }
        assert set(state.ready) == ready


@by_any_journal
def test_what_is_waited_for_is_each_open_item_and_each_timer_that_has_not_fired(
    seed: int, moves: int
) -> None:
    state = RunState(PLAN)
    timers_ended: set[str] = set()
    for entry in simulate(seed, moves).journal:
        state.apply(entry)
        if isinstance(entry.event, e.RunFinished):
            timers_ended |= set(state.timers)
            assert not state.open_items()
        timers = {name for name, one in state.timers.items() if not one.fired} - timers_ended
        assert state.waits == timers | {item.id for item in state.open_items()}


@by_any_journal
def test_usage_never_decreases_and_what_is_reserved_is_what_is_under_way(seed: int, moves: int) -> None:
    state = RunState(PLAN)
    before = (0, 0, 0, 0, 0, 0)
    for entry in simulate(seed, moves).journal:
        state.apply(entry)
        used = state.usage
        now = (
            used.nanousd,
            used.tokens_in,
            used.tokens_out,
            used.model_calls,
            used.tool_calls,
            state.active_micros(entry.at),
        )
        assert all(one <= other for one, other in zip(before, now, strict=True))
        before = now
        under_way = [ask for ask in state.asks.values() if ask.status == "reserved"]
        assert state.reserved_nanousd == sum(ask.nanousd for ask in under_way)
        assert state.reserved_tokens == sum(ask.tokens for ask in under_way)


@by_any_journal
def test_a_claim_holds_what_was_reserved_as_spent_and_doubts_what_was_intended(seed: int, moves: int) -> None:
    state = RunState(PLAN)
    for entry in simulate(seed, moves).journal:
        spent, reserved = state.usage.nanousd, state.reserved_nanousd
        intended = [call.id for call in state.calls.values() if call.status == "intended"]
        state.apply(entry)
        if isinstance(entry.event, e.RunClaimed):
            assert state.usage.nanousd == spent + reserved
            assert state.reserved_nanousd == 0
            assert state.reserved_tokens == 0
            assert all(
                state.calls[name].status == "unknown" and state.calls[name].cut_off for name in intended
            )
            assert all(state.calls[name].doubt == entry.event.doubt for name in intended)


@by_any_journal
def test_an_ended_step_is_never_started_again_and_its_output_never_changes(seed: int, moves: int) -> None:
    outputs: dict[str, Raw] = {}
    for entry in simulate(seed, moves).journal:
        match entry.event:
            case e.StepStarted(step=name):
                assert name not in outputs
            case e.StepFinished(step=name, output=output):
                assert name not in outputs
                outputs[name] = output


def test_the_simulator_makes_every_kind_of_event() -> None:
    """Or the properties above would hold of less than they say."""
    kinds = {entry.event.KIND for seed in range(200) for entry in simulate(seed, 120).journal}
    assert kinds == set(e.EVENTS)


# ── any events at all ────────────────────────────────────────────────────────────────────────────


@given(st.lists(EVENTS, max_size=25))
def test_events_in_no_order_that_makes_sense_fold_too(events: list[e.Event]) -> None:
    """A fold that raises would lose the run to whoever only wants to look at it."""
    state = RunState(PLAN)
    for number, event in enumerate(events, start=1):
        state.apply(e.Entry(number, number * SECOND, event))
        state.next_due()
        state.active_micros(number * SECOND)
        state.open_items()
        assert decide(PLAN, state, number * SECOND) == decide(PLAN, state, number * SECOND)
    assert state.seq == len(events)
