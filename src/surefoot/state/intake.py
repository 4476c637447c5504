"""Intake: whether new runs of a workflow are taken up. One row per workflow, shared by all workers.

Three things close it, each by itself: a person (`mode`), the breaker (`trial_at`), and a day whose budget is
gone (`day_until`). Runs that were taken up before go on in any case. The store keeps to the row when it
claims and when it submits, in that very transaction; what the breaker makes of a provider's failures is not
decided here: a `Sign` brings its decision with it, as a pure function of the row (see
surefoot.rails.breaker).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

Mode = Literal["open", "paused", "refused"]

ChangeKind = Literal["paused", "refused", "resumed", "opened", "trial", "closed", "day_gone", "day_back"]
"""The breaker `opened` (no new runs), lets one run through (`trial`), and `closed` again (all is well)."""

_DAY = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """`trial_at` None: the breaker is closed. Else one run may be taken up from then on; it is then the
    `trial` (its row), and another may follow when it has ended or parked, or `trial_pause` microseconds
    later.

    `day_until`: no new run before then, because a reservation of `day_asked` did not fit `day_cap`.
    """

    workflow: str
    mode: Mode = "open"
    mode_at: int = 0
    mode_by: str = ""
    mode_reason: str = ""
    breaker: str = "{}"
    trial_at: int | None = None
    trial_pause: int = 0
    trial: int | None = None
    day_until: int = 0
    day_unit: str = ""
    day_asked: int = 0
    day_cap: int = 0
    trial_run: str | None = None
    """The trial's id, where it was asked for by a reader."""

    def is_open(self, now: int) -> bool:
        return self.mode == "open" and self.trial_at is None and self.day_until <= now

    def opens_at(self) -> int | None:
        """When a new run may be taken up without anybody saying so; None: a person has to."""
        return None if self.mode != "open" else max(self.trial_at or 0, self.day_until)


@dataclass(frozen=True, slots=True)
class IntakeChange:
    """`reason` is text that may be shown: whoever hands it in has redacted it."""

    workflow: str
    at: int
    what: ChangeKind
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Turned:
    """A row as it shall be, and what is to be told of it."""

    row: IntakeRow
    what: ChangeKind | None = None
    by: str = ""
    reason: str = ""


Turn = Callable[[IntakeRow, int], Turned | None]
"""From the row and the transaction's time to the row as it shall be; None where it stays. Pure: it may be
called more than once."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that an append tells about the intake of its workflow; it counts with the append."""

    workflow: str
    turn: Turn


def day_is_gone(
    row: IntakeRow, day: str, unit: str, asked: int, cap: int, why: str, now: int
) -> Turned | None:
    """A reservation did not fit the day."""
    until = end_of(day)
    if until <= now:
        return None
    if row.day_until == until and row.day_unit == unit:
        # Several were refused: it is open again when the largest of them fits.
        return None if asked <= row.day_asked else Turned(replace(row, day_asked=asked, day_cap=cap))
    gone = replace(row, day_until=until, day_unit=unit, day_asked=asked, day_cap=cap)
    return Turned(gone, "day_gone" if row.day_until != until else None, reason=why)


ROOM = 0.05
"""Share of a day's cap that must be free before a day that was gone takes new runs again."""


def day_has_room(row: IntakeRow, day: str, unit: str, total: int, cap: int | None) -> Turned | None:
    """Something was given back: what did not fit before may fit now. Some room besides must be there, or each
    settled request near the cap would open the intake for a run that meets the cap at once."""
    if row.day_until != end_of(day) or row.day_unit != unit:
        return None
    if cap is not None and total + max(row.day_asked, round(cap * ROOM)) > cap:
        return None
    return Turned(replace(row, day_until=0), "day_back", reason="what others had reserved was given back")


def end_of(day: str) -> int:
    """Microseconds since the epoch at which a UTC day ends."""
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    return int((start - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) + _DAY
