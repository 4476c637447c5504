"""From a request to who asks: the one place that decides who may do what, for the API and the console.

A request names itself by a bearer token, by the console's session, or (while no token was ever made, and from
the loopback address) not at all. What a browser sends by itself may be another site's doing, so whoever is
`ambient` must come from our own pages to change anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from ..errors import CrossSite, NotAuthenticated
from .access import Principal, name_of
from .service import Service

T = TypeVar("T")

COOKIE = "surefoot"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
PRINCIPAL = "surefoot.principal"
"""Where a request's scope keeps who asks, for the access log."""
_PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip")


def service_of(request: HTTPConnection) -> Service:
    service: Service = request.app.state.service
    return service


async def principal_of(request: HTTPConnection) -> Principal:
    """Raises NotAuthenticated, CrossSite, TooManyLogins."""
    found = await _principal_of(request)
    request.scope[PRINCIPAL] = found
    if found.ambient and request.scope.get("method", "GET") not in SAFE:
        must_be_ours(request)
    return found


async def _principal_of(request: HTTPConnection) -> Principal:
    service = service_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer":
            raise NotAuthenticated("the request brings no token", why=f"{kind} is no way to log in here")
        return await _tried(request, token.strip(), service.access.of_token)
    cookie = request.cookies.get(COOKIE)
    if cookie:
        return await _tried(request, cookie, service.access.of_session)
    local = await service.access.local() if _is_here(request) else None
    if local is None:
        raise NotAuthenticated("the request brings no token", why="and this needs one")
    return local


async def log_in(request: HTTPConnection, token: str) -> tuple[str, Principal]:
    """What the console's cookie holds from now on, and who that is.

    Raises NotAuthenticated, TooManyLogins.
    """
    return await _tried(request, token, service_of(request).access.log_in)


async def _tried(request: HTTPConnection, secret: str, attempt: Callable[[str], Awaitable[T]]) -> T:
    throttle, address = service_of(request).throttle, "" if request.client is None else request.client.host
    name = name_of(secret)
    throttle.must_be_open(address, name)
    try:
        found = await attempt(secret)
    except NotAuthenticated:
        throttle.failed(address, name)
        raise
    throttle.let_in(address, name)
    return found


def must_be_ours(request: HTTPConnection) -> None:
    """Not sent by a browser for another site. Raises CrossSite."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        raise CrossSite("the request comes from another site", why=f"the browser calls it {site}")
    if origin is not None and _place_of(origin) != request.headers.get("host", "").lower():
        raise CrossSite("the request comes from another site", why="its Origin is not this host")


def _place_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_here(request: HTTPConnection) -> bool:
    """From this machine, under a name of this machine, and not passed on by a proxy: a page of somebody
    else's that has its own name point here has the wrong one."""
    client = request.client
    if client is None or any(name in request.headers for name in _PROXIED):
        return False
    try:
        near = ip_address(client.host).is_loopback
    except ValueError:
        near = False
    return near and host_of(request) in LOOPBACK


def host_of(request: HTTPConnection) -> str:
    """The name in the Host header, without its port."""
    return host_name(request.headers.get("host", ""))


def host_name(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if port.isdigit() else host).lower()


class Needs:
    """A dependency: the principal, who has this scope (None: whoever may ask at all). Raises
    NotAuthenticated, CrossSite, TooManyLogins, ScopeMissing."""

    def __init__(self, scope: str | None) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Principal:
        found = await principal_of(request)
        if self.scope is not None:
            found.must(self.scope)
        return found


def needs(scope: str | None) -> Any:
    return Depends(Needs(scope))


async def _service(request: Request) -> Service:
    """Not `service_of` itself: what is not async is sent to a thread, which costs more than all else."""
    return service_of(request)


ServiceOf = Annotated[Service, Depends(_service)]
