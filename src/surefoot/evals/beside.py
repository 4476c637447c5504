"""Replays on every core: the scenarios are shared out among forks of this process, which has imported and
opened everything already. What comes of each one comes back as a line, so a fork that dies loses nothing that
it told of: the rest is played by the process that asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import selectors
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from .progress import Progress, trial_of
from .replay import BESIDE, try_once
from .scenario import Scenario
from .suite import Suite
from .trial import Stage

FEW = 12
"""Fewer scenarios than this are not worth another process."""


def play_ahead(stage: Stage, suite: Suite, progress: Progress, processes: int) -> None:
    """Plays what `progress` does not have yet, in this many processes."""
    left = [one for one in suite.scenarios if one.id not in progress.trials]
    recordings = suite.recordings  # read once, before there are several of us

    async def one(scenario: Scenario) -> dict[str, Any]:
        return asdict(await try_once(stage, scenario, recordings.get(scenario.id)))

    for found in shared_out(left, processes, one):
        progress.add(trial_of(found))


def shared_out(
    scenarios: Sequence[Scenario], processes: int, work: Callable[[Scenario], Awaitable[Any]]
) -> Iterator[Any]:
    """What `work` gives for each scenario, as JSON values, in the order in which they come. Nothing where
    several processes do not pay, or where the system cannot fork."""
    if processes < 2 or len(scenarios) < FEW or not hasattr(os, "fork"):
        return
    pids: list[int] = []
    heard: dict[int, bytes] = {}
    with selectors.DefaultSelector() as waiting:
        try:
            for number in range(processes):
                reading, writing = os.pipe()
                child = os.fork()
                if child == 0:
                    _child(scenarios[number::processes], work, [reading, *heard], writing)
                os.close(writing)
                pids.append(child)
                heard[reading] = b""
                waiting.register(reading, selectors.EVENT_READ)
            while waiting.get_map():
                for key, _ in waiting.select():
                    more = os.read(key.fd, 65536)
                    if not more:
                        waiting.unregister(key.fd)
                        continue
                    *lines, heard[key.fd] = (heard[key.fd] + more).split(b"\n")
                    yield from map(json.loads, lines)
        finally:
            for reading in heard:
                os.close(reading)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)


def _child(
    share: Sequence[Scenario],
    work: Callable[[Scenario], Awaitable[Any]],
    others: list[int],
    writing: int,
) -> None:
    """Never returns: the process ends here, without running anything of its parent's on the way out."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        gc.freeze()  # what was imported is no garbage, and looking for some in it each time costs a tenth
        gc.set_threshold(50_000)
        for reading in others:
            os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as pipe:
            asyncio.run(_play(share, work, pipe))
    finally:
        os._exit(0)


async def _play(share: Sequence[Scenario], work: Callable[[Scenario], Awaitable[Any]], pipe: TextIO) -> None:
    gate = asyncio.Semaphore(BESIDE)

    async def one(scenario: Scenario) -> None:
        async with gate:
            found = await work(scenario)
        pipe.write(json.dumps(found, ensure_ascii=False) + "\n")
        pipe.flush()

    await asyncio.gather(*(one(scenario) for scenario in share))
