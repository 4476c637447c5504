"""Whether it lives, whether it can work, and what operators see of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

from service.rig import CUSTOMER, Rig, problem, serving, started
from surefoot.core.jsons import loads
from surefoot.errors import StoreUnavailable
from surefoot.state.deliveries import TYPES, EndpointRow
from surefoot.testing import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx2.AsyncClient]:
    async with rig.client() as made:
        yield made


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / "x.db", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


async def test_it_is_ready_when_the_store_can_be_read_and_written(client: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_while_it_is_stopped(rig: Rig, client: httpx2.AsyncClient) -> None:
    rig.service.draining = True
    problem(await client.get("/readyz"), 503, "draining")
    assert (await client.get("/healthz")).status_code == 200


async def test_it_is_not_ready_when_another_surefoot_has_changed_the_schema(tmp_path: Path) -> None:
    clock = ManualClock()
    async with serving(tmp_path, clock=clock) as rig, rig.client() as client:
        assert (await client.get("/readyz")).status_code == 200
        with database(tmp_path) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute("PRAGMA user_version = 999")
            await clock.advance(2)
            found = problem(await client.get("/readyz"), 503, "store_version")
            assert "999" in found["why"]
            connection.execute(f"PRAGMA user_version = {version}")
        await clock.advance(2)
        assert (await client.get("/readyz")).status_code == 200


async def test_it_is_not_ready_when_the_store_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.service.probe.PATIENCE", 0.2)
    clock = ManualClock()
    async with serving(tmp_path, clock=clock) as rig, rig.client() as client:
        with database(tmp_path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            found = problem(await client.get("/readyz"), 503, "store_unavailable")
            assert "does not answer" in found["what"]
            connection.execute("ROLLBACK")
        await clock.advance(2)
        assert (await client.get("/readyz")).status_code == 200


async def test_whoever_asks_often_makes_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    async with serving(tmp_path, clock=clock) as rig, rig.client() as client:
        probes = 0

        async def probe() -> None:
            nonlocal probes
            probes += 1
            raise StoreUnavailable("the store cannot be used", why="the disk is full")

        monkeypatch.setattr(rig.service.store, "probe", probe)
        for _ in range(5):
            problem(await client.get("/readyz"), 503, "store_unavailable")
        assert probes == 1
        await clock.advance(1)
        await client.get("/readyz")
        assert probes == 2


async def test_the_probe_leaves_nothing_in_the_store(
    rig: Rig, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    await client.get("/readyz")
    with database(tmp_path) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


# ── for operators ────────────────────────────────────────────────────────────────────────────────


async def test_the_workflow_tells_what_it_takes_and_may_do(client: httpx2.AsyncClient) -> None:
    found = (await client.get("/v1/workflow")).json()
    assert (found["name"], found["version"]) == ("till", "1")
    assert found["examples"] == [{"item": "a lamp", "amount": "20"}]
    assert found["input_schema"]["properties"].keys() == {"item", "amount", "email", "hold", "fail"}
    assert [(one["step"], one["needs"]) for one in found["steps"]] == [("ready", []), ("paid", ["ready"])]
    (charge, _) = found["tools"]
    assert (charge["tool"], charge["effect"], charge["permission"]) == ("charge", "keyed", "till:charge")
    assert charge["rules"]
    assert charge["input_schema"]["properties"].keys() == {"amount", "email"}


async def test_the_workers_and_the_days_are_told(client: httpx2.AsyncClient) -> None:
    await started(client)
    (worker,) = (await client.get("/v1/workers")).json()["data"]
    assert worker["alive"] is True
    budget = (await client.get("/v1/budget", params={"days": 30})).json()
    (day,) = budget["days"]
    assert (day["workflow"], day["day"]) == ("till", budget["today"])
    assert budget["intakes"][0]["state"] == "open"


async def test_deliveries_are_read_page_by_page_and_sent_again(rig: Rig, client: httpx2.AsyncClient) -> None:
    await rig.service.store.set_endpoints([EndpointRow("hook", "https://hooks.example", TYPES, 0)])
    for _ in range(5):
        await started(client)
    first = (await client.get("/v1/deliveries", params={"limit": 3})).json()
    await started(client)
    rest = (await client.get("/v1/deliveries", params={"limit": 3, "cursor": first["next"]})).json()
    numbers = [one["id"] for one in (*first["data"], *rest["data"])]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 5
    assert rest["next"] is None
    assert {one["type"] for one in first["data"]} == {"run.succeeded"}
    (taken, *_) = await rig.service.store.take_deliveries("hook", 1, 2**60)
    await rig.service.store.settle_delivery(taken, "failed", "410")
    failed = (await client.get("/v1/deliveries", params={"status": "failed"})).json()["data"]
    assert [(one["id"], one["answer"]) for one in failed] == [(taken.id, "410")]
    for _ in range(2):
        again = await client.post(f"/v1/deliveries/{taken.id}/replay")
        assert (again.status_code, again.json()) == (202, {"id": taken.id, "status": "waiting"})
    assert (await client.get("/v1/deliveries", params={"status": "failed"})).json()["data"] == []


async def test_numbers_are_for_whoever_may_read(rig: Rig) -> None:
    token = await rig.token("runs:read")
    async with rig.client(token) as client:
        assert (await client.get("/metrics")).status_code == 200


# ── the document ─────────────────────────────────────────────────────────────────────────────────


async def test_the_document_has_every_route_with_its_scope_and_its_problems(
    rig: Rig, client: httpx2.AsyncClient
) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = [(path, method, one) for path, of in document["paths"].items() for method, one in of.items()]
    assert len(operations) >= 24
    for path, method, one in operations:
        said = f"{method} {path}"
        assert one["summary"], said
        assert one.get("description"), said
        good = [status for status in one["responses"] if status < "300"]
        assert good, said
        for status in good:
            for media in one["responses"][status]["content"].values():
                assert media["schema"], said
        for status in set(one["responses"]) - set(good):
            assert one["responses"][status]["content"]["application/problem+json"], said
        if path in ("/healthz", "/readyz"):
            assert "security" not in one
        else:
            assert one["security"], said
            assert one["responses"]["503"]["headers"]["Retry-After"]
            assert {"401", "403", "503"} <= one["responses"].keys(), said
    assert len({one["operationId"] for _, _, one in operations}) == len(operations)


async def test_the_document_has_the_input_of_this_very_workflow(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    new = document["components"]["schemas"]["NewRun"]
    assert new["properties"]["input"] == {"$ref": "#/components/schemas/Input"}
    assert new["examples"] == [{"input": {"item": "a lamp", "amount": "20"}}]
    example = new["examples"][0]
    assert (await client.post("/v1/runs", json=example)).status_code == 202
    assert document["components"]["schemas"]["Input"]["properties"]["hold"]["type"] == "boolean"
    text = str(document)
    assert "#/$defs/" not in text
    assert CUSTOMER not in text


async def test_every_example_of_the_document_is_as_its_schema_says(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    seen = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            seen += 1
            whole = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
            Draft202012Validator(whole).validate(example)
    assert seen >= 9


async def test_every_answer_is_as_the_document_says(rig: Rig, client: httpx2.AsyncClient) -> None:
    """All of the answers that a run's life brings, against the schemas."""
    document = (await client.get("/openapi.json")).json()

    async def ask(method: str, template: str, path: str = "", **more: Any) -> Any:
        answer = await client.request(method, path or template, **more)
        said = document["paths"][template][method.lower()]["responses"]
        assert str(answer.status_code) in said, (template, answer.status_code, answer.text)
        media = answer.headers["content-type"].partition(";")[0]
        schema = {
            **said[str(answer.status_code)]["content"][media]["schema"],
            "components": document["components"],
        }
        Draft202012Validator(schema).validate(loads(answer.text))
        return loads(answer.text)

    await rig.service.store.set_endpoints([EndpointRow("hook", "https://hooks.example", TYPES, 0)])
    wait = {"prefer": "wait=20"}
    new = {"input": {"amount": "80"}}
    run = await ask("POST", "/v1/runs", json=new, headers=wait)
    await ask("POST", "/v1/runs", json={"input": {}})
    item = run["waiting_for"][0]
    await ask("POST", "/v1/inbox/{item}/reveal", f"/v1/inbox/{item}/reveal")
    await ask("GET", "/v1/inbox/{item}", f"/v1/inbox/{item}")
    await ask("GET", "/v1/inbox")
    decision = {"choice": "deny", "reason": "no"}
    await ask("POST", "/v1/inbox/{item}/decision", f"/v1/inbox/{item}/decision", json=decision)
    await ask("POST", "/v1/inbox/{item}/decision", f"/v1/inbox/{item}/decision", json=decision)
    await ask("GET", "/v1/runs/{run}", f"/v1/runs/{run['id']}", headers=wait)
    for act in ("retry", "cancel", "reveal", "forget", "forget", "reveal", "cancel"):
        await ask("POST", f"/v1/runs/{{run}}/{act}", f"/v1/runs/{run['id']}/{act}")
        await ask("GET", "/v1/runs/{run}", f"/v1/runs/{run['id']}", headers=wait)
    ended = await ask("POST", "/v1/runs", json={"input": {}}, headers=wait)
    fork = f"/v1/runs/{ended['id']}/fork"
    await ask("POST", "/v1/runs/{run}/fork", fork, json={"start_from": "paid"})
    await ask("POST", "/v1/runs/{run}/fork", fork, json={"start_from": "nothing"})
    await ask("POST", "/v1/runs", json={"input": {"fail": True}}, headers=wait)
    await ask("GET", "/v1/runs/{run}/events", f"/v1/runs/{ended['id']}/events")
    for path in (
        "/v1/runs",
        "/v1/workers",
        "/v1/workflow",
        "/v1/budget",
        "/v1/intake",
        "/v1/deliveries",
        "/healthz",
        "/readyz",
    ):
        await ask("GET", path)
    for act in ("pause", "resume"):
        await ask("POST", f"/v1/intake/{act}", json={"reason": "stock-taking"})
    deliveries = await ask("GET", "/v1/deliveries")
    number = deliveries["data"][0]["id"]
    await ask("POST", "/v1/deliveries/{delivery}/replay", f"/v1/deliveries/{number}/replay")
    await ask("POST", "/v1/deliveries/{delivery}/replay", "/v1/deliveries/0/replay")
    await ask("GET", "/v1/runs/{run}", "/v1/runs/r0")
    await ask("GET", "/v1/runs", "/v1/runs?limit=0")
    await ask("POST", "/v1/runs", content=b"{", headers={"content-type": "application/json"})
