"""The first page: what needs a person, what is under way, today's money, and whether new runs are taken."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..core.model import NANO
from ..orchestrator.intake import IntakeView, said
from ..rails.ledger import MOST, day_of
from ..service.access import Principal
from ..service.asking import ServiceOf, needs
from ..service.service import Service
from ..state.rows import RunFilter
from .live import live_store
from .pages import fields_of, go_to, is_for, show

router = APIRouter()

INTAKE_MEANS = {
    "open": "New runs are taken up.",
    "paused": "New runs wait in the queue until somebody resumes.",
    "refused": "New runs are refused until somebody resumes.",
    "tripped": "New runs wait: the model providers keep failing.",
    "trying": "New runs wait: one was let through, to see whether a provider answers.",
    "spent": "New runs wait: the day's budget is gone.",
}
INTAKE_TONE = {"open": "good", "trying": "warn", "paused": "warn", "refused": "warn"}


@router.get("/")
async def overview(
    request: Request, service: ServiceOf, principal: Annotated[Principal, needs("runs:read")]
) -> Response:
    live = live_store(service, "now", "under-way", "facts", "failures")
    store, now = service.store, service.clock.now()
    items = await store.items(status="open", limit=200)
    mine = [item for item in items if is_for(service, principal, item.queue)]
    changes = await store.intake_changes(service.workflow.name, 1)
    return await show(
        request,
        "overview.html",
        principal,
        live=live,
        items=mine[:8],
        mine=len(mine),
        others=len(items) - len(mine),
        counts=await store.counts(),
        under_way=await store.runs(RunFilter(("running", "queued", "waiting"), limit=10)),
        failures=await store.runs(RunFilter(("failed",), limit=5)),
        queue=await store.queue(service.workflow.name),
        workers=[worker for worker in await store.workers() if worker.until > now],
        money=await today(service),
        intake=intake_view(await service.runtime.intake.view()),
        last_change=said(changes[0]) if changes else "",
    )


def intake_view(view: IntakeView) -> dict[str, Any]:
    return {
        "state": view.state,
        "means": INTAKE_MEANS[view.state],
        "tone": INTAKE_TONE.get(view.state, "bad"),
        "is_open": view.is_open,
        "by": view.row.mode_by if view.row.mode != "open" else "",
        "reason": view.row.mode_reason if view.row.mode != "open" else "",
        "opens_at": view.opens_at,
        "waiting": view.waiting,
    }


async def today(service: Service) -> dict[str, Any]:
    """Spent and held, in dollars and tokens, each against the cap that holds now (None: there is none)."""
    day = day_of(service.clock.now())
    row, budget = await service.store.day(service.workflow.name, day), service.workflow.budget
    return {
        "day": day,
        "usd": gauge(row.settled_nanousd / NANO, row.nanousd / NANO, _dollars(budget.day_nanousd)),
        "tokens": gauge(row.settled_tokens, row.tokens, budget.day_tokens),
    }


def _dollars(nanousd: int | None) -> float | None:
    return None if nanousd is None else nanousd / NANO


def gauge(spent: float, total: float, cap: float | None) -> dict[str, Any]:
    """`total` is spent and held together; shares are per cent of the cap, for a bar."""
    share = None if not cap else min(total * 100 / cap, 100)
    tone = "bad" if share is not None and share >= 100 else "warn" if share and share >= MOST else "good"
    return {
        "spent": spent,
        "held": max(total - spent, 0),
        "cap": cap,
        "share": share,
        "share_spent": None if not cap else min(spent * 100 / cap, 100),
        "tone": tone,
    }


@router.post("/intake")
async def intake(
    request: Request, service: ServiceOf, principal: Annotated[Principal, needs("admin")]
) -> Response:
    fields = await fields_of(request)
    door, reason = service.runtime.intake, fields.get("reason", "").strip()
    if fields.get("do") == "resume":
        await door.resume(by=principal.person, reason=reason)
    else:
        await door.pause(by=principal.person, reason=reason, refuse=fields.get("do") == "refuse")
    return go_to("/")
