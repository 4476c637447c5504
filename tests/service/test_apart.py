"""The API in one process and the worker in another: all that a run needs goes over the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.rig import CUSTOMER, problem, serving, started, told
from surefoot import Call, Effect, Tool, Workflow, step

pytestmark = pytest.mark.anyio


async def heard(client: httpx2.AsyncClient, run: str, kind: str) -> None:
    """Another process's doing: it is seen when it is in the journal."""
    while True:
        events = (await client.get(f"/v1/runs/{run}/events")).json()["data"]
        if kind in [event["kind"] for event in events]:
            return
        await asyncio.sleep(0.02)


async def test_a_run_is_lived_from_end_to_end_over_the_store(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, drive=False) as rig,
        rig.client(await rig.token()) as client,
        serving(tmp_path) as worker,
    ):
        worker.service.runtime.begin_driving()
        ended = await started(client)
        assert (ended["status"], ended["exact"]) == ("succeeded", True)
        assert ended["output"] == {"amount": "20", "email": CUSTOMER}
        assert worker.till.charged == [20]
        assert rig.till.charged == []

        waiting = await started(client, amount="80")
        (item,) = waiting["waiting_for"]
        assert (
            await client.post(f"/v1/inbox/{item}/decision", json={"choice": "approve"})
        ).status_code == 200
        await told(client, waiting["id"], "succeeded")
        assert worker.till.charged == [20, 80]

        held = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
        await heard(client, held, "call.intended")
        shown = await client.post(f"/v1/runs/{held}/reveal", json={"reason": "the customer calls"})
        assert shown.json()["input"]["email"] == CUSTOMER, "its holder wrote it down"
        problem(await client.post(f"/v1/runs/{held}/forget"), 409, "run_not_finished")
        assert (await client.post(f"/v1/runs/{held}/cancel")).status_code == 202
        await heard(client, held, "run.cancelling")
        worker.till.gate.set()
        await told(client, held, "cancelled")
        assert (await client.post(f"/v1/runs/{held}/retry")).status_code == 202
        await told(client, held, "succeeded")
        workers = (await client.get("/v1/workers")).json()["data"]
        assert [one["alive"] for one in workers] == [True], "who only answers is no worker"


async def stock(call: Call, args: dict[str, Any]) -> int:
    return 1


@step
def counted(given: int) -> int:
    return given


async def test_what_the_workflow_tells_of_itself_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "orchard-kettle-9173"
    monkeypatch.setenv("SHOP_KEY", secret)
    described = f"Asks the shop with {secret}."
    asking = Tool.from_schema("stock", described, {"type": "object"}, stock, effect=Effect.READ)
    shop = Workflow(
        "shop", input=int, steps=[counted], tools=[asking], secrets=["SHOP_KEY"], description=described
    )
    async with serving(tmp_path, workflow=shop) as rig, rig.client() as client:
        for path in ("/v1/workflow", "/openapi.json"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert secret not in answer.text
            assert "SHOP_KEY" in answer.text, "it says what stood there"
