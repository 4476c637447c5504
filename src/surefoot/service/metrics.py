"""Numbers for Prometheus: what waits, what fails, how long things take and what they cost.

Durations and costs are counted as this process hears of the events of the runs that it drives. How things
stand (the queue, open items, workers) is read from the store when somebody asks, so each process of one store
says the same of it. No label names a run or a person: labels are what the workflow's definition lists, and
what else may come up is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Annotated, Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from ..core import events as e
from ..core.clock import MICROS, Clock
from ..core.fold import RunState
from ..core.model import NANO
from ..core.workflow import Definition
from ..orchestrator.intake import state_of
from ..state.intake import IntakeRow
from ..state.rows import OpenItems
from ..state.store import Store
from .access import Principal
from .asking import needs
from .routes import router
from .service import Service

MEDIA = "text/plain; version=0.0.4; charset=utf-8"

OTHER = "other"
"""Stands for what has no label of its own: a tool that a model has made up, a group too many."""

MOST_GROUPS = 50

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds: from a step of plain code to one that waits for a slow model."""

INTAKES = ("open", "paused", "refused", "tripped", "trying", "spent")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

FRESH = 2 * MICROS
"""For so long what was read is told again: whoever asks without end costs no more than who asks now and
then."""


def mount(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """Adds /metrics. Prometheus sends the token that it is given: `runs:read` is enough."""

    api = router("", "operations")

    @api.get("/metrics", response_class=PlainTextResponse)
    async def get_metrics(principal: Annotated[Principal, needs("runs:read")]) -> Response:
        """Numbers for Prometheus."""
        return Response(await metrics.text(service.store, service.clock), media_type=MEDIA)

    app.router.routes.extend(api.routes)


def alone(metrics: Metrics, store: Store, clock: Clock) -> ASGIApp:
    """An application of /metrics and /healthz, for a process that answers nothing else. It asks for no token:
    who reaches its address may read numbers, and nothing else."""

    async def get_metrics(request: Request) -> Response:
        return Response(await metrics.text(store, clock), media_type=MEDIA)

    async def is_alive(request: Request) -> Response:
        return Response('{"status":"ok"}', media_type="application/json")

    return Starlette(routes=[StarletteRoute("/metrics", get_metrics), StarletteRoute("/healthz", is_alive)])


class Metrics:
    """Of one process, with a registry of its own. `heard` and `answered` are cheap, and raise nothing."""

    def __init__(self, workflow: Definition) -> None:
        self._workflow = workflow
        self._tools = frozenset(workflow.tools)
        self.registry = CollectorRegistry()
        self._now = _Now()
        self._read_at: int | None = None
        self.registry.register(self._now)
        ProcessCollector(registry=self.registry)
        self._steps = self._histogram("step", "An attempt at a step", "step", "outcome")
        self._calls = self._histogram("call", "A call of a tool", "tool", "outcome")
        self._asks = self._histogram("model", "A request to a model", "model", "outcome")
        self._ends = self._counter("runs_ended", "Runs that ended here", "status", "degraded")
        self._refusals = self._counter("calls_refused", "Calls that were not made", "tool", "code")
        self._tokens = self._counter(
            "model_tokens", "Tokens that models have read and written", "model", "kind"
        )
        self._usd = self._counter(
            "model_usd", "Dollars that models have cost, what is held included", "model"
        )
        names = ("method", "route", "status")
        self._requests = Counter(
            "surefoot_http_requests", "Requests that were answered", names, registry=self.registry
        )
        self._answers = Histogram(
            "surefoot_http_request_seconds",
            "From a request to the end of its answer",
            ("route",),
            buckets=QUICK,
            registry=self.registry,
        )
        # Looked up once for each combination: labels are bounded, and finding one costs more than counting.
        self._step = cache(partial(self._steps.labels, workflow.name))
        self._request = cache(self._requests.labels)
        self._answer = cache(self._answers.labels)
        self._hears: Mapping[type[e.Event], Callable[[Any, RunState], None]] = {
            e.StepFinished: self._step_finished,
            e.StepFailed: self._step_failed,
            e.CallReturned: self._call_ended,
            e.CallFailed: self._call_ended,
            e.CallUnknown: self._call_ended,
            e.CallRefused: self._call_refused,
            e.AskAnswered: self._ask_answered,
            e.AskFailed: self._ask_failed,
            e.RunFinished: self._run_finished,
        }

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(
            f"surefoot_{name}_seconds", what, ("workflow", *labels), buckets=QUICK, registry=self.registry
        )

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"surefoot_{name}", what, ("workflow", *labels), registry=self.registry)

    # ── what happens ──

    def heard(self, event: e.Event, state: RunState) -> None:
        """Fits `Runtime(hears=...)`."""
        act = self._hears.get(type(event))
        if act is not None:
            act(event, state)

    def _step_finished(self, event: e.StepFinished, state: RunState) -> None:
        self._step(event.step, event.how).observe(event.ms / 1000)

    def _step_failed(self, event: e.StepFailed, state: RunState) -> None:
        outcome = "failed" if event.retry_at is None else "retried"
        self._step(event.step, outcome).observe(event.ms / 1000)

    def _call_ended(self, event: e.CallReturned | e.CallFailed | e.CallUnknown, state: RunState) -> None:
        call = state.calls.get(event.call)
        tool = self._tool(call.tool if call is not None else "")
        outcome = event.KIND.partition(".")[2]
        self._calls.labels(self._workflow.name, tool, outcome).observe(event.ms / 1000)

    def _call_refused(self, event: e.CallRefused, state: RunState) -> None:
        code = str(event.error.get("code", ""))
        self._refusals.labels(self._workflow.name, self._tool(event.tool), code).inc()

    def _tool(self, name: str) -> str:
        return name if name in self._tools else OTHER

    def _ask_answered(self, event: e.AskAnswered, state: RunState) -> None:
        ask = state.asks.get(event.ask)
        if ask is None:
            return
        name = self._workflow.name
        self._asks.labels(name, ask.model, "held" if event.held else "answered").observe(event.ms / 1000)
        self._usd.labels(name, ask.model).inc((ask.nanousd if event.held else event.nanousd) / NANO)
        kinds = (("in", event.tokens_in), ("out", event.tokens_out), ("cached", event.cached))
        for kind, count in kinds:
            self._tokens.labels(name, ask.model, kind).inc(count)

    def _ask_failed(self, event: e.AskFailed, state: RunState) -> None:
        ask = state.asks.get(event.ask)
        if ask is None:
            return
        self._asks.labels(self._workflow.name, ask.model, "failed").observe(event.ms / 1000)
        if event.charged:
            self._usd.labels(self._workflow.name, ask.model).inc(ask.nanousd / NANO)

    def _run_finished(self, event: e.RunFinished, state: RunState) -> None:
        degraded = "true" if state.degraded else "false"
        self._ends.labels(self._workflow.name, event.status, degraded).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the pattern that answered; empty where none did."""
        route = route or OTHER
        self._request(method if method in METHODS else OTHER, route, status).inc()
        self._answer(route).observe(seconds)

    # ── how things stand ──

    async def text(self, store: Store, clock: Clock) -> bytes:
        now = clock.now()
        if self._read_at is None or not 0 <= now - self._read_at < FRESH:
            self._now.found = await standing(store, self._workflow.name, now)
            self._read_at = now
        return generate_latest(self.registry)


class _Now(Collector):
    """What was read last."""

    def __init__(self) -> None:
        self.found: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        yield from self.found


async def standing(store: Store, workflow: str, now: int) -> list[Metric]:
    """How things stand in the store."""
    queue = await store.queue(workflow)
    items = bounded(await store.open_items())
    workers = await store.workers()
    intakes = await store.intakes(workflow)
    intake = state_of(intakes[0] if intakes else IntakeRow(workflow), now)
    return [
        _gauge("queue_runs", "Runs that nobody has taken up yet", ["workflow"], [((workflow,), queue.depth)]),
        _gauge(
            "queue_oldest_seconds",
            "How long the oldest of them waits",
            ["workflow"],
            [((workflow,), _age(queue.oldest, now))],
        ),
        _gauge(
            "runs",
            "Runs of the store by status",
            ["status"],
            [((status,), count) for status, count in (await store.counts()).items()],
        ),
        _gauge(
            "items_open",
            "Approvals and reviews that wait for a person",
            ["kind", "group"],
            [((kind, group), count) for kind, group, count, _ in items],
        ),
        _gauge(
            "items_oldest_seconds",
            "How long the oldest of them waits",
            ["kind", "group"],
            [((kind, group), _age(oldest, now)) for kind, group, _, oldest in items],
        ),
        _gauge("workers_alive", "Workers that live", [], [((), sum(row.until > now for row in workers))]),
        _gauge(
            "intake",
            "1 for the state that the intake is in",
            ["workflow", "state"],
            [((workflow, state), int(state == intake)) for state in INTAKES],
        ),
        _gauge(
            "deliveries",
            "What is told to others, by how far it is",
            ["status"],
            [((status,), count) for status, count in (await store.delivery_counts()).items()],
        ),
    ]


def bounded(found: Iterable[OpenItems]) -> list[tuple[str, str, int, int]]:
    """Kind, group, count, oldest; the groups that are too many are one."""
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    groups: set[str] = set()
    for one in found:
        if len(groups) < MOST_GROUPS:
            groups.add(one.queue)
        group = one.queue if one.queue in groups else OTHER
        count, oldest = seen.get((one.kind, group), (0, one.oldest))
        seen[one.kind, group] = (count + one.count, min(oldest, one.oldest))
    return [(kind, group, count, oldest) for (kind, group), (count, oldest) in seen.items()]


def _gauge(name: str, what: str, labels: list[str], rows: list[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(f"surefoot_{name}", what, labels=labels)
    for values, value in rows:
        family.add_metric(list(values), value)
    return family


def _age(at: int | None, now: int) -> float:
    return 0.0 if at is None else max(now - at, 0) / MICROS
