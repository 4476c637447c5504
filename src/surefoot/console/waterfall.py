"""Where a run's time went, as geometry: rows of bars that a template draws as SVG.

Each kind of time (waiting in the queue, for people, for a timer; a model's, a tool's, the step's own code) is
told apart. A day in which a person is waited for would leave nothing to see of the seconds of work: stretches
in which nothing but waiting happens are drawn shorter than they were, and say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..core import events as e
from ..core.events import decode
from ..core.model import NANO
from ..orchestrator.trace import Span, Trace
from ..state.rows import ENDED, RunRow, StoredEvent
from .axis import Break, Scale, Stretch, Tick, total, union, without
from .words import call_text, length, line, money

Kind = Literal["queue", "people", "timer", "model", "tool", "code"]
KINDS: tuple[Kind, ...] = ("queue", "people", "timer", "model", "tool", "code")
MEANS: dict[Kind, str] = {
    "queue": "in the queue",
    "people": "waiting for people",
    "timer": "timers and pauses",
    "model": "model",
    "tool": "tools",
    "code": "the steps' own code",
}
OF_SPAN: dict[str, Kind] = {
    "step": "code",
    "ask": "model",
    "call": "tool",
    "refused": "tool",
    "approval": "people",
    "review": "people",
    "unknown": "people",
    "timer": "timer",
}
TONES = {
    **dict.fromkeys(("ok", "returned", "answered", "approved", "fired", "done", "settled"), "good"),
    **dict.fromkeys(("failed", "unknown", "denied", "given_up"), "bad"),
    **dict.fromkeys(("refused", "waiting", "open", "expired", "rejected", "held", "edited"), "warn"),
    **dict.fromkeys(("fallback", "by_hand", "set"), "warn"),
    **dict.fromkeys(("running", "reserved", "intended"), "info"),
}
APART_BARS = 0.15
"""Per cent of the width by which two bars of a step are told apart."""


@dataclass(frozen=True)
class Bar:
    """Per cent of the width."""

    kind: Kind
    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Line:
    """`at` is what the page's address calls the item; `depth` 1 lies within a step."""

    at: str
    kind: str
    depth: int
    label: str
    status: str
    tone: str
    took: str
    note: str
    cost: str
    bars: tuple[Bar, ...]
    said: str
    """The bars in words."""


@dataclass(frozen=True)
class Waterfall:
    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[Break, ...]
    sums: tuple[tuple[Kind, str, str], ...]
    """(kind, what it means, how long in all), of what the run has."""
    total: str


@dataclass
class Times:
    """What the spans of a trace do not tell: time in the queue, and pauses before another attempt."""

    queue: list[Stretch] = field(default_factory=list)
    pauses: dict[str, list[Stretch]] = field(default_factory=dict)


def waterfall(
    row: RunRow,
    trace: Trace,
    stored: Sequence[StoredEvent],
    now: int,
    *,
    at_work: Collection[str] = (),
    to_scale: bool = False,
) -> Waterfall:
    """`at_work` are steps that this process is in: a step's begin is written down with what comes of it."""
    state = trace.state
    begin = state.created or row.created
    end = max(state.ended or state.at if row.status in ENDED else now, begin + 1)
    times = times_of(stored, end)
    stretches = _by_kind(trace, times, end)
    scale = Scale(begin, end, _idle(stretches) if not to_scale else [])
    lines = [_queue_line(times.queue, scale)] if times.queue else []
    for step in trace.steps:
        inside = trace.of_step(step.step)
        lines.append(_step_line(step, inside, times.pauses.get(step.step, []), trace, scale, end))
        lines += [_line(span, scale, end) for span in inside]
    for name in sorted(at_work):
        if name not in trace.state.steps:
            begun = Span("step", f"step {name}", name, name, state.at, status="running")
            lines.append(replace(_step_line(begun, [], [], trace, scale, end), at=""))
    lines += [_line(span, scale, end) for span in trace.of_step("")]
    sums: list[tuple[Kind, int]] = [(kind, total(stretches[kind])) for kind in KINDS]
    return Waterfall(
        tuple(lines),
        tuple(scale.ticks()),
        tuple(scale.breaks()),
        tuple((kind, MEANS[kind], length(micros)) for kind, micros in sums if micros),
        length(end - begin),
    )


# ── times that no span tells ──


_TIMELY = ("run.", "approval.", "review.", "timer.", "step.failed", "step.started", "call.settled")
"""Events that begin or end a time which no span tells: others need not be read for it."""


def times_of(stored: Sequence[StoredEvent], end: int) -> Times:
    times = Times()
    queued: int | None = None
    before = 0
    waits: set[str] = set()
    failed: dict[str, int] = {}
    for one in stored:
        if not one.kind.startswith(_TIMELY):
            before = one.at
            continue
        match decode(one.kind, one.version, one.view):
            case e.RunSubmitted() | e.RunRetried():
                queued = one.at
            case e.RunClaimed():
                if queued is None and not waits:
                    queued = before  # its worker was gone, and nobody had it since
                if queued is not None:
                    times.queue.append((queued, one.at))
                queued = None
            case e.ApprovalRequested(item=name) | e.ReviewOpened(item=name) | e.TimerSet(timer=name):
                waits.add(name)
            case e.ApprovalDecided(item=name) | e.ApprovalExpired(item=name) | e.ReviewResolved(item=name):
                waits.discard(name)
            case e.CallSettled(item=str(name)) | e.TimerFired(timer=name):
                waits.discard(name)
            case e.StepFailed(step=step, retry_at=int()):
                failed[step] = one.at
                waits.add(f"retry {step}")
            case e.StepStarted(step=step) if step in failed:
                times.pauses.setdefault(step, []).append((failed.pop(step), one.at))
                waits.discard(f"retry {step}")
            case e.RunFinished():
                queued = None
                failed.clear()
            case _:
                pass
        before = one.at
    if queued is not None:
        times.queue.append((queued, end))
    for step, at in failed.items():
        times.pauses.setdefault(step, []).append((at, end))
    return times


