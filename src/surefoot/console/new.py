"""Starting a run: a form made of the input's JSON Schema, filled with one of its examples; or JSON."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import Draining, InvalidInput, KeyConflict
from ..orchestrator.runtime import Started
from ..service.access import Principal
from ..service.asking import ServiceOf, needs
from ..service.service import Service
from .forms import Form, form_of, typed
from .pages import fields_of, go_to, show
from .problem import view_of
from .words import ONCE, line

router = APIRouter()

Writer = Annotated[Principal, needs("runs:write")]


@router.get("/new")
async def new(
    request: Request, service: ServiceOf, principal: Writer, example: int = 0, how: str = "form"
) -> Response:
    """`example` counts from 0; `how` json shows one field for all of it."""
    principal.must("runs:read")
    schema, examples = _schema(service), examples_of(service)
    chosen = examples[example] if 0 <= example < len(examples) else None
    form = (
        form_of(schema, chosen, whole=how == "json")
        if chosen is not None
        else form_of(schema, whole=how == "json")
    )
    return await _show(request, service, principal, form, example=example)


async def _show(
    request: Request,
    service: Service,
    principal: Principal,
    form: Form,
    *,
    status: int = 200,
    key: str = "",
    example: int = 0,
    error: dict[str, Any] | None = None,
) -> Response:
    intake = await service.runtime.intake.view()
    return await show(
        request,
        "new.html",
        principal,
        status=status,
        form=form,
        key=key,
        once=f"{ONCE}{secrets.token_hex(8)}",
        examples=[_title(one, n) for n, one in enumerate(examples_of(service))],
        example=example,
        error=error,
        is_open=intake.is_open,
        description=service.workflow.description,
    )


def _schema(service: Service) -> dict[str, Any]:
    return service.workflow.plan.input.json_schema


def examples_of(service: Service) -> list[Any]:
    """Of the schema itself, or of what it refers to."""
    found = _schema(service).get("examples")
    return found if isinstance(found, list) else []


def _title(example: Any, number: int) -> str:
    """What tells it from the others: its subject or name, where it has one."""
    if isinstance(example, Mapping):
        for key in ("title", "subject", "name", "id", "item"):
            if isinstance(example.get(key), str) and example[key].strip():
                return line(example[key], 40)
    text = example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)
    return line(text, 40) or f"example {number + 1}"


@router.post("/new")
async def start(request: Request, service: ServiceOf, principal: Writer) -> Response:
    """A form that is sent twice starts one run: without a key it brings one that was made for it."""
    if service.draining:
        raise Draining("the service is being stopped", why="it takes no new runs")
    fields = await fields_of(request)
    is_whole = "field.json" in fields and "json" not in _schema(service).get("properties", {})
    read = typed(form_of(_schema(service), whole=is_whole), fields)
    key = fields.get("key", "").strip()
    if read.form.is_wrong:
        return await _show(request, service, principal, read.form, status=422, key=key)
    if await service.room.is_full():
        raise service.room.refusal()
    once = fields.get("once") or None
    try:
        try:
            started = await _start(service, principal, read.value, key or once)
        except KeyConflict:
            if key:
                raise
            # The same form, sent again with something else in it, is meant as another run.
            started = await _start(service, principal, read.value, None)
    except InvalidInput as error:
        lines = error.data.get("errors")
        form = read.form.with_errors(lines if isinstance(lines, list) else [error.why or error.what])
        return await _show(request, service, principal, form, status=422, key=key)
    except KeyConflict as error:
        return await _show(request, service, principal, read.form, status=409, key=key, error=view_of(error))
    return go_to(f"/runs/{quote(started.id, safe='')}")


async def _start(service: Service, principal: Principal, value: Any, key: str | None) -> Started:
    with service.room.one_more():
        return await service.runtime.start(value, key=key, starter=principal.token)
