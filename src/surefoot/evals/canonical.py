"""The canonical trace of a run: what happened, without what differs between two runs of the same thing.

Out go the names that only this run has (its id, keys and digests made with its own key), times, and which
worker it was. What is left is byte for byte the same whenever the same things happen in the same order,
so two traces are compared as texts.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..core import events as e
from ..core.events import Entry
from ..core.jsons import canonical, loads

_OWN = frozenset(
    {"ms", "digest", "key", "fingerprint", "rules", "detail", "deadline", "due", "expires", "retry_at"}
)
_LEFT_OUT = (e.RunClaimed, e.StepStarted)
"""How often a run changed hands and its bodies were entered is a matter of waits and kills."""


def trace_of(run: str, entries: list[Entry]) -> list[str]:
    """One line of JSON for each event that counts."""
    lines = []
    for entry in entries:
        event = entry.event
        if isinstance(event, _LEFT_OUT):
            continue
        shown: dict[str, Any] = {"event": event.KIND}
        for field in dataclasses.fields(event):
            value = getattr(event, field.name)
            if field.name in _OWN or value is None:
                continue
            shown[field.name] = _plain(value, field.type)
        lines.append(canonical(shown).replace(run, "RUN"))
    return lines


def _plain(value: Any, kind: Any) -> Any:
    if isinstance(value, str) and "Raw" in str(kind):
        return loads(value)
    return value


def story_of(entries: list[Entry]) -> list[str]:
    """Every event in a few words: its kind, and the step, tool or call that it is about."""
    lines = []
    tools: dict[str, str] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, e.CallIntended):
            tools[event.call] = event.tool
        about = [getattr(event, name, None) for name in ("step", "tool")]
        about.append(tools.get(getattr(event, "call", None) or ""))
        lines.append(" ".join([event.KIND, *dict.fromkeys(filter(None, about))]))
    return lines
