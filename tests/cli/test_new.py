"""`surefoot new`: a project of one's own that passes its own tests, from a checkout and from an installed wheel."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from surefoot.models.recordings import key_of

from .conftest import Shell

ROOT = Path(__file__).parents[2]


def own_tests(folder: Path, source: Path) -> "subprocess.CompletedProcess[str]":
    """`python -m pytest` in the new project, with the surefoot of `source`."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def text_files(folder: Path) -> dict[str, str]:
    kinds = (".py", ".md", ".toml", ".yaml", ".sql", ".csv")
    return {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*"))
        if file.suffix in kinds or file.name == "Makefile"
    }


@pytest.mark.slow
def test_a_new_project_passes_its_own_tests_under_its_own_name(shell: Shell) -> None:
    said = shell.here("new", "claims-desk", "--json")
    assert said.code == 0, said.err
    assert (said.json["package"], said.json["workflow"]) == ("claims_desk", "claims-desk")
    folder = shell.folder / "claims-desk"
    done = own_tests(folder, ROOT / "src")
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 120


def test_nothing_in_a_new_project_speaks_of_the_support_desk_by_its_names(shell: Shell) -> None:
    assert shell.here("new", "claims-desk").code == 0
    for name, text in text_files(shell.folder / "claims-desk").items():
        for old in ("support_desk", "support-desk", "SUPPORT_DESK"):
            assert old not in text, name
    assert (shell.folder / "claims-desk" / ".gitignore").read_text().startswith(".surefoot/")


def test_the_recordings_of_a_new_project_are_pinned_to_what_it_asks(shell: Shell) -> None:
    assert shell.here("new", "claims-desk").code == 0
    recordings = list((shell.folder / "claims-desk").rglob("recordings/*.json"))
    assert recordings
    turns = [turn for file in recordings for turn in json.loads(file.read_text(encoding="utf-8"))["turns"]]
    assert {turn["key"] == key_of(turn["request"]) for turn in turns} == {True}
    assert {turn["request"]["model"] for turn in turns} == {"embedded:smollm2+claims_desk/adapter"}


def test_what_it_prints_works_in_the_new_project(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    said = shell.here("new", "made", "--name", "Claims Desk")
    lines = [line.strip() for line in said.err.splitlines()]
    assert any(line.startswith("surefoot run --input claims_desk/tickets/02-towels.json") for line in lines)
    assert (shell.folder / "made" / "claims_desk" / "tickets" / "02-towels.json").is_file()
    first, *_ = [line for line in lines if line.startswith("surefoot ")]
    assert first.startswith("surefoot serve "), "what a newcomer does first"
    readme = (shell.folder / "made" / "README.md").read_text(encoding="utf-8")
    assert readme.index("surefoot[service,embedded]") < readme.index("surefoot serve")
    checked = subprocess.run(
        [sys.executable, "-m", "surefoot", "check", "--json"],
        cwd=shell.folder / "made",
        env=shell.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["workflow"] == "claims-desk"


def test_a_new_project_overwrites_nothing(shell: Shell) -> None:
    shell.write("mine.txt", "precious")
    for folder in (".", str(shell.folder)):
        said = shell.here("new", folder, "--name", "claims-desk")
        assert (said.code, "is not empty" in said.err) == (2, True)
    assert sorted(path.name for path in shell.folder.iterdir()) == [
        "large.json",
        "mine.txt",
        "small.json",
        "till.py",
    ]
    (shell.folder / "empty").mkdir()
    assert shell.here("new", "empty", "--name", "claims-desk").code == 0
    assert shell.here("new", "empty", "--name", "claims-desk").code == 2


@pytest.mark.parametrize("name", ["json", "surefoot", "class", "7desks", "a/b", "", "tests", "ü"])
def test_a_name_that_python_could_not_import_is_refused(shell: Shell, name: str) -> None:
    said = shell.here("new", "made", "--name", name or " ")
    assert (said.code, "is no name for a project" in said.err) == (2, True)
    assert not (shell.folder / "made").exists()


@pytest.mark.slow
def test_the_wheel_has_all_that_a_new_project_and_the_demo_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel, unpacked where no checkout is near."""
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        file.extractall(site)
    kept = ("__pycache__", ".mypy_cache", ".surefoot", "NOTES", "/training/")
    assert [name for name in names if any(part in name for part in kept)] == []
    environment = {**os.environ, "PYTHONPATH": str(site)}
    folder = tmp_path / "claims-desk"

    def surefoot(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "surefoot", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    made = surefoot("new", str(folder))
    assert made.returncode == 0, made.stderr
    checkout = tmp_path / "from-checkout"
    here = subprocess.run(
        [sys.executable, "-m", "surefoot", "new", str(checkout), "--name", "claims-desk"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert here.returncode == 0
    assert text_files(folder) == text_files(checkout)
    done = own_tests(folder, site)
    assert done.returncode == 0, done.stdout
    demo = surefoot("demo", "--model", "gpt")  # the desk is found; only such a model is not
    assert (demo.returncode, "names no model" in demo.stderr) == (2, True), demo.stderr
