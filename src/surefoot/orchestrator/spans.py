"""Spans: a run's journal as OpenTelemetry shows it, for whoever has set up tracing in this process.

A run is one trace, whatever the number of processes and waits it took: the trace's id is derived from the
run's. Each stretch that a worker drives it for is a span (`invoke_workflow`), and under it each entry of a
step's body, each turn of an ask (`chat`) and each call of a tool (`execute_tool`). They are made from the
events' redacted views, never from exact values, and what is said in words passes the process's redactor once
more. Arguments, results and texts are left out unless `SUREFOOT_TRACE_CONTENT=1`, and are views then too.

Only the API of OpenTelemetry is used. Where nobody has set up a tracer provider, a drive asks once, and
nothing is made.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..core.jsons import dumps, loads
from ..rails.redaction import Private
from .redacting import open_runs, redactor

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

SPEC = "semantic-conventions-genai v0.1.0 (2026), all of it in development"
"""Where the names come from that begin with gen_ai. The others that are not surefoot.* are stable ones of
OpenTelemetry's. They stand here and nowhere else."""

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
WORKFLOW_NAME = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
OUTPUT_MESSAGES = "gen_ai.output.messages"
ERROR_TYPE = "error.type"

RUN = "surefoot.run"
WORKFLOW_VERSION = "surefoot.workflow.version"
STATUS = "surefoot.status"
STEP = "surefoot.step"
ATTEMPT = "surefoot.attempt"
HOW = "surefoot.how"
EFFECT = "surefoot.tool.effect"
COST = "surefoot.usd"
INPUT = "surefoot.input"
OUTPUT = "surefoot.output"

_TOLD: Mapping[str, tuple[str, ...]] = {
    "approval.requested": ("item", "step", "tool", "rule"),
    "approval.decided": ("item", "choice"),
    "approval.expired": ("item",),
    "review.opened": ("item", "step", "about"),
    "review.resolved": ("item", "choice"),
    "call.refused": ("step", "tool"),
    "call.settled": ("call", "outcome"),
    "ask.rejected": ("ask",),
    "ask.repaired": ("ask", "how"),
    "budget.warned": ("unit",),
    "timer.set": ("step", "due"),
}
"""Events that have no length: told as events of the stretch, with these fields."""


def trace_of_run(run: str) -> tuple[int, int]:
    """(trace id, id of the span that all stretches have in common, and which is never sent)."""
    digest = hashlib.sha256(f"surefoot:{run}".encode()).digest()
    return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:24], "big") or 1


_listeners: list[Tracer] = []


@contextmanager
def listening(tracer: Tracer) -> Iterator[None]:
    """Gives the spans of this process to this tracer, whatever is set up otherwise."""
    _listeners.append(tracer)
    try:
        yield
    finally:
        _listeners.remove(tracer)


def tracer() -> Tracer | None:
    """None where nobody has set up tracing: looking costs a microsecond, and imports nothing."""
    if _listeners:
        return _listeners[-1]
    if "opentelemetry.trace" not in sys.modules and "OTEL_PYTHON_TRACER_PROVIDER" not in os.environ:
        return None
    from opentelemetry import trace  # noqa: PLC0415

    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return provider.get_tracer("surefoot")


def follow(
    run: str, workflow: str, version: str, now: Callable[[], int], private: Private, *, content: bool
) -> Spans | None:
    """For one stretch of a run; `content` adds arguments, results and texts. None where nobody listens."""
    found = tracer()
    return None if found is None else Spans(found, run, workflow, version, now, private, content=content)


