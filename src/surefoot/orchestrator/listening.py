"""A tracer that writes down all that it is told: what an exporter would send away. For the canary, which must
not ask for OpenTelemetry's SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from opentelemetry import trace
from opentelemetry.util._decorator import _agnosticcontextmanager


class HeardSpan(trace.Span):
    def __init__(self, tracer: Listener, name: str, number: int, parent: Any) -> None:
        self._tracer = tracer
        trace_id = trace.get_current_span(parent).get_span_context().trace_id or 1
        self._place = trace.SpanContext(trace_id, number, is_remote=False, trace_flags=trace.TraceFlags(1))
        self._hear("name", name)

    def _hear(self, *what: object) -> None:
        self._tracer.heard.append(" ".join(f"{one!s} {one!r}" for one in what))

    def end(self, end_time: int | None = None) -> None:
        pass

    def get_span_context(self) -> trace.SpanContext:
        return self._place

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._hear(dict(attributes))

    def set_attribute(self, key: str, value: Any) -> None:
        self._hear(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._hear(name, attributes)

    def add_link(self, context: trace.SpanContext, attributes: Any = None) -> None:
        self._hear(attributes)

    def update_name(self, name: str) -> None:
        self._hear(name)

    def is_recording(self) -> bool:
        return True

    def set_status(self, status: Any, description: str | None = None) -> None:
        self._hear(getattr(status, "description", status), description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self._hear(exception, attributes)


class Listener(trace.Tracer):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self._numbers = count(1)

    def start_span(self, name: str, context: Any = None, *args: Any, **kwargs: Any) -> trace.Span:
        span = HeardSpan(self, name, next(self._numbers), context)
        span.set_attributes(kwargs.get("attributes") or (args[1] if len(args) > 1 else None) or {})
        return span

    @_agnosticcontextmanager
    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Iterator[trace.Span]:
        with trace.use_span(self.start_span(name, *args[:3])) as span:
            yield span
