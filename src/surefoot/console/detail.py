"""The chosen item of a run: an ask, a call, a wait or a step, with all that the journal's views say of it.

Everything here is data for one template: facts (a word and a value), errors, and blocks of JSON or text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..core import events as e
from ..core.jsons import loads
from ..core.model import NANO
from ..core.states import AskState, CallState, ItemState, StepState
from ..orchestrator.trace import Trace, error_json
from .forms import Change, changes
from .waterfall import label_of
from .words import length, moment, money

HOW = {
    "fallback": "its fallback gave the output",
    "by_hand": "a person gave its output",
    "forked": "taken over from the run that it was forked from",
}


@dataclass(frozen=True)
class Block:
    """`how`: json is a value, text is what somebody wrote, lines are several of those."""

    title: str
    how: Literal["json", "text", "lines"]
    value: Any


@dataclass(frozen=True)
class Fact:
    """`link` leads to another item of the run, or with a slash to another page."""

    name: str
    value: str
    link: str = ""


@dataclass
class Detail:
    title: str
    facts: list[Fact] = field(default_factory=list)
    error: dict[str, Any] | None = None
    blocks: list[Block] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    """What a person's edit changed."""
    evidence: list[dict[str, str]] = field(default_factory=list)

    def fact(self, name: str, value: Any, link: str = "") -> None:
        if value not in (None, ""):
            self.facts.append(Fact(name, str(value), link))

    def block(self, title: str, how: Literal["json", "text", "lines"], value: Any) -> None:
        self.blocks.append(Block(title, how, value))


def detail_of(trace: Trace, at: str, takes: dict[str, list[str]], prompts: dict[str, str]) -> Detail | None:
    """None where the run has no such item. `takes` names the steps that each step reads; `prompts` are texts
    of prompt files that are as they were when the run used them."""
    state = trace.state
    span = next((span for span in trace.spans if span.id == at), None)
    if span is None:
        return None
    detail = Detail(label_of(span))
    if span.kind != "step":
        detail.fact("step", span.step, f"step {span.step}")
    detail.fact("status", span.status)
    detail.fact("began", _utc(span.started))
    if span.ended is not None:
        detail.fact("took", length(span.ended - span.started))
    if span.attempt > 1 or span.kind == "step":
        detail.fact("attempt", span.attempt)
    match span.kind:
        case "step":
            _step(detail, state.steps[span.step], takes.get(span.step, []))
        case "ask":
            _ask(detail, state.asks[span.id], prompts)
        case "call":
            _call(detail, state.calls[span.id])
        case "refused":
            _refused(detail, trace, at)
        case "timer":
            _timer(detail, trace, at)
        case "approval" | "review" | "unknown":
            _item(detail, state.items[span.id])
    return detail


def _utc(at: int) -> str:
    return f"{moment(at)} UTC"


def _step(detail: Detail, step: StepState, takes: list[str]) -> None:
    detail.fact("how", HOW.get(step.how, ""))
    for name in takes:
        detail.fact("reads", name, f"step {name}")
    detail.error = error_json(step.error) if step.status == "failed" else None
    if step.status == "finished":
        detail.block("output", "json", loads(step.output))
    if step.retry_at is not None and step.status == "failed":
        detail.fact("next attempt", _utc(step.retry_at))
    if step.review:
        detail.fact("review", step.review, f"/inbox/{step.review}")


def _ask(detail: Detail, ask: AskState, prompts: dict[str, str]) -> None:
    answer = ask.answer
    detail.fact("model", ask.model)
    if answer is None:
        detail.fact("reserved", f"{money(ask.nanousd / NANO)}, {ask.tokens:,} tokens at most")
    else:
        detail.fact("model said it is", answer.model_version)
        detail.fact("finish", answer.finish)
        detail.fact("tokens", f"{answer.tokens_in:,} in, {answer.tokens_out:,} out")
        detail.fact("from cache", f"{answer.cached:,} tokens" if answer.cached else "")
        held = answer.held or ask.status == "held"
        cost = money((ask.nanousd if held else answer.nanousd) / NANO)
        detail.fact("cost", f"{cost}, held: no usage was reported" if held else cost)
        detail.fact("answered in", length(answer.ms * 1000))
    detail.fact("turn", ask.turn + 1 if ask.turn else "")
    detail.fact("repaired", ask.repaired)
    detail.fact("prompt", ask.prompt if len(ask.prompt) < 80 and "\n" not in ask.prompt else "")
    detail.error = error_json(ask.error)
    if ask.rejected:
        detail.block("did not fit; told the model", "lines", ask.rejected)
    if answer is not None:
        if answer.text:
            detail.block("answer", *_as_json(answer.text))
        for call in answer.calls:
            detail.block(f"wants to use {call[1] if len(call) > 1 else '?'}", *_as_json(call[-1]))
    if text := prompts.get(f"{ask.step}:{ask.prompt}"):
        detail.block("prompt", "text", text)
    elif not ask.prompt.endswith(".md"):
        detail.block("prompt", "text", ask.prompt)


def _as_json(text: str) -> tuple[Literal["json", "text"], Any]:
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        return "text", text
    return ("json", value) if isinstance(value, dict | list) else ("text", text)


def _call(detail: Detail, call: CallState) -> None:
    detail.fact("tool", f"{call.tool}, version {call.tool_version}")
    detail.fact("effect", call.effect)
    detail.fact("key", call.key)
    detail.fact("deadline", _utc(call.deadline))
    detail.fact("approved as", call.approval, call.approval or "")
    detail.fact("settled by", call.settled_by)
    detail.fact("question", call.item, f"/inbox/{call.item}")
    detail.error = error_json(call.error)
    detail.block("arguments", "json", loads(call.args))
    if call.status == "returned":
        detail.block("result", "json", loads(call.result))


def _refused(detail: Detail, trace: Trace, at: str) -> None:
    span = trace.span(at)
    refused = [event for when, event in trace.state.refusals if when == span.started]
    same = [event for event in refused if (event.step, event.tool) == (span.step, span.name)]
    for event in same[:1]:
        detail.error = error_json(event.error)
    if span.args is not None:
        detail.block("arguments as proposed", "json", span.args)


def _timer(detail: Detail, trace: Trace, at: str) -> None:
    timer = trace.state.timers[at]
    detail.fact("until", _utc(timer.due))
    detail.fact("asked to sleep", length(timer.length))


def _item(detail: Detail, item: ItemState) -> None:
    request = item.request
    detail.fact("inbox", item.id, f"/inbox/{item.id}")
    detail.fact("decided by", item.by)
    detail.fact("they said", item.reason)
    detail.fact("why a person is asked", request.reason)
    if isinstance(request, e.ApprovalRequested):
        detail.fact("rule", request.rule)
        detail.fact("for", request.by or "anyone")
        detail.fact("expires", _utc(request.expires) if request.expires else "never")
        detail.evidence = request.evidence
        args = loads(request.args)
        detail.block("arguments as proposed", "json", args)
        if item.args is not None:
            edited = loads(item.args)
            detail.block("arguments as edited", "json", edited)
            detail.changed = changes(args, edited)
    else:
        detail.fact("for", request.queue or "anyone")
        detail.error = error_json(request.error)
