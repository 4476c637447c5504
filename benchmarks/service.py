"""The service under load: runs submitted over HTTP by 50 clients to `surefoot serve`, in its own process.

`python -m benchmarks.service PORT RUNS CLIENTS` are the clients: each has one connection, and sends its next
run when the one before is answered. They speak just enough HTTP for that, since on a machine of two cores a
full client would take from the server what it is measured by.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from surefoot.orchestrator.clock import SystemClock
from surefoot.state.opening import make_store
from surefoot.state.rows import RunFilter

from .measuring import Line, Size, url_of
from .steps import run_many
from .workflows import FIVE

CLIENTS = 50
PATIENCE = 60.0
"""Seconds after which a process that does not do what it should has hung."""


# ── the clients ──


@dataclass(frozen=True)
class Asked:
    """`began` is by the wall clock; `took` are seconds by request, in no order."""

    began: float
    took: list[float]
    errors: list[str]


async def ask_many(port: int, runs: int, clients: int) -> Asked:
    began = time.time()
    numbers = iter(range(runs))
    took: list[float] = []
    errors: list[str] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            body = json.dumps({"input": {"x": number}})
            head = (
                f"POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nIdempotency-Key: {began}-{number}\r\n"
            )
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            started = time.perf_counter()
            writer.write((head + body).encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in answer.lower().split(b"\r\n") if line[:15] == b"content-length:"
            )
            await reader.readexactly(length)
            took.append(time.perf_counter() - started)
            if not answer.startswith(b"HTTP/1.1 202"):
                errors.append(answer.partition(b"\r\n")[0].decode())
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return Asked(began, took, errors)


# ── the service ──


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """Its port."""
    command = [
        sys.executable,
        "-m",
        "surefoot",
        "serve",
        "benchmarks.workflows:FIVE",
        "--port",
        "0",
        "--json",
    ]
    command += ["--store", url_of(folder)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield int(json.loads(_first_line(process))["url"].rpartition(":")[2])
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def ask_apart(port: int, runs: int, clients: int) -> Asked:
    command = [sys.executable, "-m", "benchmarks.service", str(port), str(runs), str(clients)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return Asked(**json.loads(done.stdout))


def cpu_of(port: int) -> float:
    """Seconds that the process has used, all threads."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
    lines = (line for line in text.splitlines() if line.startswith("process_cpu_seconds_total "))
    return float(next(lines).split()[1])


async def ended(folder: Path, runs: int) -> tuple[int, float]:
    """How many have succeeded, once all have ended, and when the last one did."""
    store, _ = make_store(url_of(folder), now=SystemClock().now, worker="looking")
    await store.open()
    try:
        until = time.monotonic() + PATIENCE
        while (await store.counts())["succeeded"] < runs and time.monotonic() < until:
            await asyncio.sleep(0.05)
        rows = await store.runs(RunFilter(limit=runs + 1))
        times = [row.ended for row in rows if row.status == "succeeded" and row.ended is not None]
        return len(times), max(times) / 1e6
    finally:
        await store.close()


# ── the row ──


def load(size: Size) -> list[Line]:
    runs, rounds = size.pick(1000, 200), size.pick(3, 1)
    ours: list[float] = []
    library: list[float] = []
    medians: list[float] = []
    tails: list[float] = []
    cpus: list[float] = []
    cpus_alone: list[float] = []
    errors = 0
    for _ in range(rounds):
        with size.fresh() as folder:
            asyncio.run(run_many(FIVE, folder, 20, 20))  # what is done once per process: imports, caches
        with size.fresh() as folder:
            alone = asyncio.run(run_many(FIVE, folder, runs, 100))
            library.append(runs * 5 / alone.wall)
            cpus_alone.append(alone.cpu / runs)
        with size.fresh() as folder, serving(folder) as port:
            ask_apart(port, 20, 5)
            before = cpu_of(port)
            asked = ask_apart(port, runs, CLIENTS)
            count, last = asyncio.run(ended(folder, runs + 20))
            errors += len(asked.errors) + runs + 20 - count
            ours.append(runs * 5 / (last - asked.began))
            cpus.append((cpu_of(port) - before) / runs)
            ordered = sorted(asked.took)
            medians.append(statistics.median(ordered))
            tails.append(ordered[int(len(ordered) * 0.99)])
    ratio = statistics.median(tail / median for tail, median in zip(tails, medians, strict=True))
    rate, beside = statistics.median(ours), statistics.median(library)
    title = f"{runs:,} runs over HTTP by {CLIENTS} clients"
    return [
        Line(f"{title}: errors, and runs lost", errors, "of them", 0),
        Line(
            "p99 of POST /v1/runs / its median",
            ratio,
            "x",
            5.0,
            note=f"median {ms(medians)}, p99 {ms(tails)}",
        ),
        Line("durable steps, from the first request to the last run's end", rate, "steps/s"),
        Line("the library's, without HTTP", beside, "steps/s"),
        Line("the library's / the service's", beside / rate, "x", 2.0),
        Line(
            "CPU of a run over HTTP / CPU of a run",
            statistics.median(cpus) / statistics.median(cpus_alone),
            "x",
            note=f"{statistics.median(cpus) * 1e6:,.0f} and {statistics.median(cpus_alone) * 1e6:,.0f} us",
        ),
    ]


def ms(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.1f} ms"


if __name__ == "__main__":
    port, runs, clients = map(int, sys.argv[1:])
    said: dict[str, Any] = vars(asyncio.run(ask_many(port, runs, clients)))
    print(json.dumps(said))
