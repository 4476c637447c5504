"""The closed set of events. A run's journal is a list of these, and everything else is a view of it.

Each event knows its `KIND` and `VERSION`. `encode` gives compact JSON without fields that have
their default; `decode` takes any version ever written (old journals are kept as test data). Fields
of type `Raw` hold JSON text that is spliced in as it is, so a value is serialised once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_type_hints

from ..errors import StoreVersion
from .jsons import Raw, dumps, loads

ErrorView = dict[str, Any]
"""An error as the journal keeps it: code, what, why, remedy, transient."""

How = Literal["ok", "fallback", "by_hand", "forked"]
Choice = Literal["approve", "deny", "edit", "settle"]


@dataclass(frozen=True, slots=True)
class Event:
    KIND: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1

    def encode(self) -> str:
        parts = []
        for name, is_raw, default in _FIELDS[type(self)]:
            value = getattr(self, name)
            if value is None or value == default:
                continue
            parts.append(f'"{name}":{value if is_raw else dumps(value)}')
        return "{" + ",".join(parts) + "}"


# ── the run ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RunSubmitted(Event):
    """`budget` are the run's own caps; `grants` None means all that the workflow has. `starter` is the id of
    the token that it was started with: whoever holds that one may see its exact answer."""

    KIND: ClassVar[str] = "run.submitted"
    input: Raw
    workflow: str
    workflow_version: str
    fingerprint: str
    budget: dict[str, Any]
    rules: str
    key: str | None = None
    grants: list[str] | None = None
    forked_from: str | None = None
    starter: str | None = None


@dataclass(frozen=True, slots=True)
class RunClaimed(Event):
    """A worker took the run up. Whatever was under way before is cut off: open reservations are held
    as spent, open intents are unknown."""

    KIND: ClassVar[str] = "run.claimed"
    worker: str
    epoch: int
    doubt: bool = False
    workflow_version: str | None = None
    fingerprint: str | None = None
    """Given where other code than before goes on with the run."""


@dataclass(frozen=True, slots=True)
class RunCancelling(Event):
    KIND: ClassVar[str] = "run.cancelling"
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunRetried(Event):
    """A failed run was taken up again by a person: its failed steps get new attempts."""

    KIND: ClassVar[str] = "run.retried"
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The output is the last step's, and stands in its `step.finished`."""

    KIND: ClassVar[str] = "run.finished"
    status: Literal["succeeded", "failed", "cancelled"]
    error: ErrorView | None = None


@dataclass(frozen=True, slots=True)
class RunForgotten(Event):
    """The run's data key was deleted, and with it every exact value. Nothing follows this event."""

    KIND: ClassVar[str] = "run.forgotten"
    by: str = ""
    reason: str = ""


# ── steps ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """The body is entered. The same attempt is entered again after a wait or a crash."""

    KIND: ClassVar[str] = "step.started"
    step: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    KIND: ClassVar[str] = "step.finished"
    step: str
    output: Raw
    attempt: int = 1
    ms: float = 0.0
    how: How = "ok"


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """`retry_at` None: there will be no other attempt by itself. `detail` is the traceback, for --debug."""

    KIND: ClassVar[str] = "step.failed"
    step: str
    attempt: int
    error: ErrorView
    ms: float = 0.0
    retry_at: int | None = None
    detail: str | None = None


# ── calls ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CallRefused(Event):
    KIND: ClassVar[str] = "call.refused"
    step: str
    attempt: int
    tool: str
    error: ErrorView
    args: Raw | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class CallIntended(Event):
    """Durable before any effect that is not READ. `digest` identifies the place in the step's body (the
    arguments as proposed); `args` are what will be used (edited ones, where a person edited them)."""

    KIND: ClassVar[str] = "call.intended"
    call: str
    step: str
    attempt: int
    tool: str
    tool_version: str
    effect: str
    args: Raw
    digest: str
    key: str
    deadline: int
    occurrence: int = 0
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class CallReturned(Event):
    KIND: ClassVar[str] = "call.returned"
    call: str
    result: Raw
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """`happened` False is the tool's own word (NotDone); True: it happened and answered badly."""

    KIND: ClassVar[str] = "call.failed"
    call: str
    error: ErrorView
    happened: bool = False
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CallUnknown(Event):
    KIND: ClassVar[str] = "call.unknown"
    call: str
    error: ErrorView
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CallSettled(Event):
    """An unknown call's outcome, found out by reconcile or said by a person."""

    KIND: ClassVar[str] = "call.settled"
    call: str
    outcome: Literal["done", "undone", "given_up"]
    by: str
    result: Raw | None = None
    reason: str = ""
    item: str | None = None


