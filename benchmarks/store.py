"""How fast the store is by itself, as ratios to a raw fsynced SQLite commit, and where its time goes.

    python benchmarks/store.py [--profile]

One append carries two events, as a step does. "CPU" is of the whole process, the load's own share included.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from surefoot.state.opening import make_store
from surefoot.state.sqlite import SqliteStore
from surefoot.state.store import Append, Lease, NewRun, Record, RunChange, Store

RUNS, STEPS = 1000, 5
VIEW = '{"step":"triage","attempt":1,"output":{"order_number":"A-10417","intent":"refund","language":"en"}}'
SUMMARY = '{"input":' + VIEW + "}"


def now() -> int:
    return time.time_ns() // 1000


def records() -> tuple[Record, Record]:
    at = now()
    return Record("step.started", 1, at, VIEW), Record("step.finished", 1, at, VIEW)


async def opened(url: str) -> Store:
    store, _ = make_store(url, now=now, worker="bench")
    await store.open()
    await store.heartbeat(now() + 3600 * 1_000_000)
    return store


async def submit(store: Store, name: str) -> Lease:
    first = (Record("run.submitted", 1, now(), VIEW),)
    new = NewRun(name, "bench", "1", "f", name, "d", b"k" * 64, first, SUMMARY, now(), lease=True)
    lease = (await store.submit(new)).lease
    assert lease is not None
    return lease


async def run(store: Store, lease: Lease) -> None:
    for _ in range(STEPS - 1):
        await store.append(Append(lease, records()))
    await store.append(Append(lease, records(), RunChange(status="succeeded", summary=SUMMARY, release=True)))


class RawCommit:
    """One row in one commit on disk, with nothing around it: the least that durability costs here."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER, b TEXT, c BLOB)")

    def commit(self) -> float:
        """Seconds."""
        started = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO t VALUES (?, ?, ?)", (1, VIEW, b"h" * 32))
        self._connection.execute("COMMIT")
        return time.perf_counter() - started

    def close(self) -> None:
        self._connection.close()


async def sequential(store: Store, lease: Lease, folder: Path, count: int = 500) -> tuple[float, float]:
    """Seconds of one append when nothing else goes on, and of one raw commit, in turns: medians. In turns
    because the disk's mood changes."""
    raw = RawCommit(folder)
    ours, theirs = [], []
    for _ in range(count):
        append = Append(lease, records())
        started = time.perf_counter()
        await store.append(append)
        ours.append(time.perf_counter() - started)
        theirs.append(raw.commit())
    raw.close()
    return statistics.median(ours), statistics.median(theirs)


async def many(store: Store, prefix: str) -> tuple[float, float]:
    """Wall and CPU seconds of RUNS runs of STEPS appends."""
    leases = await asyncio.gather(*(submit(store, f"{prefix}-{number}") for number in range(RUNS)))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(run(store, lease) for lease in leases))
    return time.perf_counter() - wall, time.process_time() - cpu


async def finished(store: Store, count: int) -> None:
    """Fills the store with runs that have ended."""
    for start in range(0, count, RUNS):
        await many(store, f"old-{start}")


async def report(*, profile: bool, old_runs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = await opened(f"sqlite:///{folder}/state.db")
        memory = await opened("memory:")
        await many(memory, "warm")
        lease = await submit(store, "one")
        await sequential(store, lease, folder, 100)
        show_one("one sequential append", await sequential(store, lease, folder))
        await many(store, "warm")
        for label, target in (("file", store), ("memory", memory)):
            best = min([await many(target, f"{label}-{turn}") for turn in range(3)])
            show(f"{RUNS} runs x {STEPS} appends, {label}", best)
        if profile:
            profiler = cProfile.Profile()
            profiler.enable()
            await many(memory, "profiled")
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(14)
        if old_runs:
            await finished(store, old_runs)
            best = min([await many(store, f"after-{turn}") for turn in range(3)])
            show(f"the same after {old_runs} ended runs", best)
            for _ in range(2000):
                await store.append(Append(lease, records()))
            show_one(f"sequential at event {lease.seq}", await sequential(store, lease, folder))
        assert isinstance(store, SqliteStore)
        await store.close()
        await memory.close()
        events = sqlite3.connect(folder / "state.db").execute("SELECT count(*) FROM events").fetchone()[0]
        size = (folder / "state.db").stat().st_size
        print(f"bytes per step (two events)       {size / events * 2:8.0f}")


def show_one(label: str, times: tuple[float, float]) -> None:
    ours, raw = times
    print(f"{label:34}{ours * 1e6:8.0f} us, raw fsynced commit {raw * 1e6:.0f} us: {ours / raw:.2f} x")


def show(label: str, times: tuple[float, float]) -> None:
    wall, cpu = times
    count = RUNS * STEPS
    print(f"{label:34}{count / wall:8.0f} appends/s, CPU {cpu / count * 1e6:.0f} us per append")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--old-runs", type=int, default=10_000, help="ended runs to fill the store with")
    arguments = parser.parse_args()
    asyncio.run(report(profile=arguments.profile, old_runs=arguments.old_runs))
