"""What an author writes is typed: both checkers pass the program of the README at their strictest, and find
each seeded mistake at its line, and nothing else.

A line of `seeded_mistakes.py` that says `# E: mypy pyright` is refused by both. One process per checker looks
at both files, with the project's own settings.
"""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot import Workflow

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROGRAM = HERE / "section3_program.py"
MISTAKES = HERE / "seeded_mistakes.py"
CHECKERS = ["mypy", "pyright"]

Found = dict[str, dict[int, str]]
"""Of each file, by its name: line -> what is wrong there."""


def run(checker: str, *options: str) -> str:
    command = [sys.executable, "-m", checker, *options, str(PROGRAM), str(MISTAKES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), (
        done.stdout + done.stderr
    )  # anything else is a checker that did not check
    return done.stdout


def by_mypy(folder: Path) -> Found:
    # A cache of its own: another mypy may be at work in this folder.
    said = run("mypy", "--strict", "--show-absolute-path", f"--cache-dir={folder}")
    found: Found = {PROGRAM.name: {}, MISTAKES.name: {}}
    for line in said.splitlines():
        if match := re.match(r"(.+?):(\d+): error: (.*)", line):
            found.setdefault(Path(match[1]).name, {}).setdefault(int(match[2]), match[3])
    assert re.search(r"checked 2 source files", said), said
    return found


def by_pyright() -> Found:
    said = json.loads(run("basedpyright", "--outputjson"))
    assert said["summary"]["filesAnalyzed"] == 2
    found: Found = {PROGRAM.name: {}, MISTAKES.name: {}}
    for one in said["generalDiagnostics"]:
        if (
            one.get("rule") != "reportUnusedExpression"
        ):  # true of a line that only looks at an attribute anyway
            line = one["range"]["start"]["line"] + 1
            found[Path(one["file"]).name].setdefault(line, one["message"])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    return {"mypy": by_mypy(tmp_path_factory.mktemp("mypy")), "pyright": by_pyright()}


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_program_of_the_readme_passes_at_its_strictest(found: dict[str, Found], checker: str) -> None:
    assert found[checker][PROGRAM.name] == {}


@pytest.mark.parametrize("checker", CHECKERS)
def test_each_seeded_mistake_is_found_at_its_line_and_nothing_else(
    found: dict[str, Found], checker: str
) -> None:
    marked = {
        number: line.partition("  # E:")[0].strip()
        for number, line in enumerate(MISTAKES.read_text().splitlines(), start=1)
        if checker in line.partition("# E:")[2].split()
    }
    refused = found[checker][MISTAKES.name]
    assert len(marked) > 50
    assert {number: text for number, text in marked.items() if number not in refused} == {}
    assert {number: text for number, text in refused.items() if number not in marked} == {}


def test_no_mistake_is_left_to_one_checker_alone() -> None:
    for line in MISTAKES.read_text().splitlines():
        if "# E:" in line:
            assert line.partition("# E:")[2].split() == CHECKERS


def test_the_program_of_the_readme_can_be_built() -> None:
    spec = importlib.util.spec_from_file_location("section3_program", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        desk = module.desk
        assert isinstance(desk, Workflow)
        assert desk.plan.steps["reply"].needs == ("ruling", "action")
        assert desk.plan.steps["reply"].fallback_takes == ("ticket", "action")
        assert desk.plan.last == "sent"
    finally:
        del sys.modules[spec.name]
