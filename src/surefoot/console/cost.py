"""What the models have cost: by day against the caps, by model, by step, and the dearest runs.

Days come from the ledger that all workers share. Models and steps come from the journals of the newest runs:
their asks, each with what its provider reported. What was reserved and never reported is held: it counts as
spent, and is told apart.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..core import events as e
from ..core.clock import micros
from ..core.events import decode
from ..core.model import NANO
from ..orchestrator.views import last_days
from ..rails.ledger import day_of
from ..service.access import Principal
from ..service.asking import ServiceOf, needs
from ..service.service import Service
from ..state.rows import DayRow, RunFilter, RunRow, StoredEvent
from .overview import gauge
from .pages import show

router = APIRouter()

DAYS = (7, 30, 90)
MOST = 1000
"""Runs whose journals are read for one page."""
BATCH = 50
DEAREST = 10


@dataclass
class Sum:
    """In nano-dollars and tokens; `held` is of asks whose usage was never reported, or is still to come."""

    asks: int = 0
    nanousd: int = 0
    held: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    held_tokens: int = 0


@dataclass
class _Ask:
    model: str
    step: str
    nanousd: int
    tokens: int
    answer: e.AskAnswered | None = None
    is_free: bool = False


@router.get("/cost")
async def cost(
    request: Request,
    service: ServiceOf,
    principal: Annotated[Principal, needs("runs:read")],
    days: int = 7,
) -> Response:
    days = days if days in DAYS else DAYS[0]
    store, now, name = service.store, service.clock.now(), service.workflow.name
    rows = last_days(await store.days(), now, days, workflow=name, budget=service.workflow.budget)
    since = now - micros(days * 86_400)
    runs = await store.runs(RunFilter(workflow=name, since=since, limit=MOST))
    asks = await _asks(service, runs)
    return await show(
        request,
        "cost.html",
        principal,
        days=days,
        spans=DAYS,
        rows=[_day(row, day_of(now)) for row in reversed(rows)],
        most=max((row.nanousd for row in rows), default=0) / NANO,
        by_model=_sums(asks, lambda one: one.model),
        by_step=_sums(asks, lambda one: one.step),
        read=len(runs),
        is_all=len(runs) < MOST,
        dearest=sorted(runs, key=_usd_of, reverse=True)[:DEAREST],
    )


def _day(row: DayRow, today: str) -> dict[str, Any]:
    cap = None if row.cap_nanousd is None else row.cap_nanousd / NANO
    return {
        "day": row.day,
        "is_today": row.day == today,
        "usd": gauge(row.settled_nanousd / NANO, row.nanousd / NANO, cap),
        "tokens": gauge(row.settled_tokens, row.tokens, row.cap_tokens),
    }


def _usd_of(row: RunRow) -> float:
    return float((row.summary.get("usage") or {}).get("usd", 0))


async def _asks(service: Service, runs: list[RunRow]) -> list[_Ask]:
    """The loop does other things between two batches."""
    found: list[_Ask] = []
    names = [row.id for row in runs if not row.pruned]
    for begin in range(0, len(names), BATCH):
        journals = await service.store.journals(names[begin : begin + BATCH])
        for stored in journals.values():
            found += asks_in(stored)
        await asyncio.sleep(0)
    return found


def asks_in(stored: Iterable[StoredEvent]) -> list[_Ask]:
    asks: dict[str, _Ask] = {}
    for one in stored:
        if not one.kind.startswith("ask."):
            continue
        match decode(one.kind, one.version, one.view):
            case e.AskReserved() as event:
                tokens = event.tokens_in + event.tokens_out
                asks[event.ask] = _Ask(event.model, event.step, event.nanousd, tokens)
            case e.AskAnswered(held=False) as event if event.ask in asks:
                asks[event.ask].answer = event
            case e.AskFailed(charged=False, ask=ask) if ask in asks:
                asks[ask].is_free = True
            case _:
                pass
    return list(asks.values())


def _sums(asks: Iterable[_Ask], name_of: Any) -> list[tuple[str, Sum]]:
    """Dearest first."""
    found: dict[str, Sum] = defaultdict(Sum)
    for one in asks:
        total = found[name_of(one)]
        total.asks += 1
        if one.answer is not None:
            total.nanousd += one.answer.nanousd
            total.tokens_in += one.answer.tokens_in
            total.tokens_out += one.answer.tokens_out
        elif not one.is_free:
            total.held += one.nanousd
            total.held_tokens += one.tokens
    return sorted(found.items(), key=lambda pair: (-pair[1].nanousd - pair[1].held, pair[0]))
