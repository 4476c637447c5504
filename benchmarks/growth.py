"""Whether a step costs the same in a long run as in a short one, and in a full store as in an empty one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
from contextlib import AsyncExitStack
from pathlib import Path

from surefoot import Budget, Effect, Run, Runtime, Workflow, step, tool

from .measuring import Line, Size, Stretch, timed, url_of
from .steps import run_chain, run_many
from .workflows import FIVE, SECRET, Marks, Number, chain

os.environ.setdefault(SECRET, "correct-horse-battery-staple")

FLAT = 1.25
"""What still counts as flat: the goal says so, and measuring is not better than this."""


# ── history ──


def history(size: Size) -> list[Line]:
    """A step with 10 steps behind it, and one with 1,000. Judged in memory, where the same code and
    the same SQL run without a disk, whose moods are larger than what is looked for.
    """
    long, rounds = size.pick(1000, 300), size.pick(5, 2)
    memory: tuple[list[float], list[float]] = ([], [])
    disk: tuple[list[float], list[float]] = ([], [])
    calls: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        _chains(None, long, memory)
        with size.fresh() as folder:
            _chains(folder, long, disk)
        asyncio.run(_calls(long, calls))
    return [
        compared(f"step {long:,} of a run / step 10, in memory", memory, FLAT),
        compared("the same on disk", disk, None),
        compared(f"call {long:,} of a step / call 10, in memory", calls, FLAT),
    ]


def _chains(folder: Path | None, long: int, into: tuple[list[float], list[float]]) -> None:
    marks = Marks()
    asyncio.run(run_chain(chain(10, marks), folder, marks, 15))
    into[0].extend(marks.walls[9 * 3 :])  # the first runs warm the caches
    marks = Marks()
    asyncio.run(run_chain(chain(long, marks), folder, marks, 1))
    into[1].extend(marks.walls[-100:])


def compared(what: str, sides: tuple[list[float], list[float]], goal: float | None) -> Line:
    before, after = (statistics.median(side) for side in sides)
    return Line(what, after / before, "x", goal, note=f"{after * 1e6:.0f} and {before * 1e6:.0f} us")


@tool(effect=Effect.READ)
async def look(n: int) -> int:
    """Looks."""
    return n


async def _calls(count: int, into: tuple[list[float], list[float]]) -> None:
    """Seconds of each of the first and of the last 100 calls of one step."""
    marks = Marks()

    @step
    async def many(number: Number, run: Run) -> int:
        for n in range(count):
            await run.call(look, n=n)
            marks()
        return 0

    workflow = Workflow(
        "calls",
        input=Number,
        steps=[many],
        tools=[look],
        secrets=[SECRET],
        budget=Budget(tool_calls=count),
    )
    async with Runtime(workflow, store="memory:") as runtime:
        run = await runtime.start(Number(x=1))
        result = await runtime.result(run.id)
        assert result.status == "succeeded", result
    into[0].extend(marks.walls[10:100])
    into[1].extend(marks.walls[-100:])


# ── finished runs ──


def finished(size: Size) -> list[Line]:
    """The same work in a store that holds nothing else, and in one with 50,000 finished runs."""
    count, rounds, runs = size.pick(50_000, 5_000), size.pick(7, 3), 100
    with size.fresh() as empty, size.fresh() as full:
        asyncio.run(run_many(FIVE, full, 500, 500))
        multiply(full / "state.db", 500, count)
        pairs = asyncio.run(_compare(empty, full, rounds, runs))
    walls = [[one.wall for one in side] for side in pairs]
    cpus = [[one.cpu for one in side] for side in pairs]
    steps = runs * 5
    lines = []
    for how, sides in (("CPU", cpus), ("by the clock", walls)):
        before, after = (statistics.median(side) / steps for side in sides)
        # The ratio of each pair, whose two sides met the same neighbours.
        ratio = statistics.median(b / a for a, b in zip(*sides, strict=True))
        goal = FLAT if how == "CPU" else None
        note = f"{after * 1e6:.0f} and {before * 1e6:.0f} us"
        what = f"a step beside {count:,} finished runs / none, {how}"
        lines.append(Line(what, ratio, "x", goal, note=note))
    return lines


async def _compare(empty: Path, full: Path, rounds: int, runs: int) -> tuple[list[Stretch], list[Stretch]]:
    sides: tuple[list[Stretch], list[Stretch]] = ([], [])
    async with AsyncExitStack() as stack:
        runtimes = [
            await stack.enter_async_context(Runtime(FIVE, store=url_of(folder))) for folder in (empty, full)
        ]
        for turn in range(rounds + 1):
            order = (0, 1) if turn % 2 else (1, 0)
            for side in order:
                runtime = runtimes[side]
                with timed() as stretch:
                    started = await asyncio.gather(*(runtime.start(Number(x=x)) for x in range(runs)))
                    await asyncio.gather(*(runtime.result(run.id) for run in started))
                if turn:  # the first one warms the caches
                    sides[side].append(stretch)
    return sides


def multiply(file: Path, have: int, want: int) -> None:
    """Copies of a store's ended runs under new names, until there are `want` of them. What a step costs
    depends on rows and indexes, and these are what as many real runs leave behind; only their signatures are
    not theirs.
    """
    connection = sqlite3.connect(file, isolation_level=None)
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(runs)")]
    others = ", ".join(name for name in columns if name not in ("row", "id", "key"))
    connection.execute("BEGIN")
    for turn in range(1, want // have):
        shift = turn * have
        connection.execute(
            f"INSERT INTO runs (row, id, key, {others})"
            f" SELECT row + ?, id || '-' || ?, NULL, {others} FROM runs WHERE row <= ?",
            (shift, turn, have),
        )
        connection.execute(
            "INSERT INTO events"
            " SELECT run + ?, seq, at, kind, version, view, sealed, hash FROM events WHERE run <= ?",
            (shift, have),
        )
    connection.execute("COMMIT")
    (found,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    assert found == want, f"{found} runs, not {want}"
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
