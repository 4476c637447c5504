"""The statistics against values that are known, and against themselves."""

from __future__ import annotations

from math import comb, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.evals.statistics import Counts, never_seen, pass_all, smallest_drop, wilson, worse

counts = st.integers(0, 30).flatmap(lambda n: st.builds(Counts, st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("baseline", "candidate", "p"),
    [
        # Fisher's own lady and her tea: 3 of 4 against 1 of 4, one-sided 17/70.
        (Counts(3, 4), Counts(1, 4), 17 / 70),
        (Counts(10, 10), Counts(0, 3), 1 / comb(13, 3)),
        (Counts(10, 10), Counts(10, 10), 1.0),
        (Counts(0, 10), Counts(0, 3), 1.0),
    ],
)
def test_fisher_gives_what_is_known(baseline: Counts, candidate: Counts, p: float) -> None:
    assert worse(baseline, candidate) == pytest.approx(p)


@given(counts, counts)
def test_fisher_is_a_probability_and_falls_with_every_failure(baseline: Counts, candidate: Counts) -> None:
    p = worse(baseline, candidate)
    assert 0 < p <= 1
    if candidate.passes:
        assert worse(baseline, Counts(candidate.passes - 1, candidate.trials)) <= p


def test_fisher_without_trials_says_nothing() -> None:
    assert worse(Counts(0, 0), Counts(0, 3)) == worse(Counts(9, 10), Counts(0, 0)) == 1.0


@pytest.mark.parametrize(
    ("found", "low", "high"),
    [(Counts(10, 10), 0.7225, 1.0), (Counts(0, 10), 0.0, 0.2775), (Counts(5, 10), 0.2366, 0.7634)],
)
def test_wilson_gives_what_is_known(found: Counts, low: float, high: float) -> None:
    assert wilson(found) == pytest.approx((low, high), abs=1e-4)


@given(counts)
def test_wilson_holds_the_rate_and_stays_within_bounds(found: Counts) -> None:
    low, high = wilson(found)
    assert 0 <= low <= high <= 1
    if found.trials:
        assert low <= found.rate <= high


@given(counts, st.integers(1, 30))
def test_pass_all_is_the_share_of_samples_that_all_passed(found: Counts, k: int) -> None:
    if k > found.trials:
        assert isnan(pass_all(found, k))
    else:
        assert pass_all(found, k) == comb(found.passes, k) / comb(found.trials, k)
        assert pass_all(found, 1) == pytest.approx(found.rate)


def test_what_was_never_seen_may_still_be_there() -> None:
    assert never_seen(0) == 1.0
    assert never_seen(100) == pytest.approx(0.0295, abs=1e-3)  # the rule of three says 0.03


def test_the_smallest_drop_that_a_run_can_see() -> None:
    solid = Counts(20, 20)
    assert smallest_drop(solid, 0, p=0.005) is None
    assert smallest_drop(Counts(10, 10), 1, p=0.005) is None, "one trial proves nothing"
    few, many = smallest_drop(solid, 8, p=0.005), smallest_drop(solid, 16, p=0.005)
    assert few is not None
    assert many is not None
    assert 0 < many < few <= 1


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="4 passes of 3"):
        Counts(4, 3)
