"""kill -9 in the middle of 200 runs, and the same command again.

`python -m benchmarks.killed STORE RUNS` is the program that is killed: each run waits a little, makes a
KEYED call, decides, makes a ONCE call, and waits again. The world outside is a file, the ledger, to which
every body and every effect adds one line; the ONCE tool can look into it whether its call happened.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surefoot import Call, Done, Effect, Run, Runtime, Undone, Workflow, step, tool

from .measuring import Line, Size, url_of
from .workflows import Number

REST = 0.15
"""Seconds that a step waits, as one that asks a model does."""

LEDGER = "SUREFOOT_BENCH_LEDGER"


def add(*words: object) -> None:
    """One line, in one write: a killed process leaves whole lines."""
    out = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(out, (" ".join(str(word) for word in words) + "\n").encode())
    finally:
        os.close(out)


def lines_of(ledger: Path) -> Iterator[list[str]]:
    if ledger.exists():
        yield from (line.split() for line in ledger.read_text().splitlines())


async def happened(call: Call) -> Done[int] | Undone:
    for line in lines_of(Path(os.environ[LEDGER])):
        if line[0] == "once" and line[2] == call.key:
            return Done(int(line[1]))
    return Undone()


@tool(effect=Effect.KEYED, permission="money:pay")
async def pay(call: Call, n: int) -> int:
    """Pays; the other side knows the key."""
    add("keyed", n, call.key)
    return n


@tool(effect=Effect.ONCE, permission="mail:send", reconcile=happened)
async def send(call: Call, n: int) -> int:
    """Sends; twice would be two letters."""
    add("once", n, call.key)
    return n


@step
async def read(number: Number, run: Run) -> int:
    add("body", run.id, run.step, os.getpid())
    await asyncio.sleep(REST)
    return number.x


@step
async def paid(read: int, run: Run) -> int:
    add("body", run.id, run.step, os.getpid())
    return await run.call(pay, n=read)


@step
async def ruled(paid: int, run: Run) -> int:
    add("body", run.id, run.step, os.getpid())
    return paid


@step
async def sent(ruled: int, run: Run) -> int:
    add("body", run.id, run.step, os.getpid())
    return await run.call(send, n=ruled)


@step
async def closed(sent: int, run: Run) -> int:
    add("body", run.id, run.step, os.getpid())
    await asyncio.sleep(REST)
    return sent


WORK = Workflow(
    "killed",
    input=Number,
    steps=[read, paid, ruled, sent, closed],
    tools=[pay, send],
    grants=["money:pay", "mail:send"],
)


async def work(store: str, runs: int) -> None:
    async with Runtime(WORK, store=store, concurrency=runs) as runtime:
        started = await asyncio.gather(*(runtime.start(Number(x=x), key=f"k{x}") for x in range(runs)))
        results = await asyncio.gather(*(runtime.result(run.id) for run in started))
        print("done", sum(result.status == "succeeded" for result in results), flush=True)


# ── the row ──


@contextmanager
def running(folder: Path, runs: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.killed", url_of(folder), str(runs)]
    env = {**os.environ, LEDGER: str(folder / "ledger")}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def to_the_end(folder: Path, runs: int) -> float:
    """Seconds from the command to the moment when all have succeeded."""
    started = time.perf_counter()
    with running(folder, runs) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        took = time.perf_counter() - started
        process.wait()
    assert said == f"done {runs}\n", said
    return took


def until_killed(folder: Path, runs: int) -> float:
    """Kills when half of the ONCE effects were made; seconds from the command to the kill."""
    started = time.perf_counter()
    with running(folder, runs) as process:
        while sum(line[0] == "once" for line in lines_of(folder / "ledger")) < runs // 2:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        took = time.perf_counter() - started
        process.wait()
    return took


async def ended_steps(folder: Path) -> tuple[set[tuple[str, str]], int, int]:
    """(run, step) of every ended step; how many runs there are, and how many have succeeded."""
    async with Runtime(WORK, store=url_of(folder), drive=False) as runtime:
        counts = await runtime.store.counts()
        found = set()
        for row in {line[1] for line in lines_of(folder / "ledger") if line[0] == "body"}:
            state = await runtime.state(row)
            found |= {(row, name) for name, one in state.steps.items() if one.status == "finished"}
    return found, sum(counts.values()), counts["succeeded"]


def kill_and_restart(size: Size) -> list[Line]:
    runs, rounds = 200, size.pick(3, 1)
    lost: list[float] = []
    repeated = doubled = missing = 0
    again = 0.0
    for _ in range(rounds):
        with size.fresh() as folder:
            undisturbed = to_the_end(folder, runs)
        with size.fresh() as folder:
            before = until_killed(folder, runs)
            ended, *_ = asyncio.run(ended_steps(folder))
            bodies = len(list(lines_of(folder / "ledger")))
            again = to_the_end(folder, runs)
            lost.append(before + again - undisturbed)
            lines = list(lines_of(folder / "ledger"))
            repeated += sum(line[0] == "body" and (line[1], line[2]) in ended for line in lines[bodies:])
            keyed = Counter(line[1] for line in lines if line[0] == "keyed")
            keys = {(line[1], line[2]) for line in lines if line[0] == "keyed"}
            once = Counter(line[1] for line in lines if line[0] == "once")
            doubled += len(keys) - len(keyed) + sum(count - 1 for count in once.values())
            _, total, succeeded = asyncio.run(ended_steps(folder))
            missing += abs(total - runs) + runs - succeeded + 2 * runs - len(once) - len(keyed)
    ordered = sorted(lost)
    return [
        Line(
            f"{runs} runs, killed and restarted: longer than undisturbed by",
            ordered[len(ordered) // 2],
            "s",
            1.0,
            note=f"the last restart took {again:.2f} s until all had ended, start of Python included",
        ),
        Line("runs or effects lost", missing, "of them", 0),
        Line("ended steps repeated", repeated, "steps", 0),
        Line("effects doubled (KEYED under a second key, ONCE at all)", doubled, "effects", 0),
    ]


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], int(sys.argv[2])))
