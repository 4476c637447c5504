"""The parts of a run's state: its steps, calls, asks, items and timers, as a journal leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from . import events as e
from .jsons import NULL, Raw

StepStatus = Literal["idle", "running", "failed", "finished"]
CallStatus = Literal["intended", "returned", "failed", "unknown", "undone", "given_up"]
AskStatus = Literal["reserved", "answered", "failed", "held"]
ItemStatus = Literal["open", "approved", "denied", "edited", "expired", "settled", "closed"]

Place = tuple[str, str, str, int]
"""Where in a step's body a call stands: (step, tool, digest of the arguments, occurrence)."""


@dataclass(slots=True)
class StepState:
    """`blocked` are the open items and timers that its body waits for; `woken` tells that the body has
    something new to see (a wait ended, or the worker that ran it died) and must be entered again."""

    name: str
    status: StepStatus = "idle"
    attempt: int = 0
    output: Raw = NULL
    how: str = ""
    error: e.ErrorView | None = None
    retry_at: int | None = None
    refused: bool = False
    """A person said that it shall fail."""
    woken: bool = False
    blocked: frozenset[str] = frozenset()
    review: str | None = None
    started: int = 0
    ended: int = 0
    ms: float = 0.0


@dataclass(slots=True)
class CallState:
    id: str
    step: str
    attempt: int
    tool: str
    tool_version: str
    effect: str
    args: Raw
    digest: str
    occurrence: int
    key: str
    deadline: int
    status: CallStatus = "intended"
    result: Raw = NULL
    error: e.ErrorView | None = None
    approval: str | None = None
    cut_off: bool = False
    """Unknown because its worker died (True) or because it timed out before our eyes (False)."""
    doubt: bool = False
    """That worker was only believed dead, and may act until the deadline has passed."""
    item: str | None = None
    at: int = 0
    ms: float = 0.0
    settled_by: str | None = None

    @property
    def is_effect(self) -> bool:
        return self.effect != "read"

    @property
    def may_have_happened(self) -> bool:
        """Whether the world may have been changed by it."""
        return self.is_effect and (
            self.status in ("intended", "returned", "unknown", "given_up")
            or (self.status == "failed" and bool(self.error and self.error.get("happened")))
        )


@dataclass(slots=True)
class AskState:
    id: str
    step: str
    attempt: int
    prompt: str
    model: str
    turn: int
    tokens: int
    nanousd: int
    at: int
    status: AskStatus = "reserved"
    answer: e.AskAnswered | None = None
    error: e.ErrorView | None = None
    rejected: list[str] = field(default_factory=list)
    repaired: str = ""
    ms: float = 0.0


@dataclass(slots=True)
class ItemState:
    id: str
    kind: Literal["approval", "review", "unknown"]
    request: e.ApprovalRequested | e.ReviewOpened
    at: int
    status: ItemStatus = "open"
    by: str = ""
    reason: str = ""
    args: Raw | None = None
    consumed: bool = False

    @property
    def step(self) -> str | None:
        return self.request.step

    @property
    def expires(self) -> int | None:
        return self.request.expires if isinstance(self.request, e.ApprovalRequested) else None


@dataclass(slots=True)
class TimerState:
    id: str
    step: str
    due: int
    length: int = 0
    fired: bool = False
