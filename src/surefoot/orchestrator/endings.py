"""Why a run ended as it did, in the words of its error. Pure."""

from __future__ import annotations

from ..core import events as e
from ..core.fold import RunState
from ..errors import Poisoned, PutBack, RunCancelled, WorkflowChanged


def why_failed(state: RunState, step: str | None) -> e.ErrorView:
    if step is None:
        assert state.refused is not None
        refused = state.refused
        codes = {"poisoned": Poisoned.code, "restored": PutBack.code}
        return {
            "code": codes.get(getattr(refused.request, "about", ""), WorkflowChanged.code),
            "what": f"{refused.by or 'somebody'} failed the run in a review",
            "why": refused.reason or refused.request.reason,
        }
    found = state.steps[step]
    view = dict(found.error or {"code": "step_failed", "what": f"step {step!r} failed"})
    view["step"] = step
    if found.refused:
        view["why"] = f"{view.get('why', '')} (a person decided that it shall fail)".strip()
    if effects := [call.tool for call in state.effects_of(step)]:
        view["remedy"] = (
            f"It has used {', '.join(effects)} before it failed. {view.get('remedy', '')}".strip()
        )
    if unsure := [call.tool for call in state.open_calls() if call.step != step]:
        nobody = f"Nobody knows whether {', '.join(unsure)} happened."
        view["remedy"] = f"{nobody} {view.get('remedy', '')}".strip()
    return view


def cancelled(state: RunState) -> RunCancelled:
    cancelling = state.cancelling
    assert cancelling is not None
    unsure = [call.tool for call in state.open_calls()]
    remedy = f"Look whether {', '.join(unsure)} happened: nobody knows." if unsure else ""
    by = f" by {cancelling.by}" if cancelling.by else ""
    return RunCancelled(f"the run was cancelled{by}", why=cancelling.reason, remedy=remedy)
