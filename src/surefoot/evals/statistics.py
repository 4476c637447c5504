"""The statistics of the gate, in plain code: exact tests and intervals for counts of passes.

A scenario's trials are draws of one coin; a baseline and a candidate are two such coins. Sources: Fisher's
exact test (hypergeometric tail), Wilson's score interval (1927), pass^k as the chance that k trials drawn
without replacement from those made all passed. No approximation where an exact sum is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Counts:
    """Scored trials of one scenario: `passes` of `trials`."""

    passes: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.passes <= self.trials:
            raise ValueError(f"{self.passes} passes of {self.trials} trials")

    @property
    def rate(self) -> float:
        """Nan where nothing was tried."""
        return self.passes / self.trials if self.trials else float("nan")

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passes + other.passes, self.trials + other.trials)


def worse(baseline: Counts, candidate: Counts) -> float:
    """One-sided Fisher exact p: how likely the candidate would have this few passes, or fewer, if it were as
    good as the baseline, given how many passed in all. 1.0 where either has no trials."""
    total = baseline.trials + candidate.trials
    passes = baseline.passes + candidate.passes
    ways = comb(total, passes)
    least = max(0, passes - baseline.trials)
    tail = sum(
        comb(candidate.trials, k) * comb(baseline.trials, passes - k)
        for k in range(least, candidate.passes + 1)
    )
    return tail / ways


def wilson(counts: Counts, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of pass rates that the counts do not contradict. (0, 1) where nothing was tried."""
    n = counts.trials
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate, spread = counts.rate, z * z / n
    middle = rate + spread / 2
    half = z * sqrt(rate * (1 - rate) / n + spread / (4 * n))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    # At the ends the interval is exact, and rounding must not say otherwise.
    return (0.0 if counts.passes == 0 else max(low, 0.0)), (1.0 if counts.passes == n else min(high, 1.0))


def pass_all(counts: Counts, k: int) -> float:
    """pass^k: the chance that k different trials of those made all passed. Nan where k is more than were
    made: nobody knows."""
    if k < 1:
        raise ValueError(f"pass^{k} means nothing")
    if counts.trials < k:
        return float("nan")
    return comb(counts.passes, k) / comb(counts.trials, k)


def never_seen(trials: int, confidence: float = 0.95) -> float:
    """The highest rate of something that `trials` trials did not show once (exact rule of three)."""
    return 1.0 if trials == 0 else 1 - (1 - confidence) ** (1 / trials)


def smallest_drop(baseline: Counts, trials: int, *, p: float, power: float = 0.8) -> float | None:
    """Minimum detectable effect: the smallest fall of the pass rate, in steps of one point below the
    baseline's rate, at which `trials` candidate trials give a Fisher p below `p` with at least this power.
    None where not even a scenario that never passes would be seen."""
    red = [worse(baseline, Counts(passes, trials)) < p for passes in range(trials + 1)]
    if trials == 0 or baseline.trials == 0 or not red[0]:
        return None
    for points in range(1, 101):
        rate = baseline.rate - points / 100
        if rate < 0:
            break
        seen = sum(_binomial(passes, trials, rate) for passes in range(trials + 1) if red[passes])
        if seen >= power:
            return points / 100
    return baseline.rate


def _binomial(passes: int, trials: int, rate: float) -> float:
    return float(comb(trials, passes) * rate**passes * (1 - rate) ** (trials - passes))
