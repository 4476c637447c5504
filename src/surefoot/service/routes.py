"""Routes of the API: what each of them has besides FastAPI's own.

The access log learns the route's template, and a parameter that no route knows is an error rather than a
filter that does not filter.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from ..errors import BadRequest
from .guard import ROUTE
from .problems import encoded


class Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = {field.alias for field in self.dependant.query_params}

        async def checked(request: Request) -> Response:
            request.scope[ROUTE] = self.path
            if query := request.scope["query_string"]:
                _must_know(query, known)
            return await handle(request)

        return checked


def router(prefix: str, tag: str) -> APIRouter:
    return APIRouter(prefix=prefix, tags=[tag], route_class=Route)


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed(request: Request) -> str:
    """The methods that somebody answers at this address."""
    routes = request.app.router.routes
    found = [one for one in METHODS if any(_takes(route, request.scope, one) for route in routes)]
    return ", ".join([*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"])


def _takes(route: BaseRoute, scope: Scope, method: str) -> bool:
    return route.matches({**scope, "method": method})[0] is Match.FULL


def _must_know(query: bytes, known: set[str]) -> None:
    """Raises BadRequest."""
    names = [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)]
    unknown = sorted(set(names) - known)
    if unknown:
        raise BadRequest(
            f"there is no parameter {unknown[0][:100]!r} here",
            why=f"there are {', '.join(sorted(known))}" if known else "this takes none",
        )


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(body), status, headers, "application/json")