# ── asks ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class AskReserved(Event):
    """One request to one model, with its worst case. `digest` is that of the whole request."""

    KIND: ClassVar[str] = "ask.reserved"
    ask: str
    step: str
    attempt: int
    prompt: str
    model: str
    digest: str
    tokens_in: int
    tokens_out: int
    nanousd: int = 0
    occurrence: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class AskAnswered(Event):
    """`held` True: the provider gave no usage, so the whole reservation counts as spent."""

    KIND: ClassVar[str] = "ask.answered"
    ask: str
    text: str
    model_version: str = ""
    finish: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    nanousd: int = 0
    held: bool = False
    ms: float = 0.0
    calls: list[list[str]] = dataclasses.field(default_factory=list)
    """Proposed calls as [id, name, arguments]."""


@dataclass(frozen=True, slots=True)
class AskRejected(Event):
    """The answer did not fit; these lines go back to the model."""

    KIND: ClassVar[str] = "ask.rejected"
    ask: str
    errors: list[str]


@dataclass(frozen=True, slots=True)
class AskRepaired(Event):
    """The final answer was taken after mending, e.g. without the code fences around it."""

    KIND: ClassVar[str] = "ask.repaired"
    ask: str
    how: str


@dataclass(frozen=True, slots=True)
class AskFailed(Event):
    """`charged` False releases the reservation; True holds it as spent."""

    KIND: ClassVar[str] = "ask.failed"
    ask: str
    error: ErrorView
    charged: bool = True
    ms: float = 0.0


# ── money and time ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class BudgetWarned(Event):
    """Most of a cap is used: once for each cap of a run, and once for each unit of a workflow's day, in the
    journal of the run whose reservation got there. `unit` is a cap's name in the budget (nanousd, tokens,
    tool_calls, model_calls, seconds); `used` is not told of a day, where others reserve at the same time."""

    KIND: ClassVar[str] = "budget.warned"
    unit: str
    cap: float
    used: float | None = None
    day: str = ""


# ── people ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ApprovalRequested(Event):
    """A question about one exact call: tool, version, arguments, and until when."""

    KIND: ClassVar[str] = "approval.requested"
    item: str
    step: str
    attempt: int
    tool: str
    tool_version: str
    args: Raw
    digest: str
    reason: str
    rule: str = ""
    by: str = ""
    occurrence: int = 0
    expires: int | None = None
    evidence: list[dict[str, str]] = dataclasses.field(default_factory=list)
    """Where untrusted text stands in the arguments: field, source, text."""


@dataclass(frozen=True, slots=True)
class ApprovalDecided(Event):
    KIND: ClassVar[str] = "approval.decided"
    item: str
    choice: Literal["approve", "deny", "edit"]
    by: str
    reason: str = ""
    args: Raw | None = None


@dataclass(frozen=True, slots=True)
class ApprovalExpired(Event):
    KIND: ClassVar[str] = "approval.expired"
    item: str


@dataclass(frozen=True, slots=True)
class ReviewOpened(Event):
    """The run, or one step of it, is set aside for a person. `unknown` is about one call."""

    KIND: ClassVar[str] = "review.opened"
    item: str
    reason: str
    choices: list[str]
    about: Literal["step", "unknown", "poisoned", "changed", "restored"] = "step"
    queue: str = ""
    step: str | None = None
    call: str | None = None
    error: ErrorView | None = None


