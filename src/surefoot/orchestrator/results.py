"""What a caller gets of a run: how it stands, its typed output, its error, what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.budget import Usage
from ..core.error_view import error_of
from ..core.events import ApprovalRequested
from ..core.fold import RunState
from ..core.jsons import loads
from ..core.wiring import Plan
from ..errors import SurefootError


@dataclass(frozen=True)
class Waiting:
    """An open inbox item, as the one who started the run may see it: with exact arguments."""

    item: str
    kind: str
    step: str | None
    reason: str
    by: str
    choices: tuple[str, ...]
    tool: str | None
    args: Any
    expires: int | None

    def to_json(self) -> dict[str, Any]:
        return {
            "item": self.item,
            "kind": self.kind,
            "step": self.step,
            "reason": self.reason,
            "by": self.by,
            "choices": list(self.choices),
            "tool": self.tool,
            "args": self.args,
            "expires": self.expires,
        }


@dataclass(frozen=True)
class Result:
    """`output` is the last step's typed value once the run has succeeded, else None."""

    run: str
    status: str
    degraded: bool
    output: Any
    error: SurefootError | None
    usage: Usage
    waiting_for: tuple[Waiting, ...]

    @property
    def id(self) -> str:
        return self.run


def result_of(run: str, plan: Plan, state: RunState) -> Result:
    state.usage.seconds = state.active_micros(state.at) / 1_000_000
    output = None
    if state.status == "succeeded":
        output = plan.steps[plan.last].output.load(state.steps[plan.last].output)
    return Result(
        run=run,
        status=_status(state),
        degraded=state.degraded,
        output=output,
        error=None if state.error is None else error_of(state.error),
        usage=state.usage,
        waiting_for=waiting_for(state),
    )


def _status(state: RunState) -> str:
    if state.is_ended or state.claims == 0:
        return state.status
    return state.status if _can_move(state) else "waiting"


def _can_move(state: RunState) -> bool:
    """Whether some ready step does not wait for a person, a timer, or its next attempt."""
    if state.run_review is not None:
        return False
    for name in state.ready:
        step = state.steps.get(name)
        if step is None or step.status == "idle":
            return True
        between_attempts = step.status == "failed" and step.retry_at is not None
        if not step.blocked and step.review is None and not between_attempts:
            return True
    return not state.ready


def waiting_for(state: RunState) -> tuple[Waiting, ...]:
    found = []
    for item in state.open_items():
        request = item.request
        tool: str | None = None
        args: Any = None
        if isinstance(request, ApprovalRequested):
            choices: tuple[str, ...] = ("approve", "deny", "edit")
            by, tool, args = request.by, request.tool, loads(request.args)
        else:
            call = state.calls.get(request.call or "")
            choices, by = tuple(request.choices), request.queue
            if call is not None:
                tool, args = call.tool, loads(call.args)
        found.append(
            Waiting(item.id, item.kind, item.step, request.reason, by, choices, tool, args, item.expires)
        )
    return tuple(found)
