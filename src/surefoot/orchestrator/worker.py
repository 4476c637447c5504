"""The worker: claims runs that are due, drives them side by side, and says that it lives.

One heartbeat for the process, whatever the number of its runs. A worker acts only within its lease:
when the heartbeat comes too late, everything under way is stopped before it can go on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence

from ..core.clock import Timer, micros
from ..core.fold import RunState
from ..errors import KeyUnavailable, StoreError, StoreVersion
from ..state.rows import StoredEvent
from ..state.store import Append, Claimed, RunChange
from .deployment import Deployment
from .drive import Drive
from .recorder import Sealer

log = logging.getLogger("surefoot.worker")

UNREAD = 60.0
"""Seconds until a run whose journal could not be read is looked at again."""

POLL = 0.1
"""Seconds between looks at whether another process has changed the store. A look costs microseconds."""


class Worker:
    def __init__(
        self,
        deployment: Deployment,
        *,
        concurrency: int,
        lease: float,
        on_left: Callable[[str, Drive], None],
    ) -> None:
        self._deployment = deployment
        self._clock = deployment.clock
        self._store = deployment.store
        self._concurrency = concurrency
        self._lease = micros(lease)
        self._on_left = on_left
        self._drives: dict[str, Drive] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.expected = 0
        """Runs that are being submitted or claimed, and may be driven here in a moment."""
        self._suspects: list[str] = []
        self._alone = False
        """One of them is being driven, and nothing beside it."""
        self._until = 0
        self._guard: Timer | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._looking = True
        """Whether the store may hold something due: after a change, an end, or a timer."""
        self._next_due: int | None = None
        self._failure: BaseException | None = None
        self._store.on_poke(self._poked)

    # ── from outside ──

    @property
    def busy(self) -> int:
        return len(self._drives)

    @property
    def runs(self) -> list[str]:
        """Those that are driven at this moment."""
        return list(self._drives)

    def holds(self, run: str) -> bool:
        """Whether this process drives the run at this moment."""
        return run in self._drives

    async def die(self) -> None:
        """As SIGKILL leaves it: nothing more is done or written, and nothing is given back."""
        self._stopping = True
        tasks = list(self._tasks.values())
        for drive in list(self._drives.values()):
            drive.abandon()
        await asyncio.gather(*tasks, return_exceptions=True)

    def state_of(self, run: str) -> RunState | None:
        drive = self._drives.get(run)
        return None if drive is None else drive.state

    def bodies_of(self, run: str) -> frozenset[str]:
        drive = self._drives.get(run)
        return frozenset() if drive is None else drive.bodies

    @property
    def has_room(self) -> bool:
        shared = not self._suspects and not self._alone and not self._stopping
        free = shared and self._room > 0
        return free and self.holds_lease()  # else what is claimed now would be given up before it has begun

    @property
    def _room(self) -> int:
        return self._concurrency - len(self._drives) - self.expected

    def holds_lease(self) -> bool:
        return self._clock.now() < self._until

    async def begin(self) -> None:
        _settle_heap()
        await self._beat()
        await self._deployment.intake.raise_caps(*self._deployment.day_caps)

    def take(self, claimed: Claimed, state: RunState, sealer: Sealer) -> None:
        """Drives a run that this worker holds already (one that shuts down gives it back)."""
        if self._stopping:
            return
        run = claimed.lease.run
        if (leaving := self._tasks.get(run)) is not None:
            # Its last drive has released it and is about to leave: one would be taken for the other.
            leaving.add_done_callback(lambda _: self.take(claimed, state, sealer))
            return
        drive = Drive(self._deployment, claimed, state, sealer, self.holds_lease)
        self._drives[run] = drive
        task = asyncio.get_running_loop().create_task(drive.go(), name=f"run {run}")
        self._tasks[run] = task
        task.add_done_callback(lambda done: self._left(run, drive, done))

    def look(self) -> None:
        """Something may be due."""
        self._looking = True
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`. Raises what broke the store for good."""
        beating = asyncio.create_task(self._keep_beating(), name="heartbeat")
        watching = asyncio.create_task(self._keep_watching(), name="watch the store")
        watching.add_done_callback(self._blind)
        try:
            while not self._stopping:
                await self._claim_due()
                if self._failure is not None:
                    raise self._failure
                due = None if not self.has_room else self._next_due
                timer = None if due is None else self._clock.call_at(due, self.look)
                await self._wake.wait()
                self._wake.clear()
                if timer is not None:
                    timer.cancel()
        finally:
            beating.cancel()
            watching.cancel()
            await asyncio.gather(beating, watching, return_exceptions=True)

    async def until_idle(self) -> None:
        """Drives all that is due now, also what a dead worker left, and returns."""
        watching = asyncio.create_task(self._keep_watching())
        watching.add_done_callback(self._blind)
        beating = asyncio.create_task(self._keep_beating())
        try:
            while True:
                self._looking = True
                await self._claim_due()
                if self._failure is not None:
                    raise self._failure
                # Not looked for, where the lease has lapsed: the next heartbeat renews it.
                looked = not self._looking or self._stopping
                if looked and not self._drives and not self._suspects:
                    return
                await self._wake.wait()
                self._wake.clear()
        finally:
            beating.cancel()
            watching.cancel()
            await asyncio.gather(beating, watching, return_exceptions=True)

    async def stop(self) -> None:
        """Starts nothing new, drains what is under way, gives everything back."""
        self._stopping = True
        self._wake.set()
        for drive in self._drives.values():
            drive.stop()
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
            await asyncio.sleep(0)  # their callbacks take them off the list

    # ── claiming ──

    async def _claim_due(self) -> None:
        most, name = self._deployment.most_claims, self._deployment.workflow.name
        self._alone = self._alone and bool(self._drives)
        while self._looking and self.has_room:
            self._looking = False
            room = self._room
            self.expected += room
            try:
                claimed = await self._store.claim(room, workflow=name, most=most)
                await self._take_all(claimed)
            finally:
                self.expected -= room
            if len(claimed) == room:
                self._looking = True
            else:
                self._suspects = await self._store.suspects(most, workflow=name)
            if not claimed:
                self._next_due = await self._store.next_due(name)
        while self._suspects and not self._drives and not self.expected and not self._stopping:
            # It was claimed too often without progress: once more, alone, so that nobody dies with it.
            # Claimed one by one, so that none counts as tried which was not.
            self._alone = True
            claimed = await self._store.claim(1, run=self._suspects.pop(0))
            await self._take_all(claimed)
            self._alone = bool(self._drives)

    async def _take_all(self, claimed: Sequence[Claimed]) -> None:
        if not claimed:
            return
        journals = await self._store.journals([one.lease.run for one in claimed])
        for one in claimed:
            try:
                state, sealer = self.load(one, journals[one.lease.run])
            except (KeyUnavailable, StoreVersion) as error:
                log.error("%s cannot go on: %s", one.lease.run, error)
                await self._set_back(one)
                continue
            if one.trial:
                log.info("%s is tried: does a provider answer again?", one.lease.run)
            self.take(one, state, sealer)

    def load(self, claimed: Claimed, stored: Sequence[StoredEvent]) -> tuple[RunState, Sealer]:
        key = self._deployment.keyring.unwrap(claimed.data_key)
        sealer = Sealer(claimed.lease.run, key, self._deployment.secrets)
        state = RunState(self._deployment.workflow.plan)
        for event in stored:
            state.apply(sealer.open(event))
        return state, sealer

    async def _set_back(self, claimed: Claimed) -> None:
        """A journal that this worker cannot read: its key ring is not the one, or a newer Surefoot wrote it.
        That may be this deployment's mistake, so nothing is decided about the run: it is looked at again."""
        change = RunChange(release=True, due=self._clock.now() + micros(UNREAD))
        await self._store.append(Append(claimed.lease, (), change))

    def _left(self, run: str, drive: Drive, done: asyncio.Task[None]) -> None:
        self._drives.pop(run, None)
        self._tasks.pop(run, None)
        self._looking = True
        self._wake.set()
        if not done.cancelled() and (error := done.exception()) is not None:
            # The store is gone, or the engine has a bug. Going on would act without a journal.
            log.error("the drive of %s broke: %s", run, error, exc_info=error)
            self._failure = error
        self._on_left(run, drive)

    # ── living ──

    async def _keep_beating(self) -> None:
        self._guard_lease()
        try:
            while True:
                await self._clock.sleep_until(self._clock.now() + self._lease // 4)
                try:
                    await self._beat()
                except StoreError as error:
                    log.error("no heartbeat: %s", error)
        finally:
            if self._guard is not None:
                self._guard.cancel()

    def _guard_lease(self) -> None:
        """Stopped, swapped out, or the clock jumped: others may hold our runs by now. A plain timer, not a
        task, because after a stop timers run before any task gets its next turn: what is cancelled here
        does not act again."""
        held = [drive for drive in self._drives.values() if not drive.journal.lost]
        if held and not self.holds_lease():
            log.warning("the lease lapsed before it was renewed: giving up %d runs", len(held))
            for drive in held:
                drive.abandon()
        self._guard = self._clock.call_at(self._clock.now() + self._lease // 8, self._guard_lease)

    async def _beat(self) -> None:
        lapsed = False
        while True:
            until = self._clock.now() + self._lease
            await self._store.heartbeat(until)
            lapsed |= not self.holds_lease()
            self._until = until
            if self.holds_lease():
                break  # else it took longer than the lease itself
        if lapsed:
            self.look()  # nothing was claimed meanwhile

    async def _keep_watching(self) -> None:
        while True:
            await self._clock.pause(POLL)
            if self._store.changed():
                self._poked(await self._store.pending_mail())
                self.look()

    def _blind(self, watching: asyncio.Task[None]) -> None:
        """Whoever cannot look at the store must not seem to work on it."""
        if not watching.cancelled() and (error := watching.exception()) is not None:
            self._failure = self._failure or error
            self._wake.set()

    def _poked(self, runs: Sequence[str]) -> None:
        for run in runs:
            if drive := self._drives.get(run):
                drive.poke()
        self.look()


_settled = False


def _settle_heap() -> None:
    """Once per process: what the imports made is garbage to nobody, so the collector need not walk it again
    and again; and a thousand runs in flight are not a leak. It took half of a step's time (decision 0020)."""
    global _settled  # noqa: PLW0603  it is the process that is told once
    if _settled:
        return
    _settled = True
    gc.freeze()
    young, middle, old = gc.get_threshold()
    if young:  # 0: the program has switched it off, and knows why
        gc.set_threshold(max(young, 50_000), middle, old)
