"""The breaker: when the providers keep failing, no new runs are begun, until one run has shown that they
answer.

    closed ── every listed model failed `failures` times in a row within `within` ──> open
    open ── `pause` later: one run is tried ──> half open
    half open ── every listed model failed again ──> open, with twice the pause (at most `longest`)
    open or half open ── any listed model answered ──> closed

A run that fails because of the providers costs money, a person's time, and a customer's: where all would
fail, the next one is better off in the queue. One listed model that answers is enough to go on, so each is
counted by itself, and an answer of any of them ends the row of all. Pure: who counts, and where, is for the
caller (the store, in the transaction that journals the failure, so that all workers count together and a
restart forgets nothing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..core.clock import micros

OF_ALL_RUNS = frozenset({401, 402, 403, 404, 429})
"""HTTP statuses of a definite no that any other run would get as well: the key, the account's money, the
model's name. (A 429 that is no definite no but a request to wait is a transient failure.)"""


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """`failures` in a row of each listed model, no two further apart than `within` seconds, open it; it then
    waits `pause` seconds before it tries one run, and twice as long each time that fails, up to `longest`."""

    failures: int = 5
    within: float = 60.0
    pause: float = 30.0
    longest: float = 900.0


USUAL = BreakerTerms()


@dataclass(frozen=True, slots=True)
class Breaker:
    """`until` (microseconds since the epoch): open, one run may be tried from then on; half open, another
    one. `failures` are the times of each model's last failures, none of them followed by an answer."""

    state: Literal["closed", "open", "half_open"] = "closed"
    pause: int = 0
    until: int = 0
    failures: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def is_failure(error: Mapping[str, Any]) -> bool:
    """Whether an ask's error tells of the provider, not of what this one run asked for."""
    if error.get("code") == "model_unavailable":
        return True
    return error.get("code") == "model_refused" and error.get("status") in OF_ALL_RUNS


def answered(breaker: Breaker) -> Breaker:
    """The very same object where it changes nothing."""
    return breaker if breaker.state == "closed" and not breaker.failures else Breaker()


def failed(breaker: Breaker, model: str, listed: Sequence[str], at: int, terms: BreakerTerms) -> Breaker:
    """One request to `model`, one of the `listed`, came to nothing."""
    if breaker.state == "open":
        return breaker  # runs that were begun before: that they fail is no news
    enough = terms.failures if breaker.state == "closed" else 1
    earliest = at - micros(terms.within)
    row = tuple(time for time in breaker.failures.get(model, ()) if time >= earliest)
    failures = {**breaker.failures, model: (*row, at)[-enough:]}
    if all(_is_enough(failures.get(name, ()), enough, earliest) for name in listed):
        longest = micros(terms.longest)
        pause = min(breaker.pause * 2 if breaker.state == "half_open" else micros(terms.pause), longest)
        return Breaker("open", pause, at + pause)
    return replace(breaker, failures=failures)


def _is_enough(times: Sequence[int], enough: int, earliest: int) -> bool:
    return len(times) >= enough and times[-enough] >= earliest
