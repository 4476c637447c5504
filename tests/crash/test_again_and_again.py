"""Killed at one commit, and at another while it goes on, and at another: what was held stays held, and the end
is the same.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from crash import judge
from crash.forks import Server
from crash.processes import Place
from crash.program import ORDER, flow
from surefoot import Approve, Runtime, Settle

COMMAND: dict[str, Any] = {
    "program": "crash.program:flow",
    "key": "order-77",
    "input": ORDER,
    "decide": {"edit": {"amount": 60}},
    "park_after": 0.01,
}


def _settle(place: Place, item: str) -> None:
    """A person has looked whether the letter went."""
    decision = Settle("post 77", by="kim") if place.world.rows("done", "post") else Approve(by="kim")

    async def go() -> None:
        async with Runtime(flow, place.store, drive=False) as runtime:
            await runtime.decide(item, decision)

    asyncio.run(go())


def _killed_at(place: Place, points: list[str]) -> list[str]:
    """The promises that are broken after the last of them."""
    for point in points:
        end = place.do("run", crash_at=point, **COMMAND)
        if end.code == 3:
            _settle(place, end.said["waiting_for"][0]["item"])
        runs = judge.read(place.store, flow)
        for run in runs.values():
            if lines := judge.broken(run, place.world, flow):
                return lines
    end = place.do("run", **COMMAND)
    while end.code == 3:
        _settle(place, end.said["waiting_for"][0]["item"])
        end = place.do("run", **COMMAND)
    (run,) = judge.read(place.store, flow).values()
    lines = judge.broken(run, place.world, flow)
    if end.code != 0:
        # The only good reason: what was held for asks that were cut off has used the budget up, or the run was
        # claimed too often without coming to anything.
        code = (end.said["error"] or {}).get("code")
        held = sum(ask.status == "held" for ask in run.state.asks.values())
        if not (code == "budget_exceeded" and held):
            lines.append(f"{end}")
        return lines
    once = [row.name for row in place.world.rows("done") if row.name in ("ship", "post", "pay")]
    if sorted(once) != ["pay", "post", "ship"]:
        lines.append(f"what happened is {once}")
    return lines


def _hunt(folder: Path, server: Server, seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    for number in range(rounds):
        points = [
            f"{chance.randint(1, 12 if turn else 30)}{chance.choice(['', '.before'])}"
            for turn in range(chance.randint(2, 4))
        ]
        with Place(folder / f"{number}", server) as place:
            lines = _killed_at(place, points)
        assert lines == [], (seed, number, points, lines)


def test_killed_while_it_goes_on_after_a_kill(tmp_path: Path, server: Server) -> None:
    _hunt(tmp_path, server, seed=7, rounds=6)


def _hunt_moments(folder: Path, server: Server, seed: int, rounds: int) -> None:
    """No crash point chosen, just the moment: also while the store, its schema and its keys are being made."""
    chance = random.Random(seed)
    for number in range(rounds):
        moments = [chance.uniform(0.0, 0.3 if turn else 0.05) for turn in range(2)]
        with Place(folder / f"{number}", server) as place:
            for moment in moments:
                process = place.start("run", **COMMAND)
                time.sleep(moment)  # what is looked for is the moment that nobody has thought of
                if process.alive:
                    process.send(signal.SIGKILL)
                process.end()
            lines = _killed_at(place, [])
        assert lines == [], (seed, number, moments, lines)


def test_killed_at_any_moment(tmp_path: Path, server: Server) -> None:
    _hunt_moments(tmp_path, server, seed=7, rounds=6)


@pytest.mark.slow
@pytest.mark.hunting
def test_killed_at_many_moments(tmp_path: Path, server: Server) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    _hunt_moments(tmp_path, server, seed=seed, rounds=100)


@pytest.mark.slow
@pytest.mark.hunting
def test_killed_again_and_again(tmp_path: Path, server: Server) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    _hunt(tmp_path, server, seed=seed, rounds=120)
