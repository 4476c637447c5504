"""The breaker's decisions: it opens only where no listed model answers, tries one run at a time, and closes
with the first answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.clock import micros
from surefoot.core.error_view import view_of
from surefoot.errors import BudgetExceeded, ModelRefused, ModelUnavailable, OutputInvalid
from surefoot.rails.breaker import Breaker, BreakerTerms, answered, failed, is_failure

TERMS = BreakerTerms(failures=3, within=60, pause=30, longest=100)
ONE, BOTH = ("m:one",), ("m:one", "m:two")


def fails(breaker: Breaker, *moments: float, model: str = "m:one", listed: tuple[str, ...] = ONE) -> Breaker:
    """At these seconds."""
    for moment in moments:
        breaker = failed(breaker, model, listed, micros(moment), TERMS)
    return breaker


def half_open(breaker: Breaker) -> Breaker:
    """As the store leaves it when it lets a run through."""
    return replace(breaker, state="half_open")


def test_so_many_failures_in_a_row_open_it_for_a_while() -> None:
    breaker = fails(Breaker(), 0, 1)
    assert breaker.state == "closed"
    breaker = fails(breaker, 2)
    assert (breaker.state, breaker.pause, breaker.until) == ("open", micros(30), micros(32))


def test_an_answer_between_begins_the_row_anew() -> None:
    breaker = fails(answered(fails(Breaker(), 0, 1)), 2, 3)
    assert breaker.state == "closed"
    assert fails(breaker, 4).state == "open"


def test_an_answer_where_nothing_has_failed_changes_nothing() -> None:
    """So that it costs no write."""
    breaker = Breaker()
    assert answered(breaker) is breaker


def test_failures_far_apart_are_no_row_and_the_window_slides() -> None:
    breaker = fails(Breaker(), 0, 50, 61)
    assert breaker.state == "closed", "the first is older than a minute"
    assert fails(breaker, 62).state == "open", "50, 61 and 62 are within one"


def test_it_stays_closed_while_any_listed_model_has_not_failed() -> None:
    """Many runs at once all ask the first model first: that it fails says nothing of the second."""
    breaker = fails(Breaker(), *range(20), listed=BOTH)
    assert breaker.state == "closed"
    breaker = fails(breaker, 20, 21, model="m:two", listed=BOTH)
    assert breaker.state == "closed"
    assert fails(breaker, 22, model="m:two", listed=BOTH).state == "open"


def test_a_models_old_failures_do_not_help_to_open_it() -> None:
    breaker = fails(Breaker(), 0, 1, 2, listed=BOTH)
    assert fails(breaker, 70, 71, 72, model="m:two", listed=BOTH).state == "closed"


def test_each_trial_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    breaker, pauses = fails(Breaker(), 0, 1, 2), []
    for _ in range(4):
        pauses.append(breaker.pause / micros(1))
        at = breaker.until / micros(1)
        breaker = fails(half_open(breaker), at)
        assert breaker.state == "open"
        assert breaker.until == micros(at) + breaker.pause
    assert pauses == [30, 60, 100, 100]


def test_a_trial_has_failed_when_every_listed_model_has() -> None:
    breaker = half_open(Breaker("open", micros(30), micros(30)))
    breaker = fails(breaker, 31, 32, listed=BOTH)
    assert breaker.state == "half_open"
    assert fails(breaker, 33, model="m:two", listed=BOTH).state == "open"


def test_any_answer_closes_it_and_the_next_pause_is_short_again() -> None:
    for breaker in (Breaker("open", micros(100), 5), Breaker("half_open", micros(100), 5)):
        closed = answered(breaker)
        assert closed == Breaker()
        assert fails(closed, 200, 201, 202).pause == micros(30)


def test_what_fails_while_it_is_open_changes_nothing() -> None:
    """Runs that were begun before go on, and fail: the pause is not made longer by them."""
    breaker = fails(Breaker(), 0, 1, 2)
    assert fails(breaker, 3, 4, 5, 6) is breaker


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (ModelUnavailable("m", charged=False, status=503), True),
        (ModelUnavailable("m: no answer"), True),
        (ModelUnavailable("m: too many requests", charged=False, status=429), True),
        (ModelRefused("m", status=401), True),
        (ModelRefused("m", status=403), True),
        (ModelRefused("m: no credit left", status=429), True),
        (ModelRefused("m: no such model", status=404), True),
        (ModelRefused("m: the schema is refused", status=400), False),
        (ModelRefused("m: too long", status=413), False),
        (ModelRefused("the model declined to answer", charged=True), False),
        (OutputInvalid("no answer fitted"), False),
        (BudgetExceeded("no budget left"), False),
    ],
    ids=lambda value: str(value).split(".")[0].replace(" ", "-") if isinstance(value, Exception) else None,
)
def test_only_what_concerns_every_run_counts(error: Exception, counts: bool) -> None:
    """Asked of the journal's view of it, which is all that is left of an error."""
    assert is_failure(view_of(error)) is counts


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["answer", "fail", "try"]),
            st.sampled_from(BOTH),
            st.floats(0, 40, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_it_never_opens_within_reach_of_an_answer_and_never_forgets_its_bounds(
    moves: list[tuple[str, str, float]],
) -> None:
    breaker, now = Breaker(), 0.0
    row: list[tuple[str, float]] = []
    for what, model, wait in moves:
        now += wait
        if what == "answer":
            breaker, row = answered(breaker), []
            assert breaker.state == "closed"
        elif what == "try" and breaker.state == "open" and micros(now) >= breaker.until:
            breaker, row = half_open(breaker), []
        elif what == "fail":
            before = breaker
            row.append((model, now))
            breaker = failed(breaker, model, BOTH, micros(now), TERMS)
            if before.state != "open" and breaker.state == "open":
                enough = 3 if before.state == "closed" else 1
                for name in BOTH:
                    recent = [at for which, at in row if which == name and at >= now - 60.001]
                    assert len(recent) >= enough
                row = []
        if breaker.state != "closed":
            assert micros(30) <= breaker.pause <= micros(100)
        assert all(len(times) <= 3 for times in breaker.failures.values())
