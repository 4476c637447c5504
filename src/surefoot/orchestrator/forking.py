"""Forking: a new run's first events, made of an old run's journal.

The input and the outputs of all steps that do not need the chosen one are taken over, through their types of
today: what does not fit any more is refused, not guessed at.
"""

from __future__ import annotations

from ..core import events as e
from ..core.fold import RunState
from ..core.jsons import Raw
from ..core.schema import Shape
from ..core.wiring import Plan
from ..errors import UsageError, WorkflowChanged
from .deployment import Deployment
from .recorder import Sealer


def fork_of(
    deployment: Deployment, state: RunState, run: str, sealer: Sealer, *, start_from: str, key: str | None
) -> tuple[Raw, list[e.Event]]:
    """(input, events). Raises UsageError, WorkflowChanged."""
    workflow = deployment.workflow
    plan = workflow.plan
    assert state.submitted is not None
    again = _again(plan, workflow.name, start_from)
    raw = _still_fitting(sealer, plan.input, state.submitted.input, "the input")
    events: list[e.Event] = [
        e.RunSubmitted(
            input=raw,
            workflow=workflow.name,
            workflow_version=workflow.version,
            fingerprint=deployment.fingerprint,
            budget=workflow.budget.to_json(),
            rules=workflow.rules_digest,
            key=key,
            grants=state.submitted.grants,
            forked_from=run,
        )
    ]
    for name, wired in plan.steps.items():
        step = state.steps.get(name)
        if name not in again and step is not None and step.status == "finished":
            output = _still_fitting(sealer, wired.output, step.output, f"what step {name!r} gave")
            events.append(e.StepFinished(name, output, how="forked"))
    return raw, events


def _again(plan: Plan, workflow: str, start_from: str) -> set[str]:
    """The step and all that need it."""
    if start_from not in plan.steps:
        raise UsageError(
            f"{workflow} has no step {start_from!r}",
            why=f"it has {list(plan.steps)}",
            remedy="Name one of these.",
        )
    again = {start_from}
    for wired in plan.steps.values():
        if again.intersection(wired.needs):
            again.add(wired.name)
    return again


def _still_fitting(sealer: Sealer, shape: Shape, text: Raw, what: str) -> Raw:
    try:
        return sealer.raw(shape, shape.load(text))
    except ValueError as error:
        raise WorkflowChanged(
            f"{what} does not fit its type any more",
            why="the workflow has changed since",
            remedy="Fork from an earlier step, or start anew.",
        ) from error
