"""The application: routes, what every request passes, and how every error is answered."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import BadRequest, NoSuchPage, SurefootError, Unexpected
from . import document, health, inbox, operations, runs, stream
from .access import Principal
from .asking import needs
from .guard import REQUEST_ID, Guard
from .problems import problem
from .routes import allowed, of_definition, router
from .service import Service

log = logging.getLogger("surefoot.service")


def build(service: Service) -> FastAPI:
    app = FastAPI(
        title=f"{service.workflow.name}: a Surefoot workflow",
        version=service.workflow.version,
        openapi_url=None,  # ours needs a token, for it tells of the workflow
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        # Spans are made of the journal's views (surefoot.orchestrator.spans), numbers by metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    # Not with include_router: found one by one, in one list, a request is routed in a third of the time.
    for part in (runs.api, stream.api, inbox.api, operations.api, health.api, _document(app, service)):
        app.router.routes.extend(part.routes)
    app.add_exception_handler(SurefootError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    app.add_middleware(Guard, service=service)
    return app


def _document(app: FastAPI, service: Service) -> Any:
    api = router("", "operations")
    made: list[dict[str, Any]] = []

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi(principal: Annotated[Principal, needs(None)]) -> Response:
        """The document of this API."""
        if not made:
            made.append(document.make(app, service))
        return of_definition(service, made[0])

    return api


async def _ours(request: Request, error: Any) -> Response:
    return problem(error, _id(request))


async def _invalid(request: Request, error: Any) -> Response:
    """Where it is wrong and how, and never what was sent."""
    lines = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return problem(BadRequest("the request does not fit", why="; ".join(lines), errors=lines), _id(request))


async def _http(request: Request, error: Any) -> Response:
    """What FastAPI and Starlette refuse by themselves."""
    if error.status_code == 405:
        allow = {"Allow": allowed(request)}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        what = f"{request.url.path} does not answer {request.method}"
        found = NoSuchPage(what, why=f"it answers {allow['Allow']}", status=405)
        return problem(found, _id(request), headers=allow)
    if error.status_code == 404:
        what = f"there is nothing at {request.method} {request.url.path}"
        return problem(NoSuchPage(what, why="no route answers it"), _id(request))
    refused = BadRequest("the request cannot be read", why=str(error.detail), status=error.status_code)
    return problem(refused, _id(request))


async def _unexpected(request: Request, error: Any) -> Response:
    request_id = _id(request)
    log.error("%s %s broke (request %s)", request.method, request.url.path, request_id, exc_info=error)
    found = Unexpected("the service met something that nobody thought of", why=type(error).__name__)
    return problem(found, request_id)


def _id(request: Request) -> str:
    found: str = request.scope.get(REQUEST_ID, "")
    return found
