"""The same through the door that people use: `surefoot run`, `inbox decide`, `run` again, each killed at its
commits and given again as it was.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crash import judge
from crash.program import ORDER, flow
from crash.world import VARIABLE, World

TARGET = "crash.program:flow"
TESTS = Path(__file__).parents[1]
AT_ONCE = 2

Point = tuple[int, str]
"""Which of the commands dies, and where."""

SAMPLE: list[Point] = [(0, "4"), (0, "18.before"), (1, "1"), (2, "2")]


class Story:
    """One run from its beginning to its end, told by the commands that a person gives."""

    def __init__(self, folder: Path, point: Point | None = None) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.store = f"sqlite:///{folder}/state.db"
        (folder / "order.json").write_text(json.dumps(ORDER))
        self._point = point
        self._given = 0
        self.killed = False
        self.waited_for: list[str] = []
        self.last: dict[str, Any] = {}

    def tell(self) -> list[str]:
        """The promises that were broken."""
        item = self._run()
        while item is not None:
            _, shown = self._process(("inbox", "show", item), {})
            self.waited_for.append(shown["kind"])
            if shown["kind"] == "approval":
                said = ["edit", "--args", json.dumps({"who": ORDER["mail"], "amount": 60})]
            elif self._happened():
                said = ["settle", "--result", '"post 77"']
            else:
                said = ["approve"]
            self._decide(item, said)
            item = self._run()
        return self._judged()

    def _run(self) -> str | None:
        """The item that a person must decide now; None where the run has ended."""
        command = ["run", TARGET, "--input", str(self.folder / "order.json"), "--key", "order-77"]
        code, answer = self._give(*command)
        assert code in (0, 3), (code, answer)
        self.last = answer
        return str(answer["waiting_for"][0]) if code == 3 else None

    def _decide(self, item: str, said: list[str]) -> None:
        code, answer = self._give("inbox", "decide", item, said[0], TARGET, "--by", "kim", *said[1:])
        # Given again because it died after its commit, it is told that it was decided.
        assert code == 0 or (self.killed and answer["error"]["code"] == "item_closed"), (code, answer)

    def _give(self, *command: str) -> tuple[int, Any]:
        """Gives the command, and the same once more where it was killed."""
        number, self._given = self._given, self._given + 1
        if self._point is not None and self._point[0] == number and not self.killed:
            dying = {"SUREFOOT_TESTING": "1", "SUREFOOT_CRASH_AT": self._point[1]}
            code, answer = self._process(command, dying)
            self.killed = code == -signal.SIGKILL
            if not self.killed:  # it had no such commit
                return code, answer
        return self._process(command, {})

    def _process(self, command: tuple[str, ...], environ: dict[str, str]) -> tuple[int, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "surefoot", *command, "--store", self.store, "--json"],
            cwd=TESTS,
            env={**os.environ, VARIABLE: str(self.folder / "world.db"), **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout else None

    def _happened(self) -> bool:
        world = World(self.folder / "world.db")
        try:
            return bool(world.rows("done", "post"))
        finally:
            world.close()

    def _judged(self) -> list[str]:
        (run,) = judge.read(self.store, flow).values()
        world = World(self.folder / "world.db")
        try:
            lines = judge.broken(run, world, flow)
            self.outcome = judge.outcome(run, world)
        finally:
            world.close()
        return lines


def _wrong(folder: Path, point: Point, expected: dict[str, Any]) -> tuple[bool, list[str]]:
    """(whether it was killed there, what was wrong afterwards)"""
    story = Story(folder / f"{point[0]}-{point[1]}", point)
    lines = story.tell()
    if story.outcome != expected:
        lines.append(f"it came to {story.outcome}, undisturbed it is {expected}")
    if story.last["output"] != expected["steps"]["report"][2]:
        lines.append(f"it gave {story.last['output']}")
    if story.waited_for.count("approval") != 1:
        lines.append(f"it waited for {story.waited_for}")
    return story.killed, [f"{point}: {line}" for line in lines]


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, Any]:
    story = Story(tmp_path / "undisturbed")
    assert story.tell() == []
    assert story.waited_for == ["approval"]
    return story.outcome


def test_commands_that_are_killed_and_given_again_come_to_the_same_end(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda point: _wrong(tmp_path, point, expected), SAMPLE))
    wrong = [line for _, lines in found for line in lines]
    assert wrong == [], "\n".join(wrong)
    assert sum(killed for killed, _ in found) >= len(SAMPLE) - 2


@pytest.mark.slow
def test_commands_killed_at_every_commit_come_to_the_same_end(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    wrong: list[str] = []
    killed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for command in range(3):
            for first in range(1, 60, AT_ONCE):
                points = [
                    (command, f"{n}{moment}")
                    for n in range(first, first + AT_ONCE)
                    for moment in (".before", "")
                ]
                found = list(pool.map(lambda point: _wrong(tmp_path, point, expected), points))
                wrong += [line for _, lines in found for line in lines]
                killed += sum(dead for dead, _ in found)
                if not any(dead for dead, _ in found):
                    break
    assert wrong == [], "\n".join(wrong)
    assert killed > 50
