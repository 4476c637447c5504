"""A run's events as they come, over a real socket: nothing is lost or told twice, whatever the connection does."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.rig import CUSTOMER, Rig, problem, serving, started, told
from surefoot import Budget, Effect, Run, Workflow, step, tool
from surefoot.service.service import Limits
from surefoot.service.stream import PAGE

pytestmark = pytest.mark.anyio

SSE = {"accept": "text/event-stream"}


@asynccontextmanager
async def real(rig: Rig) -> AsyncIterator[httpx2.AsyncClient]:
    async with rig.listening() as url, httpx2.AsyncClient(base_url=url, timeout=30) as client:
        yield client


async def messages(answer: httpx2.Response) -> AsyncIterator[dict[str, str]]:
    """As a browser would take them apart; comments have the name ''."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            if fields:
                yield fields
            fields = {}
            continue
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")


def seqs(found: list[dict[str, str]]) -> list[int]:
    return [int(one["id"]) for one in found if "id" in one]


async def test_a_stream_tells_every_event_once_and_then_that_the_run_has_ended(rig: Rig) -> None:
    async with real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
        found = []
        async with client.stream("GET", f"/v1/runs/{run}/events", headers=SSE) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            async for one in messages(answer):
                found.append(one)
                if one.get("event") == "call.intended" and not rig.till.gate.is_set():
                    rig.till.gate.set()
        assert "retry" in found[0]
        ended = await told(client, run, "succeeded")
        assert seqs(found) == list(range(1, ended["events"] + 1))
        assert found[-1]["event"] == "end"
        assert json.loads(found[-1]["data"]) == {"run": run, "status": "succeeded"}
        listed = (await client.get(f"/v1/runs/{run}/events", params={"limit": 500})).json()["data"]
        assert [json.loads(one["data"]) for one in found if "id" in one] == listed
        assert [one["event"] for one in found if "id" in one] == [one["kind"] for one in listed]
        assert CUSTOMER not in str(found)


async def test_a_stream_that_is_cut_goes_on_where_it_was(rig: Rig) -> None:
    async with real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
        found: list[dict[str, str]] = []
        cuts = 0
        while not found or found[-1].get("event") != "end":
            headers = {**SSE, "last-event-id": str(seqs(found)[-1])} if found else SSE
            async with client.stream("GET", f"/v1/runs/{run}/events", headers=headers) as answer:
                async for one in messages(answer):
                    if "event" not in one:
                        continue
                    found.append(one)
                    if len(found) >= 3:
                        rig.till.gate.set()
                    if one["event"] != "end":
                        cuts += 1
                        break  # the connection is gone, after each event
        ended = await told(client, run, "succeeded")
        assert seqs(found) == list(range(1, ended["events"] + 1))
        assert cuts == ended["events"]


async def test_a_stream_begins_after_what_is_asked_for(rig: Rig) -> None:
    async with real(rig) as client:
        run = await started(client)
        last = run["events"]

        async def read(params: dict[str, int], **headers: str) -> list[dict[str, str]]:
            path = f"/v1/runs/{run['id']}/events"
            async with client.stream("GET", path, headers={**SSE, **headers}, params=params) as answer:
                return [one async for one in messages(answer) if "event" in one]

        assert seqs(await read({"after": last - 2})) == [last - 1, last]
        assert seqs(await read({"after": 0}, **{"last-event-id": str(last - 1)})) == [last]
        for after in (last, last + 100):
            assert [one["event"] for one in await read({"after": after})] == ["end"]


async def test_a_silent_stream_says_that_it_is_there(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(heartbeat=0.05), drive=False) as rig, real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {}})).json()["id"]
        beats = 0
        async with client.stream("GET", f"/v1/runs/{run}/events", headers=SSE) as answer:
            async for one in messages(answer):
                beats += "" in one
                if beats == 3:
                    break


async def test_a_journal_whose_end_is_missing_holds_nobody_up(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(heartbeat=0.05)) as rig, real(rig) as client:
        run = await started(client)
        with sqlite3.connect(tmp_path / "x.db") as connection:
            connection.execute("DELETE FROM events WHERE seq >= ?", (run["events"] - 1,))
        connection.close()
        found: list[dict[str, str]] = []
        async with client.stream("GET", f"/v1/runs/{run['id']}/events", headers=SSE) as answer:
            async for one in messages(answer):
                found.append(one)
                if "" in one:  # it waits, and says so
                    break
        assert seqs(found) == list(range(1, run["events"] - 1))
        assert (await client.get("/healthz")).status_code == 200


async def test_streams_end_when_the_service_is_stopped_and_go_on_at_the_next(tmp_path: Path) -> None:
    found: list[dict[str, str]] = []
    async with serving(tmp_path, drive=False) as rig, real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {}})).json()["id"]
        async with client.stream("GET", f"/v1/runs/{run}/events", headers=SSE) as answer:
            async for one in messages(answer):
                found.append(one)
                rig.service.feed.end()
    assert [one["event"] for one in found if "event" in one] == ["run.submitted"]
    async with serving(tmp_path) as rig, real(rig) as client:
        headers = {**SSE, "last-event-id": found[-1]["id"]}
        async with client.stream("GET", f"/v1/runs/{run}/events", headers=headers) as answer:
            rig.service.runtime.begin_driving()
            found += [one async for one in messages(answer)]
        ended = await told(client, run, "succeeded")
        assert seqs(found) == list(range(1, ended["events"] + 1))
        assert found[-1]["event"] == "end"


