"""10,000 runs that wait: what each costs in memory, and how long it takes to wake them all.

Memory is what the process holds more after another 8,000 runs have parked than after the first 2,000, which
fill SQLite's page cache and the allocator's pools. Python's own count of allocated blocks stands beside it:
it is exact, where resident memory is a high-water mark of many things.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

from surefoot import Approve, Call, Effect, Run, Runtime, Workflow, approve, step, tool

from .measuring import Line, Size, timed, url_of
from .workflows import SECRET, Number

NONE = 1024.0
"""Bytes per run that count as none. SQLite's caches go on filling, up to 2 MB each, and the allocator rounds;
with 40,000 waiting runs it is a tenth of this, and a run under way takes some 20,000."""


@tool(effect=Effect.KEYED, permission="money:pay")
async def pay(call: Call, n: int) -> int:
    """Pays."""
    return n


@step
async def paid(number: Number, run: Run) -> int:
    return await run.call(pay, n=number.x)


FOR_A_PERSON = Workflow(
    "for-a-person",
    input=Number,
    steps=[paid],
    tools=[pay],
    grants=["money:pay"],
    rules=[approve(pay, by="leads", within=timedelta(days=1))],
    secrets=[SECRET],
)


class Until(Number):
    at: float
    """Seconds since the epoch."""


@step
async def slept(until: Until, run: Run) -> int:
    await run.sleep(until.at - run.now().timestamp())
    return until.x


FOR_A_TIMER = Workflow("for-a-timer", input=Until, steps=[slept], secrets=[SECRET])


def resident() -> int:
    """Bytes of memory of this process now; where only the peak can be had, the peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def _until_parked(runtime: Runtime, waiting: int) -> None:
    """Rows first, then the worker: it lets go of a run when the commit that parked it has come back."""
    while (await runtime.store.counts())["waiting"] < waiting or busy(runtime):
        await asyncio.sleep(0.01)


async def _until_ended(runtime: Runtime, runs: int) -> None:
    while True:
        counts = await runtime.store.counts()
        assert not counts["failed"], counts
        if counts["succeeded"] == runs:
            return
        await asyncio.sleep(0.05)


def busy(runtime: Runtime) -> int:
    worker = runtime._worker  # the row is about what the process holds, which is nobody else's to see
    assert worker is not None
    return worker.busy


# ── rows ──


def approvals(size: Size) -> list[Line]:
    """Runs that wait for a person: memory, and the time from the first decision to the last run's end."""
    runs, settle, batch = size.pick(10_000, 1_000), size.pick(2_000, 400), 200
    with size.fresh() as folder:
        return asyncio.run(_approvals(folder, runs, settle, batch))


async def _approvals(folder: Path, runs: int, settle: int, batch: int) -> list[Line]:
    async with Runtime(FOR_A_PERSON, store=url_of(folder)) as runtime:
        before = blocks = 0
        with timed() as parking:
            for done in range(0, runs, batch):
                await asyncio.gather(*(runtime.start(Number(x=done + n)) for n in range(batch)))
                await _until_parked(runtime, done + batch)
                # So that what is compared is what is held, and not what the collector has not come to yet.
                gc.collect()
                if done + batch == settle:
                    before, blocks = resident(), sys.getallocatedblocks()
        after, more = resident(), sys.getallocatedblocks()
        held = busy(runtime)
        items = await runtime.store.items(limit=runs + 1)
        assert len(items) == runs, len(items)
        with timed() as waking:
            await asyncio.gather(*(runtime.decide(item.id, Approve(by="kim")) for item in items))
            decided = time.perf_counter()
            await _until_ended(runtime, runs)
            rest = time.perf_counter() - decided
    parked = runs - settle
    return [
        Line("runs that the worker holds while all wait", held, "runs", 0),
        Line(
            "resident memory per waiting run",
            max(0.0, (after - before) / parked),
            "bytes",
            NONE if runs == 10_000 else None,
            note=f"{before / 1e6:.1f} MB with {settle:,}, {after / 1e6:.1f} MB with {runs:,}",
        ),
        Line("blocks of Python's memory per waiting run", max(0.0, (more - blocks) / parked), "blocks", 1),
        Line(
            f"{runs:,} approved, all ended",
            waking.wall,
            "s",
            10 * runs / 10_000,
            note=f"decided {waking.wall - rest:.1f} s, then {rest:.1f} s; CPU {waking.cpu:.1f} s",
        ),
        Line(f"{runs:,} started and parked", parking.wall, "s", note=f"CPU {parking.cpu:.1f} s"),
    ]


def timers(size: Size) -> list[Line]:
    """Runs whose timers all fall due at one moment."""
    runs = size.pick(10_000, 1_000)
    patience = size.pick(8, 1)
    while True:
        with size.fresh() as folder:
            lines = asyncio.run(_timers(folder, runs, patience))
        if lines is not None:
            return lines
        patience *= 2


async def _timers(folder: Path, runs: int, patience: float) -> list[Line] | None:
    """None where not all were parked when their timers fell due, `patience` seconds after the start."""
    due = time.time() + patience
    async with Runtime(FOR_A_TIMER, store=url_of(folder), park_after=0.0) as runtime:
        for done in range(0, runs, 200):
            await asyncio.gather(*(runtime.start(Until(x=done + n, at=due)) for n in range(200)))
            if time.time() > due - 0.2:
                return None
        await _until_parked(runtime, runs)
        if time.time() > due:
            return None
        await asyncio.sleep(due - time.time())
        with timed() as waking:
            await _until_ended(runtime, runs)
    return [
        Line(
            f"{runs:,} timers due at once, all ended",
            waking.wall,
            "s",
            10 * runs / 10_000,
            note=f"CPU {waking.cpu:.1f} s",
        )
    ]
