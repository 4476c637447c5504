"""Replays in several processes come to what one process comes to, also where a fork dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot.evals.beside import FEW, play_ahead
from surefoot.evals.controls import Ahead, controls, controls_ahead
from surefoot.evals.progress import Progress
from surefoot.evals.replay import replay
from surefoot.evals.suite import Suite, load
from surefoot.evals.world import World

from .test_replay import SMALL, accepted, stage_of
from .test_trial import world

pytestmark = pytest.mark.anyio


async def several(folder: Path) -> Suite:
    await accepted(folder, *(SMALL | {"id": f"small-{n}"} for n in range(FEW)))
    return load(folder, world)


async def test_it_comes_to_the_same(tmp_path: Path) -> None:
    suite = await several(tmp_path)
    progress = Progress.begin(tmp_path / "progress", {})
    await asyncio.to_thread(play_ahead, stage_of(), suite, progress, 2)
    assert sorted(progress.trials) == [one.id for one in sorted(suite.scenarios, key=lambda one: one.id)]
    result = await replay(stage_of(), suite, progress)
    alone = await replay(stage_of(), suite)
    assert (result.verdict, result.reasons) == (alone.verdict, alone.reasons) == ("green", [])
    for one, other in zip(result.scenarios, alone.scenarios, strict=True):
        assert one.trials[0].digest == other.trials[0].digest


async def test_what_a_fork_that_died_did_not_play_is_played_after_it(tmp_path: Path) -> None:
    suite = await several(tmp_path)
    here = os.getpid()

    @asynccontextmanager
    async def deadly(state: Any) -> AsyncIterator[World]:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        async with world(state) as made:
            yield made

    stage = replace(stage_of(), world=deadly)
    progress = Progress.begin(tmp_path / "progress", {})
    await asyncio.to_thread(play_ahead, stage, suite, progress, 2)
    assert progress.trials == {}
    assert (await replay(stage, suite, progress)).verdict == "green"


async def test_negative_controls_come_to_the_same(tmp_path: Path) -> None:
    suite = await several(tmp_path)
    passed = [one.id for one in suite.scenarios]
    ahead = await asyncio.to_thread(controls_ahead, stage_of(), suite, passed, 2)
    assert (sorted(ahead.made), sorted(ahead.found)) == (passed, passed)
    alone = await controls(stage_of(), suite, passed)
    assert await controls(stage_of(), suite, passed, ahead) == alone
    assert {one.kind for one in alone} == {"do_nothing", "dropped", "doubled"}


async def test_controls_that_a_fork_did_not_try_are_tried_after_it(tmp_path: Path) -> None:
    suite = await several(tmp_path)
    passed = [one.id for one in suite.scenarios]
    ahead = await asyncio.to_thread(controls_ahead, stage_of(), suite, passed, 2)
    alone = await controls(stage_of(), suite, passed)
    part = Ahead({name: ahead.made[name] for name in passed[1:]}, {passed[2]: ahead.found[passed[2]]})
    assert await controls(stage_of(), suite, passed, part) == alone
