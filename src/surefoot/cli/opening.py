"""Opening what a command works on: a store by itself, or a workflow's Runtime over it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from ..core.model import ModelSettings
from ..core.workflow import Definition
from ..errors import ItemNotFound, StoreUnavailable, UsageError
from ..models.providers import settings_from_environment
from ..orchestrator.clock import SystemClock
from ..orchestrator.rows import row_of
from ..orchestrator.runtime import Runtime
from ..settings import Settings
from ..state.crash import CrashPoint
from ..state.opening import make_store, place_of
from ..state.rows import ItemRow, RunRow
from ..state.sealing import Keyring
from ..state.store import Store
from .options import Given

T = TypeVar("T")


@dataclass(frozen=True)
class Opened:
    store: Store
    keyring: Keyring
    url: str

    async def run(self, run: str) -> RunRow:
        """Raises RunNotFound."""
        return await row_of(self.store, run, self.url)

    async def item(self, item: str) -> ItemRow:
        """Raises ItemNotFound."""
        row = await self.store.item(item)
        if row is None:
            raise ItemNotFound(
                f"there is no item {item!r} in {self.url}",
                why="the id is misspelt, or the item lives in another store",
                remedy="See `surefoot inbox list`.",
            )
        return row


@asynccontextmanager
async def open_store(settings: Settings, *, make: bool = False) -> AsyncIterator[Opened]:
    """The store without any workflow. Looking at a store does not make one (without `make`): raises
    StoreUnavailable."""
    place = place_of(settings.store)
    if isinstance(place, Path) and not place.exists() and not make:
        raise StoreUnavailable(
            f"there is no store {settings.store}",
            why=f"{place} does not exist",
            remedy="A first `surefoot run` makes it. Is this the right folder, or is --store missing?",
        )
    worker, crash = f"cli-{uuid4().hex[:12]}", CrashPoint.from_env(os.environ)
    store, keyring = make_store(settings.store, now=SystemClock().now, worker=worker, crash=crash)
    await store.open()
    try:
        yield Opened(store, keyring, settings.store)
    finally:
        await store.close()


def open_runtime(workflow: Definition, settings: Settings, **more: Any) -> Runtime:
    """A Runtime as the settings say; `more` are parameters of Runtime."""
    return Runtime(
        workflow,
        settings.store,
        concurrency=settings.concurrency,
        grants=settings.grants,
        models=settings.models,
        model_settings=model_settings(settings),
        people=settings.people,
        lease=settings.lease,
        trace_content=settings.trace_content,
        **more,
    )


def model_settings(settings: Settings) -> dict[str, ModelSettings]:
    """Keys and base URLs from the environment, with the deployment's own prices."""
    found = settings_from_environment()
    for spec, price in settings.prices.items():
        known = found.get(spec) or found.get(spec.partition(":")[0]) or ModelSettings()
        found[spec] = replace(known, price=price)
    return found


def go(work: Coroutine[Any, Any, T]) -> T:
    """Runs it in an event loop. SIGTERM ends it as Ctrl-C does: what is under way is let finish."""

    async def guarded() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        with suppress(
            NotImplementedError, RuntimeError, ValueError
        ):  # no such signals, or not the main thread
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def has_service() -> bool:
    """Whether the extra `service` is installed."""
    return find_spec("fastapi") is not None and find_spec("uvicorn") is not None


def must_have_service() -> None:
    """Raises UsageError."""
    if not has_service():
        raise UsageError(
            "the service is not installed",
            why="it needs packages that the commands do without",
            remedy="pip install 'surefoot[service]'",
        )


def warn_of_unknown(given: Given, settings: Settings) -> None:
    """A misspelt SUREFOOT_GRANTS narrows nothing: say so before anything is done."""
    for complaint in settings.unknown:
        given.output.warn(complaint)