def _by_kind(trace: Trace, times: Times, end: int) -> dict[Kind, list[Stretch]]:
    found: dict[Kind, list[Stretch]] = {kind: [] for kind in KINDS}
    for span in trace.spans:
        found[OF_SPAN[span.kind]].append((span.started, min(span.ended or end, end)))
    found["queue"] += times.queue
    found["timer"] += [one for pauses in times.pauses.values() for one in pauses]
    told = [one for kind in KINDS if kind != "code" for one in found[kind]]
    found["code"] = list(without(union(found["code"]), union(told)))
    return {kind: union(some) for kind, some in found.items()}


def _idle(stretches: dict[Kind, list[Stretch]]) -> list[Stretch]:
    """When nothing but waiting happens."""
    waits = union([*stretches["queue"], *stretches["people"], *stretches["timer"]])
    return list(without(waits, union([*stretches["model"], *stretches["tool"]])))


# ── lines ──


def _queue_line(queue: Sequence[Stretch], scale: Scale) -> Line:
    bars = [_bar("queue", start, stop, scale, "the run") for start, stop in queue]
    took = length(total(queue))
    return Line("", "queue", 0, "in the queue", "", "", took, "", "", tuple(bars), f"in the queue {took}")


def _step_line(
    step: Span, inside: Sequence[Span], pauses: Sequence[Stretch], trace: Trace, scale: Scale, end: int
) -> Line:
    times: dict[Kind, list[Stretch]] = {kind: [] for kind in KINDS}
    times["timer"] += pauses
    for span in inside:
        times[OF_SPAN[span.kind]].append((span.started, span.ended or end))
    bars = [_bar("code", step.started, step.ended or end, scale, step.name)]
    for kind, stretches in times.items():
        bars += _merged(_bar(kind, start, stop, scale, step.name) for start, stop in union(stretches))
    said = [f"{MEANS[kind]} {length(total(union(some)))}" for kind, some in times.items() if some]
    found = trace.state.steps.get(step.step)
    waits = found is not None and found.status != "finished" and (found.blocked or found.review)
    status = "waiting" if waits else step.status
    note = f"attempt {step.attempt}" if step.attempt > 1 else ""
    if step.note:
        note = f"{note}; {step.note}" if note else step.note
    return Line(
        step.id,
        "step",
        0,
        step.name,
        status,
        TONES.get(status, ""),
        _took(step),
        line(note, 140),
        _cost(inside),
        tuple(bars),
        "; ".join(said) or MEANS["code"],
    )


def _merged(bars: Iterable[Bar]) -> list[Bar]:
    """Of one kind, in order: those that nobody could tell apart are one. A step may have thousands."""
    found: list[Bar] = []
    for bar in bars:
        if found and bar.x - (found[-1].x + found[-1].width) < APART_BARS:
            found[-1] = replace(
                found[-1], width=round(bar.x + bar.width - found[-1].x, 3), title=MEANS[bar.kind]
            )
        else:
            found.append(bar)
    return found


def _line(span: Span, scale: Scale, end: int) -> Line:
    note = f"attempt {span.attempt}; {span.note}".strip("; ") if span.attempt > 1 else span.note
    bar = _bar_of(span, scale, end)
    return Line(
        span.id,
        span.kind,
        1 if span.step else 0,
        label_of(span),
        span.status,
        TONES.get(span.status, ""),
        _took(span),
        line(note, 140),
        _cost([span]),
        (bar,),
        bar.title,
    )


def label_of(span: Span) -> str:
    match span.kind:
        case "step":
            return line(span.name, 60)
        case "ask":
            return f"ask {line(span.name, 60)}"
        case "call":
            return call_text(span.name, span.args, 80)
        case "refused":
            return f"refused: {call_text(span.name, span.args, 80)}"
        case "approval":
            return f"approve {call_text(span.name, span.args, 80)}"
        case "timer":
            return "sleep"
        case "unknown":
            return "did it happen?"
        case "review":
            return f"review by {line(span.name, 40)}"


def _took(span: Span) -> str:
    return "" if span.ended is None else length(span.ended - span.started)


def _cost(spans: Sequence[Span]) -> str:
    total = sum(span.nanousd for span in spans if span.kind == "ask")
    return money(total / NANO) if total else ""


def _bar_of(span: Span, scale: Scale, end: int) -> Bar:
    kind = OF_SPAN[span.kind]
    return _bar(kind, span.started, span.ended or end, scale, label_of(span))


def _bar(kind: Kind, begin: int, end: int, scale: Scale, title: str) -> Bar:
    x = scale.x(begin)
    width = round(max(scale.x(end) - x, 0), 3)
    return Bar(kind, x, width, f"{MEANS[kind]}: {title}, {length(end - begin)}")
