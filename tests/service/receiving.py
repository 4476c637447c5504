"""What the tests of telling share: a workflow that asks people, a service over it, and a receiver that is a
real HTTP server on the loopback address and remembers what it was sent."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import httpx2
from pydantic import BaseModel
from standardwebhooks import Webhook

from surefoot import Budget, Call, Effect, Private, Review, Run, Runtime, Workflow, approve, step, tool
from surefoot.core.clock import Clock
from surefoot.service.access import Access
from surefoot.service.egress import Answer
from surefoot.service.feed import Feed
from surefoot.service.service import Service
from surefoot.settings import Settings, gather

SECRET = "whsec_" + "c3VyZWZvb3Qtc2lnbnMtdGhpcy1hbmQtbm8tb3RoZXItb25l"
OTHER = "whsec_" + "YW5vdGhlci1zZWNyZXQtdGhhdC13aWxsLWJlLW5leHQtd2Vlaw=="
CUSTOMER = "ann.planted@post.example"
CARD = "4111 1111 1111 1111"


class Ticket(BaseModel):
    number: str = "1001"
    amount: Decimal = Decimal(80)
    customer: Annotated[str, Private("email")] = CUSTOMER
    text: str = "the lamp is broken"
    unclear: bool = False


@tool(effect=Effect.KEYED, permission="refunds:write")
async def refund(
    call: Call, number: str, amount: Decimal, to: Annotated[str, Private("email")], note: str
) -> str:
    """Return money."""
    return f"returned {amount}"


@step(fallback=Review("desk"))
async def reading(ticket: Ticket, run: Run) -> str:
    if ticket.unclear:
        raise ValueError(f"nobody can tell what {ticket.customer} wants")
    return ticket.text


@step
async def act(ticket: Ticket, reading: str, run: Run) -> str:
    return await run.call(
        refund, number=ticket.number, amount=ticket.amount, to=ticket.customer, note=reading
    )


desk = Workflow(
    "little-desk",
    version="1",
    input=Ticket,
    steps=[reading, act],
    tools=[refund],
    grants=["refunds:write"],
    rules=[
        approve(
            refund,
            when=lambda number, amount, to, note: amount > 50,
            by="leads",
            within=timedelta(days=1),
            reason="more than 50 is for the leads",
        )
    ],
    budget=Budget(usd="0.10"),
)


@asynccontextmanager
async def serving(store: str, clock: Clock) -> AsyncIterator[Service]:
    async with Runtime(desk, store=store, clock=clock) as runtime:
        access = Access(runtime.store, runtime.deployment.keyring, clock, person="kim")
        async with Feed(runtime.store, clock) as feed:
            yield Service(runtime, access, feed, clock)


def told(**settings: str) -> Settings:
    """`told(webhooks="https://...")`: as the environment says it."""
    environment = {f"SUREFOOT_{name.upper()}": value for name, value in settings.items()}
    return gather({}, environment, Path("/nowhere"))


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def news(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str = SECRET) -> Any:
        """Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, dict(self.headers))


class Receiver:
    """`answer` gives the status, headers and body for the n-th request, from 0 on."""

    def __init__(self, answer: Callable[[int], tuple[int, Mapping[str, str], str]] | None = None) -> None:
        self.requests: list[Request] = []
        self.answer = answer or (lambda number: (204, {}, ""))
        self.url = ""

    @property
    def types(self) -> list[str]:
        return [one.news["type"] for one in self.requests]

    def take(self, request: Request) -> tuple[int, Mapping[str, str], str]:
        self.requests.append(request)
        return self.answer(len(self.requests) - 1)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The transport, where no socket is needed."""
        status, more, said = self.take(Request(url, httpx2.Headers(dict(headers)), body))
        return Answer(status, httpx2.Headers(dict(more)), said)


@contextmanager
def listening(receiver: Receiver, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, said = receiver.take(
                Request(self.path, httpx2.Headers(self.headers.items()), body)
            )
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.encode())

        do_GET = do_POST  # noqa: N815  the library's name

        def log_message(self, *_: Any) -> None:
            pass  # stderr is for what went wrong

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # with five, one of eight that come at once would have to knock twice

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scheme = "http" if tls is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def now() -> int:
    """Where a receiver compares the timestamp with its own clock."""
    return time.time_ns() // 1000
