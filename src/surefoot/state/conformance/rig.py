"""What a promise is checked with: workers on one store's data, and a clock that only moves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from ...errors import SurefootError
from ..opening import make_store
from ..sealing import Keyring
from ..store import Append, Claimed, Lease, NewItem, NewRun, Record, RunChange, Store

SECOND = 1_000_000
START = 1_800_000_000 * SECOND


class Rig:
    """Stores on the same data: `url` names a file or a database in memory that nobody else uses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.time = START
        self.keyring = Keyring.generate()
        self._open: list[Store] = []
        self._runs = 0

    def now(self) -> int:
        return self.time

    def later(self, seconds: float) -> int:
        """Moves the clock; returns the new time."""
        self.time += int(seconds * SECOND)
        return self.time

    async def store(self, worker: str = "one") -> Store:
        """Another worker on the same data, alive for the next 30 seconds."""
        store, _ = make_store(self.url, now=self.now, worker=worker, keyring=self.keyring)
        await store.open()
        self._open.append(store)
        await store.heartbeat(self.time + 30 * SECOND)
        return store

    async def kill(self, store: Store) -> None:
        """Its process ends without a word; for the other workers it is as if it had been killed."""
        self._open.remove(store)
        await store.close()

    async def close(self) -> None:
        for store in self._open:
            await store.close()
        self._open.clear()

    # ── shorthand ──

    def record(self, kind: str = "step.finished", view: str = '{"step":"a"}', **more: Any) -> Record:
        return Record(kind, more.pop("version", 1), more.pop("at", self.time), view, **more)

    def new_run(self, **values: Any) -> NewRun:
        """A run with defaults for everything, not held unless `lease=True`."""
        self._runs += 1
        defaults: dict[str, Any] = {
            "id": f"run-{self._runs}",
            "workflow": "desk",
            "version": "1",
            "fingerprint": "f1",
            "key": None,
            "input_digest": "d1",
            "data_key": b"wrapped",
            "records": (self.record("run.submitted"),),
            "summary": "{}",
            "at": self.time,
        }
        return NewRun(**(defaults | values))

    async def held(self, store: Store, **values: Any) -> Lease:
        """A new run that `store` holds."""
        submitted = await store.submit(self.new_run(lease=True, **values))
        assert submitted.lease is not None
        return submitted.lease

    def append(self, lease: Lease, *kinds: str, **more: Any) -> Append:
        records = tuple(self.record(kind) for kind in kinds)
        return Append(lease, records, **more)

    async def release(self, store: Store, lease: Lease, due: int | None = None, **change: Any) -> None:
        change = {"status": "waiting", **change}
        await store.append(Append(lease, (), RunChange(release=True, due=due, **change)))

    def item(self, name: str = "item-1", **values: Any) -> NewItem:
        defaults: dict[str, Any] = {
            "id": name,
            "kind": "approval",
            "queue": "leads",
            "view": '{"tool":"refund"}',
            "opened": self.time,
        }
        return NewItem(**(defaults | values))


async def refused(awaitable: Awaitable[Any], code: str) -> SurefootError:
    """Asserts that it is refused with the error of this code."""
    (outcome,) = await outcomes(awaitable)
    assert isinstance(outcome, SurefootError), f"expected {code}, and got {outcome!r}"
    assert outcome.code == code, f"refused with {outcome.code} ({outcome}), expected {code}"
    return outcome


async def claim_one(store: Store, run: str | None = None) -> Claimed:
    claimed = await store.claim(1, run=run)
    assert len(claimed) == 1, f"expected one run to claim, and got {claimed}"
    return claimed[0]


async def outcomes(*awaitables: Awaitable[Any]) -> list[Any]:
    """Results and errors, all started in the same turn of the loop."""
    return await asyncio.gather(*awaitables, return_exceptions=True)
