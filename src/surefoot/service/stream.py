"""A run's events as they come: JSON pages, or Server-Sent Events with the sequence as their id.

A stream remembers nothing but where it is. It reads on from there when the store has changed, a page at a
time and only when the reader has taken the last one: so a slow reader costs no memory, and one that comes
back with `Last-Event-ID` misses nothing and hears nothing twice. It ends with an `end` event when the run has
ended, and without one when the service is stopped or the reader's token does not hold any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..core.jsons import dumps
from ..errors import RequestError
from ..orchestrator.rows import row_of
from ..orchestrator.views import event_json
from ..state.rows import ENDED, RunRow, StoredEvent
from .asking import ServiceOf, principal_of
from .guard import HEAD_ONLY
from .routes import router
from .runs import Reader, RunId
from .service import Service

api = router("/v1/runs", "runs")

MEDIA = "text/event-stream"
PAGE = 25
"""Events that are in memory at a time; each of them may be large."""
AGAIN = 2000
"""Milliseconds after which a browser asks again when a stream was cut."""
MOST = 2**31


@api.get("/{run}/events")
async def list_events(
    request: Request,
    run: RunId,
    service: ServiceOf,
    principal: Reader,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    after: Annotated[
        int | None, Query(ge=0, le=MOST, description="Only events after this sequence.", examples=[0])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Of a page; a stream has none.")] = 50,
    last: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, le=MOST, description="As `after`; it goes first.")
    ] = None,
) -> Response:
    """A run's journal: every event's redacted view, in order.

    With `Accept: text/event-stream` as they come, until the run has ended: `id` is the sequence, `event` the
    kind, and `data` the same JSON. The last one is `end`.
    """
    await row_of(service.store, run)
    place = after or 0 if last is None else last
    if MEDIA in accept:
        headers = {"X-Accel-Buffering": "no"}
        if HEAD_ONLY in request.scope:
            return Response(b"", 200, headers, MEDIA)
        return StreamingResponse(stream(service, request, run, place), 200, headers, MEDIA)
    events = await service.store.events(run, place, limit + 1)
    shown = events[:limit]
    following = shown[-1].seq if len(events) > limit else None
    body = f'{{"data":[{",".join(map(event_json, shown))}],"next":{dumps(following)}}}'
    link = (
        {}
        if following is None
        else {"Link": f'</v1/runs/{run}/events?after={following}&limit={limit}>; rel="next"'}
    )
    return Response(body.encode("utf-8", "backslashreplace"), 200, link, "application/json")


async def stream(service: Service, request: Request, run: str, after: int) -> AsyncIterator[bytes]:
    yield f"retry: {AGAIN}\n\n".encode()
    feed, heartbeat = service.feed, service.limits.heartbeat
    while True:
        seen = feed.count
        while events := await service.store.events(run, after, PAGE):
            if feed.ended or not await _still_may(request):
                return
            yield b"".join(map(as_sse, events))
            after = events[-1].seq
        row = await service.store.run(run)
        if row is None or has_told_all(row, after):
            status = None if row is None else row.status
            yield f"event: end\ndata: {dumps({'run': run, 'status': status})}\n\n".encode()
            return
        if not await feed.change(seen, heartbeat):
            if feed.ended:
                return
            yield b": still here\n\n"


def has_told_all(row: RunRow, after: int) -> bool:
    """A run that was pruned has no events left."""
    return row.status in ENDED and not row.mail and (row.pruned or after >= row.seq)


def as_sse(event: StoredEvent) -> bytes:
    """The id is what a reader that comes back names as its last one."""
    text = f"id: {event.seq}\nevent: {event.kind}\ndata: {event_json(event)}\n\n"
    return text.encode("utf-8", "backslashreplace")


async def _still_may(request: Request) -> bool:
    """A token may be revoked while its stream is open."""
    try:
        (await principal_of(request)).must("runs:read")
    except RequestError:
        return False
    return True
