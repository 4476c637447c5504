"""Deciding over HTTP: once, by the person of the token, and under every check that a decision has anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.rig import Rig, problem, serving, started, told

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx2.AsyncClient]:
    async with rig.client() as made:
        yield made


async def asked(client: httpx2.AsyncClient, amount: str = "80") -> tuple[str, str]:
    """(run, item)"""
    waiting = await started(client, amount=amount)
    (item,) = waiting["waiting_for"]
    return waiting["id"], item


async def decide(client: httpx2.AsyncClient, item: str, **body: Any) -> httpx2.Response:
    return await client.post(f"/v1/inbox/{item}/decision", json=body)


async def test_what_is_approved_happens_once(rig: Rig, client: httpx2.AsyncClient) -> None:
    run, item = await asked(client)
    seen = (await client.get(f"/v1/inbox/{item}")).json()
    assert (seen["id"], seen["item"], seen["tool"], seen["for"]) == (item, item, "charge", "leads")
    assert set(seen["choices"]) == {"approve", "deny", "edit"}
    decided = await decide(client, item, choice="approve", reason="they are known here")
    assert decided.status_code == 200
    assert (decided.json()["by"], decided.json()["decision"], decided.json()["status"]) == (
        "olga",
        "approve",
        "decided",
    )
    ended = await told(client, run, "succeeded")
    assert rig.till.charged == [80]
    assert (ended["items"][0]["by"], ended["items"][0]["said"]) == ("olga", "they are known here")
    problem(await decide(client, item, choice="approve"), 409, "item_closed")


async def test_what_is_denied_does_not_happen(rig: Rig, client: httpx2.AsyncClient) -> None:
    run, item = await asked(client)
    assert (await decide(client, item, choice="deny", reason="too dear")).status_code == 200
    ended = await told(client, run, "failed")
    assert ended["error"]["code"] == "denied"
    assert rig.till.charged == []


async def test_what_is_edited_passes_every_check_again(rig: Rig, client: httpx2.AsyncClient) -> None:
    run, item = await asked(client)
    shown = (await client.get(f"/v1/inbox/{item}")).json()["args"]["email"]
    problem(
        await decide(client, item, choice="edit", args={"amount": "much", "email": shown}),
        422,
        "invalid_arguments",
    )
    problem(await decide(client, item, choice="edit", args={"amount": "60"}), 422, "invalid_arguments")
    assert (await client.get(f"/v1/inbox/{item}")).json()["status"] == "open", "nothing was decided yet"
    answer = await decide(client, item, choice="edit", args={"amount": "30", "email": shown})
    assert answer.status_code == 200
    ended = await told(client, run, "succeeded")
    assert rig.till.charged == [Decimal(30)]
    assert ended["output"]["email"].endswith("@example.org"), "a placeholder stood for the private value"


async def test_two_people_deciding_at_once_are_one_decision(rig: Rig) -> None:
    tokens = [
        await rig.token("runs:read", "runs:write", "inbox:decide", person=f"p{number}") for number in range(8)
    ]
    clients = [rig.client(token) for token in tokens]
    run, item = await asked(clients[0])
    choices = ["approve", "deny"] * 4
    answers = await asyncio.gather(
        *(decide(client, item, choice=choice) for client, choice in zip(clients, choices, strict=True))
    )
    won = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    assert len(won) == 1
    for number, answer in enumerate(answers):
        if number not in won:
            problem(answer, 409, "item_closed")
    (first,) = won
    assert answers[first].json()["by"] == f"p{first}"
    await told(clients[0], run, "succeeded" if choices[first] == "approve" else "failed")
    assert len(rig.till.charged) == (1 if choices[first] == "approve" else 0)
    for client in clients:
        await client.aclose()


async def test_only_the_group_decides_and_nobody_says_who_he_is(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, people={"leads": ["lea"]}) as rig,
        rig.client(await rig.token(person="bo")) as bo,
        rig.client(await rig.token(person="lea")) as lea,
    ):
        _, item = await asked(bo)
        problem(await decide(bo, item, choice="approve"), 403, "not_allowed_to_decide")
        problem(await decide(bo, item, choice="approve", by="lea"), 422, "bad_request")
        assert (await decide(lea, item, choice="approve")).json()["by"] == "lea"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choice": "perhaps"},
        {"choice": None},
        {"choice": "edit"},
        {"choice": "edit", "args": []},
        {"choice": "settle"},
        {"choice": "approve", "args": {}},
        {"choice": "approve", "reason": 3},
        {"choice": "approve", "reason": "x" * 10_001},
        {"choice": ["approve"]},
        [],
        "approve",
        None,
    ],
)
async def test_a_decision_that_is_none_is_refused(client: httpx2.AsyncClient, body: Any) -> None:
    _, item = await asked(client)
    content = None if body is None else json.dumps(body).encode()
    answer = await client.post(
        f"/v1/inbox/{item}/decision", content=content, headers={"content-type": "application/json"}
    )
    found = problem(answer, 422, "bad_request")
    assert found["errors"]
    assert (await client.get(f"/v1/inbox/{item}")).json()["status"] == "open"


async def test_a_choice_that_the_item_does_not_have_is_refused(client: httpx2.AsyncClient) -> None:
    _, item = await asked(client)
    problem(await decide(client, item, choice="settle", result={}), 422, "wrong_decision")
    problem(await decide(client, "nothing-1", choice="approve"), 404, "item_not_found")
    problem(await client.get("/v1/inbox/nothing-1"), 404, "item_not_found")
    problem(await client.post("/v1/inbox/nothing-1/reveal"), 404, "item_not_found")


async def test_the_inbox_is_read_page_by_page_while_items_are_decided(client: httpx2.AsyncClient) -> None:
    items = [(await asked(client))[1] for _ in range(7)]
    found: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/v1/inbox", params=params)).json()
        found += [one["id"] for one in page["data"]]
        await decide(client, page["data"][-1]["id"], choice="deny")
        if (cursor := page["next"]) is None:
            break
    assert found == items
    left = (await client.get("/v1/inbox")).json()["data"]
    assert [one["id"] for one in left] == [items[0], items[2], items[4]]
    everything = (await client.get("/v1/inbox", params={"status": "all"})).json()["data"]
    assert [one["id"] for one in everything] == items
    run = everything[3]["run"]
    assert [
        one["id"]
        for one in (await client.get("/v1/inbox", params={"run": run, "status": "all"})).json()["data"]
    ] == [items[3]]
    problem(await client.get("/v1/inbox", params={"run": "r0"}), 404, "run_not_found")
