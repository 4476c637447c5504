"""The inbox over HTTP: what waits for a person, and the decision, which is that of whoever asks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from ..core.clock import iso
from ..errors import ItemNotFound
from ..orchestrator import revealing
from ..orchestrator.rows import row_of
from ..orchestrator.views import item_row_json
from ..rails import policy
from ..state.rows import ItemRow, ItemStatus
from .access import Principal
from .asking import ServiceOf, needs
from .bodies import body_of
from .pages import no_cursor, page, place_of
from .routes import answer, router
from .schemas import Decide, Reason
from .service import Service

api = router("/v1/inbox", "inbox")

Reader = Annotated[Principal, needs("runs:read")]
ItemId = Annotated[str, Path(description="The item's id.")]


@api.get("")
async def list_items(
    request: Request,
    service: ServiceOf,
    principal: Reader,
    status: Annotated[
        Literal["open", "all"], Query(description="All: also what was decided, has expired or was closed.")
    ] = "open",
    run: Annotated[str | None, Query(description="Only items of this run.")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """Approvals and reviews, longest waiting first."""
    if run is not None:
        await row_of(service.store, run)
    after = None if cursor is None else place_of(cursor)
    if after is not None and await service.store.item(after) is None:
        raise no_cursor()
    only: ItemStatus | None = "open" if status == "open" else None
    rows = await service.store.items(status=only, run=run, after=after, limit=limit + 1)
    shown = rows[:limit]
    return page(request, [line_of(row) for row in shown], shown[-1].id if len(rows) > limit else None)


def line_of(row: ItemRow) -> dict[str, Any]:
    return {"id": row.id, **item_row_json(row)}


async def item_of(service: Service, item: str) -> ItemRow:
    """Raises ItemNotFound."""
    row = await service.store.item(item)
    if row is None:
        raise ItemNotFound(
            f"there is no item {item!r} in the inbox",
            why="the id is misspelt, or its run's journal was deleted",
            remedy="See what waits: GET /v1/inbox, or the inbox of the console.",
        )
    return row


@api.get("/{item}")
async def get_item(item: ItemId, service: ServiceOf, principal: Reader) -> Response:
    """One item: what is asked, by which rule, until when, and what a decision may be."""
    return answer(line_of(await item_of(service, item)))


@api.post("/{item}/decision")
async def decide_item(
    item: ItemId,
    decision: Annotated[Decide, body_of(Decide)],
    service: ServiceOf,
    principal: Annotated[Principal, needs("inbox:decide")],
) -> Response:
    """Decide an item. The first decision wins; a late one is refused. The run goes on by itself."""
    return answer(line_of(await service.runtime.decide(item, decision.root.by(principal.person))))


@api.post("/{item}/reveal")
async def reveal_item(
    item: ItemId,
    why: Annotated[Reason, body_of(Reason, optional=True)],
    service: ServiceOf,
    principal: Annotated[Principal, needs(None)],
) -> Response:
    """An item's exact values, for whoever may decide it while it is open, or has the scope `runs:reveal`: who
    has seen them, and why, is in the run's journal first."""
    row = await item_of(service, item)
    may_decide = principal.may("inbox:decide") and policy.may_decide(
        row.queue, principal.person, service.people
    )
    if row.status != "open" or not may_decide:
        principal.must("runs:reveal")
    deployment = service.runtime.deployment
    revealed = await revealing.reveal_item(
        service.store,
        deployment.keyring,
        service.clock,
        item,
        by=principal.person,
        reason=why.reason,
        people=service.people,
        secrets=deployment.secrets,
    )
    found = revealed.item
    if found is None:
        raise ItemNotFound(f"there is no item {item!r} any more", why="its run's journal was deleted")
    return answer({"id": item, **found.to_json(), "expires": iso(found.expires)})
