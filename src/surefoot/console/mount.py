"""Adding the pages to the application: routes, static files, and errors that a browser shows as a page.

The API's errors stay what they are. A request that asks for a page (it accepts HTML, and is not under
/v1) gets its error as a page, with what to do; one that nobody is logged in for is sent to the login.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import BadRequest, NoSuchPage, NotAuthenticated, SurefootError, Unexpected
from ..service.access import Principal
from ..service.asking import SAFE, principal_of
from ..service.problems import status_of
from ..service.service import Service
from ..settings import Settings
from . import cost, evals, inbox, live, login, new, overview, run, runs, static
from . import settings as settings_page
from .login import forget
from .pages import go_to, here, own_path, show
from .problem import view_of
from .setup import Setup

Handler = Callable[[Request, Any], Response | Awaitable[Response]]


def mount(app: FastAPI, service: Service, settings: Settings | None = None) -> None:
    """`app` is what `service.app.build` made of this very service; `settings` are those of the deployment."""
    app.state.console = Setup(settings)
    for part in (static, live, login, overview, runs, new, run, inbox, cost, evals, settings_page):
        app.include_router(part.router, include_in_schema=False)
    for kind in (SurefootError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _for_people(app.exception_handlers[kind]))


def _for_people(answer: Handler) -> Handler:
    async def handle(request: Request, error: Any) -> Response:
        answered = answer(request, error)  # it also logs what nobody thought of
        response = answered if isinstance(answered, Response) else await answered
        if not _asks_for_page(request):
            return response
        if isinstance(error, NotAuthenticated):
            wanted = here(request) if request.method in SAFE else _came_from(request)
            return forget(request, go_to(f"/login?next={quote(wanted, safe='/')}"))
        page = await error_page(request, _ours(request, error), response.status_code)
        if "retry-after" in response.headers:
            page.headers["Retry-After"] = response.headers["retry-after"]
        return page

    return handle


def _came_from(request: Request) -> str:
    """The page that a form stood on: a session may end while somebody types."""
    parts = urlsplit(request.headers.get("referer", ""))
    return own_path(parts.path) if parts.netloc == request.headers.get("host") else "/"


def _asks_for_page(request: Request) -> bool:
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/v1/", "/live/"))


def _ours(request: Request, error: Any) -> SurefootError:
    match error:
        case SurefootError():
            return error
        case HTTPException(status_code=404 | 405):
            what = f"there is no page {request.url.path}"
            return NoSuchPage(what, why="the address may be misspelt", remedy="Begin at the overview.")
        case HTTPException():
            return BadRequest("the request cannot be read", why=str(error.detail))
        case RequestValidationError():
            lines = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
            return BadRequest("the request does not fit", why="; ".join(lines))
        case _:
            return Unexpected("this page met something that nobody thought of", why=type(error).__name__)


async def error_page(request: Request, error: SurefootError, status: int | None = None) -> Response:
    principal: Principal | None
    try:
        principal = await principal_of(request)
    except SurefootError:
        principal = None
    return await show(
        request, "error.html", principal, status=status or status_of(error), error=view_of(error)
    )
