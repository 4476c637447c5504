"""The list of runs: filters and the place in the list stand in the address, so a link shows what you see."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ..core.clock import micros
from ..service.access import Principal
from ..service.asking import ServiceOf, needs
from ..service.service import Service
from ..state.rows import RunFilter, RunRow, Status
from .live import live_store
from .pages import go_to, query, show

router = APIRouter()

STATUSES: tuple[Status, ...] = get_args(Status)
SINCE = {"1h": 3600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000}
PAGE = 50


@router.get("/runs")
async def runs(
    request: Request,
    service: ServiceOf,
    principal: Annotated[Principal, needs("runs:read")],
    status: Annotated[list[str] | None, Query()] = None,
    since: str = "",
    before: str = "",
    q: str = "",
    every: bool = False,
) -> Response:
    """`q` is a run's id or key; `every` shows also other workflows' runs of this store."""
    sought = q.strip()
    found = await find(service, sought) if sought else None
    if found is not None:
        return go_to(f"/runs/{quote(found.id, safe='')}")
    chosen: tuple[Status, ...] = tuple(one for one in STATUSES if one in (status or ()))
    live = live_store(service, "list")
    wanted = RunFilter(
        chosen,
        None if every else service.workflow.name,
        service.clock.now() - micros(SINCE[since]) if since in SINCE else None,
        before or None,
        PAGE + 1,
    )
    is_known = not before or await service.store.run(before) is not None
    rows = await service.store.runs(wanted) if is_known else []
    kept: dict[str, Any] = {"status": list(chosen), "since": since, "every": "1" if every else ""}
    more = query(**kept, before=rows[PAGE - 1].id) if len(rows) > PAGE else ""
    return await show(
        request,
        "runs.html",
        principal,
        live=live,
        rows=rows[:PAGE],
        statuses=STATUSES,
        chosen=chosen,
        since=since,
        spans=list(SINCE),
        every=every,
        before=before,
        older=more,
        newest=query(**kept) if before else "",
        q=q,
    )


async def find(service: Service, sought: str) -> RunRow | None:
    """A run by its id or its key."""
    found = await service.store.run(sought)
    return found or await service.store.find_key(service.workflow.name, sought)
