"""Accepting drift: one class, with a name and a reason, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from surefoot import Run, Tool, step
from surefoot.core.model import ModelAnswer
from surefoot.errors import UsageError
from surefoot.evals.drift import Accepted, accept, who
from surefoot.evals.record import IN_CI, record
from surefoot.evals.recording import Recording
from surefoot.evals.results import SuiteResult
from surefoot.evals.suite import Suite, load
from surefoot.models.recordings import Turn
from surefoot.testing import ScriptedModel

from .test_replay import LARGE, SMALL, accepted, changed_flow, replayed, stage_of
from .test_trial import Ticket, flow, look, pay, world

pytestmark = pytest.mark.anyio


def asking(prompt: str = "Read it", *, tools: Any = (look,), note: str | None = None, **more: Any) -> Any:
    @step
    async def read(ticket: Ticket, run: Run) -> str:
        await run.sleep(3600)
        data: dict[str, Any] = {"ticket": ticket} | ({} if note is None else {"note": note})
        return await run.ask(str, prompt, data, tools=list(tools))

    return changed_flow(steps=[read, flow.plan.steps["paid"].step], tools=[*tools, pay], **more)


CLEARER: Tool[..., Any] = replace(look, description="Looks at it all.")


async def accepting(suite: Suite, workflow: Any, drift: Any) -> dict[str, Accepted]:
    return {
        one.id: await accept(
            stage_of(workflow),
            one,
            suite.recordings[one.id],
            drift,
            by="kim",
            reason="a comma",
            date="2026-11-22",
        )
        for one in suite.scenarios
    }


def kept(suite: Suite, found: dict[str, Accepted]) -> Suite:
    for name, one in found.items():
        assert one.recording is not None, one.why
        suite.recording_of(name).write_text(one.recording.to_text())
    return load(suite.folder, world)


@pytest.mark.parametrize(
    ("workflow", "drift"),
    [
        (asking("Read it, please"), "prompt"),
        (asking(tools=[CLEARER]), "tool_schema"),
        (asking(note="n"), "input"),
    ],
    ids=["prompt", "tool_schema", "input"],
)
async def test_accepted_drift_is_green_and_every_report_tells_of_it(
    tmp_path: Path, workflow: Any, drift: str
) -> None:
    suite = await accepted(tmp_path)
    assert (await replayed(suite, workflow)).verdict == "inconclusive"
    suite = kept(suite, await accepting(suite, workflow, drift))
    result: SuiteResult = await replayed(suite, workflow)
    assert (result.verdict, result.reasons) == ("green", [])
    assert list(result.notes) == [f"{drift} drift accepted by kim on 2026-11-22: a comma (large, small)"]
    answers = [turn.answer for turn in suite.recordings["small"].turns]
    assert [answer.text for answer in answers if answer is not None][-1] == "it says hello"


async def test_another_class_than_the_one_accepted_is_refused(tmp_path: Path) -> None:
    suite = await accepted(tmp_path)
    found = await accepting(suite, asking("Read it, please"), "tool_schema")
    assert all(one.recording is None and "prompt drift" in one.why for one in found.values())


async def test_one_class_that_hides_another_is_refused(tmp_path: Path) -> None:
    suite = await accepted(tmp_path)
    found = await accepting(suite, asking("Read it, please", note="n"), "prompt")
    assert all(one.recording is None and "does not pass" in one.why for one in found.values())


async def test_where_a_check_then_fails_nothing_is_accepted(tmp_path: Path) -> None:
    suite = await accepted(tmp_path, SMALL)

    @step
    async def paid(read: str, ticket: Ticket, run: Run) -> str:
        return read

    workflow = changed_flow(steps=[asking("Read it, please").plan.steps["read"].step, paid])
    found = (await accepting(suite, workflow, "prompt"))["small"]
    assert found.recording is None
    assert "calls.count at pay: expected 1, got 0" in found.why


async def test_without_drift_nothing_is_written(tmp_path: Path) -> None:
    suite = await accepted(tmp_path)
    assert [(one.recording, one.why) for one in (await accepting(suite, flow, "prompt")).values()] == [
        (None, ""),
        (None, ""),
    ]


async def test_recording_anew_ends_the_claim(tmp_path: Path) -> None:
    suite = await accepted(tmp_path, SMALL)
    workflow = asking("Read it, please")
    suite = kept(suite, await accepting(suite, workflow, "prompt"))
    again, _ = await record(stage_of(workflow), suite.scenarios[0], suite.recordings["small"])
    assert again.accepted == ()


async def test_changed_checks_are_scored_anew_without_a_model(tmp_path: Path) -> None:
    """Recordings made before a check was written judge it: nothing is asked, and they stay as they are."""
    suite = await accepted(tmp_path, SMALL)
    before = suite.recording_of("small").read_bytes()
    stricter = SMALL | {"expect": SMALL["expect"] | {"not_said": ["it says"]}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(stricter))
    result = await replayed(load(tmp_path, world))
    assert result.verdict == "red"
    assert "not_said" in " ".join(result.reasons)
    wider = SMALL | {"expect": SMALL["expect"] | {"steps": {"paid": "ok"}}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(wider))
    trial = (await replayed(load(tmp_path, world))).scenarios[0].trials[0]
    assert (trial.outcome, trial.misses) == ("pass", ())
    assert suite.recording_of("small").read_bytes() == before


# ── the command ──


def project(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.surefoot]\nworkflow = "tests.evals.test_drift:changed"\nworld = "tests.evals.test_trial:world"\n'
    )


changed = asking("Read it, please", models=[ScriptedModel({}, name="scripted:x")])


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    await accepted(tmp_path / "scenarios", SMALL, LARGE)
    project(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in IN_CI:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Kim")
    return tmp_path


def ran(*words: str) -> Any:
    from surefoot.cli.root import root

    return CliRunner().invoke(root, ["eval", *words])


async def in_thread(*words: str) -> Any:
    import asyncio

    return await asyncio.to_thread(ran, *words)


async def test_the_command_writes_who_why_when_and_which(folder: Path) -> None:
    done = await in_thread("--accept-drift", "prompt", "--reason", "a comma", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["by"], found["accepted"], found["refused"]) == ("Kim", ["large", "small"], {})
    (claim,) = Recording.read(folder / "scenarios" / "recordings" / "small.json").accepted
    assert (claim["class"], claim["by"], claim["reason"]) == ("prompt", "Kim", "a comma")
    assert len(claim["date"]) == 10


async def test_the_command_needs_a_reason_and_is_refused_in_ci(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await in_thread("--accept-drift", "prompt")).exit_code == 2
    monkeypatch.setenv("CI", "true")
    refused = await in_thread("--accept-drift", "prompt", "--reason", "a comma")
    assert refused.exit_code == 2
    assert Recording.read(folder / "scenarios" / "recordings" / "small.json").accepted == ()


def test_somebody_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*given: Any, **more: Any) -> Any:
        raise FileNotFoundError("git")

    monkeypatch.setattr("subprocess.run", no_git)
    assert who({"USER": "kim"}) == "kim"
    with pytest.raises(UsageError, match="nobody is named"):
        who({})


def test_half_a_character_is_kept_in_a_recording(tmp_path: Path) -> None:
    turn = Turn(
        "read", {"model": "x", "messages": [{"role": "user", "text": "half: \ud83d"}]}, ModelAnswer("a")
    )
    path = tmp_path / "small.json"
    path.write_text(Recording("small", "written", [turn]).to_text(), "utf-8")
    assert list(Recording.read(path).turns) == [turn]
