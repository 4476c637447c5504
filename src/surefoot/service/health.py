"""Whether the process lives, and whether it can do its work. Anybody may ask: machines do, and neither answer
tells of a run."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from ..errors import Draining
from .asking import ServiceOf
from .routes import Route, answer

api = APIRouter(tags=["health"], route_class=Route)


@api.get("/healthz")
async def is_alive() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


@api.get("/readyz")
async def is_ready(service: ServiceOf) -> Response:
    """It can take work: the store can be read and written, its schema fits, and the service is not being
    stopped. If not, the answer says which."""
    if service.draining:
        raise Draining("the service is being stopped", why="it takes no new runs")
    error = await service.probe.look()
    if error is not None:
        raise error
    return answer({"status": "ok"})
