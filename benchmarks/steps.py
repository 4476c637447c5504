"""What a durable step costs: many runs at once, one step after another, steps that wait, and bytes on disk.

Validation, redaction (a secret is named, so that every event is searched for it), the hash chain and signed
heads are always on: there is no quicker mode.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from surefoot import Runtime, Workflow

from . import store
from .measuring import Line, RawCommits, Size, Spread, Stretch, timed, url_of
from .workflows import (
    FIVE,
    FIVE_PLAIN,
    FIVE_PRIVATE,
    SECRET,
    Letter,
    Marks,
    Number,
    chain,
    five_without_durability,
    sleeping,
)

os.environ.setdefault(SECRET, "correct-horse-battery-staple")


async def run_many(workflow: Workflow, folder: Path, runs: int, concurrency: int) -> Stretch:
    """From the first start to the last result; opening and closing the store are not counted."""
    async with Runtime(workflow, store=url_of(folder), concurrency=concurrency) as runtime:
        with timed() as stretch:
            started = await asyncio.gather(*(runtime.start(input_of(workflow, x)) for x in range(runs)))
            results = await asyncio.gather(*(runtime.result(run.id) for run in started))
        ended = [result.status for result in results]
        assert ended == ["succeeded"] * runs, f"not all succeeded: {set(ended)}"
    return stretch


def input_of(workflow: Workflow, x: int) -> Number:
    return Letter(x=x, sender=f"customer{x}@shop.example") if workflow is FIVE_PRIVATE else Number(x=x)


async def loop_many(runs: int) -> Stretch:
    with timed() as stretch:
        await asyncio.gather(*(five_without_durability(x) for x in range(runs)))
    return stretch


# ── rows ──


def throughput(size: Size) -> list[Line]:
    """Durable steps per second, 1,000 runs of 5 trivial steps side by side."""
    runs, rounds = size.pick(1000, 300), size.pick(5, 2)
    steps = runs * 5
    subjects = [
        ("async", FIVE, runs),
        ("plain", FIVE_PLAIN, runs),
        ("default", FIVE, 100),
        ("private", FIVE_PRIVATE, runs),
    ]
    took: dict[str, list[Stretch]] = {name: [] for name, _, _ in subjects}
    loops: list[Stretch] = []
    commits: list[float] = []
    with size.fresh() as folder:
        raw = RawCommits(folder)
        asyncio.run(run_many(FIVE, folder, 20, 20))  # what is done once per process: imports, caches
        for turn in range(rounds):
            commits += raw.series(60)
            loops.append(asyncio.run(loop_many(runs)))
            for name, workflow, concurrency in subjects[turn % 4 :] + subjects[: turn % 4]:
                with size.fresh() as own:
                    took[name].append(asyncio.run(run_many(workflow, own, runs, concurrency)))
        raw.close()

    def rate(stretches: Sequence[Stretch]) -> float:
        return steps / statistics.median(one.wall for one in stretches)

    def best(stretches: Sequence[Stretch]) -> str:
        return f"best of {rounds}: {steps / min(one.wall for one in stretches):,.0f}"

    ours, bare, commit = rate(took["async"]), rate(loops), statistics.median(commits)
    cpu = statistics.median(one.cpu for one in took["async"]) / steps
    title = f"{runs:,} runs x 5 steps"
    return [
        Line(f"{title}, async", ours, "steps/s", 10_000, "more", best(took["async"])),
        Line(f"{title}, plain def", rate(took["plain"]), "steps/s", 10_000, "more", best(took["plain"])),
        Line(f"{title}, async, 100 at a time", rate(took["default"]), "steps/s", note=best(took["default"])),
        Line(
            f"{title}, async, a private field", rate(took["private"]), "steps/s", note=best(took["private"])
        ),
        Line("the same functions in a loop, nothing durable", bare, "steps/s"),
        Line("durable steps per raw commit's time", ours * commit, "x", note=f"raw commit {show(commits)}"),
        Line("CPU of one durable step, all threads", cpu * 1e6, "us"),
    ]


def sequential(size: Size) -> list[Line]:
    """One durable step after another in one run, each beside one raw commit made in its own body.

    Both files are warmed until SQLite has begun its log anew: while a log still grows, each sync also writes
    the file system's own records, and whoever writes more bytes pays more often. Several turns with files of
    their own, because how long a sync takes depends on where a file lies.
    """
    turns = size.pick(5, 1)
    kinds = {"async": True, "plain def": False}
    walls: dict[str, list[float]] = {kind: [] for kind in kinds}
    cpus: dict[str, list[float]] = {kind: [] for kind in kinds}
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    beyond: dict[str, list[float]] = {kind: [] for kind in kinds}
    commits: list[float] = []
    for _ in range(turns):
        for kind, is_async in kinds.items():
            took, marks = asyncio.run(_beside_raw(size, is_async=is_async))
            ratios[kind].append(statistics.median(marks.walls) / statistics.median(took))
            beyond[kind].append(statistics.median(marks.walls) - statistics.median(took))
            walls[kind] += marks.walls
            cpus[kind] += marks.cpus
            commits += took
    lines = []
    for kind, found in ratios.items():
        note = (
            f"{turns} turns: {min(found):.2f} to {max(found):.2f}; step {show(walls[kind])},"
            f" commit {show(commits)}; CPU of the step {statistics.median(cpus[kind]) * 1e3:.3f} ms"
        )
        ratio = statistics.median(found)
        more = statistics.median(beyond[kind])
        lines += [
            Line(f"one {kind} step / one raw commit", ratio, "x", 1.3, note=note),
            Line(f"what one {kind} step takes beyond a raw commit", more * 1e6, "us"),
        ]
    return lines


async def _beside_raw(size: Size, *, is_async: bool) -> tuple[list[float], Marks]:
    """Seconds of the raw commits; and the marks of a chain whose every body made one of them."""
    length = size.pick(300, 80)
    with size.fresh() as folder:
        raw = RawCommits(folder)
        raw.series(size.pick(800, 50))
        commits: list[float] = []
        marks = Marks(lambda: commits.append(raw.one()))
        await run_chain(chain(length, marks, is_async=is_async), folder, marks, size.pick(3, 2))
        raw.close()
    del commits[:length], marks.walls[: length - 1], marks.cpus[: length - 1]  # the warm-up
    return commits, marks


async def run_chain(workflow: Workflow, folder: Path | None, marks: Marks, rounds: int) -> None:
    """The chain `rounds` times; without a folder, in memory."""
    async with Runtime(workflow, store="memory:" if folder is None else url_of(folder)) as runtime:
        for _ in range(rounds):
            marks.begin()
            run = await runtime.start(Number(x=1))
            result = await runtime.result(run.id)
            assert result.status == "succeeded", result


def store_alone(size: Size) -> list[Line]:
    """What of a step is the store's: one append of its two events, awaited, and many at once."""
    return asyncio.run(_store_alone(size))


