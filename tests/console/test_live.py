"""Streams: they begin where a page stands, take up where they were cut off, and end when they should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from .running import Running, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("live")) as one:
        yield one


@contextmanager
def stream(site: Running, path: str, **headers: str) -> Iterator[Iterator[str]]:
    """The ids of its messages, as they come."""
    with httpx2.stream("GET", site.url + path, headers=headers, timeout=10) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (line[4:] for line in answer.iter_lines() if line.startswith("id: "))


def test_a_run_s_stream_tells_of_every_change_until_its_end(service: Running) -> None:
    run = service.start(amount="80")
    service.result(run)
    seq = service.do(service.service.store.run(run)).seq  # type: ignore[union-attr]
    with stream(service, f"/live/runs/{run}") as ids:
        assert next(ids) == f"{seq}-0-waiting"
        service.do(service.service.runtime.cancel(run))
        last = ""
        while not last.endswith("cancelled"):
            last = next(ids)


def test_what_happens_between_a_page_and_its_stream_is_told_at_once(service: Running) -> None:
    run = service.start(amount="3")
    service.result(run)
    with stream(service, f"/live/runs/{run}?at=1-0-queued") as ids:
        now = next(ids)
    other = service.start(amount="80")
    service.result(other)
    # A reconnect brings the last id that was heard, which counts for more than the page's.
    with stream(service, f"/live/runs/{other}?at=x", **{"last-event-id": "1-0-queued"}) as ids:
        assert next(ids) != now


def test_a_reconnect_without_news_hears_nothing_until_there_are_some(service: Running) -> None:
    run = service.start(amount="80")
    service.result(run)
    with stream(service, f"/live/runs/{run}") as ids:
        seen = next(ids)
    with stream(service, f"/live/runs/{run}", **{"last-event-id": seen}) as ids:
        service.do(service.service.runtime.reveal(run, by="kim", reason="news"))
        assert next(ids) != seen


def test_a_stream_ends_when_its_token_is_revoked_and_when_the_service_stops(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        token = one.token("ann", "runs:read")
        (row,) = one.do(one.service.store.tokens())
        with stream(one, "/live/store", authorization=f"Bearer {token}") as ids:
            next(ids)
            one.do(one.service.store.revoke_token(row.id))
            assert len(list(ids)) <= 1
        other = one.token("bo", "runs:read")
        with stream(one, "/live/store", authorization=f"Bearer {other}") as ids:
            next(ids)
            one._loop.call_soon_threadsafe(one.service.feed.end)
            assert list(ids) == []


def test_a_stream_needs_the_scope_and_a_run_that_is_there(tmp_path: Path, service: Running) -> None:
    assert httpx2.get(f"{service.url}/live/runs/nothing").status_code == 404
    with running(tmp_path) as one:
        one.token("ann", "runs:read")
        answer = httpx2.get(f"{one.url}/live/store", headers={"accept": "text/html"})
        assert answer.status_code == 401
