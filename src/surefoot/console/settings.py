"""What this deployment is: the workflow and its tools, who may do what, limits, tokens, webhooks.

No secret stands here: of a token its id, of a webhook's address its host (the store knows no more of it).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..core.tool import Tool
from ..core.workflow import Definition
from ..errors import BadRequest
from ..service.access import Principal
from ..service.asking import ServiceOf, needs
from ..settings import SETTINGS, Settings
from .pages import fields_of, go_to, show
from .setup import SetupOf

router = APIRouter()

DELIVERIES = 20


@router.get("/settings")
async def settings(
    request: Request, service: ServiceOf, principal: Annotated[Principal, needs("runs:read")], setup: SetupOf
) -> Response:
    store, workflow, deployment = service.store, service.workflow, service.runtime.deployment
    return await show(
        request,
        "settings.html",
        principal,
        about=workflow,
        fingerprint=deployment.fingerprint,
        models=[model.name for model in deployment.models],
        tools=[tool_row(workflow, tool, deployment.grants) for tool in workflow.tools.values()],
        grants=deployment.grants,
        taken_away=[grant for grant in workflow.grants if grant not in deployment.grants],
        budget=workflow.budget,
        people=service.people,
        queues=sorted(workflow.queues()),
        limits=service.limits,
        workers=await store.workers(),
        tokens=await store.tokens() if principal.may("admin") else None,
        endpoints=await store.endpoints(),
        deliveries=await store.deliveries(limit=DELIVERIES),
        sources=None if setup.settings is None else sources_of(setup.settings),
    )


def tool_row(workflow: Definition, tool: Tool[..., Any], grants: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": tool.name,
        "about": tool.description.partition("\n")[0],
        "effect": tool.effect.value,
        "permission": tool.permission,
        "granted": tool.permission is None or tool.permission in grants,
        "timeout": tool.timeout,
        "untrusted": tool.untrusted,
        "rules": [
            {
                "name": rule.name,
                "kind": rule.kind,
                "when": rule.when is not None,
                "by": rule.by,
                "within": None if rule.within is None else rule.within.total_seconds() * 1_000_000,
                "reason": rule.reason,
            }
            for rule in workflow.rules
            if rule.tool.name == tool.name
        ],
    }


def sources_of(settings: Settings) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "value": settings.shown(one.name),
            "source": settings.sources.get(one.name, ""),
            "what": one.what,
        }
        for one in SETTINGS
    ]


@router.post("/settings/tokens/revoke")
async def revoke(
    request: Request, service: ServiceOf, principal: Annotated[Principal, needs("admin")]
) -> Response:
    """For good, and its logins end with it."""
    token = (await fields_of(request)).get("token", "")
    if not await service.store.revoke_token(token):
        raise BadRequest("there is nothing to revoke", why=f"no token {token!r} holds")
    return go_to("/settings#tokens")
