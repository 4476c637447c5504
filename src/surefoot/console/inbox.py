"""The inbox: what waits for a person, longest first; and one item with all that a decision needs.

The first decision on an item wins. Whoever comes second is told who decided and how, and gets back what they
had typed. An edit is shown as a diff before it is sent, and passes every check of the call again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..core.jsons import loads
from ..core.rule import Approve, Decision, Deny, Edit, Settle
from ..core.tool import Tool
from ..errors import (
    BadRequest,
    InvalidArguments,
    InvalidInput,
    ItemClosed,
    NotAllowedToDecide,
    SurefootError,
    WrongDecision,
)
from ..orchestrator import revealing, saying
from ..orchestrator.revealing import Revealed
from ..service.access import Principal
from ..service.asking import ServiceOf, needs
from ..service.bodies import parsed
from ..service.inbox import item_of
from ..service.problems import status_of
from ..service.service import Service
from ..state.rows import ItemRow
from .choices import choices_of
from .forms import Form, Typed, changes, form_of, typed
from .live import live_store
from .pages import fields_of, go_to, is_for, show
from .problem import view_of

router = APIRouter()

MOST = 500
Reader = Annotated[Principal, needs("runs:read")]
Decider = Annotated[Principal, needs("inbox:decide")]


@router.get("/inbox")
async def inbox(
    request: Request,
    service: ServiceOf,
    principal: Reader,
    whose: str = "mine",
    closed: bool = False,
) -> Response:
    """`whose` mine: what this person may decide; all: everybody's. `closed` shows what is no longer open."""
    live = live_store(service, "list")
    rows = await service.store.items(status=None if closed else "open", limit=MOST)
    if closed:
        rows = [row for row in reversed(rows) if row.status != "open"]
    mine = [row for row in rows if is_for(service, principal, row.queue)]
    return await show(
        request,
        "inbox.html",
        principal,
        live=live,
        rows=rows if whose == "all" else mine,
        whose=whose,
        closed=closed,
        mine=len(mine),
        everybody=len(rows),
        most=MOST,
    )


@dataclass(frozen=True)
class Given:
    """What somebody has typed on an item's page, and what came of it."""

    choice: str = ""
    reason: str = ""
    form: Form | None = None
    args: Any = None
    is_preview: bool = False
    error: dict[str, Any] | None = None
    status: int = 200


@router.get("/inbox/{item}")
async def item_page(item: str, request: Request, service: ServiceOf, principal: Reader) -> Response:
    """Raises ItemNotFound."""
    return await _show(request, service, principal, await item_of(service, item))


async def _show(
    request: Request,
    service: Service,
    principal: Principal,
    row: ItemRow,
    given: Given | None = None,
    revealed: Revealed | None = None,
) -> Response:
    given = given or Given()
    first = await service.store.events(row.run, 0, 1)
    run = await service.store.run(row.run)
    args, exact = row.view.get("args"), None if revealed is None else revealed.item
    shown_args = args if exact is None or exact.args is None else exact.args
    others = await service.store.items(status="open", limit=MOST)
    next_one = next(
        (one for one in others if one.id != row.id and is_for(service, principal, one.queue)), None
    )
    may_decide = principal.may("inbox:decide") and is_for(service, principal, row.queue)
    return await show(
        request,
        "item.html",
        principal,
        status=given.status,
        live=None if given.choice or revealed else live_store(service, "state"),
        row=row,
        view=row.view,
        run=run,
        input=loads(first[0].view).get("input") if first and first[0].kind == "run.submitted" else None,
        tool=_tool_of(service, row),
        args=shown_args,
        revealed=exact,
        exact_input=_exact_input(revealed),
        may_decide=may_decide,
        may_reveal=_may_look(service, principal, row),
        choices=choices_of(row),
        edit=given.form if given.choice == "edit" and given.form else _edit_form(service, row, shown_args),
        settle=given.form if given.choice == "settle" and given.form else _settle_form(service, row),
        given=given,
        changed=changes(args, given.args) if given.is_preview else [],
        args_json=json.dumps(given.args) if given.is_preview else "",
        next_one=next_one,
    )


def _exact_input(revealed: Revealed | None) -> Any:
    submitted = None if revealed is None else revealed.state.submitted
    return None if submitted is None else loads(submitted.input)


def _edit_form(service: Service, row: ItemRow, args: Any) -> Form | None:
    if "edit" not in row.view.get("choices", ()):
        return None
    return form_of(_tool_schema(service, row), args)


def _tool_of(service: Service, row: ItemRow) -> Tool[..., Any] | None:
    """None for a tool of another workflow, or of an older version of this one."""
    own = row.view.get("workflow") == service.workflow.name
    return service.workflow.tools.get(row.view.get("tool") or "") if own else None


def _tool_schema(service: Service, row: ItemRow) -> Mapping[str, Any] | None:
    tool = _tool_of(service, row)
    return None if tool is None else tool.input_schema


def _settle_form(service: Service, row: ItemRow) -> Form | None:
    """For an unknown call's result, or a step's output."""
    if "settle" not in row.view.get("choices", ()):
        return None
    if row.kind == "unknown":
        tool = _tool_of(service, row)
        return form_of(None if tool is None else tool.output.json_schema)
    own = row.view.get("workflow") == service.workflow.name
    wired = service.workflow.plan.steps.get(row.view.get("step") or "") if own else None
    return form_of(None if wired is None else wired.output.json_schema)


