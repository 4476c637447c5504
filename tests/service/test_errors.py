"""Every error that the service has of its own, met through a door of the service: complete, with the status of
the catalogue, and explained by `surefoot explain`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from service.rig import Rig, problem, serving
from surefoot.catalogue import entries
from surefoot.errors import RequestError, every_error
from surefoot.service.service import Limits
from surefoot.service.throttle import IN_A_ROW

pytestmark = pytest.mark.anyio

Door = Callable[[Rig, httpx2.AsyncClient], Awaitable[httpx2.Response]]
JSON = {"content-type": "application/json"}


async def no_form(_: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    return await client.post("/v1/runs", json={"inptu": {}})


async def no_token(rig: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    await rig.token()
    return await client.get("/v1/runs")


async def a_lesser_token(rig: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    token = await rig.token("runs:read")
    return await client.post("/v1/intake/pause", headers={"authorization": f"Bearer {token}"})


async def another_site(_: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    return await client.post("/v1/runs", json={"input": {}}, headers={"sec-fetch-site": "cross-site"})


async def no_address(_: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    return await client.get("/v1/job")


async def too_large(_: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    return await client.post("/v1/runs", content=b" " * 2000, headers=JSON)


async def too_many_runs(rig: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    await asyncio.gather(*(client.post("/v1/runs", json={"input": {}}) for _ in range(3)))
    return await client.post("/v1/runs", json={"input": {}})


async def too_many_guesses(rig: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    for _ in range(IN_A_ROW + 1):
        answer = await client.get("/v1/runs", headers={"authorization": "Bearer sft_a_b"})
    return answer


async def stopping(rig: Rig, client: httpx2.AsyncClient) -> httpx2.Response:
    rig.service.draining = True
    return await client.post("/v1/runs", json={"input": {}})


DOORS: dict[str, Door] = {
    "bad_request": no_form,
    "not_authenticated": no_token,
    "scope_missing": a_lesser_token,
    "cross_site": another_site,
    "no_such_page": no_address,
    "too_large": too_large,
    "queue_full": too_many_runs,
    "too_many_logins": too_many_guesses,
    "draining": stopping,
}


def test_every_error_of_the_service_has_a_door() -> None:
    ours = {code for code, kind in every_error().items() if issubclass(kind, RequestError)}
    assert set(DOORS) | {"request"} == ours, "that one is never raised: it is what the others have in common"


@pytest.mark.parametrize("code", sorted(DOORS))
async def test_every_error_of_the_service_is_told_with_what_why_and_remedy(tmp_path: Path, code: str) -> None:
    async with (
        serving(tmp_path, limits=Limits(queue=3, body=1000), drive=False) as rig,
        rig.client() as client,
    ):
        entry = entries()[code]
        found = problem(await DOORS[code](rig, client), entry.status, code)
        assert found["title"] == entry.title
        assert found["docs"] == found["type"] == entry.docs
        for text in (found["what"], found["why"]):
            assert text not in {entry.title, *entry.why}, "it says nothing of this case"
