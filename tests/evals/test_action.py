"""The GitHub Action: its scripts, run as a runner would, end with the verdict's code and never with a better one."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "surefoot-eval"
TILL = Path(__file__).parent / "till"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the action's scripts are for bash")


@dataclass
class Runner:
    """What the runner gives a step, and what the step left there."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def run(self, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        for name in ("output", "summary"):
            (self.folder / name).write_text("")
        given = {
            "PYTHONPATH": str(ROOT / "src"),
            "RUNNER_TEMP": str(self.folder),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "EVAL_PYTHON": sys.executable,
        }
        return subprocess.run(
            ["bash", str(ACTION / script)],
            cwd=self.project,
            env={**os.environ, **given, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    shutil.copytree(TILL, tmp_path / "project")
    return Runner(tmp_path)


def test_nothing_that_others_write_is_part_of_a_command() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    steps = action["runs"]["steps"]
    assert [step.get("shell") for step in steps if "run" in step] == ["bash"] * 3
    for step in steps:
        assert "${{" not in step.get("run", "")
    assert all(found["description"] for found in action["inputs"].values())
    used = set(re.findall(r"inputs\.([\w-]+)", (ACTION / "action.yml").read_text()))
    assert used == set(action["inputs"])


def test_a_green_suite_ends_well_and_leaves_its_reports(runner: Runner) -> None:
    done = runner.run("run.sh", EVAL_TARGET="till:flow", EVAL_ARGUMENTS="--only small")
    assert done.returncode == 0, done.stderr
    assert (runner.outputs["code"], runner.outputs["verdict"]) == ("0", "green")
    left = sorted(path.name for path in Path(runner.outputs["folder"]).iterdir())
    assert left == ["eval.html", "eval.json", "eval.md", "eval.xml"]
    assert runner.summary.startswith("### ✅ `till` evals: GREEN")


def test_a_red_one_ends_red_and_what_it_prints_commands_no_runner(runner: Runner) -> None:
    small = runner.project / "scenarios" / "small.yaml"
    small.write_text(small.read_text() + "  said: ['::set-env name=X::y']\n")
    done = runner.run("run.sh")
    assert (runner.outputs["code"], runner.outputs["verdict"]) == ("1", "red")
    lines = done.stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert lines[-1] == f"::{token}::"
    assert "set-env" in done.stdout


def test_what_comes_to_no_verdict_is_no_pass(runner: Runner) -> None:
    (runner.project / "scenarios" / "small.yaml").write_text("oops: 1\n")
    runner.run("run.sh")
    assert (runner.outputs["code"], runner.outputs["verdict"]) == ("2", "")
    runner.run("run.sh", EVAL_PYTHON="true")  # ends with 0, and has said nothing
    assert (runner.outputs["code"], runner.outputs["verdict"]) == ("1", "")


def test_inputs_are_words_and_not_commands(runner: Runner) -> None:
    runner.run("run.sh", EVAL_TARGET="$(touch owned)", EVAL_ARGUMENTS="; touch owned `touch owned`")
    assert not (runner.project / "owned").exists()
    assert runner.outputs["code"] == "2"


@pytest.mark.parametrize(("known", "method"), [("", "POST"), ("17", "PATCH")])
def test_there_is_one_comment_and_it_is_kept_up_to_date(runner: Runner, known: str, method: str) -> None:
    reports = runner.folder / "reports"
    reports.mkdir()
    (reports / "eval.md").write_text("### fine\n")
    gh = runner.folder / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(
        f'#!/bin/sh\necho "$*" >> {runner.folder}/asked\ncase "$*" in *--jq*) echo "{known}";; esac\n'
    )
    gh.chmod(gh.stat().st_mode | stat.S_IEXEC)
    env = {"EVAL_FOLDER": str(reports), "EVAL_REPOSITORY": "o/r", "EVAL_NUMBER": "5"}
    done = runner.run("comment.sh", PATH=f"{gh.parent}{os.pathsep}{os.environ['PATH']}", **env)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    asked = (runner.folder / "asked").read_text().splitlines()
    assert f"--method {method}" in asked[1]
    assert (reports / "comment.md").read_text() == "<!-- surefoot-eval -->\n### fine\n"
    gh.write_text("#!/bin/sh\nexit 4\n")
    done = runner.run("comment.sh", PATH=f"{gh.parent}{os.pathsep}{os.environ['PATH']}", **env)
    assert (done.returncode, done.stdout[:11]) == (0, "::warning::")
