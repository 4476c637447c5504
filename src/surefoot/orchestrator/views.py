"""Rows of the store as JSON that programs rely on: the commands print these, and the service answers them.

All of it is made of views, except `exact_values`, which is of what was revealed. Times are UTC texts with
microseconds, money is dollars. One run's own document is made in `trace`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.budget import Budget
from ..core.clock import iso
from ..core.jsons import dumps, loads
from ..core.model import NANO
from ..rails.ledger import day_of
from ..state.intake import IntakeChange
from ..state.rows import DayRow, ItemRow, RunRow, StoredEvent
from .intake import IntakeView
from .revealing import Revealed
from .trace import error_json


def run_row_json(row: RunRow) -> dict[str, Any]:
    """A run as lists show it."""
    return {
        "run": row.id,
        "workflow": row.workflow,
        "version": row.version,
        "key": row.key,
        "status": row.status,
        "degraded": bool(row.summary.get("degraded")),
        "created": iso(row.created),
        "updated": iso(row.updated),
        "due": iso(row.due),
        "events": row.seq,
        "pruned": row.pruned,
        "forgotten": iso(row.forgotten),
        "error": error_json(row.summary.get("error")),
        "usage": row.summary.get("usage"),
        "waiting_for": row.summary.get("waiting_for", []),
    }


def event_json(event: StoredEvent, *, with_hash: bool = False) -> str:
    """The view is spliced in as it was stored: with its hash, its very bytes count."""
    head = {
        "run": event.run,
        "seq": event.seq,
        "at": iso(event.at),
        "kind": event.kind,
        "version": event.version,
    }
    tail = f',"sealed":{dumps(event.sealed is not None)},"hash":"{event.hash.hex()}"' if with_hash else ""
    return f'{dumps(head)[:-1]},"view":{event.view}{tail}}}'


def item_row_json(row: ItemRow) -> dict[str, Any]:
    """`args` and the rest of what it is about are views."""
    return {
        "item": row.id,
        "run": row.run,
        "kind": row.kind,
        "status": row.status,
        "for": row.queue,
        "workflow": row.view.get("workflow"),
        "step": row.view.get("step"),
        "tool": row.view.get("tool"),
        "args": row.view.get("args"),
        "reason": row.view.get("reason"),
        "rule": row.view.get("rule"),
        "evidence": row.view.get("evidence", []),
        "choices": row.view.get("choices", []),
        "error": row.view.get("error"),
        "opened": iso(row.opened),
        "expires": iso(row.expires),
        "decided": iso(row.decided),
        "by": row.decided_by,
        "decision": row.decision,
    }


def exact_values(revealed: Revealed) -> dict[str, Any]:
    """Input, key, outputs by step, and calls with their arguments and results."""
    state = revealed.state
    submitted = state.submitted
    return {
        "input": None if submitted is None else loads(submitted.input),
        "key": None if submitted is None else submitted.key,
        "outputs": {
            name: loads(step.output) for name, step in state.steps.items() if step.status == "finished"
        },
        "calls": [
            {
                "call": call.id,
                "tool": call.tool,
                "args": loads(call.args),
                "result": loads(call.result),
            }
            for call in state.calls.values()
        ],
    }


# ── intake and days ──────────────────────────────────────────────────────────────────────────────


def intake_json(view: IntakeView) -> dict[str, Any]:
    row = view.row
    return {
        "workflow": view.workflow,
        "state": view.state,
        "mode": row.mode,
        "by": row.mode_by,
        "reason": row.mode_reason,
        "since": iso(row.mode_at) if row.mode_at else None,
        "trial_run": row.trial_run,
        "opens_at": iso(view.opens_at),
        "to_begin": view.waiting,
    }


def change_json(change: IntakeChange) -> dict[str, Any]:
    return {
        "at": iso(change.at),
        "workflow": change.workflow,
        "what": change.what,
        "by": change.by,
        "reason": change.reason,
    }


def last_days(
    rows: Sequence[DayRow], now: int, days: int, *, workflow: str | None = None, budget: Budget | None = None
) -> list[DayRow]:
    """Of today and the days before it. With `budget`, which is that of `workflow`, today is there in any case
    and has its caps; those of another day, or of any without it, are what its last charge says."""
    today = day_of(now)
    first = (datetime.strptime(today, "%Y-%m-%d").replace(tzinfo=UTC) - timedelta(days=days - 1)).date()
    found = [row for row in rows if workflow in (None, row.workflow) and row.day >= first.isoformat()]
    found.sort(key=lambda row: (row.workflow, row.day))
    if workflow is None or budget is None:
        return found
    if not any(row.day == today for row in found):
        found.append(DayRow(workflow, today, 0, 0))
    of_today = [
        replace(row, cap_nanousd=budget.day_nanousd, cap_tokens=budget.day_tokens)
        for row in found
        if row.day == today
    ]
    return [row for row in found if row.day != today] + of_today


def day_json(row: DayRow) -> dict[str, Any]:
    return {
        "workflow": row.workflow,
        "day": row.day,
        "usd": {
            "spent": row.settled_nanousd / NANO,
            "held": (row.nanousd - row.settled_nanousd) / NANO,
            "cap": None if row.cap_nanousd is None else row.cap_nanousd / NANO,
        },
        "tokens": {
            "spent": row.settled_tokens,
            "held": row.tokens - row.settled_tokens,
            "cap": row.cap_tokens,
        },
        "warned": ["usd" if unit == "nanousd" else unit for unit in row.warned],
    }