async def test_a_stream_ends_when_its_token_is_revoked(rig: Rig) -> None:
    token = await rig.token()
    async with real(rig) as client:
        client.headers["authorization"] = f"Bearer {token}"
        run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
        found = []
        async with client.stream("GET", f"/v1/runs/{run}/events", headers=SSE) as answer:
            async for one in messages(answer):
                found.append(one)
                if one.get("event") == "call.intended":
                    await rig.service.store.revoke_token(token.split("_")[1])
                    rig.till.gate.set()
        assert found[-1]["event"] == "call.intended"
        problem(await client.get(f"/v1/runs/{run}/events", headers=SSE), 401, "not_authenticated")


async def test_a_stream_whose_reader_has_gone_is_over(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
        async with client.stream("GET", f"/v1/runs/{run}/events", headers=SSE) as answer:
            async for one in messages(answer):
                if "id" in one:
                    break
        looks = 0
        of_store = rig.service.store.run

        async def counted(asked: str) -> Any:
            nonlocal looks
            looks += 1
            return await of_store(asked)

        await client.get("/healthz")  # by then it has been seen that the other connection is closed
        monkeypatch.setattr(rig.service.store, "run", counted)
        for _ in range(3):
            seen = rig.service.feed.count
            await rig.service.store.probe()  # something is written
            while rig.service.feed.count == seen:
                await asyncio.sleep(0.01)
        assert looks == 0


async def test_who_hangs_up_is_not_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    of_store = rig.service.store.run

    async def counted(asked: str) -> Any:
        nonlocal looks
        looks += 1
        return await of_store(asked)

    async with real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
        monkeypatch.setattr(rig.service.store, "run", counted)
        waiting = asyncio.create_task(client.get(f"/v1/runs/{run}", headers={"prefer": "wait=60"}))
        while not looks:
            await asyncio.sleep(0.01)
        waiting.cancel()
        before = looks
        for number in range(12):
            seen = rig.service.feed.count
            await rig.service.store.probe()  # something is written
            while rig.service.feed.count == seen:
                await asyncio.sleep(0.01)
            if number < 6:
                before = looks  # until it is seen that the connection is closed
        assert looks == before, "nobody is left who wants to know"


@pytest.mark.parametrize("told", [True, False])
async def test_a_body_that_is_too_large_is_answered_over_a_socket_too(rig: Rig, told: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 100_000

    content: Any = b" " * 8_000_000 if told else pieces()
    async with real(rig) as client:
        for _ in range(3):
            answer = await client.post(
                "/v1/runs",
                content=content if told else pieces(),
                headers={"content-type": "application/json"},
            )
            problem(answer, 413, "too_large")
        assert (await client.get("/v1/runs")).status_code == 200


async def test_a_run_of_another_process_is_streamed_too(tmp_path: Path) -> None:
    async with serving(tmp_path, drive=False) as rig, real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {}})).json()["id"]
        async with client.stream("GET", f"/v1/runs/{run}/events", headers=SSE) as answer:
            reading = asyncio.create_task(all_of(answer))
            async with serving(tmp_path) as worker:
                await worker.service.runtime.until_idle()
                found = await asyncio.wait_for(reading, 20)
        assert found[-1]["event"] == "end"
        assert seqs(found) == list(range(1, len(seqs(found)) + 1))


async def all_of(answer: httpx2.Response) -> list[dict[str, str]]:
    return [one async for one in messages(answer)]


async def test_head_tells_the_headers_of_a_stream_and_does_not_hang(rig: Rig) -> None:
    async with real(rig) as client:
        run = (await client.post("/v1/runs", json={"input": {"hold": True}})).json()["id"]
        answer = await client.head(f"/v1/runs/{run}/events", headers=SSE)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        problem(await client.get("/v1/runs/r0/events", headers=SSE), 404, "run_not_found")


# ── a slow reader ────────────────────────────────────────────────────────────────────────────────

LARGE = "a line of a long letter\n" * 1000


@tool(effect=Effect.READ)
def letter(number: int) -> str:
    return LARGE


@step
async def read_all(given: int, run: Run) -> int:
    return len([await run.call(letter, number=number) for number in range(given)])


async def test_a_reader_that_takes_nothing_costs_a_page_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In process, so that no socket's buffer hides what the stream itself holds."""
    reading = Workflow("reading", input=int, steps=[read_all], tools=[letter], budget=Budget(tool_calls=500))
    async with serving(tmp_path, workflow=reading) as rig:
        run = (await rig.service.runtime.start(200)).id
        await rig.service.runtime.result(run)
        row = await rig.service.store.run(run)
        assert row is not None
        chunks: list[bytes] = []
        taking = asyncio.Semaphore(0)

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                chunks.append(message["body"])
                await taking.acquire()

        async def receive() -> Any:
            await asyncio.Event().wait()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "method": "GET",
            "path": f"/v1/runs/{run}/events",
            "raw_path": b"",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"accept", b"text/event-stream")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "root_path": "",
            "http_version": "1.1",
        }
        pages = 0
        of_store = rig.service.store.events

        async def counted(*asked: Any) -> Any:
            nonlocal pages
            pages += 1
            return await of_store(*asked)

        monkeypatch.setattr(rig.service.store, "events", counted)
        streaming = asyncio.create_task(rig.app(scope, receive, send))
        before = 0
        while not streaming.done():
            while len(chunks) == before and not streaming.done():
                await asyncio.sleep(0)
            before = len(chunks)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(chunks) == before, "it went on before the reader had taken what there was"
            assert pages <= before, "it read on before the reader had taken what there was"
            taking.release()
        text = b"".join(chunks).decode()
        assert [int(line[4:]) for line in text.splitlines() if line.startswith("id: ")] == list(
            range(1, row.seq + 1)
        )
        assert max(map(len, chunks)) < PAGE * len(json.dumps(LARGE)) * 1.2
