"""An eval that is killed goes on where it was, trials keep to themselves, and a busy machine changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import Run, Workflow, step
from surefoot.errors import UsageError
from surefoot.evals import baseline, trial
from surefoot.evals import replay as lane
from surefoot.evals.progress import Progress, sweep
from surefoot.evals.record import record
from surefoot.evals.replay import replay
from surefoot.evals.results import Trial
from surefoot.evals.suite import Suite, load
from surefoot.evals.trial import Stage
from surefoot.evals.world import World
from surefoot.testing import ScriptedModel

from .notes import MANY, command, environment, report, without_times
from .test_replay import SMALL, accepted, stage_of
from .test_trial import Ticket, flow, look, pay, world

pytestmark = pytest.mark.anyio


def trials_in(path: Path) -> int:
    return max(path.read_text().count("\n") - 1, 0)


@pytest.mark.parametrize("words", [["--no-controls"], ["--live"]], ids=["replay", "live"])
def test_killed_half_way_it_goes_on_and_ends_with_the_same_report(project: Path, words: list[str]) -> None:
    undisturbed = report(project, *words)
    eval_ = subprocess.Popen(
        command(*words),
        cwd=project,
        env=environment(SLOW="0.4"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert eval_.stderr is not None
    try:
        said = eval_.stderr.readline().decode()  # before any trial has ended
        token = said.split()[1].rstrip(":")
        path = project / ".surefoot" / "evals" / f"{token}.jsonl"
        until = time.monotonic() + 60
        while trials_in(path) < MANY // 4:
            assert time.monotonic() < until
            assert eval_.poll() is None
            time.sleep(0.02)
    finally:
        eval_.send_signal(signal.SIGKILL)
        eval_.wait()
        eval_.stderr.close()
    made = path.read_text()
    assert MANY // 4 <= trials_in(path) < MANY * (3 if "--live" in words else 1)
    with path.open("a") as file:
        file.write('{"scenario": "half a li')  # as a kill in the middle of a write leaves it
    resumed = report(project, "--resume", token, *words)
    assert resumed == undisturbed
    assert not path.exists()
    assert resumed["verdict"] in ("green", "inconclusive")
    assert made


def test_two_evals_at_once_do_not_disturb_each_other(project: Path) -> None:
    both = [
        subprocess.Popen(
            command("--json", "--no-controls"),
            cwd=project,
            env=environment(SLOW="0.05"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    first, second = (without_times(json.loads(one.communicate(timeout=120)[0])) for one in both)
    assert first == second == report(project, "--no-controls")
    assert list((project / ".surefoot" / "evals").glob("*.jsonl")) == []


def test_an_eval_does_not_go_on_where_recordings_have_changed(project: Path) -> None:
    about = {"lane": "replay", "recordings": "a"}
    progress = Progress.begin(project / "elsewhere", about)
    with pytest.raises(UsageError, match="of something else"):
        Progress.resume(project / "elsewhere", progress.token, about | {"recordings": "b"})


def test_what_nobody_went_on_with_is_swept_away(tmp_path: Path) -> None:
    old, new = Progress.begin(tmp_path, {}), Progress.begin(tmp_path, {})
    path = tmp_path / f"{old.token}.jsonl"
    long_ago = time.time() - 15 * 86_400
    os.utime(path, (long_ago, long_ago))
    latest = Progress.begin(tmp_path, {})
    assert {one.stem for one in tmp_path.iterdir()} == {new.token, latest.token}
    assert sweep(tmp_path, 0.0) == []


# ── what breaks is told apart ──


async def test_a_run_that_hangs_is_infra_within_our_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = await accepted(tmp_path, SMALL)

    @step
    async def read(ticket: Ticket, run: Run) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(trial, "PATIENCE", 1.0)
    hanging = Workflow("till", input=Ticket, steps=[read], tools=[look, pay], models=list(flow.models))
    began = time.monotonic()
    found = await replay(stage_of(hanging), suite)
    assert time.monotonic() - began < 60
    (one,) = found.scenarios
    assert (one.verdict, one.trials[0].outcome) == ("inconclusive", "infra")
    assert "did not come to an end within 1 s" in one.why


@pytest.mark.parametrize("where", ["open", "first snapshot", "second snapshot", "close"])
async def test_a_world_that_raises_is_infra(tmp_path: Path, where: str) -> None:
    suite = await accepted(tmp_path, SMALL)

    @asynccontextmanager
    async def broken(state: dict[str, Any]) -> AsyncIterator[World]:
        if where == "open":
            raise OSError("no space left")
        shown = 0
        async with world(state) as own:

            async def snapshot() -> Any:
                nonlocal shown
                shown += 1
                if (where, shown) in (("first snapshot", 1), ("second snapshot", 2)):
                    raise OSError("no space left")
                return await own.snapshot()

            yield World(own.resources, snapshot)
        if where == "close":
            raise OSError("no space left")

    found = await replay(replace(stage_of(), world=broken), suite)
    (one,) = found.scenarios
    assert (found.verdict, one.trials[0].outcome) == ("inconclusive", "infra")
    assert "no space left" in one.why


async def test_a_check_that_raises_is_unscored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = await accepted(tmp_path, SMALL)

    def bug(*_: Any) -> Any:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(lane, "failures", bug)
    found = await replay(stage_of(), suite)
    assert (found.verdict, found.scenarios[0].trials[0].outcome) == ("inconclusive", "unscored")
    assert "a bug of ours" in found.scenarios[0].why


# ── isolation and load ──

told: contextvars.ContextVar[str] = contextvars.ContextVar("told", default="nothing")


class Item(BaseModel):
    name: str


@step
async def one(item: Item, run: Run) -> str:
    heard = told.get()
    told.set(item.name)
    await run.sleep(60)
    return heard


@step
async def other(item: Item, run: Run) -> str:
    for _ in range(3):
        await run.sleep(30)
        await asyncio.sleep(0.003)
    return f"{run.now().isoformat()} {run.uuid()}"


@step
async def plain(item: Item, run: Run) -> str:
    await asyncio.sleep(0.02)
    await run.sleep(45)
    return await run.ask(str, "Which?", {"item": item})


@step
async def end(one: str, other: str, plain: str) -> str:
    return f"{one} {other} {plain}"


side_by_side = Workflow("side", input=Item, steps=[one, other, plain, end], models=["scripted:x"])
SIDE = Stage(side_by_side, None, [ScriptedModel({}, name="scripted:x")])


async def side(folder: Path) -> Suite:
    (folder / "recordings").mkdir(parents=True)
    for number in range(6):
        found = {
            "id": f"item-{number}",
            "input": {"name": f"n{number}"},
            "turns": {"plain": [{"say": "this one"}]},
            "expect": {"status": "succeeded"},
        }
        (folder / f"item-{number}.yaml").write_text(json.dumps(found))
    suite = load(folder)
    lines = []
    for scenario in suite.scenarios:
        recording, made = await record(SIDE, scenario)
        suite.recording_of(scenario.id).write_text(recording.to_text())
        lines.append(baseline.line_of(scenario, made, reason="", before=None))
    baseline.write(suite.baseline, lines)
    return load(folder)


async def test_trials_side_by_side_share_nothing(tmp_path: Path) -> None:
    suite = await side(tmp_path)
    alone = [(await replay(SIDE, suite, beside=1)).scenarios]
    beside = (await replay(SIDE, suite, beside=8)).scenarios
    for found in (*alone, beside):
        assert {trial_of(one).outcome for one in found} == {"pass"}
        assert all("nothing" in "".join(trial_of(one).trace) for one in found), (
            "another trial's word was heard"
        )
    assert [trial_of(one).digest for one in alone[0]] == [trial_of(one).digest for one in beside]


def trial_of(result: Any) -> Trial:
    found: Trial = result.trials[0]
    return found


@contextlib.contextmanager
def busy_cores(number: int = 3) -> Iterator[None]:
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for one in burning:
            one.kill()
            one.wait()


@pytest.mark.slow
async def test_twenty_times_on_a_busy_machine_the_traces_are_equal_to_the_byte(tmp_path: Path) -> None:
    suite = await side(tmp_path)
    calm = [trial_of(one).digest for one in (await replay(SIDE, suite)).scenarios]
    with busy_cores():
        for _ in range(20):
            found = await replay(SIDE, suite)
            assert (found.verdict, found.reasons) == ("green", [])
            assert [trial_of(one).digest for one in found.scenarios] == calm
