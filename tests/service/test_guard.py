"""What every request passes: an id, a line in the log, limits, safe headers, and an error that tells nothing of
ours."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.rig import CUSTOMER, Rig, problem, serving, started
from surefoot.service.service import Limits

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx2.AsyncClient]:
    async with rig.client() as made:
        yield made


# ── ids and the log ──────────────────────────────────────────────────────────────────────────────


async def test_a_request_has_an_id_which_may_be_the_senders(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"x-request-id": "web-17.a_b~c"})
    assert answer.headers["x-request-id"] == "web-17.a_b~c"
    first, second = await client.get("/healthz"), await client.get("/healthz")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


CARD, KEY = "4111111111111111", "AKIAQW2RT5YU7IO3PASD"


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "a b", "a\tb", "<b>", "é", CUSTOMER, "a,b", CARD, KEY])
async def test_an_id_that_is_not_sane_or_somebodys_card_is_replaced(
    client: httpx2.AsyncClient, given: str
) -> None:
    answer = await client.get("/v1/nothing", headers=[(b"x-request-id", given.encode("latin-1"))])
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 16
    problem(answer, 404, "no_such_page")


async def test_the_log_has_a_line_for_each_request_and_nothing_private(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "surefoot.access")
    token = await rig.token(person="kim")
    async with rig.client(token) as client:
        run = await started(client)
        await client.get(f"/v1/runs/{run['id']}?{CUSTOMER}={token}")
        await client.get(f"/v1/{CUSTOMER}%0AGET%20/healthz")
        await client.get("/v1/runs", headers={"authorization": "Bearer nobody"})
        await client.head("/v1/runs")
        await client.get("/v1/inbox", headers={"host": "evil.example"})
        await client.get(f"/v1/{'x' * 160}/{token}")  # what is cut is redacted first
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "surefoot.access"]
    assert [(line["method"], line["status"]) for line in lines] == [
        ("POST", 200),
        ("GET", 422),
        ("GET", 404),
        ("GET", 401),
        ("HEAD", 200),
        ("GET", 403),
        ("GET", 404),
    ]
    first, second, *_ = lines
    assert first["path"] == "/v1/runs"
    assert second["path"] == "/v1/runs/{run}", "the template: what it is about is in the journal"
    assert (first["person"], first["via"]) == ("kim", token.split("_")[1])
    assert first["ms"] > 0
    assert lines[3]["person"] is None
    assert len({line["request_id"] for line in lines}) == len(lines)
    for record in caplog.records:
        for text in (record.getMessage(), str(record.__dict__)):
            assert CUSTOMER not in text
            assert token[:20] not in text
            assert "\n" not in record.getMessage()


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_body_has_a_size(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(body=1000)) as rig, rig.client() as client:
        small = {"input": {"item": "x" * 900}}
        assert (await client.post("/v1/runs", json=small)).status_code == 202
        large = {"input": {"item": "x" * 1000}}
        found = problem(await client.post("/v1/runs", json=large), 413, "too_large")
        assert "1000 bytes" in found["why"]

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 100

        headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
        problem(await client.post("/v1/runs", content=pieces(), headers=headers), 413, "too_large")
        for length in ("1001", "9" * 30):
            headers = {"content-type": "application/json", "content-length": length}
            problem(await client.post("/v1/runs", content=b"{}", headers=headers), 413, "too_large")


async def test_headers_have_a_size(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(headers=1000)) as rig, rig.client() as client:
        problem(await client.get("/healthz", headers={"x-long": "x" * 1000}), 431, "too_large")
        problem(await client.get("/healthz", headers=[(b"x", b"y")] * 600), 431, "too_large")
        problem(await client.get("/v1/runs?cursor=" + "x" * 1000), 431, "too_large")
        assert (await client.get("/healthz", headers={"x-long": "x" * 500})).status_code == 200


async def test_two_hosts_are_one_too_many(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/healthz", headers=[(b"host", b"localhost"), (b"host", b"evil.example")])
    problem(answer, 400, "bad_request")


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


async def test_every_answer_is_safe_for_a_browser(client: httpx2.AsyncClient) -> None:
    answers = [
        await client.get("/v1/runs"),
        await client.get("/healthz"),
        await client.get("/v1/nothing"),
        await client.post("/v1/runs", content=b"{"),
        await client.request("OPTIONS", "/v1/runs"),
        await client.get("/v1/runs", headers={"host": "evil.example"}),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "strict-transport-security" not in answer.headers, "not over plain HTTP"
        assert "server" not in answer.headers
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_head_is_a_get_without_its_body(client: httpx2.AsyncClient) -> None:
    run = (await started(client))["id"]
    for path in (
        "/v1/runs",
        f"/v1/runs/{run}",
        f"/v1/runs/{run}/events",
        "/healthz",
        "/openapi.json",
        "/v1/nothing",
    ):
        got, headed = await client.get(path), await client.head(path)
        assert headed.status_code == got.status_code
        assert headed.content == b""
        for name in ("content-type", "content-length"):
            if path != "/v1/nothing":
                assert headed.headers[name] == got.headers[name]


async def test_what_breaks_shows_no_trace_and_is_in_the_log(
    rig: Rig, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError(f"a bug about {CUSTOMER}")

    monkeypatch.setattr(rig.service.store, "runs", breaks)
    answer = await client.get("/v1/runs")
    found = problem(answer, 500, "unexpected")
    assert "a bug" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    (record,) = [one for one in caplog.records if one.name == "surefoot.service"]
    assert found["request_id"] in record.getMessage()
    assert "ZeroDivisionError" in str(record.exc_text or record.exc_info)
    assert CUSTOMER not in str(record.exc_text)
