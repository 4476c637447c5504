"""Runs over HTTP: start one, list them, look into one, stop it, take it up again.

What is shown of a run are its views. Exact output and items are for the token that started it, and for whom
they are revealed to, which its journal keeps.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from ..core import events as e
from ..core.clock import MICROS, iso
from ..core.fold import RunState
from ..core.jsons import loads
from ..errors import Draining
from ..orchestrator.results import waiting_for
from ..orchestrator.rows import row_of
from ..orchestrator.trace import run_json, trace_of
from ..orchestrator.views import exact_values, run_row_json
from ..state.rows import RunFilter, RunRow, Status
from .access import Principal
from .asking import ServiceOf, needs
from .bodies import body_of
from .pages import no_cursor, page, place_of
from .routes import answer, router
from .schemas import Fork, NewRun, Reason
from .service import Service
from .waiting import is_settled, until_settled, wanted

api = router("/v1/runs", "runs")

Reader = Annotated[Principal, needs("runs:read")]
Writer = Annotated[Principal, needs("runs:write")]
RunId = Annotated[str, Path(description="The run's id.", examples=["r0mz4k2p8c7tq1xw9d"])]
Prefer = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`wait=N`: answer when the run has ended or waits for a person, or N seconds later.",
    ),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Makes the run recognisable: the same key with the same input is the same run.",
    ),
]


def _written_out(text: Any) -> Any:
    """A bare number could be seconds, or milliseconds, or a year."""
    if not re.match(r"\d{4}-\d\d-\d\dT", str(text)):
        raise ValueError("it is no time such as 2026-11-30T08:00:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


# ── starting ─────────────────────────────────────────────────────────────────────────────────────


@api.post("", status_code=202)
async def start_run(
    request: Request,
    new: Annotated[NewRun, body_of(NewRun)],
    service: ServiceOf,
    principal: Writer,
    key: Key = None,
    prefer: Prefer = None,
) -> Response:
    """Start a run: it is on disk when this is answered.

    Without `Prefer: wait=N` the answer tells how it stands now. With it the answer comes when the run has
    ended or waits for a person (200), or after N seconds (202), with all that is known of it.
    """
    await _must_take(service, key)
    with service.room.one_more():
        started = await service.runtime.start(new.input, key=key, starter=principal.token)
    return await _told(request, service, principal, started.id, prefer)


async def _must_take(service: Service, key: str | None) -> None:
    """Raises Draining, QueueFull."""
    if service.draining:
        raise Draining("the service is being stopped", why="it takes no new runs")
    if await service.room.is_full():
        # Who asks again for a run that is there brings nothing new.
        known = None if key is None else await service.store.find_key(service.workflow.name, key)
        if known is None:
            raise service.room.refusal()


async def _told(
    request: Request, service: Service, principal: Principal, run: str, prefer: str | None
) -> Response:
    headers = {"Location": f"/v1/runs/{run}"}
    within = wanted(prefer, service.limits.wait)
    if within is None or not await _may_look(service, principal, run):
        return answer(line_of(await row_of(service.store, run)), 202, headers)
    row = await until_settled(service, request, run, within)
    headers["Preference-Applied"] = f"wait={within:g}"
    status = 200 if is_settled(row, service.clock.now()) else 202
    return answer(await document_of(service, row, principal), status, headers)


async def _may_look(service: Service, principal: Principal, run: str) -> bool:
    """Whoever may only start runs looks into their own: a key may lead to another's."""
    if principal.may("runs:read"):
        return True
    events = await service.store.events(run, 0, 1)
    state = RunState()
    for one in events:
        state.apply(e.Entry(one.seq, one.at, e.decode(one.kind, one.version, one.view)))
    return _has_started(principal, state.submitted)


@api.post("/{run}/fork", status_code=202)
async def fork_run(
    run: RunId, fork: Annotated[Fork, body_of(Fork)], service: ServiceOf, principal: Writer, key: Key = None
) -> Response:
    """A new run with the same input: what does not need the step `start_from` is taken over, the rest is done
    anew."""
    await _must_take(service, key)
    with service.room.one_more():
        started = await service.runtime.fork(run, start_from=fork.start_from, key=key)
    row = await row_of(service.store, started.id)
    return answer({**line_of(row), "forked_from": run}, 202, {"Location": f"/v1/runs/{started.id}"})


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


