"""`surefoot runs show` for people: how the run stands, then its waterfall."""

from __future__ import annotations

import json
from typing import Any

from ..core.model import NANO
from ..orchestrator.clock import SystemClock
from ..orchestrator.trace import Span, Trace
from ..settings import Settings
from ..state.rows import RunRow
from .failures import lines_of_error, scrub
from .formats import STATUS_STYLES, call_text, clock_time, duration, money, until
from .output import Cell, Column, Output, Style, clean, one_line
from .results import decide_commands

COLUMNS = [
    Column("what", wide=True),
    Column("status"),
    Column("at", right=True),
    Column("took", right=True),
    Column("tokens", right=True),
    Column("usd", right=True),
    Column("note", wide=True),
]


def tell_trace(
    output: Output,
    row: RunRow,
    trace: Trace,
    document: dict[str, Any],
    settings: Settings,
    *,
    is_held: bool,
    debug: bool,
) -> None:
    output.answer(_head(row, trace, is_held=is_held))
    if row.pruned:
        output.answer("Its journal was pruned: only its row is left.")
        return
    output.answer("")
    output.table(COLUMNS, [cells for span in _in_order(trace) for cells in [_cells(span, trace)]])
    for step in document["steps"]:
        if step["status"] == "idle":
            output.answer(f"{step['name']}: not begun", "dim")
    if document["output"] is not None:
        output.answer(f"\noutput: {clean(json.dumps(document['output'], ensure_ascii=False, indent=2))}")
    if document["error"] is not None:
        _tell_error(output, document["error"])
    for item in trace.state.open_items():
        choices = getattr(item.request, "choices", None) or ["approve", "deny", "edit"]
        expires = f", {until(item.expires, SystemClock().now())} it expires" if item.expires else ""
        output.answer(f"\n{item.id} waits{expires}: {one_line(item.request.reason)}", "warn")
        for line in decide_commands(item.id, choices, settings, is_call=item.kind != "review"):
            output.answer(f"  {line}")
    if debug:
        _tell_details(output, trace)


def _head(row: RunRow, trace: Trace, *, is_held: bool) -> str:
    state, usage = trace.state, trace.state.usage
    status = f"{row.status}, degraded" if state.degraded else row.status
    if is_held and row.status == "running":
        status += f" (driven by {row.owner})"
    lines = [
        f"{row.id}  {row.workflow} {row.version}  {status}",
        f"made {clock_time(row.created)}, last change {clock_time(row.updated)}, {row.seq} events",
    ]
    if state.submitted is not None:
        lines.append(
            f"{usage.model_calls} model calls, {usage.tokens_in} + {usage.tokens_out} tokens, "
            f"{money(usage.usd)}, {usage.tool_calls} tool calls, active {duration(usage.seconds * 1000)}"
        )
        if state.submitted.forked_from:
            lines.append(f"forked from {state.submitted.forked_from}")
    return "\n".join(clean(line) for line in lines)


def _in_order(trace: Trace) -> list[Span]:
    """Each step with what happened in it below; what belongs to no step (a review of the run) at the end."""
    found: list[Span] = []
    for step in trace.steps:
        found += [step, *trace.of_step(step.step)]
    return found + trace.of_step("")


def _cells(span: Span, trace: Trace) -> list[Cell]:
    style: Style = STATUS_STYLES.get(span.status, "")
    took = "" if span.ended is None else duration((span.ended - span.started) / 1000)
    note = span.note
    if span.attempt > 1:
        note = f"attempt {span.attempt}; {note}" if note else f"attempt {span.attempt}"
    return [
        Cell(_what(span), "strong" if span.kind == "step" else ""),
        Cell(_status(span, trace), style),
        Cell(f"+{duration((span.started - trace.state.created) / 1000)}", "dim"),
        Cell(took),
        Cell(str(span.tokens) if span.kind == "ask" else ""),
        Cell(money(span.nanousd / NANO) if span.kind == "ask" else ""),
        Cell(one_line(note, 100), "dim"),
    ]


def _what(span: Span) -> str:
    match span.kind:
        case "step":
            return one_line(span.name)
        case "ask":
            return f"  ask {one_line(span.name, 40)}"
        case "call" | "refused":
            return f"  {call_text(span.name, span.args, 60)}"
        case "approval":
            return f"  approve {call_text(span.name, span.args, 52)}"
        case "timer":
            return "  sleep"
        case _:
            return f"  {span.kind} by {one_line(span.name, 40)}"


def _status(span: Span, trace: Trace) -> str:
    if span.kind == "step":
        step = trace.state.steps[span.step]
        if step.status != "finished" and (step.blocked or step.review):
            return "waiting"
    return span.status


def _tell_error(output: Output, error: dict[str, Any]) -> None:
    first, *more = lines_of_error(error)
    output.answer(f"\nerror: {first}", "bad")
    for line in more:
        output.answer(line)


def _tell_details(output: Output, trace: Trace) -> None:
    for step, detail in trace.details:
        # Redacted when it was recorded; by an older version perhaps with fewer patterns.
        output.answer(f"\n{step}:\n{clean(scrub(detail))}", "dim")
