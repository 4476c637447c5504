"""The ledger: does a reservation fit? Pure; the journal holds the numbers, this compares them.

Reserve the worst case before, settle the true cost after. What is reserved and not settled when
the process dies counts as spent, so the caps hold whatever happens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..core import events as e
from ..core.clock import MICROS
from ..core.fold import RunState
from ..core.model import NANO, Bound


@dataclass(frozen=True, slots=True)
class Fits:
    pass


@dataclass(frozen=True, slots=True)
class Waits:
    """It will fit if what other branches have reserved settles low enough."""


@dataclass(frozen=True, slots=True)
class Over:
    """It can never fit: `what` is the cap, `why` the sums."""

    what: str
    why: str


Room = Fits | Waits | Over


def room_for_request(state: RunState, bound: Bound) -> Room:
    """Whether one more request to a model fits the run's caps."""
    caps = caps_of(state)
    if (cap := caps.get("model_calls")) is not None and state.usage.model_calls + 1 > cap:
        return Over("model calls", f"{cap} allowed, {state.usage.model_calls} made")
    tokens = bound.tokens_in + bound.tokens_out
    used = state.usage.tokens_in + state.usage.tokens_out
    by_tokens = _room("tokens", caps.get("tokens"), used, state.reserved_tokens, tokens, str)
    by_money = _room(
        "money", caps.get("nanousd"), state.usage.nanousd, state.reserved_nanousd, bound.nanousd, dollars
    )
    for room in (by_tokens, by_money):
        if isinstance(room, Over):
            return room
    return by_money if isinstance(by_tokens, Fits) else by_tokens


def _room(name: str, cap: int | None, used: int, reserved: int, wanted: int, show: Any) -> Room:
    if cap is None or used + reserved + wanted <= cap:
        return Fits()
    if used + wanted <= cap:
        return Waits()
    return Over(name, f"{show(cap)} allowed, {show(used)} used, and this may take {show(wanted)}")


def room_for_call(state: RunState) -> Room:
    cap = caps_of(state).get("tool_calls")
    if cap is not None and state.usage.tool_calls + 1 > cap:
        return Over("tool calls", f"{cap} allowed, {state.usage.tool_calls} made")
    return Fits()


MOST = 80
"""Per cent of a cap at which somebody is warned."""

TELLING = frozenset({e.AskAnswered, e.AskFailed, e.CallIntended, e.RunClaimed})
"""Events after which `warnings` may have something new to say. Of money and tokens what is spent or held
counts, not what is reserved: a worst case that turns out small would be a false alarm."""


def warnings(state: RunState, now: int | None = None) -> list[e.BudgetWarned]:
    """Of the run's own caps those that are mostly used and that nobody was warned of yet; `now` looks at the
    time too. A cap of nothing is none that one could near."""
    caps, usage, warned = caps_of(state), state.usage, state.warned
    if now is None and not usage.model_calls and not usage.tool_calls:
        return []
    used: dict[str, float] = {
        "nanousd": usage.nanousd,
        "tokens": usage.tokens_in + usage.tokens_out,
        "tool_calls": usage.tool_calls,
        "model_calls": usage.model_calls,
    }
    if now is not None:
        used["seconds"] = state.active_micros(now) / MICROS
    found = []
    for unit, so_far in used.items():
        cap = caps.get(unit)
        if cap and so_far * 100 >= cap * MOST and (unit, "") not in warned:
            found.append(e.BudgetWarned(unit, cap, so_far))
    return found


def warn_at(state: RunState, now: int) -> int | None:
    """When most of the run's active time will be used, if it stays active from now on."""
    seconds = caps_of(state).get("seconds")
    if not seconds or ("seconds", "") in state.warned:
        return None
    line: int = math.ceil(seconds * MICROS * MOST / 100)
    return now + line - state.active_micros(now)


def most_of(cap: int) -> int:
    """The first amount that is most of a day's cap."""
    return -(-cap * MOST // 100)


def said(warned: e.Event) -> str:
    """A `BudgetWarned` as a line for people."""
    assert isinstance(warned, e.BudgetWarned)
    cap = dollars(round(warned.cap)) if warned.unit == "nanousd" else f"{warned.cap:,g}"
    unit = "" if warned.unit == "nanousd" else " " + warned.unit.replace("_", " ")
    whose = f"the day {warned.day}" if warned.day else "the run"
    return f"{MOST} % of the budget of {whose} is used: the cap is {cap}{unit}"


def micros_left(state: RunState, now: int) -> int | None:
    """Active time that the run may still take; None is no cap."""
    seconds = caps_of(state).get("seconds")
    return None if seconds is None else round(seconds * MICROS) - state.active_micros(now)


def caps_of(state: RunState) -> dict[str, Any]:
    return state.submitted.budget if state.submitted else {}


def dollars(nanousd: int) -> str:
    return f"${nanousd / NANO:.6f}".rstrip("0").rstrip(".") if nanousd else "$0"


def day_of(at: int) -> str:
    """The UTC day that a reservation made then is charged to."""
    return datetime.fromtimestamp(at / MICROS, UTC).strftime("%Y-%m-%d")
