"""The socket's own manners, before any application is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from surefoot.errors import UsageError
from surefoot.service import server

pytestmark = pytest.mark.anyio


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with how much body it got."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(server, "READ", 0.3)
    bound = server.bind("127.0.0.1", 0)
    with bound:
        async with server.answering(echo, bound):
            yield bound.getsockname()[1]


async def answer_to(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(5):
            return await reader.read(100_000)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def problem_in(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    found: dict[str, Any] = json.loads(body)
    return found


async def test_what_is_no_http_is_told_as_a_problem(port: int) -> None:
    answer = await answer_to(port, b"BROKEN\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert problem_in(answer)["code"] == "bad_request"


async def test_a_head_without_end_is_refused_before_it_fills_the_memory(port: int) -> None:
    answer = await answer_to(port, b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert problem_in(answer)["code"] == "too_large"


async def test_a_connection_without_a_request_is_not_held_for_ever(port: int) -> None:
    assert await answer_to(port) == b""


async def test_a_request_that_comes_bit_by_bit_without_end_is_cut_off(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    assert await answer_to(port, head, *[b"a"] * 8, pause=0.1) == b""
    assert await answer_to(port, *(bytes([one]) for one in head[:12]), pause=0.05) == b""


async def test_a_slow_answer_to_a_whole_request_is_waited_for(port: int) -> None:
    close = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
    keep = close.replace(b"Connection: close\r\n", b"")
    answer = await answer_to(port, keep + b"abcd", close + b"ab", b"cd", pause=0.15)
    assert answer.count(b"HTTP/1.1 200") == 2


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot listen"):
        server.bind("192.0.2.1", 0)


@pytest.mark.parametrize(("host", "near"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
def test_it_is_known_who_reaches_an_address(host: str, *, near: bool) -> None:
    assert server.is_loopback(host) is near