class Spans:
    """Of one stretch. `saw` is told each event as it goes into the journal."""

    def __init__(
        self,
        tracer: Tracer,
        run: str,
        workflow: str,
        version: str,
        now: Callable[[], int],
        private: Private,
        *,
        content: bool,
    ) -> None:
        from opentelemetry import trace  # noqa: PLC0415

        self._trace = trace
        self._tracer = tracer
        self._now = now
        self._private = private
        self._content = content
        self._open: dict[str, tuple[Span, Context]] = {}
        """Of steps by name, of asks and calls by id."""
        trace_id, common = trace_of_run(run)
        parent = trace.SpanContext(trace_id, common, is_remote=True, trace_flags=trace.TraceFlags(1))
        self._stretch, self._context = self._begin(
            f"invoke_workflow {workflow}",
            trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            now(),
            {
                OPERATION: "invoke_workflow",
                WORKFLOW_NAME: workflow,
                CONVERSATION: run,
                RUN: run,
                WORKFLOW_VERSION: version,
            },
        )

    # ── from outside ──

    def saw(self, kind: str, at: int, view: str) -> None:
        """`view` is the event as it may be shown, `at` microseconds since the epoch."""
        event = loads(view)
        match kind:
            case "step.started":
                self._step(event, at)
            case "step.finished":
                how = event.get("how", "ok")
                self._end(event["step"], at, {HOW: how, **self._said(OUTPUT, event.get("output"))})
            case "step.failed":
                self._end(event["step"], at, {}, event["error"])
            case "ask.reserved":
                self._ask(event, at)
            case "ask.answered":
                self._end(event["ask"], at, self._answer(event))
            case "ask.failed":
                self._end(event["ask"], at, {}, event["error"])
            case "call.intended":
                self._call(event, at)
            case "call.returned":
                self._end(event["call"], at, self._said(TOOL_RESULT, event.get("result")))
            case "call.failed" | "call.unknown":
                self._end(event["call"], at, {STATUS: kind.partition(".")[2]}, event["error"])
            case "run.finished":
                self._stretch.set_attribute(STATUS, event["status"])
                if event.get("error") is not None:
                    self._fail(self._stretch, event["error"])
            case _:
                self._tell(kind, event, at)

    def close(self, status: str) -> None:
        """The worker is done with the run for now. What is still open was cut off, or waits."""
        at = self._now()
        for name in reversed(list(self._open)):
            self._end(name, at, {STATUS: "left"})
        if status not in ("succeeded", "failed", "cancelled"):
            self._stretch.set_attribute(STATUS, status)
        self._stretch.end(at * 1000)

    @contextmanager
    def inside(self, step: str) -> Iterator[None]:
        """While a step's body is at work, spans that others make are under its own."""
        from opentelemetry import context  # noqa: PLC0415

        found = self._open.get(step)
        token = context.attach(self._context if found is None else found[1])
        try:
            yield
        finally:
            context.detach(token)

    # ── inside ──

    def _tell(self, kind: str, event: dict[str, Any], at: int) -> None:
        if kind not in _TOLD:
            return
        fields = {f"surefoot.{name}": event[name] for name in _TOLD[kind] if name in event}
        if isinstance(error := event.get("error"), dict):
            fields[ERROR_TYPE] = error.get("code", "")
        self._stretch.add_event(kind, _clean(fields), at * 1000)

    def _begin(self, name: str, parent: Context, at: int, attributes: dict[str, Any]) -> tuple[Span, Context]:
        kind = self._trace.SpanKind.CLIENT if name.startswith("chat ") else self._trace.SpanKind.INTERNAL
        span = self._tracer.start_span(
            redactor().scrub(name), parent, kind, _clean(attributes), start_time=at * 1000
        )
        return span, self._trace.set_span_in_context(span, parent)

    def _under(self, step: str) -> Context:
        return self._open[step][1] if step in self._open else self._context

    def _step(self, event: dict[str, Any], at: int) -> None:
        step = event["step"]
        attributes = {STEP: step, ATTEMPT: event.get("attempt", 1)}
        self._open[step] = self._begin(f"step {step}", self._context, at, attributes)

    def _ask(self, event: dict[str, Any], at: int) -> None:
        provider, _, model = event["model"].partition(":")
        self._open[event["ask"]] = self._begin(
            f"chat {model}",
            self._under(event["step"]),
            at,
            {
                OPERATION: "chat",
                PROVIDER: provider,
                REQUEST_MODEL: model,
                STEP: event["step"],
                ATTEMPT: event["attempt"],
            },
        )

    def _answer(self, event: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {
            FINISH_REASONS: [event.get("finish", "stop")],
            COST: event.get("nanousd", 0) / 1e9,
        }
        if event.get("model_version"):
            found[RESPONSE_MODEL] = event["model_version"]
        if not event.get("held"):
            found |= {
                INPUT_TOKENS: event.get("tokens_in", 0),
                OUTPUT_TOKENS: event.get("tokens_out", 0),
                CACHED_TOKENS: event.get("cached", 0),
            }
        if self._content:
            parts: list[dict[str, Any]] = (
                [{"type": "text", "content": event["text"]}] if event.get("text") else []
            )
            for id_, name, arguments in event.get("calls", []):
                parts.append({"type": "tool_call", "id": id_, "name": name, "arguments": arguments})
            found |= self._said(OUTPUT_MESSAGES, [{"role": "assistant", "parts": parts}])
        return found

    def _call(self, event: dict[str, Any], at: int) -> None:
        self._open[event["call"]] = self._begin(
            f"execute_tool {event['tool']}",
            self._under(event["step"]),
            at,
            {
                OPERATION: "execute_tool",
                TOOL_NAME: event["tool"],
                TOOL_TYPE: "function",
                TOOL_CALL: event["call"],
                EFFECT: event["effect"],
                STEP: event["step"],
                ATTEMPT: event["attempt"],
                **self._said(TOOL_ARGUMENTS, event.get("args")),
            },
        )

    def _said(self, name: str, value: Any) -> dict[str, str]:
        return {name: dumps(value)} if self._content and value is not None else {}

    def _end(
        self, name: str, at: int, attributes: dict[str, Any], error: dict[str, Any] | None = None
    ) -> None:
        found = self._open.pop(name, None)
        if found is None:
            return  # it began in an earlier stretch
        span, _ = found
        span.set_attributes(_clean(attributes))
        if error is not None:
            self._fail(span, error)
        span.end(at * 1000)

    def _fail(self, span: Span, error: dict[str, Any]) -> None:
        span.set_attribute(ERROR_TYPE, str(error.get("code", "_OTHER")))
        words = ": ".join(str(error[part]) for part in ("what", "why") if error.get(part))
        with open_runs.at_work(self._private):
            words = redactor().withhold(words)
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, words))


def _clean(attributes: dict[str, Any]) -> dict[str, Any]:
    """Views hide private values in somebody's words, and leave the journal's own names: a customer may be
    called like a step. So only secrets are looked for here."""
    scrub = redactor().scrub
    return {name: scrub(value) if isinstance(value, str) else value for name, value in attributes.items()}
