"""Routes of the API: FastAPI's in what is written and documented, ours in how a request is answered.

Most of what FastAPI spends on a request goes to resolving dependencies and parameters of any shape. Ours have
one: a dependency is an async callable of the request, and a parameter that is not in the path has a default.
So a route resolves them itself, who asks before all else; and a parameter that no route knows is an error
rather than a filter that does not filter.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from ..errors import BadRequest
from .asking import Needs
from .guard import ROUTE
from .problems import encoded, quoted
from .service import Service


class Route(APIRoute):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        answers = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            # No stacks of things to be closed: no dependency of ours leaves any open. Errors are answered by
            # the application's handlers, one layer up.
            response = await answers(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        parts = self.dependant
        ours = [(one.name or "", one.call) for one in parts.dependencies]
        assert not any(one.dependencies for one in parts.dependencies), "they are resolved one by one"
        assert not parts.body_params, "say body_of"
        guards = [(name, call) for name, call in ours if isinstance(call, Needs)]
        others: list[tuple[str, Any]] = [one for one in ours if one not in guards]
        known = {field.alias for field in parts.query_params}
        of_path = [Parameter(field, "path") for field in parts.path_params]
        of_query = [Parameter(field, "query") for field in parts.query_params]
        of_headers = [Parameter(field, "header") for field in parts.header_params]
        endpoint: Callable[..., Coroutine[Any, Any, Response]] = self.endpoint

        async def handle(request: Request) -> Response:
            scope = request.scope
            scope[ROUTE] = self.path
            values: dict[str, Any] = {name: await call(request) for name, call in guards}
            errors: list[Any] = []
            for one in of_path:
                one.read(request.path_params, values, errors)
            if query := scope["query_string"]:
                _must_know(query, known)
                for one in of_query:
                    one.read(request.query_params, values, errors)
            for one in of_headers:
                one.read(request.headers, values, errors)
            if errors:
                raise RequestValidationError(errors)
            for name, call in others:
                values[name] = await call(request)
            if parts.request_param_name is not None:
                values[parts.request_param_name] = request
            return await endpoint(**values)

        return handle


class Parameter:
    """One that a route's function names; where a request does not bring it, the function has a default."""

    def __init__(self, field: Any, where: str) -> None:
        assert where == "path" or not field.field_info.is_required(), "what may be missing has a default"
        self._field = field
        self._place = (where, field.alias)
        self._is_list = "list" in str(field.field_info.annotation)

    def read(self, given: Any, values: dict[str, Any], errors: list[Any]) -> None:
        alias = self._field.alias
        if alias not in given:
            return
        text = given.getlist(alias) if self._is_list else given[alias]
        value, wrong = self._field.validate(text, values, loc=self._place)
        if wrong:
            errors.extend(wrong)
        else:
            values[self._field.name] = value


def router(prefix: str, tag: str) -> APIRouter:
    return APIRouter(prefix=prefix, tags=[tag], route_class=Route)


def _must_know(query: bytes, known: set[str]) -> None:
    """Raises BadRequest."""
    names = [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)]
    unknown = sorted(set(names) - known)
    if unknown:
        raise BadRequest(
            f"there is no parameter {quoted(unknown[0])!r} here",
            why=f"there are {', '.join(sorted(known))}" if known else "this takes none",
        )


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(body), status, headers, "application/json")


def of_definition(service: Service, body: Any) -> Response:
    """What the workflow's author wrote: a description, or a default, may hold what the process was given."""
    text = service.runtime.deployment.secrets.scrub_json(encoded(body).decode(), [])
    return Response(text, media_type="application/json")


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed(request: Request) -> str:
    """The methods that somebody answers at this address."""
    routes = request.app.router.routes
    found = [one for one in METHODS if any(_takes(route, request.scope, one) for route in routes)]
    return ", ".join([*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"])


def _takes(route: BaseRoute, scope: Scope, method: str) -> bool:
    return route.matches({**scope, "method": method})[0] is Match.FULL
