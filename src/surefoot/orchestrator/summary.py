"""The few facts of a run that lists show without reading its journal."""

from __future__ import annotations

from typing import Any

from ..core.fold import RunState
from ..core.jsons import dumps


def summary_of(state: RunState, error: dict[str, Any] | None) -> str:
    """JSON: degraded, error (a view of the run's), usage, calls_refused, waiting_for (ids of open items)."""
    state.usage.seconds = state.active_micros(state.at) / 1_000_000
    return dumps(
        {
            "degraded": state.degraded,
            "error": error,
            "usage": state.usage.to_json(),
            "calls_refused": len(state.refusals),
            "waiting_for": [item.id for item in state.open_items()],
        }
    )
