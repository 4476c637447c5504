"""A socket for the application, from the first connection to an end that no client has to guess at.

When the process is asked to stop, new runs are refused with 503, streams end, and every answer closes its
connection; all else is still answered. Meanwhile the worker lets what is under way come to an end. New
connections are taken until it has, and for a moment more while there are clients that still come: who calls a
service that is going away gets a clean answer, and not a reset. Then the socket closes, requests in flight
are finished, and the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..errors import BadRequest, SurefootError, TooLarge, UsageError
from .guard import ROUTE
from .metrics import Metrics
from .problems import MEDIA, problem
from .service import Service
from .stopping import Stopping, drain

log = logging.getLogger("surefoot.service")

QUIET = 0.25
"""Seconds without a request: nobody comes any more."""

LINGER = 2.0
"""Seconds for which clients that keep coming are answered after the worker has ended."""

FINISH = 5.0
"""Seconds that requests in flight get when all else is done: a client that sends slowly holds nothing up."""

READ = 60.0
"""Seconds in which a request must have come in whole."""

LAST = 0.1
"""Seconds between the end of listening and the end of connections on which nothing is under way."""

KEEP_ALIVE = 65
"""Seconds: most proxies give up an idle connection after a minute, and it is better that they do it first."""

HEADERS = 64_000
"""Bytes of a head that may lie in memory before it is whole; what is allowed is the application's to say."""


def bind(host: str, port: int) -> socket.socket:
    """Raises UsageError where the address is taken or is none of this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _no_place(host, port, error) from error
    try:
        if os.name == "posix":  # elsewhere it would let two processes listen at one port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise _no_place(host, port, error) from error
    bound.setblocking(False)  # noqa: FBT003  its only parameter
    return bound


def _no_place(host: str, port: int, error: OSError) -> UsageError:
    return UsageError(
        f"the service cannot listen at {host}:{port}",
        why=str(error.strerror or error),
        remedy="Give another --port (0 takes any that is free), or stop what listens there.",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it. Raises UsageError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _no_place(host, 0, error) from error
    return all(ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found)


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: ASGIApp,
    service: Service,
    metrics: Metrics,
    bound: socket.socket,
    stopping: Stopping,
    told: Callable[[], None],
) -> None:
    """Until `stopping` is asked. `told` is called once the service answers. Raises what broke the worker."""
    door = Door(app, service, metrics)
    server = _Server(door)
    serving = asyncio.create_task(server.serve([bound]), name="http")
    driving = asyncio.create_task(service.runtime.keep_driving(), name="driving")
    asked = asyncio.create_task(stopping.asked(), name="asked to stop")
    up = asyncio.create_task(server.up.wait(), name="up")
    try:
        await asyncio.wait([serving, up], return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            told()
        # Without a worker there is nothing to drive, and the first of these ends at once.
        watched = {serving, asked} | ({driving} if service.runtime.drives else set())
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        stopping.ask()
        service.draining = True
        service.feed.end()
        log.info("stopping: new runs are refused, what is under way is let finish")
        await drain(service.runtime, stopping)
        await door.quiet(min(LINGER, stopping.left))
        await server.finish(serving, bound, min(FINISH, stopping.left))
        if driving.done() and not driving.cancelled():
            driving.result()
        serving.result()
    finally:
        for task in (serving, driving, asked, up):
            task.cancel()
        await asyncio.gather(serving, driving, asked, up, return_exceptions=True)


@asynccontextmanager
async def answering(app: ASGIApp, bound: socket.socket) -> AsyncIterator[None]:
    """For as long as it is open, and without the care that `serve` takes of clients."""
    server = _Server(app)
    serving = asyncio.create_task(server.serve([bound]), name="http")
    try:
        await server.up.wait()
        yield
    finally:
        await server.finish(serving, bound, QUIET)


class Door:
    """Before the application: counts what is answered, and while the service drains, closes each connection
    with its answer, so that its client opens the next one elsewhere."""

    def __init__(self, app: ASGIApp, service: Service, metrics: Metrics) -> None:
        self._app = app
        self._service = service
        self._metrics = metrics
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        service, status, began = self._service, 500, time.perf_counter()

        async def passing(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if service.draining:
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, receive, passing)
        finally:
            route = str(scope.get(ROUTE) or getattr(scope.get("route"), "path", ""))
            self._metrics.answered(scope["method"], route, status, time.perf_counter() - began)

    async def quiet(self, most: float) -> None:
        """Until nobody has come for a moment, or so many seconds have passed."""
        while most > 0:
            before = self._requests
            await asyncio.sleep(min(QUIET, most))
            most -= QUIET
            if self._requests == before:
                return


class _Server(uvicorn.Server):
    """uvicorn's, without its log, its signal handlers and its words."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # who asks is who connects: nobody is the local person by a header
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        super().__init__(config)
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what a stranger sends is no news
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # Who was let in at the last moment has a request under way: it is read before connections close.
        await asyncio.sleep(LAST)
        await super().shutdown(sockets)

    async def finish(self, serving: asyncio.Task[None], bound: socket.socket, within: float) -> None:
        """Takes no more connections; requests in flight have so many seconds."""
        # Who still waits to be let in when a socket closes is reset. So nobody queues any more: whoever comes
        # now tries again by itself in a second, and is refused then.
        bound.listen(0)
        self.should_exit = True
        done, _ = await asyncio.wait([serving], timeout=within)
        if done:
            return
        log.warning("%d requests were cut off: they took too long", len(self.server_state.tasks))
        self.force_exit = True
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.wait([serving])


class _Protocol(HttpToolsProtocol):
    """What is no HTTP, or too much of it, is told as every other error is; and whoever sends a request bit by
    bit, or connects and sends none, holds a connection for no longer than `READ`."""

    _head = 0
    """Bytes that have come of a head that is not whole."""
    _has_head = _is_whole = False
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(READ, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_whole:
            self._in_time()
        elif self._late is None:
            self._late = self.loop.call_later(READ, self.transport.abort)
        if not self._has_head:
            self._head += len(data)
            if self._head > HEADERS and not self.transport.is_closing():
                self.send_400_response("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def on_message_begin(self) -> None:
        self._head, self._has_head, self._is_whole = 0, False, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._has_head = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_whole = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        error: SurefootError = BadRequest(
            "the request cannot be read", why="it is no HTTP of this kind", status=400
        )
        if self._head > HEADERS:
            why = f"{HEADERS} bytes are the limit"
            error = TooLarge("the headers are too large", why=why, remedy="Send fewer headers.", status=431)
        answer = problem(error)
        phrase = HTTPStatus(answer.status_code).phrase
        head = [f"HTTP/1.1 {answer.status_code} {phrase}", f"content-type: {MEDIA}"]
        head += [f"content-length: {len(answer.body)}", "connection: close", "", ""]
        self.transport.write("\r\n".join(head).encode() + bytes(answer.body))
        self.transport.close()
