"""Who may do what: every route asks for its scope, and a request of another site changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from service.rig import LOCAL, Rig, problem, serving, started
from surefoot.core.clock import MICROS
from surefoot.service.access import IDLE_HOURS, SCOPES, SESSION_HOURS
from surefoot.service.document import scope_of
from surefoot.service.service import Limits
from surefoot.service.throttle import EVERY, IN_A_ROW
from surefoot.testing import ManualClock

pytestmark = pytest.mark.anyio

FOR_ANYBODY = {"/healthz", "/readyz"}
FOR_ANY_TOKEN = {"/openapi.json", "/v1/inbox/{item}/reveal"}
"""The second one asks for one of two scopes, by itself (test_views)."""


def routes_of(routes: list[BaseRoute]) -> Iterator[Route | APIRoute]:
    for route in routes:
        if isinstance(route, Route | APIRoute):
            yield route
        else:
            yield from routes_of(route.original_router.routes)  # type: ignore[attr-defined]


def requests_of(rig: Rig) -> list[tuple[str, str, APIRoute]]:
    """(method, path with something in its gaps, route) of the whole API."""
    found = []
    for route in routes_of(rig.app.router.routes):
        assert isinstance(route, APIRoute), f"{route} is no route of the API, and asks for no scope"
        path = route.path.replace("{delivery}", "1").replace("{run}", "r0").replace("{item}", "r0-1")
        assert "{" not in path
        found += [(method, path, route) for method in route.methods or ()]
    return found


def bodies_of(path: str) -> Any:
    """One that fits: so that only who asks is wrong."""
    if path == "/v1/runs":
        return {"input": {}}
    return (
        {"choice": "approve"}
        if path.endswith("/decision")
        else {"start_from": "paid"}
        if path.endswith("/fork")
        else {}
    )


async def test_every_route_is_refused_without_a_token_that_has_its_scope(rig: Rig) -> None:
    tokens = {scope: await rig.token(scope) for scope in SCOPES}
    seen = 0
    async with rig.client() as client:
        for method, path, route in requests_of(rig):
            if path in FOR_ANYBODY:
                assert scope_of(route) is None
                continue
            seen += 1
            needs = scope_of(route)
            assert needs is not None, f"{path} asks for no scope"
            body = bodies_of(path) if method == "POST" else None
            problem(await client.request(method, path, json=body), 401, "not_authenticated")
            if needs.scope is None:
                assert route.path in FOR_ANY_TOKEN
                continue
            for scope, token in tokens.items():
                answer = await client.request(
                    method, path, json=body, headers={"authorization": f"Bearer {token}"}
                )
                may = scope == needs.scope or (scope == "admin" and needs.scope != "runs:reveal")
                if may:
                    assert answer.status_code not in (401, 403), (path, scope, answer.text)
                else:
                    problem(answer, 403, "scope_missing")
    assert seen >= 22


async def test_who_asks_is_looked_at_before_what_is_sent(rig: Rig) -> None:
    token = await rig.token("runs:read")
    async with rig.client() as nobody, rig.client(token) as reader:
        for client, status, code in ((nobody, 401, "not_authenticated"), (reader, 403, "scope_missing")):
            for path in ("/v1/runs", "/v1/runs?x=1", "/v1/inbox/i/decision", "/v1/deliveries/x/replay"):
                problem(await client.post(path, content=b"{" * 500_000), status, code)


async def test_reading_changes_nothing_and_changing_is_no_get(rig: Rig) -> None:
    for method, _, route in requests_of(rig):
        needs = scope_of(route)
        if method == "GET":
            assert needs is None or needs.scope in (None, "runs:read", "admin")
        else:
            assert needs is not None
            assert needs.scope != "runs:read"


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_revoked_token_is_refused_at_once(rig: Rig) -> None:
    token = await rig.token()
    async with rig.client(token) as client:
        assert (await client.get("/v1/runs")).status_code == 200
        await rig.service.store.revoke_token(token.split("_")[1])
        found = problem(await client.get("/v1/runs"), 401, "not_authenticated")
        assert (await client.get("/v1/runs")).headers["www-authenticate"] == "Bearer"
        assert token not in str(found)


async def test_a_token_ends_when_it_expires(tmp_path: Path) -> None:
    clock = ManualClock()
    async with serving(tmp_path, clock=clock) as rig:
        token = await rig.token(expires=clock.now() + 60 * MICROS)
        async with rig.client(token) as client:
            assert (await client.get("/v1/runs")).status_code == 200
            await clock.advance(61)
            problem(await client.get("/v1/runs"), 401, "not_authenticated")


async def test_with_the_first_token_the_local_person_is_over(rig: Rig) -> None:
    async with rig.client() as client:
        assert (await client.post("/v1/runs", json={"input": {}})).status_code == 202
        token = await rig.token("runs:read")
        problem(await client.get("/v1/runs"), 401, "not_authenticated")
        await rig.service.store.revoke_token(token.split("_")[1])
        problem(await client.get("/v1/runs"), 401, "not_authenticated")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic a2ltOmtpbQ==",
        "bearer sft_x_y",
        "Bearer sft_",
        "Bearer sft__",
        "Bearer " + "x" * 9000,
        "\xff\xfe",
        "Bearer sft_\xe9_\xe9",
    ],
)
async def test_a_header_that_holds_no_token_is_refused(rig: Rig, header: str) -> None:
    await rig.token()
    async with rig.client() as client:
        answer = await client.get("/v1/runs", headers=[(b"authorization", header.encode("latin-1"))])
        problem(answer, 401, "not_authenticated")


async def test_a_row_that_was_widened_by_hand_opens_nothing(rig: Rig) -> None:
    token = await rig.token("runs:read")
    path = str(rig.service.store.url).removeprefix("sqlite:///")  # type: ignore[attr-defined]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tokens SET scopes = '[\"admin\"]'")
    connection.close()
    async with rig.client(token) as client:
        problem(await client.get("/v1/runs"), 401, "not_authenticated")


# ── guessing ─────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_guesses_is_slowed_down_and_locks_out_nobody_who_was_in(tmp_path: Path) -> None:
    clock = ManualClock()
    async with serving(tmp_path, clock=clock) as rig:
        known, fresh = await rig.token(), await rig.token()
        async with rig.client(known) as client, rig.client(fresh) as late, rig.client() as guesser:
            assert (await client.get("/v1/runs")).status_code == 200

            async def guess() -> httpx2.Response:
                return await guesser.get("/v1/runs", headers={"authorization": f"Bearer {fresh}x"})

            for _ in range(IN_A_ROW):
                problem(await guess(), 401, "not_authenticated")
            answer = await guess()
            problem(answer, 429, "too_many_logins")
            assert answer.headers["retry-after"] == str(EVERY)
            problem(await late.get("/v1/runs"), 429, "too_many_logins")
            assert (await client.get("/v1/runs")).status_code == 200
            await clock.advance(EVERY)
            problem(await guess(), 401, "not_authenticated")
            problem(await guess(), 429, "too_many_logins")
            await clock.advance(EVERY)
            assert (await late.get("/v1/runs")).status_code == 200


async def test_a_request_without_a_token_is_no_guess(rig: Rig) -> None:
    token = await rig.token()
    async with rig.client() as client:
        for _ in range(IN_A_ROW + 5):
            problem(await client.get("/v1/runs"), 401, "not_authenticated")
    async with rig.client(token) as client:
        assert (await client.get("/v1/runs")).status_code == 200


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_ends_when_it_is_not_used_and_after_a_day_of_work(tmp_path: Path) -> None:
    clock = ManualClock()
    async with serving(tmp_path, clock=clock) as rig:
        token = await rig.token()
        cookie, _ = await rig.service.access.log_in(token)
        other, _ = await rig.service.access.log_in(token)
        async with (
            rig.client(cookie=f"surefoot={cookie}") as busy,
            rig.client(cookie=f"surefoot={other}") as idle,
        ):
            for _ in range(SESSION_HOURS - 1):
                await clock.advance(3600)
                assert (await busy.get("/v1/runs")).status_code == 200
            problem(await idle.get("/v1/runs"), 401, "not_authenticated")
            await clock.advance(3600)
            problem(await busy.get("/v1/runs"), 401, "not_authenticated")
        assert IDLE_HOURS < SESSION_HOURS - 1


async def test_a_session_ends_with_its_token_and_when_it_is_left(rig: Rig) -> None:
    token = await rig.token()
    first, _ = await rig.service.access.log_in(token)
    second, _ = await rig.service.access.log_in(token)
    async with rig.client(cookie=f"surefoot={first}") as one, rig.client(cookie=f"surefoot={second}") as two:
        assert (await one.get("/v1/runs")).status_code == 200
        await rig.service.access.log_out(first)
        problem(await one.get("/v1/runs"), 401, "not_authenticated")
        assert (await two.get("/v1/runs")).status_code == 200
        await rig.service.store.revoke_token(token.split("_")[1])
        problem(await two.get("/v1/runs"), 401, "not_authenticated")


# ── other sites ──────────────────────────────────────────────────────────────────────────────────

FOREIGN: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:9999"},
    {"origin": "http://[::1"},
    {"origin": "http://localhost", "sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_site_changes_nothing_in_the_name_of_who_is_logged_in(
    rig: Rig, headers: dict[str, str]
) -> None:
    async with rig.client() as client:
        item = (await started(client, amount="80"))["waiting_for"][0]
        for path, body in (
            ("/v1/runs", {"input": {}}),
            (f"/v1/inbox/{item}/decision", {"choice": "approve"}),
            ("/v1/intake/pause", None),
        ):
            problem(await client.post(path, json=body, headers=headers), 403, "cross_site")
    token = await rig.token()
    cookie, _ = await rig.service.access.log_in(token)
    async with rig.client(cookie=f"surefoot={cookie}") as browser:
        problem(await browser.post("/v1/runs", json={"input": {}}, headers=headers), 403, "cross_site")
        ours = {"origin": LOCAL, "sec-fetch-site": "same-origin"}
        assert (await browser.post("/v1/runs", json={"input": {}}, headers=ours)).status_code == 202
    async with rig.client(token) as client:
        assert (await client.post("/v1/runs", json={"input": {}}, headers=headers)).status_code == 202, (
            "no browser adds a token by itself"
        )
    assert len(rig.till.charged) <= 2


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_what_a_form_of_another_site_can_send_is_no_body(rig: Rig, kind: str) -> None:
    async with rig.client() as client:
        answer = await client.post("/v1/runs", content=b'{"input": {}}', headers={"content-type": kind})
        problem(answer, 415, "bad_request")


async def test_a_name_that_was_pointed_here_reaches_nothing(rig: Rig) -> None:
    async with rig.client(base="http://evil.example") as client:
        for path in ("/v1/runs", "/openapi.json", "/", "/login"):
            problem(await client.get(path), 403, "cross_site")
        problem(await client.post("/v1/runs", json={"input": {}}), 403, "cross_site")
        assert (await client.get("/healthz")).status_code == 200, "a probe knows an address and no name"
    for host in ("127.0.0.1", "127.0.0.1:8420", "LOCALHOST", "[::1]:80"):
        async with rig.client(host=host) as client:
            assert (await client.get("/v1/runs")).status_code == 200, host
    for host in (
        "",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:80",
        "localhost:80:80",
        "[::1",
        "\xe9",
    ):
        async with rig.client() as client:
            answer = await client.get("/v1/runs", headers=[(b"host", host.encode("latin-1"))])
            problem(answer, 403, "cross_site")


async def test_a_name_of_the_deployment_needs_a_token(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(hosts=("desk.example",))) as rig:
        async with rig.client(base="https://desk.example") as client:
            problem(await client.get("/v1/runs"), 401, "not_authenticated")
        token = await rig.token()
        async with rig.client(token, base="https://desk.example") as client:
            answer = await client.get("/v1/runs")
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"]


async def test_a_proxy_makes_nobody_the_local_person(rig: Rig) -> None:
    for header in ("x-forwarded-for", "forwarded", "x-real-ip"):
        async with rig.client() as client:
            problem(await client.get("/v1/runs", headers={header: "127.0.0.1"}), 401, "not_authenticated")


async def test_from_another_machine_nobody_is_local(rig: Rig) -> None:
    far = httpx2.ASGITransport(rig.app, client=("10.0.0.7", 1))
    async with httpx2.AsyncClient(transport=far, base_url=LOCAL) as client:
        problem(await client.get("/v1/runs"), 401, "not_authenticated")
