"""One run as a waterfall: its steps, and under each its asks, calls and waits in the order they began.

Made of the journal's redacted views alone, without keys and without the workflow, so anybody who may look at
the store may look at this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..catalogue import shown
from ..core import events as e
from ..core.clock import iso
from ..core.events import Entry, decode
from ..core.fold import RunState
from ..core.jsons import loads
from ..core.model import NANO
from ..core.states import AskState, CallState, ItemState, StepState
from ..state.rows import RunRow, StoredEvent

SpanKind = Literal["step", "ask", "call", "refused", "approval", "review", "unknown", "timer"]


@dataclass(frozen=True)
class Span:
    """`ended` None: still under way. Times in microseconds since the epoch; money in nano-dollars."""

    kind: SpanKind
    id: str
    step: str
    name: str
    started: int
    ended: int | None = None
    status: str = ""
    attempt: int = 1
    tokens: int = 0
    nanousd: int = 0
    args: Any = None
    note: str = ""


@dataclass
class Trace:
    """`state` is folded from views: its texts and values are what may be shown."""

    state: RunState
    spans: list[Span] = field(default_factory=list)
    details: list[tuple[str, str]] = field(default_factory=list)
    """(step, redacted traceback) of failures that no error of ours explains."""

    def of_step(self, step: str) -> list[Span]:
        return [span for span in self.spans if span.step == step and span.kind != "step"]

    @property
    def steps(self) -> list[Span]:
        """One for each step that was begun, from its first attempt to its end."""
        return [span for span in self.spans if span.kind == "step"]

    def span(self, name: str) -> Span:
        return next(span for span in self.spans if span.id == name)


def trace_of(stored: Sequence[StoredEvent]) -> Trace:
    """Raises StoreVersion for a journal of a later Surefoot."""
    trace = Trace(RunState())
    open_at: dict[str, int] = {}

    def begin(span: Span) -> None:
        open_at[span.id] = len(trace.spans)
        trace.spans.append(span)

    def end(name: str, at: int, **known: Any) -> None:
        if (index := open_at.get(name)) is not None:
            trace.spans[index] = replace(trace.spans[index], ended=at, **known)

    for one in stored:
        event = decode(one.kind, one.version, one.view)
        trace.state.apply(Entry(one.seq, one.at, event))
        _trace(trace.state, event, one.at, begin, end)
        if isinstance(event, e.StepFailed) and event.detail:
            trace.details.append((event.step, event.detail))
    return trace


def _trace(state: RunState, event: e.Event, at: int, begin: Any, end: Any) -> None:
    match event:
        case e.StepStarted(step=step, attempt=attempt):
            name = f"step {step}"
            if attempt == 1 and state.steps[step].started == at:
                begin(Span("step", name, step, step, at, status="running"))
            else:
                end(name, None, status="running", attempt=attempt)
        case e.StepFinished(step=step, how=how):
            if how == "forked":
                begin(Span("step", f"step {step}", step, step, at))
            end(f"step {step}", at, status="ok" if how == "ok" else how, attempt=max(event.attempt, 1))
        case e.StepFailed(step=step, error=error):
            end(f"step {step}", at, status="failed", attempt=event.attempt, note=_what(error))
        case e.AskReserved(ask=name):
            worst = event.tokens_in + event.tokens_out
            asked = Span("ask", name, event.step, event.model, at, None, "reserved", event.attempt)
            begin(replace(asked, tokens=worst, nanousd=event.nanousd, note=event.prompt))
        case e.AskAnswered(ask=name, held=False):
            tokens = event.tokens_in + event.tokens_out
            end(name, at, status="answered", tokens=tokens, nanousd=event.nanousd)
        case e.AskAnswered(ask=name):
            end(name, at, status="held", note="no usage was reported: its worst case counts as spent")
        case e.AskRejected(ask=name, errors=errors):
            end(name, at, status="rejected", note="; ".join(errors))
        case e.AskFailed(ask=name, error=error, charged=charged):
            spent = {} if charged else {"tokens": 0, "nanousd": 0}
            end(name, at, status="failed", note=_what(error), **spent)
        case e.CallRefused(step=step, tool=tool):
            args = None if event.args is None else loads(event.args)
            refused = Span("refused", f"refused {state.seq}", step, tool, at, at, "refused", event.attempt)
            begin(replace(refused, args=args, note=_what(event.error)))
        case e.CallIntended(call=name, step=step, tool=tool):
            begin(Span("call", name, step, tool, at, None, "intended", event.attempt, args=loads(event.args)))
        case e.CallReturned(call=name):
            end(name, at, status="returned")
        case e.CallFailed(call=name, error=error):
            end(name, at, status="failed", note=_what(error))
        case e.CallUnknown(call=name, error=error):
            end(name, at, status="unknown", note=_what(error))
        case e.CallSettled(call=name, outcome=outcome, by=by):
            end(name, at, status=outcome, note=f"settled by {by}")
        case e.ApprovalRequested(item=name, step=step, tool=tool):
            note = f"for {event.by}: {event.reason}" if event.by else event.reason
            begin(
                Span(
                    "approval",
                    name,
                    step,
                    tool,
                    at,
                    None,
                    "open",
                    event.attempt,
                    args=loads(event.args),
                    note=note,
                )
            )
        case e.ReviewOpened(item=name):
            kind: SpanKind = "unknown" if event.about == "unknown" else "review"
            begin(
                Span(
                    kind,
                    name,
                    event.step or "",
                    event.queue or "a person",
                    at,
                    None,
                    "open",
                    note=event.reason,
                )
            )
        case e.TimerSet(timer=name, step=step):
            begin(Span("timer", name, step, "sleep", at, None, "set", event.attempt))
        case e.TimerFired(timer=name):
            end(name, at, status="fired")
        case e.RunClaimed():
            for name, ask in state.asks.items():
                if ask.status == "held" and ask.answer is None:
                    end(name, at, status="held", note="its worker died: the worst case counts as spent")
            for name, call in state.calls.items():
                if call.status == "unknown" and call.cut_off:
                    end(name, at, status="unknown", note="its worker died")
        case _:
            pass
    for name in _items_ended(event):
        item = state.items.get(name)
        if item is not None:
            said = f"{item.by}: {item.reason}" if item.by and item.reason else item.by or item.reason
            end(name, at, status=item.status, note=said)


def _items_ended(event: e.Event) -> list[str]:
    match event:
        case e.ApprovalDecided(item=item) | e.ApprovalExpired(item=item) | e.ReviewResolved(item=item):
            return [item]
        case e.CallSettled(item=str(item)):
            return [item]
        case _:
            return []


def _what(error: e.ErrorView) -> str:
    why = error.get("why")
    return f"{error.get('what', '')}" + (f": {why}" if why else "")


# ── as JSON ──────────────────────────────────────────────────────────────────────────────────────


def steps_json(state: RunState, defined: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every step, also those of `defined` that were not begun: `status` is idle, running, waiting, failed or
    finished; `output` is a view."""
    found = [_step_json(step) for step in state.steps.values()]
    return found + [_step_json(StepState(name)) for name in defined if name not in state.steps]


