"""What the tests of the API share: a till whose sales are runs, a service over it, and clients.

A sale of more than 50 waits for the leads; `hold` keeps it under way until the test lets go of it; `fail`
breaks it. The customer's address is private.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import httpx2
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from surefoot import Call, Effect, Private, Retry, Run, Runtime, Workflow, approve, step, tool
from surefoot.core.clock import Clock
from surefoot.orchestrator.clock import SystemClock
from surefoot.service import app as api
from surefoot.service import server
from surefoot.service.access import SCOPES, Access
from surefoot.service.feed import Feed
from surefoot.service.metrics import Metrics
from surefoot.service.metrics import mount as mount_metrics
from surefoot.service.service import Limits, Service
from surefoot.service.stopping import Stopping

CUSTOMER = "ada.quine@example.org"
PERSON = "kim"
LOCAL = "http://localhost"


class Sale(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"item": "a lamp", "amount": "20"}]}
    )

    item: str = "a lamp"
    amount: Decimal = Decimal(20)
    email: Annotated[str, Private("email")] = Field(default_factory=lambda: CUSTOMER)
    hold: bool = False
    fail: bool = False


class Receipt(BaseModel):
    amount: Decimal
    email: Annotated[str, Private("email")]


@dataclass
class Till:
    charged: list[Decimal] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)


@tool(effect=Effect.KEYED, permission="till:charge")
async def charge(call: Call, amount: Decimal, email: str) -> Receipt:
    """Take money from the customer's card."""
    call.use(Till).charged.append(amount)
    return Receipt(amount=amount, email=email)


@tool(effect=Effect.IDEMPOTENT)
async def hold(call: Call) -> bool:
    """Wait until the customer has made up their mind."""
    return await call.use(Till).gate.wait()


@step(retry=Retry(attempts=1))
async def ready(sale: Sale, run: Run) -> bool:
    if sale.fail:
        raise ValueError(f"the till is out of paper for {sale.email}")
    return await run.call(hold) if sale.hold else True


@step
async def paid(sale: Sale, ready: bool, run: Run) -> Receipt:
    return await run.call(charge, amount=sale.amount, email=sale.email)


till = Workflow(
    "till",
    input=Sale,
    steps=[ready, paid],
    tools=[charge, hold],
    grants=["till:charge"],
    rules=[approve(charge, when=lambda amount, email: amount > 50, by="leads", within=timedelta(days=1))],
    resources=[Till],
    description="Sells things over the counter.",
)


@dataclass
class Rig:
    service: Service
    app: FastAPI
    till: Till

    async def token(self, *scopes: str, person: str = PERSON, **more: Any) -> str:
        """The text of a new one."""
        text, _ = await self.service.access.make_token(person, scopes or SCOPES, **more)
        return text

    def client(self, token: str | None = None, *, base: str = LOCAL, **headers: str) -> httpx2.AsyncClient:
        """In process; `client` of httpx is where it says that it comes from."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, client=("127.0.0.1", 40_000)),
            base_url=base,
            headers=headers_of(token, headers),
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The URL of a real server."""
        metrics, up = Metrics(till), asyncio.Event()
        with server.bind("127.0.0.1", 0) as bound, Stopping(30) as stopping:
            serving = asyncio.create_task(
                server.serve(self.app, self.service, metrics, bound, stopping, up.set)
            )
            up_or_broken = asyncio.create_task(up.wait())
            await asyncio.wait([serving, up_or_broken], return_when=asyncio.FIRST_COMPLETED)
            try:
                yield server.url_of(bound)
            finally:
                self.till.gate.set()
                stopping.ask()
                await serving


def headers_of(token: str | None, headers: Mapping[str, str]) -> dict[str, str]:
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return found if token is None else {"authorization": f"Bearer {token}", **found}


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    workflow: Workflow = till,
    limits: Limits | None = None,
    clock: Clock | None = None,
    people: Mapping[str, Sequence[str]] | None = None,
    drive: bool = True,
    **more: Any,
) -> AsyncIterator[Rig]:
    held, now = Till(), clock or SystemClock()

    @asynccontextmanager
    async def open_till() -> AsyncIterator[Till]:
        yield held

    resources = [open_till] if workflow is till else []
    runtime = Runtime(
        workflow,
        f"sqlite:///{folder}/x.db",
        clock=now,
        people=people,
        resources=resources,
        drive=drive,
        **more,
    )
    async with runtime, Feed(runtime.store, now) as feed:
        access = Access(runtime.store, runtime.deployment.keyring, now, person="olga")
        service = Service(runtime, access, feed, now, limits or Limits(), people)
        app = api.build(service)
        mount_metrics(app, service, Metrics(workflow))
        try:
            yield Rig(service, app, held)
        finally:
            held.gate.set()


async def told(client: httpx2.AsyncClient, run: str, status: str) -> dict[str, Any]:
    """The run, as soon as it stands so."""
    for _ in range(100):
        found = (await client.get(f"/v1/runs/{run}", headers={"prefer": "wait=10"})).json()
        if found["status"] == status:
            return dict(found)
    raise AssertionError(found)


async def started(client: httpx2.AsyncClient, *, wait: int = 20, **sale: Any) -> dict[str, Any]:
    """A run that has ended or waits for a person."""
    answer = await client.post("/v1/runs", json={"input": sale}, headers={"prefer": f"wait={wait}"})
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json())


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """What every error is: complete, and without a trace."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    for name in ("type", "title", "detail", "what", "why", "remedy", "docs"):
        assert body[name], body
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return dict(body)
