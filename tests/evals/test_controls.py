"""Negative controls: checks that look catch what was broken, checks that look away are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from surefoot.evals.controls import controls, with_controls
from surefoot.evals.replay import replay
from surefoot.evals.results import SuiteResult

from .test_replay import LARGE, SMALL, accepted, stage_of

pytestmark = pytest.mark.anyio


async def tried(folder: Path, *scenarios: dict[str, Any]) -> SuiteResult:
    suite = await accepted(folder, *scenarios)
    result = await replay(stage_of(), suite)
    assert result.verdict == "green", result.reasons
    passed = [one.id for one in result.scenarios]
    return with_controls(result, await controls(stage_of(), suite, passed))


async def test_good_checks_catch_every_control(tmp_path: Path) -> None:
    result = await tried(tmp_path, SMALL, LARGE)
    kinds = sorted((one.kind, one.scenario) for one in result.controls)
    assert kinds == [
        ("do_nothing", "large"),
        ("do_nothing", "small"),
        ("doubled", "small"),
        ("dropped", "small"),
        ("extra", "large"),
    ]
    assert result.caught == (5, 5)
    assert result.verdict == "green"


async def test_a_check_that_looks_away_is_named(tmp_path: Path) -> None:
    blind = SMALL | {"expect": {"world": {"may_change": ["payments"]}, "said": ["hello"]}}
    result = await tried(tmp_path, blind)
    missed = [(one.kind, one.what) for one in result.controls if not one.caught]
    assert missed == [
        ("dropped", 'pay({"amount":5}) was not made'),
        ("doubled", 'pay({"amount":5}) was made twice'),
    ]
    assert result.verdict == "green"


async def test_a_scenario_that_a_model_passes_which_does_nothing_is_red(tmp_path: Path) -> None:
    refused = [{"step": "read", "does": "refused", "times": 9}]
    nothing = {"id": "none", "input": {}, "turns": {}, "faults": refused, "expect": {"status": "failed"}}
    result = await tried(tmp_path, nothing)
    assert result.verdict == "red"
    assert "a model that does nothing passes it" in result.reasons[0]
    declared = await tried(tmp_path, nothing | {"refusal": True})
    assert (declared.verdict, declared.controls) == ("green", [])