async def _store_alone(size: Size) -> list[Line]:
    with size.fresh() as folder:
        opened = await store.opened(url_of(folder))
        try:
            lease = await store.submit(opened, "one")
            await store.sequential(opened, lease, folder, 30)
            ours, raw = await store.sequential(opened, lease, folder, size.pick(500, 100))
            await store.many(opened, "warm")
            took = [await store.many(opened, f"turn-{turn}") for turn in range(size.pick(5, 2))]
        finally:
            await opened.close()
    count = store.RUNS * store.STEPS
    wall, cpu = (statistics.median(times) for times in zip(*took, strict=True))
    note = f"{ours * 1e3:.3g} ms and {raw * 1e3:.3g} ms"
    return [
        Line("one append of two events / one raw commit", ours / raw, "x", note=note),
        Line(f"{store.RUNS:,} x {store.STEPS} appends", count / wall, "appends/s"),
        Line("CPU of one append among many, all threads", cpu / count * 1e6, "us"),
    ]


def concurrent(size: Size) -> list[Line]:
    """1,000 runs at once, each with 5 steps of 200 ms, beside the second that they cannot but take."""
    runs, rounds, ideal = size.pick(1000, 300), size.pick(3, 1), 1.0
    workflow = sleeping(5, 0.2)
    ours: list[float] = []
    loops: list[float] = []

    async def bare() -> Stretch:
        async def one() -> None:
            for _ in range(5):
                await asyncio.sleep(0.2)

        with timed() as stretch:
            await asyncio.gather(*(one() for _ in range(runs)))
        return stretch

    with size.fresh() as folder:
        asyncio.run(run_many(FIVE, folder, 20, 20))
    for _ in range(rounds):
        loops.append(asyncio.run(bare()).wall)
        with size.fresh() as folder:
            ours.append(asyncio.run(run_many(workflow, folder, runs, runs)).wall)
    return [
        Line(
            f"{runs:,} runs x 5 steps of 200 ms / ideal",
            statistics.median(ours) / ideal,
            "x",
            1.3,
            note=f"best of {rounds}: {min(ours) / ideal:.2f}",
        ),
        Line("the same in a loop, nothing durable / ideal", statistics.median(loops) / ideal, "x"),
    ]


def size_on_disk(size: Size) -> list[Line]:
    """Bytes of the store's file per step, with all that a run has beside its steps."""
    runs = size.pick(1000, 300)
    with size.fresh() as folder:
        asyncio.run(run_many(FIVE, folder, runs, runs))
        left = [path.name for path in folder.glob("state.db-*") if path.is_file()]
        assert not left, f"the log was not taken into the file: {left}"
        weight = (folder / "state.db").stat().st_size
    return [Line("store file per step", weight / (runs * 5), "bytes", 600)]


def show(seconds: Sequence[float]) -> str:
    return Spread.of(seconds).show()
