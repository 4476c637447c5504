"""Who sees what: views for all, exact values for the token that started a run, and for whoever they are
revealed to, with their name in the journal first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.rig import CUSTOMER, Rig, problem, serving, started, told

pytestmark = pytest.mark.anyio


async def revealings(client: httpx2.AsyncClient, run: str) -> list[tuple[str, str, str]]:
    events = (await client.get(f"/v1/runs/{run}/events")).json()["data"]
    views = [event["view"] for event in events if event["kind"] == "private.revealed"]
    return [(view["to"], view["what"], view.get("reason", "")) for view in views]


async def everything(client: httpx2.AsyncClient, run: str) -> str:
    """All that the API shows without being asked to reveal anything."""
    paths = [f"/v1/runs/{run}", f"/v1/runs/{run}/events", "/v1/runs", "/v1/inbox?status=all", "/v1/workflow"]
    texts = [(await client.get(path)).text for path in paths]
    streamed = await client.get(f"/v1/runs/{run}/events", headers={"accept": "text/event-stream"})
    return "\n".join([*texts, streamed.text])


async def test_exact_values_are_for_the_token_that_started_the_run(rig: Rig) -> None:
    mine, others = await rig.token(person="kim"), await rig.token(person="bo")
    async with rig.client(mine) as client, rig.client(others) as other:
        ended = await started(client)
        assert ended["exact"] is True
        assert ended["output"]["email"] == CUSTOMER
        assert CUSTOMER not in str(ended["input"]), "what is no output stays a view"
        seen = (await other.get(f"/v1/runs/{ended['id']}")).json()
        assert seen["exact"] is False
        assert CUSTOMER not in await everything(other, ended["id"])
        assert seen["output"]["amount"] == "20"

        waiting = await started(client, amount="80")
        assert waiting["items"][0]["args"]["email"] == CUSTOMER
        answer = await other.post("/v1/runs", json={"input": {"amount": "80"}})
        assert answer.status_code == 202
        seen = (await other.get(f"/v1/runs/{waiting['id']}")).json()
        assert seen["items"][0]["args"]["amount"] == "80"
        assert CUSTOMER not in str(seen)
        assert await revealings(client, waiting["id"]) == []


async def test_a_key_that_somebody_else_used_shows_a_view(rig: Rig) -> None:
    mine, others = await rig.token(person="kim"), await rig.token(person="bo")
    key = {"idempotency-key": "sale-1", "prefer": "wait=20"}
    async with rig.client(mine, **key) as client, rig.client(others, **key) as other:
        first = await client.post("/v1/runs", json={"input": {}})
        again = await other.post("/v1/runs", json={"input": {}})
        assert again.json()["id"] == first.json()["id"]
        assert first.json()["exact"] is True
        assert again.json()["exact"] is False
        assert CUSTOMER not in again.text


async def test_who_may_only_start_runs_looks_into_their_own(rig: Rig) -> None:
    mine, others = await rig.token("runs:write", person="kim"), await rig.token("runs:write", person="bo")
    key = {"idempotency-key": "sale-1", "prefer": "wait=20"}
    async with rig.client(mine, **key) as client, rig.client(others, **key) as other:
        first = await client.post("/v1/runs", json={"input": {}})
        assert first.status_code == 200
        assert first.json()["output"]["email"] == CUSTOMER
        again = await other.post("/v1/runs", json={"input": {}})
        assert again.status_code == 202
        assert again.json()["id"] == first.json()["id"]
        assert again.json().keys().isdisjoint({"input", "output", "steps", "items"})
        problem(await client.get(f"/v1/runs/{first.json()['id']}"), 403, "scope_missing")


async def test_what_a_command_started_is_exact_for_the_local_person_only(rig: Rig) -> None:
    run = (await rig.service.runtime.start({"item": "a lamp"})).id
    await rig.service.runtime.result(run)
    async with rig.client() as client:
        assert (await client.get(f"/v1/runs/{run}")).json()["exact"] is True
    async with rig.client(await rig.token()) as client:
        assert (await client.get(f"/v1/runs/{run}")).json()["exact"] is False


async def test_a_session_is_what_its_token_is(rig: Rig) -> None:
    token = await rig.token()
    async with rig.client(token) as client:
        run = await started(client)
    cookie, _ = await rig.service.access.log_in(token)
    async with rig.client(cookie=f"surefoot={cookie}") as browser:
        assert (await browser.get(f"/v1/runs/{run['id']}")).json()["exact"] is True


async def test_a_fork_gives_nobody_the_exact_values_of_another(rig: Rig) -> None:
    mine, others = await rig.token(person="kim"), await rig.token(person="bo")
    async with rig.client(mine) as client, rig.client(others) as other:
        run = await started(client)
        forked = await other.post(f"/v1/runs/{run['id']}/fork", json={"start_from": "paid"})
        seen = await told(other, forked.json()["id"], "succeeded")
        assert seen["exact"] is False
        assert CUSTOMER not in str(seen)


async def test_what_is_revealed_is_in_the_journal_first(rig: Rig) -> None:
    token = await rig.token("runs:read", "runs:reveal", person="ann")
    async with rig.client(await rig.token()) as client, rig.client(token) as ann:
        run = (await started(client))["id"]
        problem(await client.post(f"/v1/runs/{run}/reveal", json={"because": "?"}), 422, "bad_request")
        answer = await ann.post(f"/v1/runs/{run}/reveal", json={"reason": "the customer called"})
        assert answer.status_code == 200
        assert answer.json()["input"]["email"] == CUSTOMER
        assert answer.json()["calls"][0]["args"]["email"] == CUSTOMER
        assert await revealings(client, run) == [("ann", "everything", "the customer called")]
        assert CUSTOMER not in str((await ann.get(f"/v1/runs/{run}/events")).json())


async def test_the_scope_admin_does_not_reveal(rig: Rig) -> None:
    async with rig.client(await rig.token("admin")) as client:
        run = (await started(client))["id"]
        problem(await client.post(f"/v1/runs/{run}/reveal"), 403, "scope_missing")
        assert await revealings(client, run) == []


async def test_who_decides_sees_what_is_asked_while_it_is_open(tmp_path: Path) -> None:
    people = {"leads": ["lea"], "reveal": ["rob"]}
    async with serving(tmp_path, people=people) as rig, rig.client(await rig.token()) as client:
        waiting = await started(client, amount="80")
        (item,) = waiting["waiting_for"]

        async def reveal(person: str, *scopes: str) -> httpx2.Response:
            async with rig.client(await rig.token(*scopes, person=person)) as one:
                return await one.post(f"/v1/inbox/{item}/reveal")

        problem(await reveal("lea", "runs:read"), 403, "scope_missing")
        problem(await reveal("bo", "inbox:decide"), 403, "scope_missing")
        problem(await reveal("rob", "inbox:decide"), 403, "scope_missing")
        problem(await reveal("bo", "runs:reveal"), 403, "not_allowed_to_decide")
        shown = await reveal("lea", "inbox:decide")
        assert shown.status_code == 200
        assert shown.json()["args"] == {"amount": "80", "email": CUSTOMER}
        assert (await reveal("rob", "runs:reveal")).status_code == 200
        assert [one[0] for one in await revealings(client, waiting["id"])] == ["lea", "rob"]

        async with rig.client(await rig.token("inbox:decide", person="lea")) as lea:
            decided = await lea.post(f"/v1/inbox/{item}/decision", json={"choice": "deny"})
            assert decided.status_code == 200
            assert CUSTOMER not in decided.text
        problem(await reveal("lea", "inbox:decide"), 403, "scope_missing")


async def test_what_was_forgotten_is_gone_for_everybody(rig: Rig) -> None:
    async with rig.client() as client:
        run = (await started(client))["id"]
        done = await client.post(f"/v1/runs/{run}/forget", json={"reason": "the customer asked for it"})
        assert done.status_code == 200
        assert done.json()["first"] is True
        assert (await client.post(f"/v1/runs/{run}/forget")).json()["first"] is False
        seen = (await client.get(f"/v1/runs/{run}")).json()
        assert seen["exact"] is False
        assert seen["forgotten"] == done.json()["forgotten"]
        assert CUSTOMER not in await everything(client, run)
        problem(await client.post(f"/v1/runs/{run}/reveal"), 410, "key_unavailable")
        waiting = await started(client, amount="80")
        problem(await client.post(f"/v1/runs/{waiting['id']}/forget"), 409, "run_not_finished")


async def test_an_error_shows_no_private_value_even_to_the_starter(rig: Rig) -> None:
    async with rig.client() as client:
        failed = await started(client, fail=True)
        assert failed["error"]["code"] == "step_failed"
        assert CUSTOMER not in str(failed)
        assert CUSTOMER not in await everything(client, failed["id"])


async def test_a_problem_repeats_no_private_value_that_was_sent(rig: Rig) -> None:
    async with rig.client() as client:
        bodies: list[Any] = [
            {"input": {"email": CUSTOMER, "amount": "much"}},
            {"input": {"email": CUSTOMER}, CUSTOMER: 1},
            {"input": {"hold": CUSTOMER}},
            {"input": {CUSTOMER: 1}},
        ]
        for body in bodies:
            answer = await client.post("/v1/runs", json=body)
            problem(answer, 422, answer.json()["code"])
            assert CUSTOMER not in answer.text
        for path in (
            f"/v1/runs/{CUSTOMER}",
            f"/v1/{CUSTOMER}",
            f"/v1/runs?{CUSTOMER}=1",
            f"/v1/inbox/{CUSTOMER}",
        ):
            answer = await client.get(path)
            assert answer.status_code in (404, 422)
            assert CUSTOMER not in answer.text
