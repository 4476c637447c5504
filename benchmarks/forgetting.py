"""What forgetting costs those who never forget (secure_delete), and how long rotating and proving take.

    python benchmarks/forgetting.py [--rounds 6]

Steps are measured in the store alone, with it on and off by turns, so that the machine's moods meet both
alike; "CPU" is of the whole process, per step.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from surefoot.state import rotation
from surefoot.state.opening import make_store
from surefoot.state.sealing import KEY_BYTES
from surefoot.state.sqlite import SqliteStore
from surefoot.state.store import Append, NewItem, NewRun, Record, RunChange

RUNS, STEPS = 1000, 5
VIEW = '{"step":"triage","attempt":1,"output":{"order_number":"A-10417","intent":"refund","language":"en"}}'
SUMMARY = '{"input":' + VIEW + "}"


def now() -> int:
    return time.time_ns() // 1000


async def opened(folder: Path, *, secure: bool) -> SqliteStore:
    store, _ = make_store(f"sqlite:///{folder}/state.db", now=now, worker="bench")
    assert isinstance(store, SqliteStore)
    await store.open()
    await store.heartbeat(now() + 3_600_000_000)
    assert store._connection is not None
    if not secure:
        store._connection.execute("PRAGMA secure_delete = OFF")
    return store


def records() -> tuple[Record, Record]:
    at = now()
    return Record("step.started", 1, at, VIEW), Record("step.finished", 1, at, VIEW)


async def one(store: SqliteStore, name: str, *, mail: bool) -> None:
    first = (Record("run.submitted", 1, now(), VIEW),)
    key = store._options.keys.new_run_key().wrapped
    new = NewRun(name, "bench", "1", "f", None, "d", key, first, "{}", now(), lease=True)
    lease = (await store.submit(new)).lease
    assert lease is not None
    for turn in range(STEPS - 1):
        append = Append(lease, records())
        if mail and turn == 1:
            append = replace(append, opens=(NewItem(f"{name}-1", "approval", "leads", VIEW, now()),))
        await store.append(append)
        if mail and turn == 1:
            await store.decide(f"{name}-1", "approve", "kim", VIEW, VIEW.encode())
            taken = tuple(message.id for message in await store.mail(name))
            await store.append(Append(lease, records(), taken=taken))
    await store.append(Append(lease, records(), RunChange(status="succeeded", summary=SUMMARY, release=True)))


async def steps(*, secure: bool, mail: bool) -> tuple[float, float]:
    """(seconds, CPU seconds) of a durable step."""
    with tempfile.TemporaryDirectory() as folder:
        store = await opened(Path(folder), secure=secure)
        await one(store, "warm", mail=mail)
        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one(store, f"run-{number}", mail=mail) for number in range(RUNS)))
        took = time.perf_counter() - wall, time.process_time() - cpu
        await store.close()
    return took[0] / (RUNS * STEPS), took[1] / (RUNS * STEPS)


async def upkeep() -> None:
    """A rotation over 20,000 runs, and forgetting one of them."""
    with tempfile.TemporaryDirectory() as folder:
        store = await opened(Path(folder), secure=True)
        for part in range(20):
            await asyncio.gather(*(one(store, f"run-{part}-{n}", mail=False) for n in range(RUNS)))
        size = os.path.getsize(f"{folder}/state.db") / 1e6
        keys = store._options.keys
        old = keys.current
        keys.add(os.urandom(KEY_BYTES), "")
        took = await _took(lambda: rotation.rotate(store, keys, now()))
        print(f"rotate {20 * RUNS:,} runs ({size:.0f} MB): {took:.2f} s, {20 * RUNS / took:,.0f} runs/s")
        await store.heartbeat(now() + 3_600_000_000)
        took = await _took(lambda: rotation.retire(store, keys, old))
        print(f"retire: {took:.2f} s")
        took = await _took(lambda: store.forget("run-3-7", Record("run.forgotten", 1, now(), "{}")))
        proof = await _took(lambda: store.prove_forgotten(10))
        print(f"forget one run: {took * 1000:.1f} ms, and the proof: {proof * 1000:.0f} ms")
        await store.close()


async def _took(act: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await act()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    rounds = parser.parse_args().rounds
    for mail in (False, True):
        found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for turn in range(rounds):
            for secure in (True, False) if turn % 2 else (False, True):
                found[secure].append(asyncio.run(steps(secure=secure, mail=mail)))
        what = "with an approval each" if mail else "plain"
        for name, place in (("wall", 0), ("CPU", 1)):
            on, off = (
                statistics.median(one[place] for one in found[secure]) * 1e6 for secure in (True, False)
            )
            print(
                f"{what}, {name}: {on:.1f} µs a step with secure_delete, {off:.1f} without ({on / off:.3f} x)"
            )
    asyncio.run(upkeep())


if __name__ == "__main__":
    main()
