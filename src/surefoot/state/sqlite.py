"""The store on SQLite: a file shared by the processes of one machine, or the same in memory.

Three parts: `Writer` commits, `Reader` reads, and this class is the door to both. A store in memory runs the
same SQL on a database that lives as long as a store of its name is open (decision 0010).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from ..errors import StoreError
from . import backup, duties, forgetting, gates, keyduties
from .backup import Held
from .commit import Committer
from .faults import Explained
from .intake import IntakeChange, IntakeRow, Turn
from .locks import FileLocks, LocalLocks, Locks
from .reads import Reader
from .rows import (
    DayRow,
    ItemRow,
    ItemStatus,
    KeyUse,
    Mail,
    OpenItems,
    Pruned,
    Queue,
    Rekeyed,
    RingRow,
    RunFilter,
    RunRow,
    Status,
    StoredEvent,
    Stray,
    WorkerRow,
)
from .schema import PATIENCE, connect, make_file, prepare
from .sqlite_service import SqliteService
from .store import Append, Claimed, Grown, NewRun, Record, StoreOptions, Submitted
from .transaction import Duty, Transaction
from .writer import Writer

REKEY_AT_ONCE = 200
"""Runs that one transaction wraps and signs under another key."""

PRUNE_AT_ONCE = 100
"""Runs whose journals one transaction deletes, so that no worker waits long for its turn."""


class SqliteStore(SqliteService):
    """`place` is a path, or the name of a database in memory. Everything else waits for `open()`."""

    def __init__(self, place: Path | str, options: StoreOptions) -> None:
        self.worker = options.worker
        self._options = options
        self._place = place
        self._memory = isinstance(place, str)
        self.url = f"memory:{place}" if isinstance(place, str) else f"sqlite:///{place}"
        self._explained = Explained(self.url)
        self._connection: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._parts: tuple[Writer, Reader, Committer] | None = None
        self._seen = (-1, -1)
        self._poke: Callable[[Sequence[str]], None] | None = None
        locks: Locks
        if isinstance(place, str):
            locks = LocalLocks(place)
        else:
            locks = FileLocks(place.with_name(place.name + "-workers"))
        self._locks = locks
        self._duties = duties.LeaseDuties(options.worker, locks, options.keys)

    # ── opening ──

    async def open(self) -> None:
        if self._parts is not None:
            return
        try:
            with self._explained:
                self._connect()
        except BaseException:
            self._disconnect()
            raise
        assert self._connection is not None
        assert self._reading is not None
        committer = Committer(self._connection, self._options, self.url)
        writer = Writer(committer, threaded=not self._memory)
        writer.poke = self._poke
        self._parts = (writer, Reader(self._reading), committer)

    def _connect(self) -> None:
        if isinstance(self._place, str):
            # `memdb` is SQLite's own file system in memory: a name that starts with a slash is shared by the
            # connections of this process.
            self._connection = connect(f"file:/surefoot-{self._place}?vfs=memdb", uri=True)
            prepare(self._connection, self.url, memory=True)
            self._hear_of_ring()
            self._reading = self._connection
            return
        make_file(self._place)
        self._connection = connect(str(self._place))
        prepare(self._connection, self.url, keys=lambda: self._options.keys)
        self._hear_of_ring()
        self._reading = connect(str(self._place))
        self._reading.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        self._reading.execute("PRAGMA query_only = ON")

    def _hear_of_ring(self) -> None:
        """The ring was read before the store was opened: it may have moved on since."""
        assert self._connection is not None
        row = Reader(self._connection).ring()
        if row.generation != self._options.keys.generation:
            self._options.keys.heed(row.generation, row.retired)

    def _disconnect(self) -> None:
        for connection in {self._connection, self._reading}:
            if connection is not None:
                connection.close()
        self._connection = self._reading = None

    async def close(self) -> None:
        """Commits what is queued. Runs that are still held become free, as if this worker had died."""
        if self._parts is None:
            return
        await self._writer.close()
        self._parts = None
        self._disconnect()
        self._duties.forget()
        self._locks.release(remove=False)

    @property
    def _writer(self) -> Writer:
        return self._open_parts()[0]

    @property
    def _reader(self) -> Reader:
        return self._open_parts()[1]

    def _open_parts(self) -> tuple[Writer, Reader, Committer]:
        if self._parts is None:
            raise StoreError(
                f"the store {self.url} is not open",
                why="it was used before it was opened, or after it was closed",
                remedy="Call `await store.open()` first.",
            )
        return self._parts

    # ── growing a journal ──

    async def submit(self, new: NewRun) -> Submitted:
        if new.lease and not self._duties.registered:
            await self._writer.put(Duty(self._duties.register, counts=False))
        submitted: Submitted = await self._writer.put(new)
        return submitted

    def append(self, append: Append) -> Awaitable[Grown | None]:
        return self._writer.put(append)

    # ── leases ──

    async def claim(
        self, limit: int, *, run: str | None = None, workflow: str | None = None, most: int | None = None
    ) -> list[Claimed]:
        claimed: list[Claimed] = await self._writer.put(self._duties.claim(limit, run, workflow, most))
        return claimed

    async def suspects(self, most: int, *, workflow: str | None = None) -> list[str]:
        with self._explained:
            return self._reader.suspects(most, self._options.now(), workflow)

    async def heartbeat(self, until: int) -> None:
        await self._writer.put(self._duties.heartbeat(until))

    async def retire(self) -> None:
        await self._writer.put(self._duties.retire())

    async def extend_claims(self, run: str) -> None:
        await self._writer.put(duties.forget_claims(run))

    # ── saying something to a run ──

    async def post(self, run: str, kind: str, body: str, sealed: bytes | None = None) -> None:
        await self._writer.put(duties.post(run, kind, body, sealed))

    async def decide(
        self, item: str, decision: str, by: str, body: str, sealed: bytes | None = None
    ) -> ItemRow:
        await self._writer.put(duties.decide(item, decision, by, body, sealed))
        row = await self.item(item)
        assert row is not None
        return row

    def on_poke(self, callback: Callable[[Sequence[str]], None]) -> None:
        self._poke = callback
        if self._parts is not None:
            self._writer.poke = callback

    def changed(self) -> bool:
        before, self._seen = self._seen, self.version()
        return self._seen != before

    def version(self) -> tuple[int, int]:
        _, reader, committer = self._open_parts()
        with self._explained:
            # A connection does not see its own commits as a change of version, hence the count beside it.
            return reader.data_version(), committer.commits

    # ── reading ──

    async def mail(self, run: str) -> list[Mail]:
        with self._explained:
            return self._reader.mail(run)

    async def pending_mail(self) -> list[str]:
        with self._explained:
            return self._reader.pending_mail(self.worker)

    async def next_due(self, workflow: str | None = None) -> int | None:
        with self._explained:
            return self._reader.next_due(workflow, self._options.now())

    async def journals(self, runs: Iterable[str]) -> dict[str, list[StoredEvent]]:
        with self._explained:
            return self._reader.journals(runs)

    async def events(self, run: str, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        with self._explained:
            return self._reader.events(run, after, limit)

    async def run(self, run: str) -> RunRow | None:
        with self._explained:
            return self._reader.run(run)

    async def find_key(self, workflow: str, key: str) -> RunRow | None:
        with self._explained:
            return self._reader.find_key(workflow, self._options.keys.key_digest(workflow, key))

    async def runs(self, wanted: RunFilter) -> list[RunRow]:
        with self._explained:
            return self._reader.runs(wanted)

    async def item(self, item: str) -> ItemRow | None:
        with self._explained:
            return self._reader.item(item)

    async def items(
        self,
        *,
        status: ItemStatus | None = "open",
        run: str | None = None,
        after: str | None = None,
        limit: int = 200,
    ) -> list[ItemRow]:
        with self._explained:
            return self._reader.items(status, run, after, limit)

    async def workers(self) -> list[WorkerRow]:
        with self._explained:
            return self._reader.workers()

    async def day(self, workflow: str, day: str) -> DayRow:
        with self._explained:
            return self._reader.day(workflow, day)

    async def definition(self, fingerprint: str) -> str | None:
        with self._explained:
            return self._reader.definition(fingerprint)

    async def counts(self) -> dict[Status, int]:
        with self._explained:
            return self._reader.counts()

    async def queue(self, workflow: str | None = None) -> Queue:
        with self._explained:
            return self._reader.queue(workflow)

    async def open_items(self) -> list[OpenItems]:
        with self._explained:
            return self._reader.open_items()

    # ── intake ──

    async def turn_intake(self, workflow: str, turn: Turn) -> tuple[IntakeRow, IntakeChange | None]:
        turned: tuple[IntakeRow, IntakeChange | None] = await self._writer.put(gates.turn(workflow, turn))
        return turned

    async def intakes(self, workflow: str | None = None) -> list[IntakeRow]:
        with self._explained:
            return self._reader.intakes(workflow)

    async def intake_changes(self, workflow: str | None = None, limit: int = 20) -> list[IntakeChange]:
        with self._explained:
            return self._reader.intake_changes(workflow, limit)

    async def waiting_to_begin(self, workflow: str | None = None) -> dict[str, int]:
        with self._explained:
            return self._reader.waiting_to_begin(workflow)

    # ── upkeep ──

    async def prune(self, before: int) -> Pruned:
        runs = events = 0
        while True:
            part: Pruned = await self._writer.put(duties.prune(before, PRUNE_AT_ONCE))
            if part.runs == 0:
                break
            runs += part.runs
            events += part.events
        if runs and not self._memory:
            while await self._writer.put(Duty(_give_back_pages, counts=False, long=True)):
                pass
        return Pruned(runs, events)

    # ── forgetting and telling ──

    async def note(self, run: str, record: Record, taken: Sequence[int] = ()) -> bool:
        noted: bool = await self._writer.put(forgetting.note(self._duties, run, record, taken))
        return noted

    async def forget(self, run: str, record: Record) -> bool:
        forgot: bool = await self._writer.put(forgetting.forget(self._duties, run, record))
        return forgot

    async def prove_forgotten(self, patience: float) -> int:
        with self._explained:
            traces = self._reader.traces()
        if not traces:
            return 0
        if isinstance(self._place, Path):
            await asyncio.to_thread(forgetting.prove, self._place, traces, patience)
        await self._writer.put(forgetting.mark_proved(traces))
        if isinstance(self._place, Path):
            await asyncio.to_thread(forgetting.cut_log, self._place, patience)
        return len(traces)

    async def hold(self, body: str) -> Held:
        """Of a store that was put back from a backup: see `backup.hold`."""
        held: Held = await self._writer.put(backup.hold(body))
        return held

    # ── keys ──

    async def ring(self) -> RingRow:
        with self._explained:
            return self._reader.ring()

    async def announce_key(self) -> int:
        generation: int = await self._writer.put(keyduties.announce())
        return generation

    async def rekey(self, after: int) -> Rekeyed:
        rekeyed: Rekeyed = await self._writer.put(keyduties.rekey(after, REKEY_AT_ONCE))
        return rekeyed

    async def retire_key(self, key: str) -> None:
        await self._writer.put(keyduties.retire(key))
        if isinstance(self._place, Path):
            await asyncio.to_thread(forgetting.cut_log, self._place, PATIENCE)

    async def key_uses(self) -> list[KeyUse]:
        with self._explained:
            return self._reader.key_uses(self._options.now())

    # ── for the audit ──

    async def strays(self) -> list[Stray]:
        with self._explained:
            return self._reader.strays()

    async def damage(self) -> list[str]:
        with self._explained:
            return self._reader.damage()

    async def days(self) -> list[DayRow]:
        with self._explained:
            return self._reader.days()

    async def definitions(self) -> list[tuple[str, str]]:
        with self._explained:
            return self._reader.definitions()


def _give_back_pages(transaction: Transaction) -> bool:
    """Hands some free pages back to the file system; returns whether it did."""
    connection = transaction.connection
    (before,) = connection.execute("PRAGMA freelist_count").fetchone()
    connection.execute("PRAGMA incremental_vacuum(500)").fetchall()
    (after,) = connection.execute("PRAGMA freelist_count").fetchone()
    return bool(after < before)
