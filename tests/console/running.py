"""A service on a socket of this machine, in a thread of its own, as a browser finds it.

Its clock is the real one. What a test does to the service beside the browser goes through `do`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from surefoot import Runtime, Workflow, console
from surefoot.orchestrator.clock import SystemClock
from surefoot.service import app as service_app
from surefoot.service.access import Access
from surefoot.service.feed import Feed
from surefoot.service.service import Service
from surefoot.settings import Settings

from .program import HELD, World, workflow

T = TypeVar("T")


class Running:
    url: str
    service: Service

    def __init__(self, folder: Path, **options: Any) -> None:
        self.world = World()
        self._folder, self._options = folder, options
        self._up = threading.Event()
        self._broke: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="service")

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def start(self, **ticket: Any) -> str:
        given = {"subject": "a lamp", "text": "it broke", **ticket}
        return self.do(self.service.runtime.start(given)).id

    def result(self, run: str) -> str:
        """Its status, once it has ended or waits for a person."""
        return self.do(self.service.runtime.result(run)).status

    def token(self, person: str, *scopes: str) -> str:
        return self.do(self.service.access.make_token(person, scopes))[0]

    @property
    def refunds(self) -> list[dict[str, Any]]:
        return self.world.refunds()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve(**self._options))
        except BaseException as error:
            self._broke = error
            raise
        finally:
            self._up.set()

    async def _serve(
        self,
        *,
        people: Mapping[str, Sequence[str]] | None = None,
        made: Workflow | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> None:
        self._loop, clock = asyncio.get_running_loop(), SystemClock()
        HELD.hold()
        async with AsyncExitStack() as stack:
            made = made or workflow(self.world)
            url = f"sqlite:///{self._folder}/state.db"
            runtime = await stack.enter_async_context(Runtime(made, url, people=people, **options))
            access = Access(runtime.store, runtime.deployment.keyring, clock, person="kim")
            feed = await stack.enter_async_context(Feed(runtime.store, clock))
            self.service = Service(runtime, access, feed, clock, people=people)
            app = service_app.build(self.service)
            console.mount(app, self.service, settings)
            config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, ws="none")
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.01)
            port = self._server.servers[0].sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{port}"
            self._up.set()
            await serving

    def hold(self) -> None:
        self._loop.call_soon_threadsafe(HELD.hold)

    def let_go(self) -> None:
        self._loop.call_soon_threadsafe(HELD.let_go)

    def break_streams(self) -> None:
        """As a proxy does that has lost its patience; the service goes on."""

        async def end() -> None:
            self.service.feed.end()
            await asyncio.sleep(0)
            self.service.feed.ended = False

        self.do(end())

    def stop(self) -> None:
        if self._broke is None:
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(20)

    def _end(self) -> None:
        HELD.let_go()
        self.service.feed.end()
        self._server.should_exit = True


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Running]:
    one = Running(folder, **options)
    one._thread.start()
    try:
        one._up.wait(20)
        if one._broke is not None:
            raise one._broke
        yield one
    finally:
        one.stop()
