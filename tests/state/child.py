"""A worker in a process of its own, for tests that kill, stop or crash it.

Reads one command per line and answers each with one JSON line: `hold N` (submits N held runs), `append RUN`,
`beat SECONDS`, `claim N`, `fork` (leaves a child process behind), `load N` (N runs grow side by side until
killed, every append that returned is printed). Started as: child.py URL WORKER LEASE_SECONDS
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from surefoot.errors import SurefootError
from surefoot.state.crash import CrashPoint
from surefoot.state.opening import make_store
from surefoot.state.store import Append, Lease, NewRun, Record, Store


def now() -> int:
    return time.time_ns() // 1000


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def new_run(name: str) -> NewRun:
    first = Record("run.submitted", 1, now(), "{}")
    return NewRun(name, "desk", "1", "f", None, "d", b"", (first,), "{}", now(), lease=True)


async def obey(store: Store, leases: dict[str, Lease], words: list[str]) -> Any:
    match words:
        case ["hold", count]:
            for number in range(int(count)):
                submitted = await store.submit(new_run(f"{store.worker}-{len(leases) + number}"))
                assert submitted.lease is not None
                leases[submitted.run] = submitted.lease
            return sorted(leases)
        case ["append", run]:
            try:
                await store.append(Append(leases[run], (Record("step.finished", 1, now(), "{}"),)))
            except SurefootError as error:
                return error.code
            return "ok"
        case ["beat", seconds]:
            await store.heartbeat(now() + int(float(seconds) * 1e6))
            return "ok"
        case ["claim", limit]:
            claimed = await store.claim(int(limit))
            leases.update({one.lease.run: one.lease for one in claimed})
            return [[one.lease.run, one.lease.doubt] for one in claimed]
        case ["fork"]:
            if os.fork() == 0:
                os.read(0, 1)  # outlives its parent (until the test ends), and must not speak for it
                os._exit(0)
            return "ok"
        case ["load", count]:
            await asyncio.gather(*(grow(store, f"{store.worker}-{number}") for number in range(int(count))))
    raise ValueError(words)


async def grow(store: Store, name: str) -> None:
    lease = (await store.submit(new_run(name))).lease
    assert lease is not None
    while True:
        await store.append(Append(lease, (Record("step.finished", 1, now(), "{}"),) * 2))
        say([name, lease.seq])


async def main(url: str, worker: str, seconds: str) -> None:
    store, _ = make_store(url, now=now, worker=worker, crash=CrashPoint.from_env(os.environ))
    await store.open()
    await store.heartbeat(now() + int(float(seconds) * 1e6))
    leases: dict[str, Lease] = {}
    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        say(await obey(store, leases, line.split()))


asyncio.run(main(*sys.argv[1:]))
