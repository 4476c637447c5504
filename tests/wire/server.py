"""The server: real sockets on the loopback interface, one thread a connection, only the standard library.

What it answers is chosen by a queue of scenarios, or else by the request's model name (`openai:ok`,
`anthropic:rate-limited`), so that several tests can use one server. It refuses what the real APIs
refuse (a strict schema with an open object, an answer to a call that nobody made, an empty text
block), because a fake that takes everything proves nothing.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import anthropic_format, openai_format
from .refusals import Refused

KEY = "sk-wire-0123456789abcdef"


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class WireServer:
    """`with WireServer() as wire:`; `wire.openai` and `wire.anthropic` are base URLs.

    `scenarios` come first, in order; `received` is every request that was read, and `arrived` is set by the
    first. `release` lets answers go that a scenario holds back. `server` is the name that it gives in its
    answers, and `knows_tools` what it says of its chat template, as llama.cpp does (None: it does not say).
    """

    def __init__(self) -> None:
        self.scenarios: deque[str] = deque()
        self.received: list[Received] = []
        self.server = ""
        self.knows_tools: bool | None = True
        self.release = threading.Event()
        self.arrived = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.wire = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> WireServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def openai(self) -> str:
        return f"{self.url}/v1"

    @property
    def anthropic(self) -> str:
        return self.url


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def wire(self) -> WireServer:
        found: WireServer = self.server.wire  # type: ignore[attr-defined]
        return found

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        """What llama.cpp tells of itself at /props."""
        if self.wire.knows_tools is None:
            self._send(404, b"{}")
            return
        self._send(
            200, json.dumps({"chat_template_caps": {"supports_tools": self.wire.knows_tools}}).encode()
        )

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(size))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.wire.received.append(Received(self.path, headers, body))
        self.wire.arrived.set()
        speaks = openai_format if self.path == "/v1/chat/completions" else anthropic_format
        if self.path not in ("/v1/chat/completions", "/v1/messages"):
            self._send(404, speaks.error(404, "There is nothing here."))
            return
        scenario = self.wire.scenarios.popleft() if self.wire.scenarios else str(body.get("model"))
        try:
            speaks.check(headers, body, KEY)
        except Refused as no:
            self._send(no.status, speaks.error(no.status, str(no), code=no.code))
            return
        self._play(scenario, speaks, body, headers)

    def _play(self, scenario: str, speaks: Any, body: dict[str, Any], headers: dict[str, str]) -> None:
        match scenario:
            case "rate-limited":
                self._send(429, speaks.error(429, "Slow down."), {"Retry-After": "7"})
            case "rate-limited-until":
                dates = {
                    "Retry-After": "Fri, 01 Jan 2100 00:00:30 GMT",
                    "Date": "Fri, 01 Jan 2100 00:00:00 GMT",
                }
                self._send(429, speaks.error(429, "Slow down."), dates)
            case "no-credit":
                self._send(429, speaks.error(429, "You ran out of credit.", code="insufficient_quota"))
            case "broken":
                self._send(500, speaks.error(500, "It broke."))
            case "gateway":
                self._send(
                    502, b"<html>Bad gateway " + b"x" * 5000 + b"</html>", {"Content-Type": "text/html"}
                )
            case "unavailable":
                self._send(503, speaks.error(503, "Not now."), {"Retry-After": "2"})
            case "overloaded":
                self._send(529, speaks.error(529, "Overloaded."))
            case "unauthorized":
                said = headers.get("authorization", headers.get("x-api-key", ""))
                self._send(
                    401, speaks.error(401, f"Incorrect API key provided: {said}. " + "Look again. " * 50)
                )
            case "forbidden":
                self._send(403, speaks.error(403, "Not for you."))
            case "unknown-model":
                self._send(404, speaks.error(404, "The model does not exist.", code="model_not_found"))
            case "refused-schema":
                self._send(400, speaks.error(400, "response_format is not supported by this model."))
            case "unprocessable":
                self._send(422, speaks.error(422, "response_format: extra inputs are not permitted."))
            case "too-long":
                self._send(400, speaks.error(400, "The prompt is too long.", code="context_length_exceeded"))
            case "redirect":
                self._send(307, b"", {"Location": f"{self.wire.url}/elsewhere"})
            case "cut":
                whole = speaks.answer(body, "ok")
                self._head(200, len(whole), {})
                self.wfile.write(whole[: len(whole) // 2])
                self._hang_up()
            case "dropped":
                self._hang_up()
            case "broken-json":
                self._send(200, speaks.answer(body, "ok")[:-7])
            case "empty":
                self._send(200, b"")
            case "page":
                self._send(200, b"<html>Welcome</html>", {"Content-Type": "text/html"})
            case "list":
                self._send(200, b"[]")
            case "no-choices":
                self._send(200, b'{"error": {"message": "upstream is down"}}')
            case "slow":
                self.wire.release.wait(30)
                self._send(200, speaks.answer(body, "ok"))
            case "dripping":
                self._drip(speaks.answer(body, "ok"))
            case _:
                self._send(200, speaks.answer(body, scenario))

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        self.wfile.write(body)

    def _head(self, status: int, size: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        named = {"Server": self.wire.server} if self.wire.server else {}
        for name, value in {"Content-Type": "application/json", **named, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def _drip(self, body: bytes) -> None:
        """A byte now and then: no single read is slow, the whole is."""
        self._head(200, len(body), {})
        try:
            for position in range(len(body)):
                self.wfile.write(body[position : position + 1])
                if self.wire.release.wait(0.02):
                    break
        except OSError:
            pass  # the client is gone, as it should be
        self.close_connection = True