# ── deciding ──


@router.post("/inbox/{item}/preview")
async def preview(item: str, request: Request, service: ServiceOf, principal: Decider) -> Response:
    """What an edit would change, before it is sent; or what is wrong with it, each beside its field."""
    row, fields = await item_of(service, item), await fields_of(request)
    read = _typed_edit(service, row, fields)
    given = Given("edit", fields.get("reason", ""), read.form, read.value)
    if row.status != "open":
        return await _show(request, service, principal, row, replace(given, status=409))
    if not read.form.is_wrong:
        try:
            if not isinstance(read.value, dict):
                raise InvalidArguments(
                    "the arguments do not fit", why="they have names, so they are an object"
                )
            await saying.must_fit(
                service.store,
                service.runtime.deployment.keyring,
                row,
                Edit(read.value, principal.person),
                workflow=service.workflow,
            )
        except InvalidArguments as error:
            read.form = read.form.with_errors(_lines(error))
    if read.form.is_wrong:
        given = replace(given, form=read.form, status=422)
    else:
        given = replace(given, is_preview=True)
    return await _show(request, service, principal, row, given)


@router.post("/inbox/{item}/decision")
async def decide(item: str, request: Request, service: ServiceOf, principal: Decider) -> Response:
    """The person is the one who is logged in, never a field of the form."""
    row, fields = await item_of(service, item), await fields_of(request)
    choice, reason = fields.get("choice", ""), fields.get("reason", "").strip()
    given = Given(choice, reason)
    try:
        decision, given = _decision(service, row, principal, fields, given)
        if decision is None:
            return await _show(request, service, principal, row, replace(given, status=422))
        await service.runtime.decide(item, decision)
    except (InvalidArguments, InvalidInput) as error:
        form = given.form or form_of(None, given.args)
        given = replace(given, form=form.with_errors(_lines(error)), status=422)
        return await _show(request, service, principal, row, given)
    except (ItemClosed, NotAllowedToDecide, WrongDecision) as error:
        given = replace(given, error=view_of(error), status=status_of(error))
        return await _show(request, service, principal, await item_of(service, item), given)
    return go_to(f"/inbox/{quote(item, safe='')}")


def _decision(
    service: Service, row: ItemRow, principal: Principal, fields: Mapping[str, str], given: Given
) -> tuple[Decision | None, Given]:
    """None where what was typed cannot be read; the form says why. Raises BadRequest, WrongDecision."""
    by, reason = principal.person, given.reason
    match given.choice:
        case "approve":
            return Approve(by, reason), given
        case "deny":
            return Deny(by, reason), given
        case "edit":
            read = _typed_edit(service, row, fields)
            given = replace(given, form=read.form, args=read.value)
            if read.form.is_wrong or not isinstance(read.value, dict):
                return None, given
            return Edit(read.value, by, reason), given
        case "settle":
            form = _settle_form(service, row) or form_of(None)
            read = typed(form, fields)
            given = replace(given, form=read.form, args=read.value)
            return (None if read.form.is_wrong else Settle(read.value, by, reason)), given
        case _:
            raise WrongDecision(
                "nothing was chosen", why="a decision is one of approve, deny, edit and settle"
            )


def _typed_edit(service: Service, row: ItemRow, fields: Mapping[str, str]) -> Typed:
    """From the fields; or from a preview, which sends on what it has shown as JSON. Raises BadRequest."""
    schema = _tool_schema(service, row)
    if "args" not in fields:
        is_whole = "field.json" in fields and (schema is None or "json" not in schema.get("properties", {}))
        return typed(form_of(schema, row.view.get("args"), whole=is_whole), fields)
    args = parsed(fields["args"].encode())
    return Typed(form_of(schema, args), args)


def _lines(error: SurefootError) -> list[str]:
    lines = error.data.get("errors")
    return [str(line) for line in lines] if isinstance(lines, list) else [f"{error.what}: {error.why}"]


# ── exact values ──


@router.post("/inbox/{item}/reveal")
async def reveal(item: str, request: Request, service: ServiceOf, principal: Reader) -> Response:
    """What the item is about, exactly, on this answer alone; in the journal before. For the person who may
    decide it while it is open, and for whoever has runs:reveal."""
    row, reason = await item_of(service, item), (await fields_of(request)).get("reason", "").strip()
    if not _decides(service, principal, row):
        principal.must("runs:reveal")
        if not reason:
            raise BadRequest("no reason was given", why="the journal keeps why exact values were shown")
    deployment = service.runtime.deployment
    revealed = await revealing.reveal_item(
        service.store,
        deployment.keyring,
        service.clock,
        item,
        by=principal.person,
        reason=reason or "to decide it",
        people=service.people,
        secrets=deployment.secrets,
    )
    return await _show(request, service, principal, row, revealed=revealed)


def _decides(service: Service, principal: Principal, row: ItemRow) -> bool:
    return row.status == "open" and principal.may("inbox:decide") and is_for(service, principal, row.queue)


def _may_look(service: Service, principal: Principal, row: ItemRow) -> bool:
    return _decides(service, principal, row) or principal.may("runs:reveal")
