"""Runs over HTTP: started once, listed page by page, looked into, and told what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from service.rig import CUSTOMER, Rig, problem, serving, started, told
from surefoot.cli import root
from surefoot.service.room import FULL
from surefoot.service.service import Limits
from surefoot.testing import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx2.AsyncClient]:
    async with rig.client() as made:
        yield made


# ── starting ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_run_that_is_started_is_on_disk_and_ends(rig: Rig, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/runs", json={"input": {"amount": "20"}})
    assert answer.status_code == 202
    run = answer.json()
    assert run["id"] == run["run"]
    assert run["status"] in ("queued", "running", "succeeded")
    assert answer.headers["location"] == f"/v1/runs/{run['id']}"
    assert "preference-applied" not in answer.headers
    assert await rig.service.store.run(run["id"]) is not None
    ended = await told(client, run["id"], "succeeded")
    assert ended["output"] == {"amount": "20", "email": CUSTOMER}
    assert [one["name"] for one in ended["steps"]] == ["ready", "paid"]
    assert ended["calls"][0]["tool"] == "charge"
    assert rig.till.charged == [20]


async def test_prefer_wait_answers_when_the_run_has_ended_or_asks_a_person(
    client: httpx2.AsyncClient,
) -> None:
    for amount, status in (("20", "succeeded"), ("80", "waiting")):
        answer = await client.post(
            "/v1/runs", json={"input": {"amount": amount}}, headers={"prefer": "respond-async, wait=20"}
        )
        assert answer.status_code == 200
        assert answer.headers["preference-applied"] == "wait=20"
        assert answer.json()["status"] == status
    assert len(answer.json()["waiting_for"]) == 1
    assert answer.json()["items"][0]["args"] == {"amount": "80", "email": CUSTOMER}


async def test_prefer_wait_answers_202_when_the_time_is_over(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/runs", json={"input": {"hold": True}}, headers={"prefer": "wait=0"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=0"
    assert answer.json()["status"] in ("queued", "running")


async def test_nobody_waits_for_longer_than_the_deployment_allows(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(wait=0.1)) as rig, rig.client() as client:
        answer = await client.post(
            "/v1/runs", json={"input": {"hold": True}}, headers={"prefer": 'wait="3600"'}
        )
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=0.1"


@pytest.mark.parametrize("prefer", ["wait", "wait=-1", "wait=x", "await=3", "return=minimal", "wait=3.5"])
async def test_a_preference_that_is_not_understood_is_none(client: httpx2.AsyncClient, prefer: str) -> None:
    answer = await client.post("/v1/runs", json={"input": {}}, headers={"prefer": prefer})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_waiting_ends_when_the_service_is_stopped(rig: Rig, client: httpx2.AsyncClient) -> None:
    run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
    asking = asyncio.create_task(client.get(f"/v1/runs/{run}", headers={"prefer": "wait=60"}))
    while rig.service.feed.count == 0:
        await asyncio.sleep(0.01)
    rig.service.feed.end()
    answer = await asyncio.wait_for(asking, 10)
    assert answer.status_code == 200
    assert answer.json()["status"] in ("queued", "running")


# ── once ─────────────────────────────────────────────────────────────────────────────────────────


async def test_the_same_key_and_body_are_the_same_run(client: httpx2.AsyncClient) -> None:
    key = {"idempotency-key": "sale-17"}
    first = await client.post("/v1/runs", json={"input": {"amount": "20"}}, headers=key)
    again = await client.post("/v1/runs", json={"input": {"amount": "20", "item": "a lamp"}}, headers=key)
    assert first.status_code == again.status_code == 202
    assert first.json()["id"] == again.json()["id"]
    other = await client.post("/v1/runs", json={"input": {"amount": "21"}}, headers=key)
    problem(other, 422, "key_conflict")


async def test_50_same_requests_at_once_are_one_run(rig: Rig, client: httpx2.AsyncClient) -> None:
    key = {"idempotency-key": "sale-17", "prefer": "wait=20"}
    answers = await asyncio.gather(
        *(client.post("/v1/runs", json={"input": {"amount": "20"}}, headers=key) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await client.get("/v1/runs")).json()["data"]) == 1
    assert rig.till.charged == [20]


async def test_a_full_queue_refuses_new_runs_and_finds_old_ones(tmp_path: Path) -> None:
    limits, clock = Limits(queue=2), ManualClock()
    async with serving(tmp_path, limits=limits, clock=clock, drive=False) as rig, rig.client() as client:
        answers = [
            await client.post("/v1/runs", json={"input": {}}, headers={"idempotency-key": f"k{number}"})
            for number in range(4)
        ]
        assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
        problem(answers[3], 429, "queue_full")
        assert int(answers[3].headers["retry-after"]) >= 1
        again = await client.post("/v1/runs", json={"input": {}}, headers={"idempotency-key": "k1"})
        assert again.status_code == 202
        assert again.json()["id"] == answers[1].json()["id"]
        await rig.service.store.claim(1)
        await clock.advance(FULL)
        assert (await client.post("/v1/runs", json={"input": {}})).status_code == 202


async def test_a_full_queue_lets_no_more_in_when_many_come_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(queue=5), drive=False) as rig, rig.client() as client:
        answers = await asyncio.gather(*(client.post("/v1/runs", json={"input": {}}) for _ in range(30)))
        assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 25
        assert (await rig.service.store.queue()).depth == 5


async def test_refusing_costs_no_look_at_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with (
        serving(tmp_path, limits=Limits(queue=1), clock=clock, drive=False) as rig,
        rig.client() as client,
    ):
        counts = 0
        of_store = rig.service.store.queue

        async def counted(workflow: str | None = None) -> Any:
            nonlocal counts
            counts += 1
            return await of_store(workflow)

        monkeypatch.setattr(rig.service.store, "queue", counted)
        assert (await client.post("/v1/runs", json={"input": {}})).status_code == 202
        for _ in range(20):
            problem(await client.post("/v1/runs", json={"input": {}}), 429, "queue_full")
        assert counts == 2


async def test_a_service_that_is_stopped_takes_no_new_runs(rig: Rig, client: httpx2.AsyncClient) -> None:
    rig.service.draining = True
    answer = await client.post("/v1/runs", json={"input": {}})
    problem(answer, 503, "draining")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await client.get("/v1/runs")).status_code == 200


async def test_a_closed_intake_says_so(client: httpx2.AsyncClient) -> None:
    paused = await client.post("/v1/intake/pause", json={"refuse": True, "reason": "the shop moves"})
    assert (paused.json()["state"], paused.json()["by"], paused.json()["changed"]) == (
        "refused",
        "olga",
        True,
    )
    answer = await client.post("/v1/runs", json={"input": {}})
    problem(answer, 503, "intake_closed")
    assert "retry-after" in answer.headers
    assert (await client.get("/v1/intake")).json()["intakes"][0]["reason"] == "the shop moves"
    assert (await client.post("/v1/intake/resume")).json()["state"] == "open"
    assert (await client.post("/v1/runs", json={"input": {}})).status_code == 202


# ── lists ────────────────────────────────────────────────────────────────────────────────────────


async def pages(client: httpx2.AsyncClient, path: str, **asked: Any) -> list[list[dict[str, Any]]]:
    """By the Link header, as a client of any API would."""
    found, url = [], str(httpx2.URL(path, params=asked))
    while True:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["data"])
        link = answer.headers.get("link")
        assert (link is None) == (answer.json()["next"] is None)
        if link is None:
            return found
        assert link.endswith('>; rel="next"')
        url = link[1:].partition(">")[0]


async def test_pages_neither_skip_nor_repeat_while_runs_arrive(rig: Rig, client: httpx2.AsyncClient) -> None:
    there = [(await client.post("/v1/runs", json={"input": {}})).json()["id"] for _ in range(11)]
    found, cursor = [], None
    while True:
        asked = {"limit": 3} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/v1/runs", params=asked)).json()
        found += [one["id"] for one in page["data"]]
        await asyncio.gather(*(client.post("/v1/runs", json={"input": {}}) for _ in range(2)))
        if (cursor := page["next"]) is None:
            break
    assert found == there[::-1]


async def test_runs_are_found_by_status_workflow_and_time(client: httpx2.AsyncClient) -> None:
    waiting = await started(client, amount="80")
    ended = [await started(client) for _ in range(3)]
    failed = await started(client, fail=True)

    async def found(**asked: Any) -> list[str]:
        return [one["id"] for page in await pages(client, "/v1/runs", **asked) for one in page]

    assert await found(status="waiting") == [waiting["id"]]
    assert await found(status=["waiting", "failed"], limit=1) == [failed["id"], waiting["id"]]
    assert await found(status="succeeded", limit=2) == [one["id"] for one in ended[::-1]]
    assert await found(workflow="other") == []
    assert len(await found(workflow="till")) == 5
    assert await found(since=failed["created"]) == [failed["id"]]
    assert await found(since="2001-01-01T00:00:00+02:00", status="failed") == [failed["id"]]
    assert failed["error"]["code"] == "step_failed"


async def test_the_events_of_a_run_are_read_page_by_page(client: httpx2.AsyncClient) -> None:
    run = await started(client)
    read = await pages(client, f"/v1/runs/{run['id']}/events", limit=2)
    events = [event for page in read for event in page]
    assert [event["seq"] for event in events] == list(range(1, run["events"] + 1))
    assert events[0]["kind"] == "run.submitted"
    assert events[-1]["kind"] == "run.finished"
    assert all(len(page) == 2 for page in read[:-1])
    tail = await client.get(f"/v1/runs/{run['id']}/events", params={"after": run["events"] - 1})
    assert [event["kind"] for event in tail.json()["data"]] == ["run.finished"]


# ── saying something to one ──────────────────────────────────────────────────────────────────────


async def test_a_run_is_cancelled_by_whoever_asks(rig: Rig, client: httpx2.AsyncClient) -> None:
    run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
    asked = await client.post(f"/v1/runs/{run}/cancel", json={"reason": "they left"})
    assert asked.status_code == 202
    rig.till.gate.set()
    ended = await told(client, run, "cancelled")
    assert ended["error"]["code"] == "run_cancelled"
    events = (await client.get(f"/v1/runs/{run}/events")).json()["data"]
    (cancelled,) = [event["view"] for event in events if event["kind"] == "run.cancelling"]
    assert (cancelled["by"], cancelled["reason"]) == ("olga", "they left")
    problem(await client.post(f"/v1/runs/{run}/cancel"), 422, "wrong_decision")


async def test_a_failed_run_is_taken_up_again(client: httpx2.AsyncClient) -> None:
    run = await started(client, fail=True)
    assert (await client.post(f"/v1/runs/{run['id']}/retry")).status_code == 202
    again = await client.get(f"/v1/runs/{run['id']}", headers={"prefer": "wait=20"})
    assert again.json()["steps"][0]["attempts"] == 2
    ended = await started(client)
    problem(await client.post(f"/v1/runs/{ended['id']}/retry"), 409, "run_not_finished")


async def test_a_fork_does_anew_what_needs_the_step(rig: Rig, client: httpx2.AsyncClient) -> None:
    run = await started(client)
    answer = await client.post(f"/v1/runs/{run['id']}/fork", json={"start_from": "paid"})
    assert answer.status_code == 202
    assert answer.json()["forked_from"] == run["id"]
    forked = await told(client, answer.json()["id"], "succeeded")
    assert answer.headers["location"] == f"/v1/runs/{forked['id']}"
    assert [one["how"] for one in forked["steps"]] == ["forked", "ok"]
    assert len(rig.till.charged) == 2
    problem(await client.post(f"/v1/runs/{run['id']}/fork", json={"start_from": "none"}), 400, "usage")


@pytest.mark.parametrize(
    "name", ["r0", "r%2F0", "%00", "r 0", "💥", "r" * 300, "..", "'; DROP TABLE runs; --"]
)
async def test_a_run_that_is_not_there_is_not_found(client: httpx2.AsyncClient, name: str) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/events"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("POST", "/reveal"),
        ("POST", "/forget"),
    ):
        answer = await client.request(method, f"/v1/runs/{name}{path}")
        problem(answer, 404, answer.json()["code"])
        assert answer.json()["code"] in ("run_not_found", "no_such_page")


async def test_a_run_has_all_that_the_commands_show_of_it(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    for sale in ({}, {"amount": "80"}, {"fail": True}):
        run = await started(client, **sale)
        store = f"sqlite:///{tmp_path}/x.db"
        said = await asyncio.to_thread(
            CliRunner().invoke, root, ["runs", "show", run["id"], "--store", store, "--json"]
        )
        shown = json.loads(said.stdout)
        exact = {"output", "items"}
        assert {name: run[name] for name in shown if name not in exact} == {
            name: value for name, value in shown.items() if name not in exact
        }
        of_result = {"run", "status", "degraded", "output", "error", "usage", "waiting_for", "items"}
        assert of_result <= run.keys()
        assert [item.keys() for item in run["items"]] == [item.keys() for item in shown["items"]]
