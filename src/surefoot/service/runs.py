"""Runs over HTTP: start one, list them, look into one, stop it, take it up again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from ..core.jsons import dumps
from ..errors import Draining, QueueFull
from .access import Principal
from .asking import ServiceOf, needs

router = APIRouter(prefix="/v1/runs", tags=["runs"])


class NewRun(BaseModel):
    """What to run: `input` is of the workflow's input type."""

    model_config = ConfigDict(extra="forbid")
    input: Any


@router.post("", status_code=202)
async def start(
    new: NewRun,
    service: ServiceOf,
    principal: Annotated[Principal, needs("runs:write")],
    key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
) -> Response:
    if service.draining:
        raise Draining("the service is being stopped", why="it takes no new runs")
    if (await service.store.queue(service.workflow.name)).depth >= service.limits.queue:
        raise QueueFull("the queue is full", why=f"{service.limits.queue} runs wait")
    started = await service.runtime.start(new.input, key=key, starter=principal.token)
    return Response(
        dumps({"id": started.id, "status": "queued"}),
        202,
        {"Location": f"/v1/runs/{started.id}"},
        "application/json",
    )