@dataclass(frozen=True, slots=True)
class ReviewResolved(Event):
    """`choice`: approve tries again, deny fails it, settle gives the step's output."""

    KIND: ClassVar[str] = "review.resolved"
    item: str
    choice: Literal["approve", "deny", "settle"]
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PrivateRevealed(Event):
    """Exact values were shown to a person; in the journal before they were. Version 2 has the reason."""

    KIND: ClassVar[str] = "private.revealed"
    VERSION: ClassVar[int] = 2
    to: str
    what: str = ""
    reason: str = ""


# ── time and chance ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TimerSet(Event):
    """`length` is how long it was asked to sleep, in microseconds; `occurrence` its number in the attempt."""

    KIND: ClassVar[str] = "timer.set"
    timer: str
    step: str
    attempt: int
    due: int
    occurrence: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class TimerFired(Event):
    KIND: ClassVar[str] = "timer.fired"
    timer: str


@dataclass(frozen=True, slots=True)
class ValueDrawn(Event):
    """What `run.now()` or `run.uuid()` gave."""

    KIND: ClassVar[str] = "value.drawn"
    step: str
    attempt: int
    name: Literal["now", "uuid"]
    value: str
    occurrence: int = 0


# ── reading and writing ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its place: sequence from 1, and microseconds since the epoch."""

    seq: int
    at: int
    event: Event


EVENTS: dict[str, type[Event]] = {cls.KIND: cls for cls in Event.__subclasses__()}

WORDS: dict[type[Event], tuple[str, ...]] = {}
"""Fields that hold what somebody said or gave: the input's data, a model's text, a person's reason. All
others are the journal's own (names from the definition, ids, digests, numbers), the same in a view."""

_WORDS = {"error", "reason", "text", "errors", "detail", "calls", "by", "to", "what", "prompt", "evidence"}
_FIELDS: dict[type[Event], list[tuple[str, bool, Any]]] = {}
_RAW: dict[type[Event], tuple[str, ...]] = {}
DATA = _RAW
"""Fields whose own keys are somebody's data. All other keys of an event are ours, and stay what they are."""
for _cls in EVENTS.values():
    _hints = get_type_hints(_cls, include_extras=True)
    _FIELDS[_cls] = [
        (
            field.name,
            _hints[field.name] in (Raw, Raw | None),
            [] if field.default_factory is not dataclasses.MISSING else field.default,
        )
        for field in dataclasses.fields(_cls)
    ]
    _RAW[_cls] = tuple(name for name, is_raw, _ in _FIELDS[_cls] if is_raw)
    WORDS[_cls] = tuple(name for name, is_raw, _ in _FIELDS[_cls] if is_raw or name in _WORDS)
WORDS[RunSubmitted] += ("key",)  # the starter's own; a call's key is a digest
WORDS[ApprovalRequested] = tuple(name for name in WORDS[ApprovalRequested] if name != "by")  # a group's name


def decode(kind: str, version: int, text: str) -> Event:
    """Raises StoreVersion for an event of a later Surefoot."""
    cls = EVENTS.get(kind)
    if cls is None or version > cls.VERSION:
        raise StoreVersion(
            f"the journal holds {kind} of version {version}, which this version does not know",
            why="a newer Surefoot wrote it",
            remedy="A newer Surefoot wrote it: run that one here.",
        )
    fields = loads(text)
    for name in _RAW[cls]:
        if name in fields:
            fields[name] = dumps(fields[name])
    try:
        return cls(**fields)
    except TypeError as error:
        raise StoreVersion(
            f"the journal holds a {kind} that this version cannot read",
            why=str(error),
            remedy="A newer Surefoot wrote it: run that one here.",
        ) from error


INFORMING: frozenset[str] = frozenset(
    {
        "run.claimed",
        "step.started",
        "ask.rejected",
        "ask.repaired",
        "value.drawn",
        "timer.fired",
        "call.refused",
        "budget.warned",
    }
)
"""Kinds that need no commit of their own: they ride along with the next one."""
