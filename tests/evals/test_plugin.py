"""`pytest scenarios/`: each scenario is a test item, a green one passes, everything else fails with its reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
TILL = Path(__file__).parent / "till"
NAME = "surefoot"
QUICKER = ["-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest"]
"""Without what these tests do not need: importing it takes seconds."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(TILL, folder)
    with (folder / "pyproject.toml").open("a") as file:
        file.write("\n[tool.pytest.ini_options]\n")
    return folder


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, with the plugin as pyproject.toml announces it, also where this environment was
    installed before that."""
    paths = [str(ROOT / "src")]
    if not any(found.name == NAME for found in entry_points(group="pytest11")):
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
        info = folder.parent / "announced" / "announced-1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: announced\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[pytest11]\n{NAME} = {declared[NAME]}\n")
        paths.append(str(info.parent))
    return subprocess.run(
        [sys.executable, "-m", "pytest", *QUICKER, "-ra", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_each_scenario_is_an_item_and_green_ones_pass(project: Path) -> None:
    done = run(project, "scenarios", "-v", "--junit-xml=e.xml")
    assert done.returncode == 0, done.stdout
    assert "scenarios/large.yaml::large PASSED" in done.stdout
    assert "scenarios/baseline.jsonl::nothing-was-taken-out-or-made-weaker PASSED" in done.stdout
    assert "3 passed" in done.stdout
    names = [case.get("name") for case in ElementTree.parse(project / "e.xml").iter("testcase")]
    assert sorted(filter(None, names)) == ["large", "nothing-was-taken-out-or-made-weaker", "small"]
    assert "1 passed, 2 deselected" in run(project, "scenarios", "-k", "small").stdout


def test_what_is_red_or_inconclusive_or_gone_fails_with_its_reason(project: Path) -> None:
    small = project / "scenarios" / "small.yaml"
    small.write_text(small.read_text().replace("payments: 1", "payments: 2"))
    (project / "scenarios" / "recordings" / "large.json").unlink()
    third = small.read_text().replace("id: small", "id: third") + "  oops: 1\n"
    (project / "scenarios" / "third.yaml").write_text(third)
    done = run(project, "scenarios", "-n", "2")
    assert done.returncode == 1
    assert "4 failed" in done.stdout
    assert "red: world.added at payments: expected 2, got 1" in done.stdout
    assert "inconclusive: it was never recorded: run `surefoot eval --record`" in done.stdout
    assert "expect.oops: there is no such key" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_scenario_that_was_taken_out_fails_the_suite(project: Path) -> None:
    (project / "scenarios" / "large.yaml").unlink()
    done = run(project, "scenarios")
    assert done.returncode == 1
    assert "red: large: it was removed" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_a_workflow_that_cannot_be_imported_is_told_in_words(project: Path) -> None:
    (project / "till.py").write_text("raise RuntimeError('no till')\n")
    done = run(project, "scenarios/small.yaml")
    assert done.returncode == 1
    assert "'till' cannot be imported" in done.stdout
    assert "RuntimeError: no till" in done.stdout


@pytest.mark.slow
def test_other_yaml_is_left_alone_and_nothing_of_the_harness_is_imported(project: Path) -> None:
    (project / "scenarios").rename(project / "data")
    (project / "test_one.py").write_text(
        "import sys\ndef test_it():\n"
        "    assert not [m for m in sys.modules if m.startswith(('surefoot.evals', 'surefoot.cli'))]\n"
    )
    done = run(project, ".", "-v")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    (project / "data").rename(project / "scenarios")
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text.replace('workflow = "till:flow"', ""))
    assert "1 passed" in run(project, ".").stdout


@pytest.mark.slow
def test_a_folder_of_another_name_is_found_and_runs_in_the_projects_folder(project: Path) -> None:
    (project / "scenarios").rename(project / "cases")
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(
        text.replace("[tool.surefoot]", '[tool.surefoot]\nscenarios = "cases"')
    )
    done = run(project.parent, "--rootdir", str(project), str(project / "cases"))
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
