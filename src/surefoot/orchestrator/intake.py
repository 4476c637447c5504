"""Intake: the breaker and a person's word, put to the row that all workers share.

What is decided is decided in `surefoot.rails.breaker`; where it holds is the store's intake row, which claims
and submissions keep to (`surefoot.state.intake`). Here the two meet: an ask's end becomes a `Sign` that goes
with the very append that journals it; pausing and resuming are turns of the row, signed by who asked for
them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core import events as e
from ..core.clock import Clock
from ..core.fold import RunState
from ..core.jsons import dumps, loads
from ..rails import breaker as rail
from ..rails.breaker import Breaker, BreakerTerms
from ..state.intake import ChangeKind, IntakeChange, IntakeRow, Mode, Sign, Turned
from ..state.store import Store
from .redacting import redactor

log = logging.getLogger("surefoot.intake")

SignOf = Callable[[e.Event, RunState, Callable[[Any], Any]], Sign | None]

_SAID: Mapping[ChangeKind, str] = {
    "paused": "paused{by}: new runs wait in the queue",
    "refused": "closed{by}: new runs are refused",
    "resumed": "resumed{by}",
    "opened": "paused by the breaker: the providers keep failing, so new runs wait",
    "trial": "the breaker lets one run through",
    "closed": "open again: a provider has answered",
    "day_gone": "paused: the day's budget is gone, so new runs wait for the next day",
    "day_back": "open again: the day has room",
}


def said(change: IntakeChange) -> str:
    by = f" by {change.by}" if change.by else ""
    reason = f" ({change.reason})" if change.reason else ""
    return f"intake {_SAID[change.what].replace('{by}', by)}{reason}"


def tell_of(change: IntakeChange) -> None:
    """What the machine closes by itself is a warning; what a person wants is no news to them."""
    level = logging.WARNING if change.what in ("opened", "day_gone") else logging.INFO
    log.log(level, "%s: %s", change.workflow, said(change))


@dataclass(frozen=True)
class IntakeView:
    """How the intake of a workflow stands. `state`: open; paused or refused (a person's word); tripped (the
    breaker is open), trying (it lets one run through); spent (the day's budget is gone)."""

    workflow: str
    state: str
    row: IntakeRow
    waiting: int
    """Runs that were never taken up."""

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def opens_at(self) -> int | None:
        return None if self.is_open else self.row.opens_at()


def state_of(row: IntakeRow, now: int) -> str:
    """A person's word first, then what lasts longer."""
    if row.mode != "open":
        return row.mode
    if row.day_until > now:
        return "spent"
    if row.trial_at is not None:
        return "tripped" if row.trial is None else "trying"
    return "open"


async def views(store: Store, now: int, workflow: str | None = None) -> list[IntakeView]:
    """Of every workflow whose intake was ever anything but open, or that has runs to begin; of this one in
    any case."""
    rows = {row.workflow: row for row in await store.intakes(workflow)}
    waiting = await store.waiting_to_begin(workflow)
    names = {*rows, *waiting} | ({workflow} if workflow is not None else set())
    found = [(name, rows.get(name) or IntakeRow(name)) for name in sorted(names)]
    return [IntakeView(name, state_of(row, now), row, waiting.get(name, 0)) for name, row in found]


class Intake:
    """Of one workflow. `terms` None: no breaker. `scrub` takes secrets out of what a person writes."""

    def __init__(
        self,
        store: Store,
        workflow: str,
        clock: Clock,
        *,
        models: Sequence[str] = (),
        terms: BreakerTerms | None = None,
        scrub: Callable[[str], str] = str,
    ) -> None:
        self._store = store
        self._workflow = workflow
        self._clock = clock
        self._models = tuple(models)
        self._terms = terms
        self._scrub = scrub

    # ── for people ──

    async def view(self) -> IntakeView:
        (view,) = await views(self._store, self._clock.now(), self._workflow)
        return view

    async def pause(self, *, by: str = "", reason: str = "", refuse: bool = False) -> IntakeChange | None:
        """New runs are accepted and wait; with `refuse` they are not accepted (IntakeClosed). Runs that were
        begun go on. Stays until `resume`. None where it was so before."""
        return await self._say("refused" if refuse else "paused", by, reason)

    async def resume(self, *, by: str = "", reason: str = "") -> IntakeChange | None:
        """Takes a pause back, and closes the breaker: new runs are taken up at once. A day whose budget is
        gone stays gone: raise the cap."""
        return await self._say("open", by, reason)

    async def _say(self, mode: Mode, by: str, reason: str) -> IntakeChange | None:
        # Kept as it may be shown: nothing of it is ever needed exactly.
        by, reason = (redactor().redact(self._scrub(text)) for text in (by, reason))

        def turn(row: IntakeRow, now: int) -> Turned | None:
            if mode == row.mode and (mode != "open" or row.trial_at is None):
                return None
            new = replace(row, mode=mode, mode_at=now, mode_by=by, mode_reason=reason)
            if mode == "open":
                return Turned(_with(new, Breaker()), "resumed", by, reason)
            return Turned(new, mode, by, reason)

        _, change = await self._store.turn_intake(self._workflow, turn)
        if change is not None:
            tell_of(change)
        return change

    async def raise_caps(self, nanousd: int | None, tokens: int | None) -> None:
        """A process starts with these caps of the day: where they are higher than the one that did not
        suffice, the day is not gone any more."""
        caps = {"nanousd": nanousd, "tokens": tokens}

        def turn(row: IntakeRow, now: int) -> Turned | None:
            cap = caps.get(row.day_unit)
            if row.day_until <= now or (cap is not None and cap <= row.day_cap):
                return None
            return Turned(replace(row, day_until=0), "day_back", reason="the daily budget was raised")

        rows = await self._store.intakes(self._workflow)
        if rows and turn(rows[0], self._clock.now()) is not None:
            _, change = await self._store.turn_intake(self._workflow, turn)
            if change is not None:
                tell_of(change)

    # ── for the recorder ──

    def sign_of(self, event: e.Event, state: RunState, shown: Callable[[Any], Any]) -> Sign | None:
        """What an ask's end tells of the providers; called before the event is folded."""
        terms = self._terms
        if terms is None or not isinstance(event, e.AskAnswered | e.AskFailed):
            return None
        ask = state.asks.get(event.ask)
        if ask is None or ask.model not in self._models:
            return None
        if isinstance(event, e.AskAnswered):
            return Sign(self._workflow, _on_answer)
        if not rail.is_failure(event.error):
            return None
        error = shown(event.error)
        why = ": ".join(filter(None, (error.get("what"), error.get("why"))))
        return Sign(self._workflow, _on_failure(ask.model, self._models, terms, why))


def breaker_of(row: IntakeRow) -> Breaker:
    failures = {model: tuple(times) for model, times in loads(row.breaker).items()}
    if row.trial_at is None:
        return Breaker(failures=failures)
    return Breaker("open" if row.trial is None else "half_open", row.trial_pause, row.trial_at, failures)


def _with(row: IntakeRow, breaker: Breaker) -> IntakeRow:
    text = dumps({model: list(times) for model, times in breaker.failures.items()})
    if breaker.state == "closed":
        return replace(row, breaker=text, trial_at=None, trial_pause=0, trial=None)
    trial = row.trial if breaker.state == "half_open" else None
    return replace(row, breaker=text, trial_at=breaker.until, trial_pause=breaker.pause, trial=trial)


def _on_answer(row: IntakeRow, now: int) -> Turned | None:
    before = breaker_of(row)
    after = rail.answered(before)
    if after is before:
        return None
    return Turned(_with(row, after), None if before.state == "closed" else "closed")


def _on_failure(
    model: str, listed: Sequence[str], terms: BreakerTerms, why: str
) -> Callable[[IntakeRow, int], Turned | None]:
    def turn(row: IntakeRow, now: int) -> Turned | None:
        before = breaker_of(row)
        after = rail.failed(before, model, listed, now, terms)
        if after is before:
            return None
        has_opened = after.state == "open"
        return Turned(_with(row, after), "opened" if has_opened else None, reason=why if has_opened else "")

    return turn