@api.get("")
async def list_runs(
    request: Request,
    service: ServiceOf,
    principal: Reader,
    status: Annotated[list[Status] | None, Query(description="Only these; may be given often.")] = None,
    workflow: Annotated[str | None, Query(description="Only runs of this workflow.")] = None,
    since: Annotated[
        Moment | None, Query(description="Only runs made since then, such as 2026-11-30T08:00:00Z.")
    ] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """Runs, newest first."""
    before = None if cursor is None else place_of(cursor)
    if before is not None and await service.store.run(before) is None:
        raise no_cursor()
    filter_ = RunFilter(tuple(status or ()), workflow, _micros(since), before, limit + 1)
    rows = await service.store.runs(filter_)
    shown = rows[:limit]
    return page(request, [line_of(row) for row in shown], shown[-1].id if len(rows) > limit else None)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * MICROS)


@api.get("/{run}")
async def get_run(
    request: Request, run: RunId, service: ServiceOf, principal: Reader, prefer: Prefer = None
) -> Response:
    """How a run stands, and what happened in it."""
    within = wanted(prefer, service.limits.wait)
    if within is None:
        return answer(await document_of(service, await row_of(service.store, run), principal))
    row = await until_settled(service, request, run, within)
    headers = {"Preference-Applied": f"wait={within:g}"}
    return answer(await document_of(service, row, principal), headers=headers)


def line_of(row: RunRow) -> dict[str, Any]:
    return {"id": row.id, **run_row_json(row)}


async def document_of(service: Service, row: RunRow, principal: Principal) -> dict[str, Any]:
    """All that may be shown of a run to this one. Raises KeyUnavailable."""
    trace = trace_of(await service.store.events(row.id))
    definition = await service.store.definition(row.fingerprint)
    known = loads(definition) if definition else {}
    document = {
        "id": row.id,
        **run_json(row, trace, known),
        "created": iso(row.created),
        "updated": iso(row.updated),
        "due": iso(row.due),
        "events": row.seq,
        "pruned": row.pruned,
        "forgotten": iso(row.forgotten),
        "exact": False,
    }
    has_exact = row.forgotten is None and row.data_key is not None
    if has_exact and _has_started(principal, trace.state.submitted):
        await _make_exact(service, row.id, document, known.get("last", ""))
    return document


def _has_started(principal: Principal, submitted: e.RunSubmitted | None) -> bool:
    """What nobody's token started (a command did) belongs to the local person. A fork belongs to nobody: what
    is in it is another's."""
    if submitted is None or submitted.forked_from is not None:
        return False
    return submitted.starter == principal.token


async def _make_exact(service: Service, run: str, document: dict[str, Any], last: str) -> None:
    state = RunState()
    for entry in await service.runtime.entries(run):
        state.apply(entry)
    if state.status == "succeeded" and last in state.steps:
        document["output"] = loads(state.steps[last].output)
    exact = {one.item: one for one in waiting_for(state)}
    for item in document["items"]:
        if (found := exact.get(item["item"])) is not None:
            item |= {"args": found.args, "reason": found.reason}
    document["exact"] = True


# ── saying something to one ──────────────────────────────────────────────────────────────────────


@api.post("/{run}/cancel", status_code=202)
async def cancel_run(
    run: RunId, why: Annotated[Reason, body_of(Reason, optional=True)], service: ServiceOf, principal: Writer
) -> Response:
    """Cancel a run: what is under way is let finish, nothing new is started."""
    await service.runtime.cancel(run, by=principal.person, reason=why.reason)
    return answer(line_of(await row_of(service.store, run)), 202)


@api.post("/{run}/retry", status_code=202)
async def retry_run(
    run: RunId, why: Annotated[Reason, body_of(Reason, optional=True)], service: ServiceOf, principal: Writer
) -> Response:
    """Take a failed or cancelled run up again: what has finished stays, failed steps get new attempts."""
    await service.runtime.retry(run, by=principal.person, reason=why.reason)
    return answer(line_of(await row_of(service.store, run)), 202)


@api.post("/{run}/reveal")
async def reveal_run(
    run: RunId,
    why: Annotated[Reason, body_of(Reason, optional=True)],
    service: ServiceOf,
    principal: Annotated[Principal, needs("runs:reveal")],
) -> Response:
    """A run's exact values: who has seen them, and why, is in its journal first."""
    revealed = await service.runtime.reveal(run, by=principal.person, reason=why.reason)
    return answer({"run": run, **exact_values(revealed)})


@api.post("/{run}/forget")
async def forget_run(
    run: RunId,
    why: Annotated[Reason, body_of(Reason, optional=True)],
    service: ServiceOf,
    principal: Annotated[Principal, needs("admin")],
) -> Response:
    """Delete the data key of an ended run: its exact values are gone for good, for everybody."""
    done = await service.runtime.forget(run, by=principal.person, reason=why.reason)
    return answer({"run": run, "forgotten": iso(done.at), "first": done.first, "proved": done.proved})
