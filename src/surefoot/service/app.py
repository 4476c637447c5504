"""The application: routes, what every request passes, and how every error is answered."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import BadRequest, NoSuchPage, SurefootError, Unexpected
from . import runs
from .problems import problem
from .service import Service

log = logging.getLogger("surefoot.service")


def build(service: Service) -> FastAPI:
    app = FastAPI(
        title=f"{service.workflow.name}: a Surefoot workflow",
        version=service.workflow.version,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        telemetry={"tracing": False},  # spans are made of the journal's views (surefoot.orchestrator.spans)
        max_body_size=service.limits.body,
    )
    app.state.service = service
    app.include_router(runs.router)
    app.add_exception_handler(SurefootError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    return app


async def _ours(request: Request, error: Any) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.code == "not_authenticated" else {}
    return problem(error, headers=headers)


async def _invalid(request: Request, error: Any) -> Response:
    """Where it is wrong and how, and never what was sent."""
    lines = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return problem(BadRequest("the request does not fit", why="; ".join(lines), errors=lines))


async def _http(request: Request, error: Any) -> Response:
    if error.status_code in (404, 405):
        what = f"there is nothing at {request.method} {request.url.path}"
        return problem(
            NoSuchPage(what, why="no route answers it"), status=error.status_code, headers=error.headers
        )
    return problem(BadRequest("the request cannot be read", why=str(error.detail)), status=error.status_code)


async def _unexpected(request: Request, error: Any) -> Response:
    log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    return problem(Unexpected("the service met something that nobody thought of", why=type(error).__name__))
