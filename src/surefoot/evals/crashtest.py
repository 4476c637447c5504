"""Crash testing: the user's own workflow, killed with SIGKILL at every durable commit, and resumed.

For each chosen scenario: one undisturbed run, in a process of its own, on a store and a world on disk. Then,
for every commit that it made, a process that dies right before it and one that dies right after it, each
followed by a process that goes on. The run must end as the undisturbed one did, and its world must look the
same: every effect made once. Needs a world that lasts (see `surefoot.evals.world`), and a system with fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..core import events as e
from ..core.jsons import canonical
from ..errors import UsageError
from ..models.recordings import Cassette, RecordedModel
from .recording import Recording
from .replay import effects
from .scenario import Scenario
from .suite import Suite
from .trial import Broken, Stage, play
from .world import changes, lasts

Moment = Literal["before", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "after")
Point = tuple[int, Moment]


@dataclass(frozen=True)
class Ending:
    """How a run ended, from a process of its own. `commits` is how many durable commits that process made;
    `cut` what the journal said last before somebody took the run up again."""

    status: str
    output: Any
    error: Mapping[str, Any] | None
    world: Mapping[str, Any]
    effects: Sequence[str]
    commits: int
    cut: str = ""


@dataclass(frozen=True)
class Wrong:
    """A kill that something came of. `last` is the last thing on disk when the process died."""

    scenario: str
    commit: int
    moment: Moment
    last: str
    what: Sequence[str]


@dataclass(frozen=True)
class Crashed:
    """One scenario: how many kills, and what was wrong after some. `skipped` says why none was made."""

    scenario: str
    kills: int
    commits: int
    wrong: Sequence[Wrong] = ()
    skipped: str = ""


Came = Wrong | Literal["missed"] | None
"""Of one kill. `missed`: the run came to its end before it; None: all is as it should be."""


def crashtest(
    stage: Stage,
    suite: Suite,
    *,
    heard: Callable[[str, int, Moment], None] | None = None,
    beside: int | None = None,
) -> Iterator[Crashed]:
    """One scenario after the other, each with its kills side by side in `beside` processes (as many as there
    are cores). `heard` is told of each kill when the run has gone on.

    Raises UsageError where this project or system cannot be crash tested."""
    if not hasattr(os, "fork"):
        raise UsageError(
            "this system cannot be crash tested on",
            why="it has no fork, which is how a process is made to die at an exact place",
            remedy="Use Linux or macOS.",
        )
    if stage.world is None or not lasts(stage.world):
        raise UsageError(
            "the world of these scenarios does not outlive a process",
            why="its factory takes no folder to keep everything in",
            remedy="Let it take one: async def world(state, folder). An empty folder is a new world, "
            "any other the same world again.",
        )
    for scenario in suite.scenarios:
        recording = suite.recordings.get(scenario.id)
        if scenario.faults:
            yield Crashed(scenario.id, 0, 0, skipped="it has faults of its own")
        elif scenario.origin == "production":
            yield Crashed(
                scenario.id, 0, 0, skipped="its tools answer from a recording, and no world shows effects"
            )
        elif recording is None:
            yield Crashed(scenario.id, 0, 0, skipped="it was never recorded")
        else:
            yield _of_one(stage, scenario, recording, heard, beside or os.cpu_count() or 1)


def _of_one(
    stage: Stage,
    scenario: Scenario,
    recording: Recording,
    heard: Callable[[str, int, Moment], None] | None,
    beside: int,
) -> Crashed:
    with tempfile.TemporaryDirectory(prefix="surefoot-crash-") as folder:
        calm = _in_process(stage, scenario, recording, Path(folder) / "calm", None)
        if calm is None or isinstance(calm, str):
            why = f"it does not run undisturbed: {calm or 'it was killed'}"
            return Crashed(scenario.id, 0, 0, skipped=why)
        points: list[Point] = [
            (commit, moment) for commit in range(1, calm.commits + 1) for moment in MOMENTS
        ]

        def one(point: Point) -> Came:
            return _killed_at(stage, scenario, recording, Path(folder), calm, point)

        found: dict[Point, Came] = {}
        for point, what in _side_by_side(points, one, beside):
            found[point] = what
            if heard is not None:
                heard(scenario.id, *point)
        for point in points:
            lost = Wrong(
                scenario.id, *point, "", ["the process that was to kill it and go on ended by itself"]
            )
            found.setdefault(point, lost)
        wrong = [what for point in points if isinstance(what := found[point], Wrong)]
        # Where it came to its end with fewer commits than the undisturbed run nothing was killed.
        kills = sum(what != "missed" for what in found.values())
        return Crashed(scenario.id, kills, calm.commits, wrong)


def _killed_at(
    stage: Stage, scenario: Scenario, recording: Recording, folder: Path, calm: Ending, point: Point
) -> Came:
    place = folder / f"{point[0]}-{point[1]}"
    try:
        if _in_process(stage, scenario, recording, place, point) is not None:
            return "missed"
        found = _in_process(stage, scenario, recording, place, None)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    what = _what_is_wrong(calm, found)
    last = found.cut if isinstance(found, Ending) else ""
    return Wrong(scenario.id, *point, last, what) if what else None


def _what_is_wrong(calm: Ending, found: Ending | str | None) -> list[str]:
    if not isinstance(found, Ending):
        return [f"the run did not go on: {found or 'the process was killed again'}"]
    said = [str(change) for change in changes(calm.world, found.world)]
    if canonical(found.effects) != canonical(calm.effects):
        made, meant = ", ".join(found.effects) or "none", ", ".join(calm.effects) or "none"
        said.append(f"effects: {made}; undisturbed: {meant}")
    if found.status != calm.status:
        code = f" ({found.error['code']})" if found.error else ""
        said.append(f"it ended {found.status}{code}; undisturbed: {calm.status}")
    elif canonical(found.output) != canonical(calm.output):
        said.append(f"output {canonical(found.output)[:200]}; undisturbed: {canonical(calm.output)[:200]}")
    return said


# ── processes ────────────────────────────────────────────────────────────────────────────────────


def _side_by_side(
    points: Sequence[Point], one: Callable[[Point], Came], beside: int
) -> Iterator[tuple[Point, Came]]:
    """As they come, from some forks of this process, which has imported everything already. Each does its
    share and says a line for each point; what none has said is missing from what comes."""
    shares = [points[start::beside] for start in range(min(beside, len(points)))]
    pids: list[int] = []
    left: dict[int, bytes] = {}
    with selectors.DefaultSelector() as waiting:
        try:
            for share in shares:
                reading, writing = os.pipe()
                if (child := os.fork()) == 0:
                    try:
                        for fd in (reading, *left):
                            os.close(fd)
                        with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                            for point in share:
                                what = one(point)
                                said = asdict(what) if isinstance(what, Wrong) else what
                                pipe.write(json.dumps([point, said]) + "\n")
                                pipe.flush()
                    finally:
                        os._exit(0)
                os.close(writing)
                pids.append(child)
                left[reading] = b""
                waiting.register(reading, selectors.EVENT_READ)
            while waiting.get_map():
                for key, _ in waiting.select():
                    fd = key.fd
                    if not (more := os.read(fd, 65536)):
                        waiting.unregister(fd)
                        continue
                    *lines, left[fd] = (left[fd] + more).split(b"\n")
                    for line in lines:
                        (commit, moment), said = json.loads(line)
                        yield (commit, moment), Wrong(**said) if isinstance(said, dict) else said
        finally:
            for fd in left:
                os.close(fd)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)


def _in_process(
    stage: Stage, scenario: Scenario, recording: Recording, place: Path, point: Point | None
) -> Ending | str | None:
    """None where it was killed; a text where it broke."""
    place.mkdir(exist_ok=True)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            try:
                said = asdict(asyncio.run(_ending(stage, scenario, recording, place, point)))
            except Broken as error:
                said = {"broke": str(error)}
            except Exception as error:  # noqa: BLE001  told by the parent
                said = {"broke": "".join(traceback.format_exception_only(error)).strip()}
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                json.dump(said, pipe)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    if not text:
        return f"its process ended with status {status}"
    found = json.loads(text)
    return str(found["broke"]) if "broke" in found else Ending(**found)


async def _ending(
    stage: Stage, scenario: Scenario, recording: Recording, place: Path, point: Point | None
) -> Ending:
    cassette = Cassette(recording.turns)
    models = [RecordedModel(model, cassette) for model in stage.models]
    commits = 0

    def commit(when: Moment) -> None:
        nonlocal commits
        commits += when == "before"
        if (commits, when) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    played = await play(stage, scenario, models, lasting=place, at_commit=commit)
    taken_up = [number for number, line in enumerate(played.story) if line == e.RunClaimed.KIND]
    cut = played.story[taken_up[-1] - 1] if taken_up and taken_up[-1] else ""
    return Ending(
        status=played.status,
        output=played.output,
        error=None if played.error is None else {"code": played.error.get("code", "")},
        world=dict(played.after or {}),
        effects=effects(played),
        commits=commits,
        cut=cut,
    )
