"""The console as tests open it: `Site` is a service with its pages, in this loop, asked through ASGI; `browser`
is a real one, for those that need it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, sync_playwright

from surefoot import Runtime, Workflow, console
from surefoot.service import app as service_app
from surefoot.service.access import Access
from surefoot.service.feed import Feed
from surefoot.service.service import Service
from surefoot.state.rows import ItemRow
from surefoot.testing import ManualClock

from .program import HELD, World, workflow

LOCAL = ("127.0.0.1", 50_000)
PAGES = ("/", "/runs", "/inbox", "/inbox?whose=all", "/inbox?whose=all&closed=1", "/new", "/new?how=json")
OTHERS = ("/cost", "/evals", "/settings")

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


class Site:
    """`ask` is whoever is at this machine; `as_person` has a token of their own."""

    def __init__(self, service: Service, world: World, clock: ManualClock) -> None:
        self.service = service
        self.world = world
        self.clock = clock
        self.app = service_app.build(service)
        console.mount(self.app, service)
        self.ask = self.client()

    def client(self, address: tuple[str, int] = LOCAL, **headers: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(self.app, client=address, raise_app_exceptions=False)
        given = {"accept": "text/html", **headers}
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=given)

    async def token(self, person: str, *scopes: str) -> str:
        text, _ = await self.service.access.make_token(person, scopes)
        return text

    async def as_person(self, person: str, *scopes: str) -> httpx2.AsyncClient:
        return self.client(authorization=f"Bearer {await self.token(person, *scopes)}")

    async def start(self, mode: str = "plain", **ticket: Any) -> str:
        """A run, until it has ended or waits."""
        given = {"subject": "a lamp", "text": "it broke", "mode": mode, **ticket}
        started = await self.service.runtime.start(given)
        await self.service.runtime.result(started.id) if mode not in ("sleep", "slow") else None
        return started.id

    async def item(self, mode: str = "plain", **ticket: Any) -> ItemRow:
        """The open item of a new run: by default a refund of 80."""
        run = await self.start(mode, **{"amount": "80", **ticket})
        (item,) = await self.service.store.items(run=run)
        return item

    async def settle(self, run: str) -> str:
        return (await self.service.runtime.result(run)).status


@asynccontextmanager
async def open_site(
    folder: Path,
    *,
    people: Mapping[str, Sequence[str]] | None = None,
    made: Workflow | None = None,
    **options: Any,
) -> AsyncIterator[Site]:
    clock, world = ManualClock(), World()
    HELD.hold()
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(
            Runtime(
                made or workflow(world),
                f"sqlite:///{folder}/state.db",
                clock=clock,
                park_after=0,
                people=people,
                **options,
            )
        )
        access = Access(runtime.store, runtime.deployment.keyring, clock, person="kim")
        feed = await stack.enter_async_context(Feed(runtime.store, clock))
        try:
            yield Site(Service(runtime, access, feed, clock, people=people), world, clock)
        finally:
            HELD.let_go()  # else a step that waits would hold up the end


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        what = "no chromium is installed for the tests of the console; `make browser` installs it"
        if os.environ.get("CI"):
            pytest.fail(what, pytrace=False)
        pytest.skip(what)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()
