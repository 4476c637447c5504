"""The API's document (OpenAPI), completed: what FastAPI cannot know of our routes.

Each route is in it with the scope that it needs, its body, its answers with their shape, and the problems
that it may be answered with; and `POST /v1/runs` has the input's schema of this very workflow, with its
examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import answers as a
from .asking import COOKIE, Needs
from .bodies import BodyOf
from .problems import BUSY, MEDIA
from .service import Service

REF = "#/components/schemas/{model}"

ANSWERS: Mapping[str, Mapping[int, type[BaseModel]]] = {
    "start_run": {200: a.RunView, 202: a.RunLine},
    "list_runs": {200: a.RunPage},
    "get_run": {200: a.RunView},
    "list_events": {200: a.EventPage},
    "cancel_run": {202: a.RunLine},
    "retry_run": {202: a.RunLine},
    "fork_run": {202: a.ForkedRun},
    "reveal_run": {200: a.ExactRun},
    "forget_run": {200: a.ForgottenRun},
    "list_items": {200: a.ItemPage},
    "get_item": {200: a.Item},
    "decide_item": {200: a.Item},
    "reveal_item": {200: a.ExactItem},
    "get_intake": {200: a.Intakes},
    "pause_intake": {200: a.ChangedIntake},
    "resume_intake": {200: a.ChangedIntake},
    "get_budget": {200: a.Days},
    "list_workers": {200: a.Workers},
    "get_workflow": {200: a.WorkflowView},
    "list_deliveries": {200: a.DeliveryPage},
    "replay_delivery": {202: a.Replayed},
    "is_alive": {200: a.Health},
    "is_ready": {200: a.Health},
}
"""By the name of a route's function."""

PROBLEMS = {
    400: "It cannot be read.",
    401: "It brings no token that holds.",
    403: "It may not.",
    404: "There is nothing of this name.",
    409: "It does not go with how things stand.",
    410: "It was forgotten, for good.",
    413: "Its body is too large.",
    415: "Its body is not sent as JSON.",
    422: "It does not fit.",
    429: "Too much at once: see Retry-After.",
    431: "Its headers are too large.",
    500: "Something that nobody thought of.",
    503: "Not now: see Retry-After.",
}
ALWAYS = (400, 403, 431, 500, 503)
"""400 and 403: the host's name is checked of every request, whoever asks."""
STARTS = frozenset({"start_run", "fork_run"})
FORGOTTEN = frozenset({"reveal_run", "reveal_item", "fork_run", "decide_item"})
FINDS = frozenset({"list_items"})
"""Those that look for something that is not named in the path."""
CONFLICTS = frozenset({"retry_run", "forget_run", "fork_run", "decide_item", "reveal_item"})


def make(app: FastAPI, service: Service) -> dict[str, Any]:
    routes = [route for route in app.router.routes if isinstance(route, APIRoute) and route.include_in_schema]
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=service.workflow.description or None,
        description="Every error is a problem (RFC 9457) with a stable `code` and a `remedy`. Lists end with "
        "`next`, the cursor of the next page, which is in the `Link` header too.",
        routes=routes,
    )
    components = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    models = {model for answers in ANSWERS.values() for model in answers.values()} | {a.Problem}
    models |= {body.model for route in routes if (body := _body_of(route)) is not None}
    _, found = models_json_schema(
        [(model, "validation") for model in sorted(models, key=_name)], ref_template=REF
    )
    components.update(found.get("$defs", {}))
    for name, example in a.EXAMPLES.items():
        components[name]["examples"] = [example]
    _put_input(components, service)
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "Made by `surefoot tokens create`."},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The console's."},
    }
    for route in routes:
        for method in route.methods or ():
            _complete(document["paths"][route.path][method.lower()], route)
    return document


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _body_of(route: APIRoute) -> BodyOf | None:
    calls = [one.call for one in route.dependant.dependencies]
    return next((call for call in calls if isinstance(call, BodyOf)), None)


def scope_of(route: APIRoute) -> Needs | None:
    """What it asks of a principal; None: anybody may ask."""
    calls = [one.call for one in route.dependant.dependencies]
    return next((call for call in calls if isinstance(call, Needs)), None)


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    needs, body = scope_of(route), _body_of(route)
    problems = set(ALWAYS)
    if needs is not None:
        scopes = [] if needs.scope is None else [needs.scope]
        operation["security"] = [{"token": scopes}, {"session": scopes}]
        if needs.scope is not None:
            operation["x-scope"] = needs.scope
        problems |= {401, 429}
    if "{" in route.path or route.name in FINDS:
        problems |= {404}
    if operation.get("parameters") or body is not None:
        problems |= {422}
    if body is not None:
        operation["requestBody"] = {
            "required": not body.optional,
            "content": {"application/json": {"schema": _ref(body.model)}},
        }
        problems |= {413, 415}
    if route.name in CONFLICTS:
        problems |= {409}
    if route.name in FORGOTTEN:
        problems |= {410}
    operation["operationId"] = route.name
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _never_null(parameter["schema"])
    answers = operation["responses"]
    answers.pop("422", None)
    for status, model in ANSWERS.get(route.name, {}).items():
        described = answers.setdefault(str(status), {"description": "As asked."})
        described["content"] = {"application/json": {"schema": _ref(model)}}
    if route.name == "list_events":
        answers["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    for status in sorted(problems):
        answers[str(status)] = {
            "description": PROBLEMS[status],
            "content": {MEDIA: {"schema": _ref(a.Problem)}},
        }
    for status, described in answers.items():
        if headers := _headers(route, int(status)):
            described["headers"] = headers


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not there has no value: nothing in an address says null."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **kinds[0]}


def _headers(route: APIRoute, status: int) -> dict[str, Any]:
    """Those that a client should look for."""
    found = {}
    if status in BUSY:
        found["Retry-After"] = ("Seconds until it is worth trying again.", "integer")
    if status == 401:
        found["WWW-Authenticate"] = ("Bearer.", "string")
    if status < 300 and route.name in STARTS:
        found["Location"] = ("Where the run is.", "string")
    if status < 300 and any(one.alias == "Prefer" for one in route.dependant.header_params):
        found["Preference-Applied"] = ("`wait=N`, with the seconds that were allowed.", "string")
    if status < 300 and any(one.alias == "limit" for one in route.dependant.query_params):
        found["Link"] = ("The next page, with rel=next.", "string")
    return {name: {"description": said, "schema": {"type": kind}} for name, (said, kind) in found.items()}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _put_input(components: dict[str, Any], service: Service) -> None:
    """The workflow's input, its definitions under names of their own: they may be called as ours are."""
    schema = dict(service.workflow.plan.input.json_schema)
    definitions = schema.pop("$defs", {})
    rename = {f"#/$defs/{name}": REF.format(model=f"Input.{name}") for name in definitions}
    for name, one in definitions.items():
        components[f"Input.{name}"] = _renamed(one, rename)
    components["Input"] = _renamed(schema, rename)
    new = components["NewRun"]
    new["properties"]["input"] = {"$ref": REF.format(model="Input")}
    if examples := schema.get("examples"):
        new["examples"] = [{"input": example} for example in examples]


def _renamed(schema: Any, rename: Mapping[str, str]) -> Any:
    match schema:
        case dict():
            return {
                key: rename.get(value, value)
                if key == "$ref" and isinstance(value, str)
                else {name: rename.get(at, at) for name, at in value.items()}
                if key == "mapping" and isinstance(value, dict)
                else _renamed(value, rename)
                for key, value in schema.items()
            }
        case list():
            return [_renamed(one, rename) for one in schema]
        case _:
            return schema
