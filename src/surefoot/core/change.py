"""Whether other code than the one that began a run may go on with it. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from .fold import RunState
from .wiring import Plan


def what_hinders(old: dict[str, Any] | None, plan: Plan, state: RunState) -> list[str]:
    """Lines that say why not; empty where the finished steps still stand: they exist, what feeds them is
    wired as before, and their outputs validate."""
    if old is None and any(step.status == "finished" for step in state.steps.values()):
        return ["its definition is not in the store any more, so nobody can tell what has changed"]
    lines: list[str] = []
    assert state.submitted is not None
    try:
        plan.input.load(state.submitted.input)
    except ValidationError:
        lines.append("the input does not fit its type any more")
    for step in state.steps.values():
        if step.status != "finished":
            continue
        wired = plan.steps.get(step.name)
        before = None if old is None else old["steps"].get(step.name)
        if wired is None:
            lines.append(f"step {step.name!r} has finished and is no longer there")
            continue
        takes = {name: source or "<input>" for name, source in wired.sources.items()}
        if before is not None and before["takes"] != takes:
            lines.append(
                f"step {step.name!r} has finished, and now takes {takes} instead of {before['takes']}"
            )
        try:
            wired.output.load(step.output)
        except ValidationError:
            lines.append(f"what step {step.name!r} gave does not fit its type any more")
    for step in state.steps.values():
        if (
            step.status in ("running", "failed")
            and step.name not in plan.steps
            and state.effects_of(step.name)
        ):
            lines.append(f"step {step.name!r} has made effects and is no longer there")
    return lines