def _step_json(step: StepState) -> dict[str, Any]:
    waits = step.status != "finished" and (step.blocked or step.review is not None)
    return {
        "name": step.name,
        "status": "waiting" if waits else step.status,
        "how": step.how,
        "attempts": step.attempt,
        "ms": step.ms,
        "output": loads(step.output) if step.status == "finished" else None,
        "error": step.error,
    }


def call_json(call: CallState) -> dict[str, Any]:
    return {
        "call": call.id,
        "step": call.step,
        "tool": call.tool,
        "effect": call.effect,
        "args": loads(call.args),
        "status": call.status,
        "key": call.key,
        "ms": call.ms,
        "attempt": call.attempt,
        "result": loads(call.result) if call.status == "returned" else None,
        "error": call.error,
        "approval": call.approval,
    }


def ask_json(ask: AskState, span: Span) -> dict[str, Any]:
    """`tokens` and `usd` are what counts as spent: of an ask without a known end, its worst case."""
    answer = ask.answer
    known = answer is not None and not answer.held
    return {
        "ask": ask.id,
        "step": ask.step,
        "attempt": ask.attempt,
        "prompt": ask.prompt,
        "turn": ask.turn,
        "status": ask.status,
        "model": ask.model,
        "model_version": answer.model_version if answer else "",
        "tokens": span.tokens,
        "tokens_in": answer.tokens_in if answer and known else None,
        "tokens_out": answer.tokens_out if answer and known else None,
        "cached": answer.cached if answer and known else None,
        "usd": span.nanousd / NANO,
        "ms": ask.ms,
        "finish": answer.finish if answer else None,
        "text": answer.text if answer else None,
        "rejected": ask.rejected,
        "error": ask.error,
    }


def item_json(item: ItemState) -> dict[str, Any]:
    request = item.request
    args = loads(request.args) if isinstance(request, e.ApprovalRequested) else None
    return {
        "item": item.id,
        "kind": item.kind,
        "step": item.step,
        "status": item.status,
        "reason": request.reason,
        "tool": request.tool if isinstance(request, e.ApprovalRequested) else None,
        "args": args,
        "for": request.by if isinstance(request, e.ApprovalRequested) else request.queue,
        "by": item.by,
        "said": item.reason,
        "expires": iso(item.expires),
    }


def run_json(row: RunRow, trace: Trace, definition: dict[str, Any]) -> dict[str, Any]:
    """A run as views show it: the fields of its result, then its steps, calls, asks, refusals and items.

    `definition` is what the store keeps of the workflow's: it knows the steps that were not begun.
    """
    state = trace.state
    submitted = state.submitted
    state.usage.seconds = state.active_micros(state.at) / 1_000_000
    last = state.steps.get(definition.get("last", "")) if state.status == "succeeded" else None
    return {
        "run": row.id,
        "workflow": row.workflow,
        "version": row.version,
        "key": submitted.key if submitted else None,
        "status": row.status,
        "degraded": state.degraded,
        "input": loads(submitted.input) if submitted else None,
        "output": loads(last.output) if last else None,
        "error": error_json(state.error),
        "usage": state.usage.to_json() if submitted else row.summary.get("usage", {}),
        "waiting_for": [item.id for item in state.open_items()],
        "forked_from": submitted.forked_from if submitted else None,
        "steps": steps_json(state, list(definition.get("steps", ()))),
        "calls": [call_json(call) for call in state.calls.values()],
        "asks": [ask_json(ask, trace.span(ask.id)) for ask in state.asks.values()],
        "calls_refused": len(state.refusals) if submitted else row.summary.get("calls_refused", 0),
        "refusals": [_refusal_json(event) for _, event in state.refusals],
        "items": [item_json(item) for item in state.items.values()],
    }


def error_json(error: e.ErrorView | None) -> dict[str, Any] | None:
    """code, what, why, remedy, docs."""
    if error is None:
        return None
    return shown(*(error.get(name, "") for name in ("code", "what", "why", "remedy")))


def _refusal_json(event: e.CallRefused) -> dict[str, Any]:
    return {
        "step": event.step,
        "attempt": event.attempt,
        "tool": event.tool,
        "args": None if event.args is None else loads(event.args),
        "error": error_json(event.error),
    }
