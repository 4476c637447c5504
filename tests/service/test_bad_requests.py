"""Whatever is sent, the answer is a clear problem of the sender's: never a 500, never a trace, never an echo
that breaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.rig import CUSTOMER, Rig, problem, serving, started
from surefoot import Workflow, step

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx2.AsyncClient]:
    async with rig.client() as made:
        yield made


NO_JSON: dict[str, bytes] = {
    "half": b'{"input": {',
    "more than one": b'{"input": {}} {}',
    "no JSON at all": b"input=1",
    "NaN": b'{"input": {"amount": NaN}}',
    "infinite": b'{"input": {"amount": Infinity}}',
    "too large a number": b'{"input": {"amount": 1e999}}',
    "a number of many digits": b'{"input": {"amount": ' + b"9" * 5000 + b"}}",
    "a key twice": b'{"input": {}, "input": {"amount": "1"}}',
    "a key twice, inside": b'{"input": {"amount": "1", "amount": "2"}}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"input":' * 50_000 + b"1" + b"}" * 50_000,
    "half a surrogate pair": b'{"input": {"item": "\\ud83d"}}',
    "half a surrogate pair as a key": b'{"input": {"\\udc00": 1}}',
    "no UTF-8": b'{"input": {"item": "\xff\xfe"}}',
    "UTF-16": '{"input": {}}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"input": {}}',
    "NUL": b'{"input": {"item": "\x00"}}',
    "only spaces": b"   ",
    "comments": b'{"input": {} /* sale */}',
}


@pytest.mark.parametrize("what", NO_JSON)
async def test_a_body_that_is_no_json_is_refused(client: httpx2.AsyncClient, what: str) -> None:
    answer = await client.post("/v1/runs", content=NO_JSON[what], headers=JSON)
    problem(answer, 400, "bad_request")
    assert (await client.get("/v1/runs")).json()["data"] == []


NO_RUN: dict[str, Any] = {
    "nothing": {},
    "a list": [],
    "a text": "sale",
    "null": None,
    "another field": {"input": {}, "priority": 1},
    "an upper-case field": {"Input": {}},
    "a nested NUL key": {"input": {}, "\x00": 1},
}


@pytest.mark.parametrize("what", NO_RUN)
async def test_a_body_that_starts_no_run_is_refused(client: httpx2.AsyncClient, what: str) -> None:
    problem(await client.post("/v1/runs", json=NO_RUN[what]), 422, "bad_request")


NO_INPUT: dict[str, Any] = {
    "a list": [],
    "a text": "a lamp",
    "null": None,
    "another field": {"colour": "red"},
    "another type": {"amount": []},
    "no number": {"amount": "much"},
    "no finite number": {"amount": "NaN"},
    "deep": {"item": json.loads("[" * 90 + "]" * 90)},
}


@pytest.mark.parametrize("what", NO_INPUT)
async def test_an_input_of_another_form_is_refused(client: httpx2.AsyncClient, what: str) -> None:
    found = problem(await client.post("/v1/runs", json={"input": NO_INPUT[what]}), 422, "invalid_input")
    assert found["errors"]


@step
def kept(given: dict[str, Any]) -> str:
    return "kept"


ANYTHING: dict[str, Any] = {
    "deep lists": {"a": json.loads("[" * 98 + "]" * 98)},
    "deep objects": {"a": json.loads('{"a":' * 98 + "1" + "}" * 98)},
    "deeper": {"a": json.loads("[" * 900 + "]" * 900)},
    "many brackets": {"a": [[]] * 5000, "b": "[" * 5000},
    "huge exponents": {"a": "1E+99999999999"},
    "long numbers": {"a": [10**4000, -(10**300), 1e308, -1e-308]},
    "odd texts": {"": "", "\x00": "\x00", "\ufeff": "\u202e", "💥": "\x1b[31m"},
    "many keys": {str(number): number for number in range(5000)},
}


@pytest.mark.parametrize("what", ANYTHING)
async def test_an_input_that_may_be_anything_runs_or_is_refused(tmp_path: Path, what: str) -> None:
    anything = Workflow("anything", input=dict[str, Any], steps=[kept])
    async with serving(tmp_path, workflow=anything) as rig, rig.client() as client:
        answer = await client.post("/v1/runs", json={"input": ANYTHING[what]}, headers={"prefer": "wait=20"})
        if answer.status_code != 200:
            problem(answer, answer.status_code, answer.json()["code"])
            assert answer.status_code in (400, 422), answer.text
            return
        run = answer.json()
        assert run["status"] == "succeeded"
        assert (await client.get(f"/v1/runs/{run['id']}")).json() == run
        events = await client.get(f"/v1/runs/{run['id']}/events")
        assert events.json()["data"][0]["view"]["input"] == ANYTHING[what]


@step
def halved(given: float) -> float:
    return given / 2


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-inf"])
async def test_a_number_that_json_cannot_say_is_refused(tmp_path: Path, text: str) -> None:
    halving = Workflow("halving", input=float, steps=[halved])
    async with serving(tmp_path, workflow=halving) as rig, rig.client() as client:
        problem(await client.post("/v1/runs", json={"input": text}), 422, "invalid_input")


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/json",
        "application/jsonx",
        "application/x-ndjson",
        "application",
        "\xff",
        "application/json" * 100,
    ],
)
async def test_another_content_type_is_refused(client: httpx2.AsyncClient, kind: str) -> None:
    headers = [(b"content-type", kind.encode("latin-1"))]
    answer = await client.post("/v1/runs", content=b'{"input": {}}', headers=headers)
    problem(answer, 415, "bad_request")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.sale+json"]
)
async def test_json_by_any_of_its_names_is_read(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.post("/v1/runs", content=b'{"input": {}}', headers={"content-type": kind})
    assert answer.status_code == 202


WRONG_QUERIES = [
    "/v1/runs?limit=-1",
    "/v1/runs?limit=0",
    "/v1/runs?limit=501",
    "/v1/runs?limit=1e3",
    "/v1/runs?limit=",
    "/v1/runs?limit=99999999999999999999999999",
    "/v1/runs?limit=٣٣٣٣",
    "/v1/runs?status=done",
    "/v1/runs?status=",
    "/v1/runs?stauts=failed",
    "/v1/runs?since=yesterday",
    "/v1/runs?since=99999-01-01T00:00:00Z",
    "/v1/runs?since=NaN",
    "/v1/runs?since=1700000000",
    "/v1/runs?since=2026-11-30",
    "/v1/runs?since=2026-11-30T08:00:00",
    "/v1/runs?since=1e400",
    "/v1/runs?cursor=",
    "/v1/runs?cursor=!!!",
    "/v1/runs?cursor=cjA",
    "/v1/runs?cursor=cjA=",
    "/v1/runs?cursor=%00",
    "/v1/runs?cursor=%ff%fe",
    "/v1/runs?cursor=" + "a" * 5000,
    "/v1/runs?%00=1",
    "/v1/runs?=1",
    "/v1/runs?a;b",
    "/v1/inbox?status=closed",
    "/v1/inbox?cursor=cjA",
    "/v1/inbox?limit=-1",
    "/v1/budget?days=0",
    "/v1/budget?days=9999999",
    "/v1/deliveries?cursor=cjA",
    "/v1/deliveries?cursor=LTE",
    "/v1/deliveries?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5",
    "/v1/deliveries?status=lost",
    "/v1/workers?x",
    "/healthz?x=1",
]


@pytest.mark.parametrize("path", WRONG_QUERIES)
async def test_a_parameter_that_does_not_fit_is_refused(client: httpx2.AsyncClient, path: str) -> None:
    found = problem(await client.get(path), 422, "bad_request")
    assert len(str(found)) < 3000


async def test_events_are_asked_for_by_a_sequence(client: httpx2.AsyncClient) -> None:
    run = (await started(client))["id"]
    for query in ("after=-1", "after=x", "after=1.5", "after=99999999999999999999", "after=", "last=1"):
        problem(await client.get(f"/v1/runs/{run}/events?{query}"), 422, "bad_request")
    for last in ("x", "-1", "1.5", "99999999999999999999", "\xff"):
        headers = [(b"last-event-id", last.encode("latin-1")), (b"accept", b"text/event-stream")]
        problem(await client.get(f"/v1/runs/{run}/events", headers=headers), 422, "bad_request")
    assert (await client.get(f"/v1/runs/{run}/events?after=2147483648")).json() == {"data": [], "next": None}


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_has_a_length(client: httpx2.AsyncClient, key: str) -> None:
    answer = await client.post("/v1/runs", json={"input": {}}, headers={"idempotency-key": key})
    problem(answer, 422, "bad_request")


@pytest.mark.parametrize("key", [b"\xff\xfe", b"a b", b"\t", b"'; --", CUSTOMER.encode(), "💥".encode()])
async def test_an_odd_idempotency_key_is_one_like_any_other(client: httpx2.AsyncClient, key: bytes) -> None:
    headers = [(b"idempotency-key", key)]
    answers = [await client.post("/v1/runs", json={"input": {}}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert CUSTOMER not in answers[0].text


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/runs", "GET, POST, HEAD, OPTIONS"),
        ("PUT", "/v1/runs/r0", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/runs/r0/cancel", "POST, OPTIONS"),
        ("PATCH", "/healthz", "GET, HEAD, OPTIONS"),
        ("TRACE", "/v1/inbox", "GET, HEAD, OPTIONS"),
        ("BREW", "/v1/inbox", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_method_that_is_not_answered_is_told_which_are(
    client: httpx2.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    problem(answer, 405, "no_such_page")
    assert answer.headers["allow"] == allow
    options = await client.request(
        "OPTIONS", path, headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert (options.status_code, options.headers["allow"], options.content) == (204, allow, b"")
    assert not [name for name in options.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/runs/",
        "/v2/runs",
        "/v1/runs/r0/nothing",
        "//v1/runs",
        "/docs",
        "/redoc",
        "/%2e%2e/etc/passwd",
    ],
)
async def test_there_is_nothing_at_any_other_address(client: httpx2.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        problem(await client.request(method, path), 404, "no_such_page")


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "99999999999999999999999", "%00"])
async def test_a_delivery_has_a_number(client: httpx2.AsyncClient, number: str) -> None:
    problem(await client.post(f"/v1/deliveries/{number}/replay"), 422, "bad_request")
    problem(await client.post("/v1/deliveries/17/replay"), 404, "no_such_page")
