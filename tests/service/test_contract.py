"""The API's document and the running service, held against each other with requests made from the document:
those that fit, and those that do not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from service.rig import Rig, serving, started, told
from surefoot.service.service import Limits

load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
        "allow_header_conformance",
        "ignored_auth",
    ]
)
OF_WRONG = CHECKS.get_by_names(["negative_data_rejection", "missing_required_header"])
MOST = 40.0
"""Seconds for which a request may keep us waiting."""


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """(URL, token, ids of what is there) of a service in a thread of its own."""
    found: list[Any] = []
    up, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(folder, limits=Limits(wait=0.2, heartbeat=0.2)) as rig:
            token = await rig.token()
            there = await things(rig, token)
            async with rig.listening() as url:
                found.extend((url, token, there))
                up.set()
                while not over.is_set():
                    await asyncio.sleep(0.05)

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            up.set()

    thread = threading.Thread(target=run, name="service")
    thread.start()
    try:
        up.wait()
        assert found, "the service did not start"
        yield found[0], found[1], found[2]
    finally:
        over.set()
        thread.join()


async def things(rig: Rig, token: str) -> dict[str, list[str]]:
    async with rig.client(token) as client:
        made = [await started(client), await started(client, amount="80"), await started(client, fail=True)]
        asked = [(await started(client, amount="80"))["id"] for _ in range(20)]
        waiting = [(await told(client, run, "waiting"))["waiting_for"][0] for run in asked]
    return {"run": [one["id"] for one in made], "item": waiting, "delivery": ["1"]}


def fuzz(folder: Path, *, examples: int) -> int:
    """How many requests were made."""
    with running(folder) as (url, token, there):
        headers = {"Authorization": f"Bearer {token}"}
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers)
        asker = Asker(url, headers, there, examples)
        for result in schema.get_all_operations():
            operation = result.ok()
            asker.ask(operation, GenerationMode.POSITIVE, CHECKED)
            if list(operation.iter_parameters()) or operation.body:
                asker.ask(operation, GenerationMode.NEGATIVE, [*CHECKED, *OF_WRONG])
        return asker.made


@dataclass
class Asker:
    url: str
    headers: dict[str, str]
    there: dict[str, list[str]]
    examples: int
    made: int = 0

    def ask(self, operation: Any, mode: GenerationMode, checks: list[Any]) -> None:
        @settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
        def one(case: Any, data: st.DataObject) -> None:
            for name, ids in self.there.items():
                # Half of them about something that is there: the rest of the way is walked too.
                if name in (case.path_parameters or {}) and data.draw(st.booleans()):
                    case.path_parameters[name] = data.draw(st.sampled_from(ids))
            self.made += 1
            answer = case.call(base_url=self.url, headers=self.headers, timeout=MOST)
            case.validate_response(answer, checks=checks, headers=self.headers)

        one()


@pytest.fixture(autouse=True)
def guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong tokens are part of it, and as many as it takes."""
    monkeypatch.setattr("surefoot.service.throttle.IN_A_ROW", 10**9)


def test_the_service_keeps_to_its_document(tmp_path: Path) -> None:
    assert fuzz(tmp_path, examples=4) > 120


@pytest.mark.slow
def test_the_service_keeps_to_its_document_for_long(tmp_path: Path) -> None:
    assert fuzz(tmp_path, examples=50) > 1500
