"""Killed with SIGKILL right before and right after every durable commit, and gone on with by the same
command."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crash import judge
from crash.forks import Server
from crash.judge import Read
from crash.processes import Dead, Place
from crash.program import ORDER, flow
from surefoot import Approve, Runtime, Settle

PROGRAM = "crash.program:flow"
COMMAND: dict[str, Any] = {
    "program": PROGRAM,
    "key": "order-77",
    "input": ORDER,
    "decide": {"edit": {"amount": 60}},
    "park_after": 0.01,
}
AT_ONCE = 2
"""Processes side by side."""


@dataclass(frozen=True)
class Outcome:
    """What came of one crash point."""

    killed: bool
    lines: tuple[str, ...] = ()
    waited: bool = False


def only(place: Place) -> Read | None:
    """The one run of the store; None where the process died before it was submitted."""
    runs = judge.read(place.store, flow)
    assert len(runs) <= 1, f"one key, {len(runs)} runs"
    return next(iter(runs.values()), None)


async def settle(place: Place, item: str, *, happened: bool) -> None:
    """What a person does who has looked whether the letter went."""
    async with Runtime(flow, place.store, drive=False) as runtime:
        await runtime.decide(item, Settle("post 77", by="kim") if happened else Approve(by="kim"))


class Matrix:
    """One crash point after another, each in a place of its own, until the command outlives them."""

    def __init__(self, folder: Path, server: Server, expected: dict[str, Any]) -> None:
        self._folder = folder
        self._server = server
        self._expected = expected

    def all(self) -> dict[str, Outcome]:
        """By crash point. Ends where the command was not killed by several points in a row: how many commits
        it makes depends a little on which of them were grouped."""
        found: dict[str, Outcome] = {}
        numbers = itertools.count(1)
        lock = threading.Lock()
        over = threading.Event()

        def some() -> None:
            while not over.is_set():
                with lock:
                    n = next(numbers)
                for point in (f"{n}.before", f"{n}"):
                    found[point] = self.at(point)
                last = [found.get(f"{m}") for m in range(n - 2, n + 1)]
                if all(outcome is not None and not outcome.killed for outcome in last):
                    over.set()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for future in [pool.submit(some) for _ in range(AT_ONCE)]:
                future.result()
        return found

    def at(self, point: str) -> Outcome:
        with Place(self._folder / point, self._server) as place:
            first = place.do("run", crash_at=point, **COMMAND)
            if not first.killed:
                return Outcome(killed=False, lines=tuple(self._judged(place, first)))
            cut = only(place)
            again = place.do("run", **COMMAND)
            lines: list[str] = []
            waited = again.code == 3
            if waited:
                lines += self._window(cut, again)
                again = self._settled(place, again)
            elif cut is not None and judge.in_window(cut, "post"):
                lines.append("post was cut off between intent and outcome, and nobody was asked")
            return Outcome(True, (*lines, *self._judged(place, again)), waited)

    def _window(self, cut: Read | None, again: Dead) -> list[str]:
        """Only the call that nobody can look up may wait, and only where the crash fell inside of it."""
        items = again.said["waiting_for"]
        if [(item["kind"], item["tool"]) for item in items] != [("unknown", "post")]:
            return [f"it waits for {items}"]
        if cut is None or not judge.in_window(cut, "post"):
            return ["post is said to be unknown, and the crash fell outside of its window"]
        return []

    def _settled(self, place: Place, waiting: Dead) -> Dead:
        import asyncio

        item = waiting.said["waiting_for"][0]["item"]
        happened = bool(place.world.rows("done", "post"))
        asyncio.run(settle(place, item, happened=happened))
        return place.do("run", **COMMAND)

    def _judged(self, place: Place, last: Dead) -> list[str]:
        if last.code != 0:
            return [f"the last process came to no good end: {last}"]
        run = only(place)
        assert run is not None
        lines = judge.broken(run, place.world, flow)
        if run.day_nanousd != judge.cost(run):
            lines.append(f"the day's ledger has {run.day_nanousd}, and {judge.cost(run)} was spent")
        found = judge.outcome(run, place.world)
        for name, wanted in self._expected.items():
            if found[name] != wanted:
                lines.append(f"{name} is {found[name]}, undisturbed it is {wanted}")
        if last.said["output"] != self._expected_output:
            lines.append(f"it gave {last.said['output']}")
        return lines

    @property
    def _expected_output(self) -> Any:
        return self._expected["steps"]["report"][2]


@pytest.fixture
def expected(tmp_path: Path, server: Server) -> dict[str, Any]:
    """The undisturbed run, which breaks no promise either."""
    with Place(tmp_path / "undisturbed", server) as place:
        dead = place.do("run", **COMMAND)
        assert dead.code == 0, dead
        run = only(place)
        assert run is not None
        assert judge.broken(run, place.world, flow) == []
        found = judge.outcome(run, place.world)
    assert found["status"] == "succeeded"
    assert len(found["calls"]) == 9
    return found


def test_killed_at_every_commit_it_comes_to_the_same_end(
    tmp_path: Path, server: Server, expected: dict[str, Any]
) -> None:
    found = Matrix(tmp_path, server, expected).all()
    wrong = [f"{point}: {line}" for point, outcome in found.items() for line in outcome.lines]
    assert wrong == [], "\n".join(wrong)
    killed = [point for point, outcome in found.items() if outcome.killed]
    assert len(killed) > 40, f"only {len(killed)} crash points"
    # Right after the intent, and right before the outcome: nowhere else does a person have to look.
    assert sum(outcome.waited for outcome in found.values()) <= 4
