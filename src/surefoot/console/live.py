"""Pages that stay true: a stream that says when what a page shows may have changed.

A stream tells no content, so it can neither lose nor repeat any. Its ids are how far the store had got (for a
run: the journal's sequence). A page is rendered with the id it stands for, and the stream begins there: what
happened between the two, or while a connection was lost (the browser sends the last id that it got), is told
at once. The page then fetches its own parts anew, by the road on which it came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from ..errors import SurefootError
from ..orchestrator.rows import row_of
from ..service.access import Principal
from ..service.asking import ServiceOf, needs, principal_of
from ..service.service import Service
from ..state.rows import RunRow
from .pages import HEADERS, Live

router = APIRouter(prefix="/live")


@router.get("/store")
async def store(
    request: Request, service: ServiceOf, principal: Annotated[Principal, needs("runs:read")], at: str = ""
) -> Response:
    """Any change of the store."""

    async def mark() -> str:
        return store_mark(service)

    return _stream(request, service, mark, at)


@router.get("/runs/{run}")
async def one_run(
    run: str,
    request: Request,
    service: ServiceOf,
    principal: Annotated[Principal, needs("runs:read")],
    at: str = "",
) -> Response:
    """New events of one run. Raises RunNotFound."""
    await row_of(service.store, run)

    async def mark() -> str:
        return run_mark(await row_of(service.store, run))

    return _stream(request, service, mark, at)


def live_store(service: Service, *parts: str) -> Live:
    return Live(f"/live/store?at={store_mark(service)}", parts)


def live_run(row: RunRow, *parts: str) -> Live:
    return Live(f"/live/runs/{row.id}?at={run_mark(row)}", parts)


def store_mark(service: Service) -> str:
    return "-".join(str(part) for part in service.store.version())


def run_mark(row: RunRow) -> str:
    """Also mail and the holder show on the page."""
    return f"{row.seq}-{row.mail}-{row.status}"


def _stream(request: Request, service: Service, mark: Callable[[], Awaitable[str]], at: str) -> Response:
    seen = request.headers.get("last-event-id") or at
    return StreamingResponse(
        _changes(request, service, mark, seen),
        200,
        {**HEADERS, "X-Accel-Buffering": "no"},
        "text/event-stream",
    )


async def _changes(
    request: Request, service: Service, mark: Callable[[], Awaitable[str]], seen: str
) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    while not service.feed.ended:
        count = service.feed.count
        try:
            now = await mark()
            await principal_of(request)  # a revoked token, and a session that has ended, hear nothing more
        except SurefootError:
            return
        if now != seen:
            seen = now
            yield f"id: {now}\nevent: change\ndata: {now}\n\n"
        if not await service.feed.change(count, service.limits.heartbeat) and not service.feed.ended:
            yield ": nothing new\n\n"
