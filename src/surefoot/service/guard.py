"""What every request passes, whatever it asks for: an id, limits, the host's name, safe headers, a line in
the log.

Pure ASGI around the whole application. It answers with problems by itself, before anything of a request is
read, and makes sure that nobody ever sees a stack trace: what breaks is logged, under the request's id.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..core.jsons import dumps
from ..errors import BadRequest, CrossSite, SurefootError, TooLarge
from ..orchestrator.redacting import redactor
from .access import Principal
from .asking import LOOPBACK, PRINCIPAL, host_name
from .problems import problem, quoted
from .service import Service

access_log = logging.getLogger("surefoot.access")

REQUEST_ID = "surefoot.request_id"
"""Where a request's scope keeps its id."""
ROUTE = "surefoot.route"
"""Where a request's scope keeps the template of its path, once a route has taken it."""
HEAD_ONLY = "surefoot.head"
"""Set where the request was HEAD: nobody waits for a body."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
_FOR_PROBES = ("/healthz", "/readyz")
"""Asked by machines that know an address and no name, and tell nothing worth stealing."""

SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Of every answer that does not say otherwise."""
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class Guard:
    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._hosts = LOOPBACK | {host.lower() for host in service.limits.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer(scope, send)
        scope[REQUEST_ID] = answer.request_id
        method = scope["method"]
        try:
            refused = self._refusal(scope)
            if refused is not None:
                await problem(refused, answer.request_id)(scope, receive, answer)
                return
            if method == "HEAD":
                # Answered as a GET, so that its headers are those of a GET; `answer` leaves out the body.
                scope["method"], scope[HEAD_ONLY] = "GET", True
            body = _Body(receive, self._service.limits.body)
            try:
                await self._app(scope, body, answer)
            except ClientDisconnect:
                return  # there is nobody to answer
            except Exception as error:
                if answer.status:
                    raise  # too late for another answer: the connection is cut
                await (await self._broken(scope, error))(scope, receive, answer)
        finally:
            scope["method"] = method
            ms = (time.perf_counter() - began) * 1000
            _log(scope, method, answer, ms)

    def _refusal(self, scope: Scope) -> SurefootError | None:
        limits = self._service.limits
        size = hosts = 0
        host = length = b""
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"host":
                host, hosts = value, hosts + 1
            elif name == b"content-length":
                length = value
        size += len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size > limits.headers:
            why = f"{limits.headers} bytes are the limit"
            return TooLarge("the headers are too large", why=why, remedy="Send fewer headers.", status=431)
        if length.isdigit() and int(length[:20]) > limits.body:
            return self._too_large()
        if hosts > 1:
            return BadRequest("the request names two hosts", why="only one can be meant", status=400)
        name = host_name(host.decode("latin-1"))
        if name not in self._hosts and scope["path"] not in _FOR_PROBES:
            return CrossSite(
                f"this service is not called {quoted(name)!r}" if name else "the request names no host",
                why="a page of somebody else's could have a name of its own point here",
                remedy="Use its own name, or add this one to SUREFOOT_HOSTS.",
            )
        return None

    def _too_large(self) -> TooLarge:
        return TooLarge("the body is too large", why=f"{self._service.limits.body} bytes are the limit")

    async def _broken(self, scope: Scope, error: Exception) -> Response:
        handlers = scope["app"].exception_handlers
        kind = SurefootError if isinstance(error, SurefootError) else Exception
        handle: Callable[[Request, Any], Awaitable[Response]] = handlers[kind]
        return await handle(Request(scope), error)


class _Body:
    """The receiving end, that counts: what comes in pieces has told no length."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = self._most = most

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise TooLarge("the body is too large", why=f"{self._most} bytes are the limit")
        return message


class _Answer:
    """The sending end: it adds what every answer has, and knows how it was answered."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._head = scope["method"] == "HEAD"
        self._https = scope.get("scheme") == "https"
        self._ended = False
        self.status = 0
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self.request_id = given.decode() if _may_be_id(given) else secrets.token_hex(8)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            has = {name.lower() for name, _ in headers}
            headers += [one for one in SAFE_HEADERS if one[0] not in has]
            if self._https:
                headers.append(_HSTS)
            headers.append((b"x-request-id", self.request_id.encode()))
            message = {**message, "headers": headers}
        elif self._head:
            if self._ended:
                return
            self._ended = True
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _may_be_id(given: bytes) -> bool:
    """An id goes into the log, and so must not be somebody's card, or a token."""
    if not _SANE_ID.fullmatch(given):
        return False
    text = given.decode()
    return redactor().redact(text) is text


def _log(scope: Scope, method: str, answer: _Answer, ms: float) -> None:
    if not access_log.isEnabledFor(logging.INFO):
        return
    principal: Principal | None = scope.get(PRINCIPAL)
    line = {
        "method": method,
        "path": scope.get(ROUTE) or _one_line(scope["path"]),
        "status": answer.status,
        "ms": round(ms, 3),
        "person": None if principal is None else principal.person,
        "via": None if principal is None else principal.token,  # called a token, it would be taken for one
        "request_id": answer.request_id,
    }
    # One text and nothing beside it: each thing that a record holds is searched for what must not get out.
    access_log.info(dumps(line))


def _one_line(path: str) -> str:
    """As a log may have it: nobody writes lines of his own into it."""
    path = quoted(path, 200)
    return path if path.isprintable() else ascii(path)
