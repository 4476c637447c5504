"""From a request to who asks: the one place that decides who may do what, for the API and the console.

A request names itself by a bearer token, by the console's session, or (while no token was ever made, and from
the loopback address) not at all. What a browser sends by itself may be another site's doing, so whoever is
`ambient` must come from our own pages to change anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from ..errors import CrossSite, NotAuthenticated
from .access import Principal
from .service import Service

COOKIE = "surefoot"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip")


def service_of(request: HTTPConnection) -> Service:
    service: Service = request.app.state.service
    return service


async def principal_of(request: HTTPConnection) -> Principal:
    """Raises NotAuthenticated, CrossSite."""
    service = service_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer":
            raise NotAuthenticated("the request brings no token", why=f"{kind} is no way to log in here")
        return await service.access.of_token(token.strip())
    cookie = request.cookies.get(COOKIE)
    if cookie:
        found = await service.access.of_session(cookie)
    else:
        local = await service.access.local() if _is_here(request) else None
        if local is None:
            raise NotAuthenticated("the request brings no token", why="and this needs one")
        found = local
    if request.scope.get("method", "GET") not in SAFE:
        must_be_ours(request)
    return found


def must_be_ours(request: HTTPConnection) -> None:
    """Not sent by a browser for another site. Raises CrossSite."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        raise CrossSite("the request comes from another site", why=f"the browser calls it {site}")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise CrossSite("the request comes from another site", why="its Origin is not this host")


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
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.lower()


def needs(scope: str) -> Any:
    """A dependency: the principal, who has this scope. Raises NotAuthenticated, CrossSite, ScopeMissing."""

    async def principal(request: Request) -> Principal:
        found = await principal_of(request)
        found.must(scope)
        return found

    return Depends(principal)


Ask = Callable[[Request], Awaitable[Principal]]
ServiceOf = Annotated[Service, Depends(service_of)]
