"""One run: its waterfall, the chosen item in full, its journal; and what a person may do with it.

What is shown are views. Exact values are shown once, on the answer to a form that says why, and after that is
in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..core.jsons import loads
from ..core.model import NANO
from ..errors import BadRequest, Draining
from ..orchestrator.prompts import Prompts
from ..orchestrator.revealing import Revealed
from ..orchestrator.rows import row_of
from ..orchestrator.trace import Trace, error_json, run_json, trace_of
from ..orchestrator.views import exact_values
from ..service.access import Principal
from ..service.asking import ServiceOf, needs
from ..service.service import Service
from ..state.rows import ENDED, RunRow, StoredEvent
from .detail import detail_of
from .live import live_run
from .overview import gauge
from .pages import fields_of, go_to, query, show
from .waterfall import waterfall

router = APIRouter(prefix="/runs/{run}")

LINES = 150
EVENTS = 100
Reader = Annotated[Principal, needs("runs:read")]
Writer = Annotated[Principal, needs("runs:write")]


@dataclass(frozen=True)
class Found:
    row: RunRow
    stored: list[StoredEvent]
    trace: Trace
    document: dict[str, Any]
    definition: dict[str, Any]


@router.get("")
async def run_page(
    run: str,
    request: Request,
    service: ServiceOf,
    principal: Reader,
    at: str = "",
    page: int = 1,
    after: int = 0,
    scale: str = "",
) -> Response:
    """`at` names the chosen item, `page` is of the waterfall, `after` of the journal's table. Raises
    RunNotFound."""
    found = await _found(service, run)
    return await _show(request, service, principal, found, at=at, page=page, after=after, scale=scale)


async def _found(service: Service, run: str) -> Found:
    """The row is read first: what the journal has beyond it is told by the stream at once."""
    row = await row_of(service.store, run)
    stored = await service.store.events(run)
    text = await service.store.definition(row.fingerprint)
    definition = loads(text) if text else {}
    trace = trace_of(stored)
    document = run_json(row, trace, definition)
    if row.pruned:
        document["error"] = error_json(row.summary.get("error"))  # its row is all that is left
    return Found(row, stored, trace, document, definition)


async def _show(
    request: Request,
    service: Service,
    principal: Principal,
    found: Found,
    *,
    at: str = "",
    page: int = 1,
    after: int = 0,
    scale: str = "",
    revealed: Revealed | None = None,
) -> Response:
    row, trace = found.row, found.trace
    now = service.clock.now()
    drawn = waterfall(
        row,
        trace,
        found.stored,
        now,
        at_work=service.runtime.bodies(row.id),
        to_scale=scale == "real",
    )
    pages = max((len(drawn.lines) + LINES - 1) // LINES, 1)
    page = min(max(page, 1), pages)
    kept = {"scale": scale, "page": page if page > 1 else ""}
    events = [one for one in found.stored if one.seq > after]
    detail = detail_of(trace, at, _takes(found.definition), _prompts(service, row)) if at else None
    return await show(
        request,
        "run.html",
        principal,
        live=None if revealed else live_run(row, "head", "waterfall", "detail", "outcome", "do", "journal"),
        row=row,
        run=found.document,
        submitted=trace.state.submitted,
        seconds=trace.state.usage.seconds,
        budget=_budget(trace),
        is_ended=row.status in ENDED,
        is_ours=row.workflow == service.workflow.name,
        is_running_code=row.fingerprint == service.runtime.deployment.fingerprint,
        running=service.workflow.version,
        open_items=trace.state.open_items(),
        drawn=drawn,
        lines=drawn.lines[(page - 1) * LINES : page * LINES],
        page=page,
        pages=pages,
        at=at,
        detail=detail,
        kept=kept,
        scale=scale,
        link=lambda **more: query(**{**kept, "at": at, **more}),
        events=[(one, loads(one.view)) for one in events[:EVENTS]],
        more_after=events[EVENTS - 1].seq if len(events) > EVENTS else None,
        after=after,
        details=trace.details,
        steps=list(trace.state.steps),
        revealed=None if revealed is None else exact_values(revealed),
    )


def _takes(definition: dict[str, Any]) -> dict[str, list[str]]:
    steps = definition.get("steps", {})
    return {
        name: [source for source in about.get("takes", {}).values() if source in steps]
        for name, about in steps.items()
    }


def _prompts(service: Service, row: RunRow) -> dict[str, str]:
    """Texts of prompt files by "step:name", where they are as they were for this run."""
    workflow = service.workflow
    if row.fingerprint != service.runtime.deployment.fingerprint:
        return {}
    files: Prompts = service.runtime.deployment.prompts
    return {
        name: files.text(workflow.plan.steps[step].step.function, prompt)
        for name in workflow.prompts
        for step, _, prompt in [name.partition(":")]
    }


def _budget(trace: Trace) -> list[tuple[str, dict[str, Any]]]:
    """Each cap of the run with what is used of it; what is reserved at this moment counts as held."""
    submitted, usage, state = trace.state.submitted, trace.state.usage, trace.state
    if submitted is None:
        return []
    caps = submitted.budget
    tokens = usage.tokens_in + usage.tokens_out
    dollars = None if caps.get("nanousd") is None else caps["nanousd"] / NANO
    held = state.reserved_nanousd / NANO
    return [
        ("usd", gauge(usage.usd, usage.usd + held, dollars)),
        ("tokens", gauge(tokens, tokens + state.reserved_tokens, caps.get("tokens"))),
        ("model calls", gauge(usage.model_calls, usage.model_calls, caps.get("model_calls"))),
        ("tool calls", gauge(usage.tool_calls, usage.tool_calls, caps.get("tool_calls"))),
        ("seconds", gauge(usage.seconds, usage.seconds, caps.get("seconds"))),
    ]


# ── what a person may do ──


@router.post("/cancel")
async def cancel(run: str, request: Request, service: ServiceOf, principal: Writer) -> Response:
    reason = (await fields_of(request)).get("reason", "").strip()
    await service.runtime.cancel(run, by=principal.person, reason=reason)
    return go_to(_page(run))


@router.post("/retry")
async def retry(run: str, request: Request, service: ServiceOf, principal: Writer) -> Response:
    reason = (await fields_of(request)).get("reason", "").strip()
    await service.runtime.retry(run, by=principal.person, reason=reason)
    return go_to(_page(run))


@router.post("/fork")
async def fork(run: str, request: Request, service: ServiceOf, principal: Writer) -> Response:
    """A new run that begins anew at a step; its page follows."""
    if service.draining:
        raise Draining("the service is being stopped", why="it takes no new runs")
    step = (await fields_of(request)).get("step", "")
    started = await service.runtime.fork(run, start_from=step)
    return go_to(_page(started.id))


@router.post("/reveal")
async def reveal(
    run: str, request: Request, service: ServiceOf, principal: Annotated[Principal, needs("runs:reveal")]
) -> Response:
    """Exact values, on this answer alone; who has seen them and why is in the journal before."""
    reason = (await fields_of(request)).get("reason", "").strip()
    if not reason:
        raise BadRequest("no reason was given", why="the journal keeps why exact values were shown")
    revealed = await service.runtime.reveal(run, by=principal.person, reason=reason)
    return await _show(request, service, principal, await _found(service, run), revealed=revealed)


def _page(run: str) -> str:
    return f"/runs/{quote(run, safe='')}"
