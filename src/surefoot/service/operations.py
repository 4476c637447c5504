"""What operators ask of the service: the intake, the money, the workers, the workflow, what was told to
whom."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from ..core.clock import iso
from ..errors import NoSuchPage
from ..orchestrator.intake import views
from ..orchestrator.report import step_json, tool_json
from ..orchestrator.views import change_json, day_json, intake_json, last_days
from ..rails.ledger import day_of
from ..state.deliveries import DeliveryRow, DeliveryStatus
from ..state.rows import WorkerRow
from .access import Principal
from .asking import ServiceOf, needs
from .bodies import body_of
from .pages import no_cursor, page, place_of
from .routes import answer, of_definition, router
from .schemas import Pause, Reason
from .service import Service

api = router("/v1", "operations")

Reader = Annotated[Principal, needs("runs:read")]
Admin = Annotated[Principal, needs("admin")]
CHANGES = 20


# ── the intake ───────────────────────────────────────────────────────────────────────────────────


@api.get("/intake")
async def get_intake(service: ServiceOf, principal: Reader) -> Response:
    """Whether new runs are taken up, and what was changed last."""
    name = service.workflow.name
    found = await views(service.store, service.clock.now(), name)
    changes = await service.store.intake_changes(name, CHANGES)
    return answer(
        {"intakes": [intake_json(one) for one in found], "changes": [change_json(one) for one in changes]}
    )


@api.post("/intake/pause")
async def pause_intake(
    how: Annotated[Pause, body_of(Pause, optional=True)], service: ServiceOf, principal: Admin
) -> Response:
    """Take up no new runs, on any worker, until somebody resumes. What was begun goes on."""
    change = await service.runtime.intake.pause(by=principal.person, reason=how.reason, refuse=how.refuse)
    return answer({**intake_json(await service.runtime.intake.view()), "changed": change is not None})


@api.post("/intake/resume")
async def resume_intake(
    why: Annotated[Reason, body_of(Reason, optional=True)], service: ServiceOf, principal: Admin
) -> Response:
    """Take up new runs again: takes a pause back, and closes the breaker."""
    change = await service.runtime.intake.resume(by=principal.person, reason=why.reason)
    return answer({**intake_json(await service.runtime.intake.view()), "changed": change is not None})


# ── money, workers, the workflow ─────────────────────────────────────────────────────────────────


@api.get("/budget")
async def get_budget(
    service: ServiceOf,
    principal: Reader,
    days: Annotated[int, Query(ge=1, le=3650, description="Today and before.")] = 7,
) -> Response:
    """What the last days have cost, against the daily caps. Days are UTC."""
    name, now = service.workflow.name, service.clock.now()
    rows = last_days(await service.store.days(), now, days, workflow=name, budget=service.workflow.budget)
    intakes = await views(service.store, now, name)
    return answer(
        {
            "today": day_of(now),
            "days": [day_json(row) for row in rows],
            "intakes": [intake_json(one) for one in intakes],
        }
    )


@api.get("/workers")
async def list_workers(service: ServiceOf, principal: Reader) -> Response:
    """The processes that drive runs."""
    now = service.clock.now()
    return answer({"data": [_worker(row, now) for row in await service.store.workers()]})


def _worker(row: WorkerRow, now: int) -> dict[str, Any]:
    return {
        "worker": row.id,
        "host": row.host,
        "pid": row.pid,
        "started": iso(row.started),
        "until": iso(row.until),
        "alive": row.until > now,
        "runs": row.runs,
    }


@api.get("/workflow")
async def get_workflow(service: ServiceOf, principal: Reader) -> Response:
    """What runs here: its input's schema with examples, its steps and its tools."""
    return of_definition(service, workflow_json(service))


def workflow_json(service: Service) -> dict[str, Any]:
    workflow, plan = service.workflow, service.workflow.plan
    tools = []
    for tool in workflow.tools.values():
        said = tool_json(tool, service.runtime.deployment.grants, workflow.rules)
        schemas = {"input_schema": tool.input_schema, "output_schema": tool.output.json_schema}
        tools.append({**said, "description": tool.description, **schemas})
    return {
        "name": workflow.name,
        "version": workflow.version,
        "description": workflow.description,
        "fingerprint": service.runtime.deployment.fingerprint,
        "input_schema": plan.input.json_schema,
        "output_schema": plan.steps[plan.last].output.json_schema,
        "examples": plan.input.json_schema.get("examples", []),
        "steps": [
            {**step_json(one), "needs": list(one.needs), "output_schema": one.output.json_schema}
            for one in plan.steps.values()
        ],
        "tools": tools,
    }


# ── what was told to whom ────────────────────────────────────────────────────────────────────────


@api.get("/deliveries")
async def list_deliveries(
    request: Request,
    service: ServiceOf,
    principal: Admin,
    status: Annotated[DeliveryStatus | None, Query(description="Only these.")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """Webhooks and mails that were, or are to be, sent: newest first."""
    before = None if cursor is None else _number(place_of(cursor))
    rows = await service.store.deliveries(status=status, before=before, limit=limit + 1)
    shown = rows[:limit]
    return page(request, [_delivery(row) for row in shown], str(shown[-1].id) if len(rows) > limit else None)


def _number(place: str) -> int:
    """Raises BadRequest."""
    if not place.isdigit() or len(place) > 18:
        raise no_cursor()
    return int(place)


def _delivery(row: DeliveryRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "endpoint": row.endpoint,
        "type": row.type,
        "run": row.run,
        "item": row.item,
        "at": iso(row.at),
        "status": row.status,
        "attempts": row.attempts,
        "due": iso(row.due),
        "answer": row.answer,
    }


@api.post("/deliveries/{delivery}/replay", status_code=202)
async def replay_delivery(
    delivery: Annotated[int, Path(ge=1, le=2**62)], service: ServiceOf, principal: Admin
) -> Response:
    """Send it again, now. What still waits is sent in any case."""
    again = await service.store.replay_delivery(delivery)
    if not again:
        found = await service.store.deliveries(before=delivery + 1, limit=1)
        if not found or found[0].id != delivery:
            raise NoSuchPage(f"there is no delivery {delivery}", why="none has this number")
    return answer({"id": delivery, "status": "waiting"}, 202)
