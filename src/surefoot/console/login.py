"""Logging in with a token, logging out, and the choice of light or dark.

While no token was ever made, whoever sits at this machine is the local person and needs no login.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import NotAuthenticated, SurefootError, TooManyLogins
from ..service import asking
from ..service.access import Principal
from ..service.asking import COOKIE, must_be_ours, principal_of, service_of
from ..service.problems import status_of
from .pages import THEME_COOKIE, THEMES, fields_of, go_to, own_path, show
from .problem import view_of
from .setup import setup_of

router = APIRouter()
YEAR = 31_536_000


@router.get("/login")
async def login(request: Request, next: str = "/") -> Response:
    service, wanted = service_of(request), own_path(next)
    known = await _known(request)
    if known is not None:
        return go_to(wanted)
    has_tokens = bool(await service.store.tokens())
    return await show(request, "login.html", None, next=wanted, has_tokens=has_tokens, error=None)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Raises CrossSite, BadRequest."""
    must_be_ours(request)
    service, fields = service_of(request), await fields_of(request)
    wanted = own_path(fields.get("next"))
    try:
        cookie, _ = await asking.log_in(request, fields.get("token", "").strip())
    except (NotAuthenticated, TooManyLogins) as error:
        return await show(
            request,
            "login.html",
            None,
            status=status_of(error),
            next=wanted,
            has_tokens=bool(await service.store.tokens()),
            error=view_of(error),
        )
    response = go_to(wanted)
    # Lax and not strict: a link in a mail or a chat leads to the item, and not to the login.
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax", secure=_is_https(request), path="/")
    return response


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """Raises CrossSite."""
    must_be_ours(request)
    cookie = request.cookies.get(COOKIE)
    if cookie:
        await service_of(request).access.log_out(cookie)
    return forget(request, go_to("/login"))


@router.post("/theme")
async def theme(request: Request) -> Response:
    """Kept in the browser alone. Raises CrossSite, BadRequest."""
    must_be_ours(request)
    fields = await fields_of(request)
    chosen = fields.get("theme", "auto")
    response = go_to(own_path(fields.get("next")))
    if chosen in THEMES:
        response.set_cookie(
            THEME_COOKIE, chosen, max_age=YEAR, samesite="lax", secure=_is_https(request), httponly=True
        )
    return response


async def _known(request: Request) -> Principal | None:
    try:
        return await principal_of(request)
    except SurefootError:
        return None


def forget(request: Request, response: Response) -> Response:
    """With it the browser drops a cookie that no longer holds: each time it were sent would count as a failed
    login."""
    if COOKIE in request.cookies:
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


def _is_https(request: Request) -> bool:
    """To the browser: a proxy that speaks TLS passes requests on without it."""
    settings = setup_of(request).settings
    public = None if settings is None else settings.url
    return request.url.scheme == "https" or (public or "").startswith("https:")
