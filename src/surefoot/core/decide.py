"""Deciding: what to do next for a run, from its state, its plan and the time. Pure; deciding twice
is the same. The driver (`surefoot.orchestrator.drive`) acts on what this says and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .fold import RunState
from .states import StepState
from .step import Review
from .wiring import Plan


@dataclass(frozen=True, slots=True)
class Start:
    """Enter the body of this step (again, where the attempt is the same)."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class FallBack:
    step: str


@dataclass(frozen=True, slots=True)
class OpenReview:
    step: str
    queue: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fire:
    timer: str


@dataclass(frozen=True, slots=True)
class Expire:
    item: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End the run: nothing new is started, what is under way is drained first."""

    status: str
    step: str | None = None
    """Of a failed run, the step that failed it."""


Action = Start | FallBack | OpenReview | Fire | Expire | Finish


def decide(plan: Plan, state: RunState, now: int, active: Collection[str] = ()) -> list[Action]:
    """`active` are the steps whose bodies run at this moment. An empty list means: wait."""
    if state.is_ended or state.submitted is None:
        return []
    if state.cancelling is not None:
        return [Finish("cancelled")]
    if state.refused is not None:
        return [Finish("failed")]
    if state.run_review is not None:
        return []
    actions: list[Action] = []
    for name in sorted(state.waits) if state.waits else ():
        if (timer := state.timers.get(name)) and timer.due <= now:
            actions.append(Fire(name))
        elif (item := state.items.get(name)) and item.expires is not None and item.expires <= now:
            actions.append(Expire(name))
    if not state.ready:
        return actions or [Finish("succeeded")]
    for name in state.ready:
        if name in active:
            continue
        step = state.steps.get(name)
        if step is None or step.status == "idle":
            actions.append(Start(name, (step.attempt if step else 0) + 1))
        elif step.status == "running":
            if step.woken or not step.blocked:
                actions.append(Start(name, step.attempt))
        elif step.status == "failed":
            action = _after_failure(plan, state, step, now)
            if isinstance(action, Finish):
                return [action]
            if action is not None:
                actions.append(action)
    return actions


def _after_failure(plan: Plan, state: RunState, step: StepState, now: int) -> Action | None:
    if step.refused:
        return Finish("failed", step.name)
    if step.retry_at is not None:
        return Start(step.name, step.attempt + 1) if step.retry_at <= now else None
    if step.review is not None:
        return None
    fallback = plan.steps[step.name].step.fallback
    if fallback is None:
        return Finish("failed", step.name)
    what = str((step.error or {}).get("what", "it failed"))
    if isinstance(fallback, Review):
        return OpenReview(step.name, fallback.queue, what)
    effects = state.effects_of(step.name)
    if effects:
        # A value in place of a step that has acted would hide the act from everything after it.
        names = ", ".join(sorted({call.tool for call in effects}))
        return OpenReview(step.name, "", f"{what}; it has used {names} before, so its fallback is not taken")
    return FallBack(step.name)
